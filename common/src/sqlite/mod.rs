//! The standalone home's adapters: product code, not mocks. Two files (`queue.db`, `stock.db`), one writer each, WAL,
//! `synchronous=FULL`; what is answered as durable was synced.

mod folder;
mod schema;
mod stock;
mod writer;

pub use folder::{DataFolder, FolderError};
#[doc(hidden)]
pub use schema::OpenOptions;
pub use schema::SchemaError;
pub use stock::{SqliteStore, StoreOptions};
