use std::sync::Arc;

use async_trait::async_trait;

use super::{AlertRecord, StoreError};
use crate::domain::{Command, CommandKind, Cost};
use crate::domain::{
    CommandKey, Effect, Entry, EntryKind, Item, ItemId, Level, LocationId, LocationSettings, Outcome, Quantity, Reason,
    Record, RejectionCode, Status, StockState, Timestamp,
};

/// The most levels that a page of items holds, unless its first item alone has more: an item of a chain has a level at
/// each of its locations, and a page is built in memory.
pub const PAGE_LEVELS_MAX: usize = 10_000;

/// A page of a list and where the next one begins. Cursors are opaque texts of the adapter's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the list's order.
    pub entries: Vec<T>,
    /// `None` at the end.
    pub next_cursor: Option<String>,
}

/// An item with all its levels, read in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemWithLevels {
    /// The catalogue record.
    pub item: Item,
    /// By location.
    pub levels: Vec<Level>,
}

/// A level with the record of its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelWithItem {
    /// The catalogue record.
    pub item: Arc<Item>,
    /// The level.
    pub level: Level,
}

impl LevelWithItem {
    /// The state as reads show it: from the balance and the threshold as they are now.
    pub fn state(&self) -> StockState {
        StockState::judge(self.level.on_hand, self.level.threshold(&self.item))
    }
}

/// One ledger entry with its place, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Where.
    pub location_id: LocationId,
    /// The entry.
    pub entry: Entry,
}

impl Movement {
    /// The movement that an outcome's effect made; `None` where the outcome has no command.
    pub fn of_effect(outcome: &Outcome, effect: &Effect) -> Option<Self> {
        use crate::domain::Action;
        let command: &Command = outcome.command.as_ref()?;
        let details = &command.details;
        let (quantity, unit_cost): (Quantity, Option<Cost>) = match &command.action {
            Action::Receive { quantity, unit_cost, .. } => (*quantity, *unit_cost),
            Action::Sell { quantity, .. }
            | Action::Return { quantity, .. }
            | Action::Adjust { quantity, .. }
            | Action::Transfer { quantity, .. } => (*quantity, None),
            Action::Count { counted, .. } => (*counted, None),
            _ => return None,
        };
        let reason: Option<Reason> = details.reason;
        let counterpart = match (&command.action, effect.kind) {
            (Action::Transfer { to_location_id, .. }, EntryKind::TransferOut) => Some(to_location_id.clone()),
            (Action::Transfer { from_location_id, .. }, _) => Some(from_location_id.clone()),
            _ => None,
        };
        Some(Self {
            location_id: effect.location_id.clone(),
            entry: Entry {
                seq: effect.seq,
                kind: effect.kind,
                command_id: outcome.command_id,
                quantity,
                delta: effect.delta,
                after: effect.after,
                occurred_at: effect.occurred_at,
                recorded_at: effect.recorded_at,
                late: effect.late,
                clock_ahead: effect.clock_ahead,
                submitted_by: outcome.submitted_by.clone(),
                counterpart,
                unit_cost,
                reason,
                note: details.note.clone(),
                reference: details.reference.clone(),
                device_id: details.device_id.clone(),
                operator: details.operator.clone(),
            },
        })
    }
}

/// Which items; all conditions hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemFilter {
    /// Has this barcode.
    pub barcode: Option<String>,
    /// Name begins so, whatever its case.
    pub name_prefix: Option<String>,
    /// Is of this category.
    pub category: Option<String>,
    /// Archived ones instead of those in use.
    pub archived: bool,
    /// Record changed at or after.
    pub updated_since: Option<Timestamp>,
}

/// Which movements of one item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovementFilter {
    /// Only there.
    pub location_id: Option<LocationId>,
    /// Recorded at or after.
    pub from: Option<Timestamp>,
    /// Recorded before.
    pub to: Option<Timestamp>,
    /// Of this command type.
    pub kind: Option<CommandKind>,
}

/// Which levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LevelFilter {
    /// Only there.
    pub location_id: Option<LocationId>,
    /// Only in this state, as [`LevelWithItem::state`] judges.
    pub state: Option<StockState>,
    /// Archived items too.
    pub archived: bool,
}

/// Which refused commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFilter {
    /// `rejected` or `dead_lettered`.
    pub status: Status,
    /// Of this code.
    pub code: Option<RejectionCode>,
    /// That name this location (the giving side of a transfer).
    pub location_id: Option<LocationId>,
    /// Settled at or after.
    pub since: Option<Timestamp>,
    /// Those that were resubmitted or discarded too.
    pub settled_otherwise: bool,
}

/// Location settings. `main` is answered even where nobody has put it.
#[async_trait]
pub trait Locations: Send + Sync + std::fmt::Debug {
    /// One location.
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError>;

    /// All of them, by id.
    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError>;

    /// Creates or replaces one. The one setting that the ingress writes.
    async fn put_location(&self, settings: &LocationSettings) -> Result<(), StoreError>;
}

/// The read side. Lists may lag; single records, items and their levels are read consistently.
///
/// `limit` is 1 to 1,000. A cursor that is not this list's is answered with the first page.
#[async_trait]
pub trait Queries: Locations {
    /// Outcomes by item and id, in input order; consistent.
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError>;

    /// An item with its levels, in one transaction.
    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError>;

    /// Items by lower-cased name, then id. A page ends early, with a cursor, before the item whose levels would take
    /// it past [`PAGE_LEVELS_MAX`]; it holds one item at least.
    async fn items(
        &self,
        filter: &ItemFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ItemWithLevels>, StoreError>;

    /// Movements of an item, newest recorded first (ties: higher seq first, then by location).
    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Movement>, StoreError>;

    /// The balances of an item at a point in time: after the last entry recorded at or before `at`.
    async fn stock_as_of(
        &self,
        item_id: &ItemId,
        at: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError>;

    /// Levels by item, then location.
    async fn levels(
        &self,
        filter: &LevelFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<LevelWithItem>, StoreError>;

    /// Refused commands, newest first.
    async fn commands(
        &self,
        filter: &CommandFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError>;

    /// Alerts, newest first.
    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AlertRecord>, StoreError>;

    /// Is the store reachable? For readiness.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// One level's whole ledger, oldest first, page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPage {
    /// Entries in order of seq.
    pub entries: Vec<Entry>,
    /// The seq to go on from; `None` at the end.
    pub next_seq: Option<u64>,
}

/// Reads a whole store, for `audit`. What it reads must not change meanwhile, or the audit of an item is repeated.
#[async_trait]
pub trait AuditReader: Send + Sync + std::fmt::Debug {
    /// All items, archived ones too, by id. Pages end early as those of [`Queries::items`].
    async fn audit_items(&self, cursor: Option<&str>, limit: usize) -> Result<Page<ItemWithLevels>, StoreError>;

    /// The ledger of one level from `from_seq`, chunks and tail as stored; duplicates and gaps are *not* mended.
    async fn audit_ledger(
        &self,
        item_id: &ItemId,
        location_id: &LocationId,
        from_seq: u64,
        limit: usize,
    ) -> Result<LedgerPage, StoreError>;

    /// All records, in any stable order.
    async fn audit_records(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Record>, StoreError>;
}
