//! The AWS adapters: SQS FIFO, DynamoDB, SNS and SES behind the ports. Only this crate names an AWS SDK crate.
//!
//! Only the SDK repeats calls ([`Clients`]): a few attempts with growing, jittered pauses and a deadline on each
//! attempt and on the whole call. A command whose call still fails goes back to the queue.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod batch;
mod clients;
pub mod deployed;
pub mod dynamodb;
mod sdk_error;
mod ses;
mod sns;
mod sqs;
mod start;

pub use clients::Clients;
pub use dynamodb::{DynamoOptions, DynamoStore, Repair, RepairLine, RepairReport};
pub use ses::{SesMailer, is_mailbox};
pub use sns::SnsPublisher;
pub use sqs::{QUEUE_MAX_RECEIVES, SqsOptions, SqsQueue};
pub use start::StartError;
