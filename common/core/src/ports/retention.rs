/// How long the command queue and its dead letter queue each keep a message, in seconds: the longest that SQS allows,
/// 14 days (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub const QUEUE_RETENTION_S: u64 = 14 * 86_400;

/// How long an accepted command may wait in the queue and its dead letter queue together, in milliseconds. If a receipt
/// is older and has no outcome, its command is missing. It is the same in both homes.
pub const RETENTION_MS: i64 = 2 * QUEUE_RETENTION_S.cast_signed() * 1_000;
