//! The AWS home as it runs: the deployed stack, real `ingress` and `worker` processes, the real alerter as its function.

use std::time::Duration;

mod client;
mod installation;
mod program;
mod valve;

pub use client::decimal;
pub use installation::Installation;
pub use program::{Program, Programs, binary};
pub use valve::Valve;

/// How often something is looked at that is waited for.
pub const POLL_EVERY: Duration = Duration::from_millis(50);
