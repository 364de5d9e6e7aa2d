//! The standalone home's adapters: product code, not mocks. Two files (`queue.db`, `stock.db`), one writer each, WAL,
//! `synchronous=FULL`; what is answered as durable was synced.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod alert_queue;
mod folder;
mod in_flight;
mod queue;
mod schema;
mod stock;
mod writer;

pub use alert_queue::SqliteAlertQueue;
pub use folder::{DataFolder, FolderError};
pub use queue::{QueueOptions, SqliteQueue};
#[doc(hidden)]
pub use schema::OpenOptions;
pub use schema::SchemaError;
pub use stock::{SqliteStore, StoreOptions};
