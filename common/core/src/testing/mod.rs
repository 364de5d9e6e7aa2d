//! Provides the ports in memory, for tests. They keep the same contracts as the adapters and pass the same suites. If a
//! test needs a fault, it wraps them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod queries;
mod queue;
mod stock;
mod store;

pub use alerts::MemoryAlerts;
pub use queue::MemoryQueue;
pub use stock::{Stock, StoredClaim};
pub use store::MemoryStore;
