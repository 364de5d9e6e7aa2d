//! The traits that the core needs from its surroundings, each with its contract in prose. One contract suite (in
//! `tests/`) checks the adapters of both homes.
//!
//! `Err` always means infrastructure: the fault may pass, and the caller retries. A refusal is a value.

mod alerts;
mod audit;
mod changed;
mod clients;
mod clock;
pub mod cursor;
mod filters;
mod issuer_keys;
mod lately;
mod locations;
mod mail;
mod page;
mod queries;
mod queue;
mod retention;
mod rows;
mod store;

pub use alerts::{
    AlertBook, AlertDelivery, AlertHandle, AlertPublisher, AlertReceiver, AlertRecord, Claimed, Gathered, Lease,
    MailState, MailStatus, MailTally, Opening, PartSent, RefusedNotice, Rest, latest_lease_end,
};
pub use audit::{AuditReader, LedgerFrom, LedgerPage, Part, StoreFault};
pub use changed::{Changed, READ_BACK_MS, Since, SinceError};
pub use clients::Clients;
pub use clock::{Clock, FixedClock};
pub use filters::{ChangeFilter, CommandFilter, DaysFilter, ItemFilter, LevelFilter, MovementFilter};
pub use issuer_keys::IssuerKeys;
pub use lately::{LastSent, Lately, LatestMoves, SENDER_USED_MS, Sender};
pub use locations::{LocationPut, Locations};
pub use mail::{Mail, MailError, Mailer};
pub use page::{PAGE_LEVELS_MAX, PAGE_ROWS_MAX, Page, PageRequest};
pub use queries::{Queries, Refusals, Snapshot};
pub use queue::{CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};
pub use retention::{QUEUE_RETENTION_S, RETENTION_MS};
pub use rows::{DaysPage, ItemWithLevels, LevelWithDays, LevelWithItem, Movement};
pub use store::{CommitOutcome, Store, StoreError};
