//! What Stockline needs around its core: small traits, the contract in prose. Adapters keep it in both homes, and
//! one contract suite (in `tests/`) holds every adapter to it.
//!
//! `Err` is always infrastructure: it may pass, and the caller tries again. A refusal is a value.

mod alerts;
mod clock;
pub mod cursor;
mod mail;
mod queries;
mod queue;
mod retention;
mod store;

pub use alerts::{
    AlertBook, AlertDelivery, AlertHandle, AlertPublisher, AlertReceiver, AlertRecord, Claimed, RefusedNotice,
};
pub use clock::{Clock, FixedClock};
pub use mail::{Mail, MailError, Mailer};
pub use queries::{
    AuditReader, CommandFilter, ItemFilter, ItemWithLevels, LedgerPage, LevelFilter, LevelWithItem, Locations,
    Movement, MovementFilter, PAGE_LEVELS_MAX, Page, Queries,
};
pub use queue::{CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};
pub use retention::{QUEUE_RETENTION_S, RETENTION_MS};
pub use store::{CommitOutcome, Store, StoreError};
