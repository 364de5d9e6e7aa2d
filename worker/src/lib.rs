//! The worker: load → fold → commit → publish alerts → ack (design.md §7).
//!
//! It works over the ports and names no adapter. A *round* is what becomes of one receive; several overlap, one per
//! permit. Crash anywhere: the message comes again, and what is stored tells how far it got.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::{FoldLimits, Rules};
use stockline_core::ports::{AlertPublisher, Clock, CommandReceiver, Store};
use stockline_service::Shutdown;

pub mod audit;
pub mod dead_letters;
mod gate;
mod group;
mod health;
mod held;
mod intake;
pub mod metrics;
pub mod operator;
mod rejudge;
mod round;
mod step;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use health::{Condition, Health};

/// The type of [`fold`](stockline_core::domain::fold).
#[cfg(feature = "simulation")]
pub type Judge = round::Judge;

/// How the worker runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Receives under way and in work at once; a permit is taken before polling.
    pub permits: usize,
    /// Receives that wait for messages side by side, where one receive's latency or size bounds the throughput; each
    /// holds a permit while it waits, so there should be more permits.
    pub receivers: usize,
    /// Messages of one receive.
    pub receive_max: usize,
    /// How long a receive waits for messages.
    pub receive_wait: Duration,
    /// Rules of the installation.
    pub rules: Rules,
    /// Bounds of one commit.
    pub fold_limits: FoldLimits,
    /// Alerts of commands decided longer ago are not published again for a duplicate: the retention of queue and
    /// dead letter queue together, in milliseconds.
    pub retention_ms: i64,
    /// How long work in hand may take after shutdown was asked for.
    pub drain: Duration,
}

/// What the worker needs.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// Where commands come from.
    pub queue: Arc<dyn CommandReceiver>,
    /// Where stock is kept.
    pub store: Arc<dyn Store>,
    /// Where alerts go.
    pub alerts: Arc<dyn AlertPublisher>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Works until shutdown is asked for, then drains and gives back what is left.
///
/// [`Config::receivers`] receives run at a time; rounds run beside them and beside each other. Returns at most `receive_wait + drain` (and the time of
/// one give-back) after shutdown was asked for.
pub async fn run(config: Config, adapters: Adapters, shutdown: Shutdown) {
    run_with_health(config, adapters, Arc::new(Health::default()), shutdown).await;
}

/// As [`run`], telling `health` whether it can work, for `/readyz`.
pub async fn run_with_health(config: Config, adapters: Adapters, health: Arc<Health>, shutdown: Shutdown) {
    intake::run(Arc::new(round::Worker::new(config, adapters, health)), shutdown).await;
}

/// As [`run`], with `judge` in the place of [`fold`](stockline_core::domain::fold): one that has defects.
#[cfg(feature = "simulation")]
pub async fn run_judged_by(judge: Judge, config: Config, adapters: Adapters, shutdown: Shutdown) {
    let worker = round::Worker { judge, ..round::Worker::new(config, adapters, Arc::default()) };
    intake::run(Arc::new(worker), shutdown).await;
}
