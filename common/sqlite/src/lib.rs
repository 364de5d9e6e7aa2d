//! The adapters of the standalone home: product code, not mocks.
//!
//! They keep two files, `queue.db` and `stock.db`, in WAL mode with one writer each. An answer that promises durability
//! follows a sync (`synchronous=FULL`).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod folder;
mod identity;
mod owner;
mod queue_db;
mod schema;
mod stock;
mod writer;

pub use folder::{DataFolder, FolderError};
pub use identity::{Database, Held};
pub use owner::{keep_owner, keep_owner_of};
pub use queue_db::{QueueOptions, SqliteAlertQueue, SqliteQueue};
#[doc(hidden)]
pub use schema::OpenOptions;
pub use schema::SchemaError;
pub use stock::{SqliteStore, StoreOptions, last_accepted_at};
