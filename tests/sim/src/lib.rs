//! Simulates a whole installation in one thread, under a virtual clock, from one seed: many tills, ingresses with the
//! real packer, models of SQS and DynamoDB, workers with the real code over the real DynamoDB adapter, and faults.
//!
//! Time is tokio's paused clock. It moves when no task can run, so hours cost nothing, and the seed decides everything.
//! After a run the [`auditor`] predicts from the order in the queue what must be stored, and compares.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod auditor;
mod connection;
pub mod coverage;
mod evidence;
mod expression;
pub mod faults;
mod generate;
mod judge;
pub mod kept;
mod mail;
mod one_row;
mod operations;
pub mod options;
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
