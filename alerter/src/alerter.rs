use std::sync::Arc;

use stockline_core::domain::Timestamp;
use stockline_core::ports::{Locations, StoreError};
use tokio_util::sync::CancellationToken;

use crate::alerts::Alerts;
use crate::config::{Adapters, Config};
use crate::contact::addresses;
use crate::deliveries::Deliveries;
use crate::failure::RecordFailure;
use crate::metrics::Meters;
use crate::notices::Notices;

/// Turns alert messages and refused commands into mails (design.md §8).
#[derive(Debug)]
pub struct Alerter {
    recipients: Vec<String>,
    locations: Arc<dyn Locations>,
    alerts: Alerts,
    notices: Notices,
}

impl Alerter {
    /// Returns an alerter over these adapters. Its metrics start at zero.
    pub fn new(config: Config, adapters: Adapters) -> Self {
        let meters = Meters::new();
        let config = config.normalized();
        let deliveries = Deliveries::new(adapters.mailer.clone(), adapters.clock.clone(), meters.clone());
        Self {
            recipients: config.recipients.clone(),
            locations: adapters.locations.clone(),
            alerts: Alerts::new(config.clone(), adapters.clone(), deliveries.clone(), meters.clone()),
            notices: Notices::new(config, adapters, deliveries, meters),
        }
    }

    /// Returns whether there is a recipient, in the configured list or at any location.
    ///
    /// # Errors
    /// Fails if the locations can't be read.
    pub async fn has_recipient(&self) -> Result<bool, StoreError> {
        if !self.recipients.is_empty() {
            return Ok(true);
        }
        let locations = self.locations.locations().await?;
        Ok(locations.iter().any(|location| !addresses(&location.alert_emails).is_empty()))
    }

    /// Handles messages, each a `(message id, body)`, and answers one by one in input order.
    ///
    /// `Ok` means that the alert is mailed and marked, or was mailed before, or has no recipient (then it stays in the
    /// history, unsent). A failed record must be delivered again, except [`RecordFailure::Undecodable`]. Alerts to the
    /// same recipients are one mail.
    pub async fn handle(&self, bodies: &[(&str, &str)]) -> Vec<Result<(), RecordFailure>> {
        self.handle_until(bodies, None).await
    }

    /// Handles messages as [`Alerter::handle`] does. Once `stop` is requested, no further mail begins.
    pub async fn handle_until(
        &self,
        bodies: &[(&str, &str)],
        stop: Option<&CancellationToken>,
    ) -> Vec<Result<(), RecordFailure>> {
        self.alerts.handle(bodies, stop).await
    }

    /// Mails the notices of refused commands that are due: once a day per location, from 06:00 local time, if commands
    /// were refused since the last notice. Commands that name no registered location are in the notice of `main`.
    ///
    /// Returns how many notices were mailed. Failures are logged, and retried by the next call.
    pub async fn daily_notices(&self, now: Timestamp) -> usize {
        self.daily_notices_until(now, None).await
    }

    /// Mails notices as [`Alerter::daily_notices`] does. Once `stop` is requested, no further mail begins.
    pub async fn daily_notices_until(&self, now: Timestamp, stop: Option<&CancellationToken>) -> usize {
        self.notices.mail_due(now, stop).await
    }
}
