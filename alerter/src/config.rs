use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::Timestamp;
use stockline_core::ports::{AlertBook, Clock, Locations, Mailer, Queries};

use crate::contact::addresses;

/// How long the mail port may take for one mail. Then it counts as unavailable.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(30);

/// The shortest lease of a claim: one mail and its mark fit into it with room to spare.
pub const MIN_LEASE: Duration = Duration::from_secs(60);

/// The mail of a location's openings waits until none has come for this long. On AWS the visibility timeout of the alert
/// queue is longer, so the last of them finds the wait over when it comes again.
pub const OPENINGS_QUIET: Duration = Duration::from_secs(3 * 60);

/// The mail of a location's openings waits no longer than this after the first of them.
pub const OPENINGS_WAIT_MAX: Duration = Duration::from_secs(10 * 60);

const _: () = assert!(MIN_LEASE.as_millis() >= 2 * MAIL_TIMEOUT.as_millis());

/// Configures the alerter.
#[derive(Debug, Clone)]
pub struct Config {
    /// The recipients of alerts from locations without `alert_emails`.
    pub recipients: Vec<String>,
    /// How long a claim holds: longer than a batch takes. A shorter lease than [`MIN_LEASE`] is raised to it.
    pub lease: Duration,
    /// The address of the installation, `https://…` or `http://…`. If set, mails link to it.
    pub public_url: Option<String>,
}

impl Config {
    /// Returns the configuration with a lease that is long enough and with each recipient once.
    pub(crate) fn normalized(mut self) -> Self {
        if self.lease < MIN_LEASE {
            tracing::warn!(lease_s = self.lease.as_secs(), used_s = MIN_LEASE.as_secs(), "the lease is too short");
            self.lease = MIN_LEASE;
        }
        self.recipients = addresses(&self.recipients);
        self
    }

    /// Returns when a lease that begins `now` ends.
    pub(crate) fn lease_from(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Holds the ports that the alerter needs.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// The alert history, with its claims.
    pub book: Arc<dyn AlertBook>,
    /// The locations, for recipients and time zones.
    pub locations: Arc<dyn Locations>,
    /// The refused commands, for the daily notice.
    pub queries: Arc<dyn Queries>,
    /// The mail provider.
    pub mailer: Arc<dyn Mailer>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}
