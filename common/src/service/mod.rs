//! What every process needs around the core: configuration from the environment, logs and metrics, shutdown, the
//! real clock, retries.

mod clock;
#[cfg(feature = "aws")]
pub mod deployed;
mod emf;
mod env;
mod prometheus;
mod retry;
mod shutdown;
mod telemetry;

pub use clock::SystemClock;
pub use emf::{Emf, NAMESPACE};
pub use env::{Env, EnvError, Variable};
pub use retry::Retry;
pub use shutdown::{Shutdown, ShutdownTrigger, on_termination};
pub use telemetry::{LogFormat, MetricsTeller, init_logs, install_metrics};
