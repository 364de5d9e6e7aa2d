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
    /// When the commands of an item that can't be read are set aside as dead letters; `None` lets them wait for ever.
    pub parking: Option<Parking>,
    /// How long rounds in progress may take after shutdown was requested.
    pub drain: Duration,
}

/// When the commands of an item whose stored state can't be read are set aside as dead letters, in their order.
///
/// SQS looks for free message groups only among the first 120,000 messages of a FIFO queue (SQS developer guide, "Avoid large
/// message backlogs with the same message group ID"). So the backlog of one item must not grow until it hides all others
/// (P8). A dead letter takes no effect, is kept whole, and can be retried once the item is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parking {
    /// After so many deliveries of the item's first message; with the growing pauses between them, some eight hours.
    pub receives: u32,
    /// Or when the first command was accepted longer ago than this, in milliseconds: the later messages of the item have
    /// waited behind the first, and need not wait as long once more.
    pub age_ms: i64,
}

impl Parking {
    /// Even an old message is delivered so often before it is set aside: the first failures may be of a passing kind.
    pub(crate) const RECEIVES_MIN: u32 = 3;
}

impl Default for Parking {
    fn default() -> Self {
        Self { receives: 50, age_ms: 6 * 3_600_000 }
    }
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
