use std::time::Duration;

/// The settings of the command queue.
#[derive(Debug, Clone, Copy)]
pub struct QueueOptions {
    /// How long a delivery stays open unless the receiver changes it.
    pub visibility_timeout: Duration,
    /// The most deliveries of a message. A message that was delivered more often is set aside.
    pub max_receive_count: u32,
    /// The most messages of one item in flight.
    pub messages_per_group_receive: usize,
}

impl Default for QueueOptions {
    /// The settings of the queue in the AWS template (design.md §6).
    fn default() -> Self {
        Self { visibility_timeout: Duration::from_secs(60), max_receive_count: 1_000, messages_per_group_receive: 10 }
    }
}
