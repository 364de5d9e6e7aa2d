use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::Timestamp;
use stockline_core::ports::{Locations, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::alerts::Alerts;
use crate::config::{Adapters, Config};
use crate::contact::addresses;
use crate::deliveries::Deliveries;
use crate::failure::RecordFailure;
use crate::metrics::Meters;
use crate::notices::Notices;
use crate::schedule::Schedule;

#[expect(clippy::disallowed_methods, reason = "it names the claims of a process and is no id of the domain")]
fn fresh_holder() -> Arc<str> {
    Uuid::new_v4().to_string().into()
}

/// Turns alert messages and refused commands into mails (design.md §8).
#[derive(Debug)]
pub struct Alerter {
    recipients: Vec<String>,
    locations: Arc<dyn Locations>,
    alerts: Alerts,
    notices: Notices,
}

impl Alerter {
    /// Returns an alerter over these adapters, whose queue decides when failed mails are tried again. Its metrics start at
    /// zero.
    pub fn new(config: Config, adapters: Adapters) -> Self {
        Self::with_schedule(config, adapters, false)
    }

    /// Returns an alerter. If `paced`, it does not try a mail before the schedule of its failures says so.
    pub(crate) fn with_schedule(config: Config, adapters: Adapters, paced: bool) -> Self {
        let meters = Meters::new();
        let config = config.normalized();
        let schedule = Schedule::new(paced, meters.clone());
        let deliveries = Deliveries::new(adapters.mailer.clone(), adapters.clock.clone(), schedule, meters.clone());
        let holder = fresh_holder();
        Self {
            recipients: config.recipients.clone(),
            locations: adapters.locations.clone(),
            alerts: Alerts::new(config.clone(), adapters.clone(), deliveries.clone(), meters.clone(), holder.clone()),
            notices: Notices::new(config, adapters, deliveries, meters, holder),
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
        let results = self.alerts.handle(bodies, stop).await;
        results.into_iter().map(|result| result.map_err(|(failure, _)| failure)).collect()
    }

    /// Handles messages as [`Alerter::handle_until`] does. A failure also says when the next attempt is due, if the
    /// schedule of failed mails decides it.
    pub(crate) async fn handle_paced(
        &self,
        bodies: &[(&str, &str)],
        stop: &CancellationToken,
    ) -> Vec<Result<(), (RecordFailure, Option<Duration>)>> {
        self.alerts.handle(bodies, Some(stop)).await
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
        self.notices.mail_due(now, stop).await.mailed
    }

    /// Mails notices, and returns when a notice whose mail failed is due again.
    pub(crate) async fn daily_notices_paced(&self, now: Timestamp, stop: &CancellationToken) -> Option<Duration> {
        self.notices.mail_due(now, Some(stop)).await.due_in
    }
}
