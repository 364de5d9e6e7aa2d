use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::ItemId;

/// A call of the queue failed or its answer was lost. Whether it took effect is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The fault may pass.
    #[error("the command queue is unavailable: {0}")]
    Unavailable(String),
    /// The visibility timeout has passed, and another receiver may have the message.
    #[error("the message is no longer held")]
    HandleExpired,
}

/// Commands of one item that are sent as one message.
#[derive(Debug, Clone)]
pub struct Pack {
    /// The item, which is the message group: its messages are delivered in order.
    pub item_id: ItemId,
    /// A fresh id for the pack, which only retries of the same send reuse.
    pub dedup_id: Uuid,
    /// The body from [`crate::domain::encode_message`].
    pub body: Arc<str>,
}

/// The sending side of the command queue.
///
/// - `Ok` means that the pack is durable. It will be delivered at least once, after every pack of the same item that
///   was acknowledged before this call began.
/// - Each pack succeeds or fails alone, in input order.
/// - After `Err` the pack may still be queued. The caller decides whether to send it again, with the same `dedup_id`.
///   An adapter may repeat a call only unchanged, with the same id and within its deadline.
/// - Packs of one call are of different items.
#[async_trait]
pub trait CommandSender: Send + Sync + std::fmt::Debug {
    /// Sends up to [`CommandSender::max_batch`] packs.
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>>;

    /// Returns the most packs of one call.
    fn max_batch(&self) -> usize;
}

/// The handle of one delivery of a message. A later delivery of the same message has another handle.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handle(pub Arc<str>);

/// A delivered message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The handle that acknowledges, extends or returns this delivery.
    pub handle: Handle,
    /// The queue's own id of the message, the same on every delivery.
    pub message_id: Arc<str>,
    /// The message group as text. A message from another program may have a group that is not an item id.
    pub group: Arc<str>,
    /// The body.
    pub body: Arc<str>,
    /// How often the message was delivered, this time included.
    pub receives: u32,
    /// Whether the queue itself set the message aside (it is from the dead letter queue).
    pub set_aside: bool,
}

/// The backlog of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages not in flight.
    pub visible: u64,
    /// Messages delivered and not yet acknowledged.
    pub in_flight: u64,
    /// The age of the oldest message in milliseconds; 0 if there is none.
    pub oldest_age_ms: u64,
}

/// The receiving side of the command queue.
///
/// - Messages of one group arrive in the order of sending. While a message of a group is in flight, no other message of
///   the group is delivered. One receive returns at most 10 messages of a group.
/// - A delivered message stays invisible until it is acknowledged or its visibility timeout passes. Then it and the
///   later messages of its group are delivered again, in order, to any receiver.
/// - An expired handle neither acknowledges nor extends ([`QueueError::HandleExpired`]).
/// - A message that was delivered more often than the queue's limit is set aside, and the same `receive` delivers it
///   with [`Delivery::set_aside`].
/// - An adapter may repeat a call only unchanged, under the same attempt id and within its deadline.
#[async_trait]
pub trait CommandReceiver: Send + Sync + std::fmt::Debug {
    /// Waits up to `wait` for messages and returns at most `max`. Each logical receive has its own `attempt`, which its
    /// retries reuse: after a lost answer, a retry returns the same messages.
    ///
    /// Dropping the future may leave messages in flight until their visibility timeout passes.
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError>;

    /// Deletes delivered messages and returns one result each, in input order. A lost acknowledgement causes a
    /// redelivery.
    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>>;

    /// Sets how long from now messages stay invisible (zero returns them), with one result each, in input order.
    async fn change_visibility(&self, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>>;

    /// Returns how long a delivery stays invisible unless the receiver changes it.
    fn visibility_timeout(&self) -> Duration;

    /// Returns the approximate backlog, for metrics.
    async fn depth(&self) -> Result<QueueDepth, QueueError>;
}
