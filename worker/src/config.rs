use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::{FoldLimits, Rules};
use stockline_core::ports::{AlertPublisher, Clock, CommandReceiver, Store};

/// Configures the worker.
#[derive(Debug, Clone)]
pub struct Config {
    /// The most receives and rounds at a time. A receiver acquires a permit before it polls.
    pub permits: usize,
    /// The number of receives that wait for messages at the same time. More of them help where the latency or the size
    /// of one receive bounds the throughput. Each holds a permit while it waits, so there should be more permits.
    pub receivers: usize,
    /// The most messages of one receive.
    pub receive_max: usize,
    /// How long a receive waits for messages.
    pub receive_wait: Duration,
    /// How long a receiver waits after a receive that was not full, so that more messages share the next one and fewer calls
    /// are paid for. Zero receives at once.
    pub receive_pause: Duration,
    /// The rules of the installation.
    pub rules: Rules,
    /// The bounds of one commit.
    pub fold_limits: FoldLimits,
    /// The retention of queue and dead letter queue together, in milliseconds. A duplicate of a command that was
    /// decided longer ago publishes no alerts again.
    pub retention_ms: i64,
    /// How long rounds in progress may take after shutdown was requested.
    pub drain: Duration,
}

/// Holds the ports that the worker needs.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// The command queue.
    pub queue: Arc<dyn CommandReceiver>,
    /// The stock.
    pub store: Arc<dyn Store>,
    /// The alert topic.
    pub alerts: Arc<dyn AlertPublisher>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}
