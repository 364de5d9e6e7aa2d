//! Provides what the tests of the whole system share: real files, real processes and power failures.
#![allow(clippy::disallowed_macros, reason = "a test prints what it found")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod aws;
pub mod aws_queues;
pub mod bit_rot;
pub mod browser;
pub mod chaos;
pub mod cognito;
pub mod contract;
pub mod crash_points;
pub mod debian;
pub mod dynoxide;
pub mod faulty;
pub mod flaky_network;
pub mod images;
pub mod in_process;
pub mod inject;
pub mod process;
pub mod sdk;
pub mod stack;
pub mod tls_front;
pub mod wrong_clock;

pub use stockline_powerloss as powerloss;
