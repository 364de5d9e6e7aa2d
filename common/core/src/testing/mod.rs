//! Provides the ports in memory, for tests. They keep the same contracts as the adapters and pass the same suites. If a
//! test needs a fault, it wraps them. A [`Shop`] works on any store as the worker does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod awkward;
mod clients;
mod gate;
mod queries;
mod queue;
mod record_json;
mod shop;
mod stock;
mod store;

pub use alerts::MemoryAlerts;
pub use awkward::{AWKWARD_ITEMS, AWKWARD_PLACES};
pub use gate::{Gate, Read};
pub use queue::MemoryQueue;
pub use record_json::{record_json, record_of};
pub use shop::{Shop, alert, at, id, item_id, place, queued, submitted};
pub use stock::{Stock, StoredClaim};
pub use store::MemoryStore;
