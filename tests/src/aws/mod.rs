//! Runs the AWS home: the deployed stack, real `ingress` and `worker` processes, and the real alerter as its function.

use std::time::Duration;

mod client;
mod iam_guard;
mod installation;
mod program;
mod valve;

pub use client::decimal;
pub use iam_guard::{Guard, Recorded};
pub(crate) use iam_guard::{client, forward, signed_by};
pub use installation::Installation;
pub use program::{Program, Programs};
pub use valve::Valve;

/// The pause between two polls.
pub const POLL_EVERY: Duration = Duration::from_millis(50);
