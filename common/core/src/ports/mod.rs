//! The traits that the core needs from its surroundings, each with its contract in prose. One contract suite (in
//! `tests/`) checks the adapters of both homes.
//!
//! `Err` always means infrastructure: the fault may pass, and the caller retries. A refusal is a value.

mod alerts;
mod changed;
mod clients;
mod clock;
pub mod cursor;
mod issuer_keys;
mod lately;
mod mail;
mod queries;
mod queue;
mod retention;
mod store;

pub use alerts::{
    AlertBook, AlertDelivery, AlertHandle, AlertPublisher, AlertReceiver, AlertRecord, Claimed, Gathered, Lease,
    MailState, MailStatus, MailTally, Opening, PartSent, RefusedNotice, Rest, latest_lease_end,
};
pub use changed::{Changed, READ_BACK_MS, Since, SinceError};
pub use clients::Clients;
pub use clock::{Clock, FixedClock};
pub use issuer_keys::IssuerKeys;
pub use lately::{Lately, LatestMoves, Sender};
pub use mail::{Mail, MailError, Mailer};
pub use queries::{
    AuditReader, ChangeFilter, CommandFilter, DaysFilter, DaysPage, ItemFilter, ItemWithLevels, LedgerFrom, LedgerPage,
    LevelFilter, LevelWithDays, LevelWithItem, LocationPut, Locations, Movement, MovementFilter, PAGE_LEVELS_MAX,
    PAGE_ROWS_MAX, Page, PageRequest, Part, Queries, Refusals, Snapshot, StoreFault,
};
pub use queue::{CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};
pub use retention::{QUEUE_RETENTION_S, RETENTION_MS};
pub use store::{CommitOutcome, Store, StoreError};
