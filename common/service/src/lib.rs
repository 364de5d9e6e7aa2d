//! What every process needs around the core: configuration from the environment, logs, traces, metrics, shutdown, the real
//! clock and retries.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod buckets;
mod clock;
mod emf;
mod env;
mod retry;
mod shutdown;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trace;

pub use clock::SystemClock;
pub use emf::{Emf, NAMESPACE};
pub use env::{Env, EnvError, Variable};
pub use retry::Retry;
pub use shutdown::on_termination;
pub use telemetry::{
    EmfEmitter, LogFormat, MetricsError, init_logs, install_metrics, install_metrics_and_emf, log_filter,
};
