//! What the tests of the whole share: real files, real processes, and power that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod aws;
pub mod aws_queues;
pub mod cognito;
pub mod contract;
pub mod dynoxide;
pub mod faulty;
pub mod fifo;
pub mod iam;
pub mod inject;
pub mod ministack;
pub mod powerloss;
pub mod process;
pub mod python;
pub mod running;
pub mod stack;
pub mod templates;
pub mod wiring;
