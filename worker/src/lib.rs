//! The worker: load → fold → commit → publish alerts → ack (design.md §7).
//!
//! It works over the ports and names no adapter. A *round* works through the messages of one receive; several rounds
//! run at a time, one per permit. After a crash at any point the message is delivered again, and the stored state shows
//! which steps are done.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::sync::Arc;

mod answers;
pub mod audit;
mod config;
pub mod dead_letters;
mod health;
mod item_work;
mod leases;
pub mod metrics;
pub mod operator;
mod outage_breaker;
mod receivers;
mod rejudge;
mod round;
mod set_aside;
pub mod smoke;
mod spans;
mod step;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unpack;
mod worker;

pub use config::{Adapters, Config, Parking};
pub use health::{Condition, Health};

use tokio_util::sync::CancellationToken;
use worker::Worker;

/// The type of [`fold`](stockline_core::domain::fold).
#[cfg(feature = "simulation")]
pub type Judge = worker::Judge;

/// Works until shutdown is requested, then drains and returns the remaining messages.
///
/// [`Config::receivers`] receives run at a time; rounds run beside them and beside each other. It ends at most
/// `receive_wait + drain` (and the time of one return) after shutdown was requested.
pub async fn run(config: Config, adapters: Adapters, shutdown: CancellationToken) {
    run_with_health(config, adapters, Arc::new(Health::default()), shutdown).await;
}

/// Works as [`run`] does, and shows in `health` whether it can, for `/readyz`.
pub async fn run_with_health(config: Config, adapters: Adapters, health: Arc<Health>, shutdown: CancellationToken) {
    receivers::run(Arc::new(Worker::new(config, adapters, health)), shutdown).await;
}

/// Works as [`run`] does, with `judge` in place of [`fold`](stockline_core::domain::fold): one with defects.
#[cfg(feature = "simulation")]
pub async fn run_judged_by(judge: Judge, config: Config, adapters: Adapters, shutdown: CancellationToken) {
    let worker = Worker { judge, ..Worker::new(config, adapters, Arc::default()) };
    receivers::run(Arc::new(worker), shutdown).await;
}
