//! What the tests of the whole share: real files, real processes, and power that fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod aws;
pub mod aws_queues;
pub mod chaos;
pub mod cognito;
pub mod contract;
pub mod dockerfile;
pub mod dynoxide;
pub mod faulty;
pub mod fifo;
pub mod front;
pub mod iam;
pub mod images;
pub mod inject;
pub mod metric_math;
pub mod ministack;
pub mod points;
pub mod process;
pub mod python;
pub mod running;
pub mod stack;
pub mod templates;
pub mod told;
pub mod watched;
pub mod weather;
pub mod wiring;

pub use stockline_powerloss as powerloss;
