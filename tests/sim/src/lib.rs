//! A whole installation in one thread, under a virtual clock, from one seed: many tills, ingresses with the real
//! packer, SQS and DynamoDB as models, workers with the real code over the real DynamoDB adapter, and faults.
//!
//! Time is tokio's, paused: it moves when nobody has anything to do, so hours cost nothing and everything that happens
//! is decided by the seed. After a run the [`auditor`] predicts from the order in the queue what must be stored, and
//! compares.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod auditor;
pub mod coverage;
mod expression;
pub mod faults;
mod judge;
pub mod kept;
mod mail;
mod one_row;
mod operations;
mod queue;
mod rng;
pub mod run;
pub mod scenario;
pub mod shrink;
mod submit;
pub mod sweep;
mod table;
pub mod tamper;
mod topic;
mod wire;
mod world;
mod writer;
