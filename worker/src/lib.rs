//! The worker: load → fold → commit → publish alerts → ack (design.md §7).

use std::sync::Arc;
use std::time::Duration;

use stockline_common::domain::{FoldLimits, Rules};
use stockline_common::ports::{AlertPublisher, Clock, CommandReceiver, Store};
use stockline_common::service::Shutdown;

/// How the worker runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Receives in work at once; a permit is taken before polling.
    pub permits: usize,
    /// Messages of one receive.
    pub receive_max: usize,
    /// How long a receive waits for messages.
    pub receive_wait: Duration,
    /// Rules of the installation.
    pub rules: Rules,
    /// Bounds of one commit.
    pub fold_limits: FoldLimits,
    /// Alerts of commands accepted longer ago are not published again for a duplicate: the retention of queue and
    /// dead letter queue together, in milliseconds.
    pub retention_ms: i64,
    /// How long work in hand may take after shutdown was asked for.
    pub drain: Duration,
}

/// What the worker needs.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// Where commands come from.
    pub queue: Arc<dyn CommandReceiver>,
    /// Where stock is kept.
    pub store: Arc<dyn Store>,
    /// Where alerts go.
    pub alerts: Arc<dyn AlertPublisher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Works until shutdown is asked for, then drains and gives back what is left.
pub async fn run(_config: Config, _adapters: Adapters, shutdown: Shutdown) {
    shutdown.requested().await;
}
