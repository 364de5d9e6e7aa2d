use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::ItemId;

/// The queue could not do it, or its answer was lost. Whether it took effect is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// It may pass.
    #[error("the command queue is unavailable: {0}")]
    Unavailable(String),
    /// The handle's visibility has run out: another may hold the message.
    #[error("the message is no longer held")]
    HandleExpired,
}

/// Commands of one item, to be sent as one message.
#[derive(Debug, Clone)]
pub struct Pack {
    /// The group: messages of one item are delivered in order.
    pub item_id: ItemId,
    /// Fresh per pack, reused only by retries of that same send.
    pub dedup_id: Uuid,
    /// From [`crate::domain::encode_message`].
    pub body: Arc<str>,
}

/// The sending side of the command queue.
///
/// - `Ok` for a pack means it is durable: it will be delivered at least once, after every pack of the same item that
///   was acknowledged before this call began.
/// - Packs answer one by one, in input order; one that fails does not fail its neighbours.
/// - After `Err` the pack may still have been queued. The caller decides whether to send again, with the same
///   `dedup_id`; below the port a call is repeated as it is at most (same id), within its
///   deadline.
/// - Packs of one call are of different items.
#[async_trait]
pub trait CommandSender: Send + Sync + std::fmt::Debug {
    /// Sends up to [`CommandSender::max_batch`] packs.
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>>;

    /// The most packs of one call.
    fn max_batch(&self) -> usize;
}

/// Names one delivery of one message: a later delivery of the same message has another handle.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handle(pub Arc<str>);

/// A message as delivered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Acknowledges, extends or gives back this delivery.
    pub handle: Handle,
    /// The queue's own id of the message, the same on every delivery.
    pub message_id: Arc<str>,
    /// The group, as text: what someone else queued may not be an item id.
    pub group: Arc<str>,
    /// The body.
    pub body: Arc<str>,
    /// How often it has been delivered, this time included.
    pub receives: u32,
    /// Was it set aside by the queue itself (read from its dead letter queue)?
    pub set_aside: bool,
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages not in flight.
    pub visible: u64,
    /// Messages delivered and not yet acknowledged.
    pub in_flight: u64,
    /// How long the oldest message has waited, in milliseconds; 0 when there is none.
    pub oldest_age_ms: u64,
}

/// The receiving side of the command queue.
///
/// - Messages of one group come in the order in which they were sent. While any message of a group is in flight,
///   nothing more of that group is delivered. One receive holds at most 10 messages of a group.
/// - A delivered message stays invisible until it is acknowledged or its visibility runs out; then it and the later
///   ones of its group come again, in order, to anyone.
/// - A handle whose visibility has run out neither acknowledges nor extends ([`QueueError::HandleExpired`]).
/// - What was delivered more often than the queue's limit is set aside, and delivered by the same `receive` with
///   [`Delivery::set_aside`].
/// - A call may be repeated below the port, as it is and under the same attempt id, within its deadline.
#[async_trait]
pub trait CommandReceiver: Send + Sync + std::fmt::Debug {
    /// Waits up to `wait` for messages and returns at most `max`. `attempt` is one per logical receive, reused by
    /// retries of it: a receive whose answer was lost answers again with the same messages.
    ///
    /// Dropping the future may leave messages in flight until their visibility runs out.
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError>;

    /// Deletes delivered messages, one result each in input order. A lost acknowledgement is a redelivery.
    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>>;

    /// Sets how long from now messages stay invisible (zero gives them back), one result each in input order.
    async fn change_visibility(&self, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>>;

    /// For how long a delivery is held unless that is changed.
    fn visibility_timeout(&self) -> Duration;

    /// How much waits, for metrics; approximate.
    async fn depth(&self) -> Result<QueueDepth, QueueError>;
}
