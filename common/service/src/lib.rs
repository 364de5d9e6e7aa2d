//! What every process needs around the core: configuration from the environment, logs, traces, metrics, printing, the
//! faults of its parts, shutdown, the real clock and retries.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod buckets;
mod clock;
mod emf;
mod env;
mod faults;
mod line_queue;
pub mod output;
mod retry;
mod shutdown;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trace;

pub use clock::{CLOCK_HELD, CLOCK_REMEDY, CLOCK_STEP_MAX_MS, CLOSED_MAX_MS, GuardedClock, MachineTime, SystemClock};
pub use emf::{Emf, NAMESPACE};
pub use env::{Env, EnvError, Variable};
pub use faults::{Fault, Faults, PART_UP, Severity};
pub use line_queue::{LINES_LOST, lines_lost, lines_written};
pub use retry::Retry;
pub use shutdown::{Hangups, on_termination};
pub use telemetry::{
    EmfEmitter, LogFormat, Logging, MetricsError, init_logs, install_metrics, install_metrics_and_emf, log_filter,
};
