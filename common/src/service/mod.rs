//! What every process needs around the core: configuration from the environment, logs and metrics, shutdown, the
//! real clock, retries.

mod clock;
mod env;
mod retry;
mod shutdown;
mod telemetry;

pub use clock::SystemClock;
pub use env::{Env, EnvError};
pub use retry::Retry;
pub use shutdown::{Shutdown, ShutdownTrigger, on_termination};
pub use telemetry::{LogFormat, init_logs, install_metrics};
