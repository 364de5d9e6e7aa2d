use std::time::Duration;

/// How the queue is used.
#[derive(Debug, Clone)]
pub struct SqsOptions {
    /// For how long a delivery is held unless that is changed.
    pub visibility_timeout: Duration,
}

/// The command queue on SQS FIFO, with its dead letter queue.
#[derive(Debug)]
pub struct SqsQueue {
    _client: aws_sdk_sqs::Client,
}
