use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::changed::WalkByTime;
use super::{AlertRecord, Changed, Since, StoreError};
use crate::domain::analytics::LevelDays;
use crate::domain::{Catalogue, Claim, Command, CommandKind, Cost};
use crate::domain::{
    CommandId, CommandKey, Dismissal, Effect, Entry, EntryKind, Item, ItemId, Level, LocationId, LocationSettings,
    Outcome, Quantity, Reason, Record, RejectionCode, Status, StockState, Timestamp,
};

/// The most levels and overrides in a page of items, unless its first item alone has more. An item of a chain has a level at
/// each of its locations, and a page is built in memory.
pub const PAGE_LEVELS_MAX: usize = 10_000;

/// The most rows that one page examines, whether they match its filter or not, before it ends early with a cursor.
pub const PAGE_ROWS_MAX: usize = 20_000;

/// A page of a list, with the cursor of the next page. Cursors are opaque texts of the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries in the list's order. There may be none, though a later page has some.
    pub entries: Vec<T>,
    /// The cursor of the next page; only `None` means the end.
    pub next_cursor: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The cursor of the page before; `None` asks for the first page.
    pub cursor: Option<&'a str>,
    /// The most entries wanted; the store clamps it to its bounds.
    pub limit: usize,
}

impl<'a> PageRequest<'a> {
    /// Asks for the page behind `cursor`, or for the first.
    pub fn new(cursor: Option<&'a str>, limit: usize) -> Self {
        Self { cursor, limit }
    }

    /// Asks for the first page.
    pub fn first(limit: usize) -> Self {
        Self { cursor: None, limit }
    }
}

/// An item with all its levels, read in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemWithLevels {
    /// The catalogue record.
    pub item: Item,
    /// The levels, by location.
    pub levels: Vec<Level>,
}

impl ItemWithLevels {
    /// Returns at how many places it has something: its levels, and the overrides of its planning. A page counts them.
    pub fn places(&self) -> usize {
        self.levels.len() + self.item.overrides.len()
    }
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
    /// Returns the state that reads show, from the present balance and threshold.
    pub fn state(&self) -> StockState {
        StockState::judge(self.level.on_hand, self.level.threshold(&self.item))
    }
}

/// One ledger entry with its item and location, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The item.
    pub item_id: ItemId,
    /// The location.
    pub location_id: LocationId,
    /// The entry.
    pub entry: Entry,
    /// The command that took it back.
    pub reversed_by: Option<CommandId>,
}

impl Movement {
    /// Builds the movement of an outcome's effect. Returns `None` if the outcome has no command.
    pub fn of_effect(outcome: &Outcome, effect: &Effect) -> Option<Self> {
        use crate::domain::Action;
        let command: &Command = outcome.command.as_ref()?;
        let details = &command.details;
        let (quantity, named): (Quantity, Option<Cost>) = match &command.action {
            Action::Receive { quantity, unit_cost, .. } => (*quantity, *unit_cost),
            Action::Sell { quantity, .. }
            | Action::Return { quantity, .. }
            | Action::Adjust { quantity, .. }
            | Action::Transfer { quantity, .. } => (*quantity, None),
            Action::Count { counted, .. } => (*counted, None),
            Action::Reverse { .. } => (effect.quantity?, None),
            _ => return None,
        };
        let reason: Option<Reason> = details.reason;
        let counterpart = match (&command.action, effect.kind) {
            (Action::Transfer { to_location_id, .. }, EntryKind::TransferOut) => Some(to_location_id.clone()),
            (Action::Transfer { from_location_id, .. }, _) => Some(from_location_id.clone()),
            (Action::Reverse { .. }, _) => {
                let other = outcome.effects.iter().find(|other| other.location_id != effect.location_id);
                other.map(|other| other.location_id.clone())
            }
            _ => None,
        };
        Some(Self {
            item_id: outcome.item_id.clone(),
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
                unit_cost: effect.unit_cost.or(named),
                amount: effect.amount.or(command.action.amount()),
                cost: effect.cost,
                revaluation: effect.revaluation,
                reverses: command.action.reverses(),
                reason,
                note: details.note.clone(),
                reference: details.reference.clone(),
                device_id: details.device_id.clone(),
                operator: details.operator.clone(),
            },
            reversed_by: outcome.reversed_by,
        })
    }
}

/// Selects items that meet all conditions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemFilter {
    /// Only the item with this barcode, in whatever spelling.
    pub barcode: Option<String>,
    /// Only names with this prefix, in any case.
    pub name_prefix: Option<String>,
    /// Only names that contain this text, in any case.
    pub name_part: Option<String>,
    /// Only this category.
    pub category: Option<String>,
    /// Only this supplier of the item itself, whatever locations have instead.
    pub supplier: Option<String>,
    /// Archived items instead of items in use.
    pub archived: bool,
    /// Only records that changed at or after this time.
    pub updated_since: Option<Timestamp>,
    /// Whether to include items in use and archived ones, whatever `archived` says. Only [`Queries::changed_items`] asks so; a
    /// store with a `changed_items` of its own need not heed it.
    pub with_archived: bool,
}

impl ItemFilter {
    /// Returns whether items are wanted that are archived, or are not.
    pub const fn wants_archived(&self, archived: bool) -> bool {
        self.with_archived || self.archived == archived
    }

    /// Reports whether a record has the category and the supplier that are asked for.
    pub fn is_of(&self, catalogue: &Catalogue) -> bool {
        self.category.as_ref().is_none_or(|only| catalogue.category.as_ref() == Some(only))
            && self.supplier.as_ref().is_none_or(|only| catalogue.planning.supplier.as_ref() == Some(only))
    }

    /// Reports whether a lower-cased name contains the text that is asked for.
    pub fn has_part(&self, name: &str) -> bool {
        self.name_part.as_ref().is_none_or(|part| name.contains(&part.to_lowercase()))
    }
}

/// Selects movements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovementFilter {
    /// Only this location.
    pub location_id: Option<LocationId>,
    /// Only entries recorded at or after this time.
    pub from: Option<Timestamp>,
    /// Only entries recorded before this time.
    pub to: Option<Timestamp>,
    /// Only this command type.
    pub kind: Option<CommandKind>,
    /// Only this person at the till.
    pub operator: Option<String>,
}

impl MovementFilter {
    /// Returns whether an entry has the type and the operator.
    pub fn keeps(&self, entry: &Entry) -> bool {
        self.kind.is_none_or(|kind| entry.command_kind() == kind)
            && self.operator.as_ref().is_none_or(|only| entry.operator.as_ref() == Some(only))
    }
}

/// Selects levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LevelFilter {
    /// Only this location.
    pub location_id: Option<LocationId>,
    /// Only levels in one of these states, by [`LevelWithItem::state`]; in any state if there are none.
    pub states: Vec<StockState>,
    /// Whether to include archived items.
    pub archived: bool,
    /// Only levels that changed at or after this time, or whose item did.
    pub updated_since: Option<Timestamp>,
}

impl LevelFilter {
    /// Returns whether a level has changed late enough.
    pub fn is_recent(&self, item: &Item, level: &Level) -> bool {
        self.updated_since.is_none_or(|since| level.updated_at >= since || item.updated_at >= since)
    }

    /// Returns whether levels in this state are wanted.
    pub fn wants(&self, state: StockState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// Returns whether no level in the state `normal` is wanted, so that an index of the others is enough.
    pub fn wants_no_normal(&self) -> bool {
        !self.wants(StockState::Normal)
    }
}

/// Selects levels for their days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DaysFilter {
    /// Only this location.
    pub location_id: Option<LocationId>,
    /// The IANA time zones of the locations; a location without one has the days of UTC.
    pub time_zones: Arc<BTreeMap<LocationId, String>>,
    /// Only days that begin at this moment or later need be whole. A store may sum up what occurred before, as
    /// [`Tally::of_last_entries`](crate::domain::analytics::Tally::of_last_entries) does; `None` asks for all days.
    pub since: Option<Timestamp>,
}

/// A level with its item and the totals of its local days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelWithDays {
    /// The catalogue record.
    pub item: Arc<Item>,
    /// The level.
    pub level: Level,
    /// The days of its ledger, up to the level's seq.
    pub days: Arc<LevelDays>,
}

/// A page of levels with their days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaysPage {
    /// The levels. There may be none, though a later page has some.
    pub entries: Vec<LevelWithDays>,
    /// The levels that were left out because they can't be read.
    pub unreadable: usize,
    /// The cursor of the next page; only `None` means the end.
    pub next_cursor: Option<String>,
}

/// Selects refused commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFilter {
    /// The status, `rejected` or `dead_lettered`.
    pub status: Status,
    /// Only this rejection code.
    pub code: Option<RejectionCode>,
    /// Only commands that name this location (in a transfer, the giving side).
    pub location_id: Option<LocationId>,
    /// Only commands settled at or after this time.
    pub since: Option<Timestamp>,
    /// Whether to include resubmitted, dismissed and discarded commands.
    pub settled_otherwise: bool,
}

/// Selects changes of the catalogue: applied commands that move no stock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Only this item.
    pub item_id: Option<ItemId>,
    /// Only this command type.
    pub kind: Option<CommandKind>,
    /// Only commands that name this location.
    pub location_id: Option<LocationId>,
    /// Only commands settled at or after this time.
    pub since: Option<Timestamp>,
}

impl ChangeFilter {
    /// Returns whether a record is a change that the filter selects.
    pub fn keeps(&self, record: &Record) -> bool {
        let outcome = &record.outcome;
        outcome.changed().is_some_and(|command| {
            self.item_id.as_ref().is_none_or(|only| outcome.item_id == *only)
                && self.kind.is_none_or(|only| command.kind() == only)
                && self.location_id.as_ref().is_none_or(|only| command.action.locations().next() == Some(only))
                && self.since.is_none_or(|since| outcome.settled_at >= since)
        })
    }
}

/// Location settings. `main` exists before anyone writes it.
#[async_trait]
pub trait Locations: Send + Sync + std::fmt::Debug {
    /// Returns one location.
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError>;

    /// Returns all locations, by id.
    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError>;

    /// Creates or replaces a location, unless its id differs from a registered one only by its case: this is decided in
    /// the write itself. It is the only setting that the ingress writes.
    async fn put_location(&self, settings: &LocationSettings) -> Result<LocationPut, StoreError>;
}

/// The result of putting a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationPut {
    /// The settings are stored.
    Done,
    /// Nothing is stored: this other location has the id in another case.
    Taken(LocationId),
}

/// What a person decides about refused commands without a new command.
#[async_trait]
pub trait Refusals: Send + Sync + std::fmt::Debug {
    /// Marks a rejected command as dismissed, so that lists of open ones leave it out. It may still be resubmitted. Returns
    /// `false` if there is no such command, or if it was dismissed or resubmitted before. A repetition of the same
    /// dismissal after a lost answer may return either.
    async fn dismiss(&self, command: &CommandKey, dismissal: &Dismissal) -> Result<bool, StoreError>;
}

/// The read side. Lists may lag; single records, items and their levels are read consistently.
///
/// Lists:
/// - `limit` is 1 to 1,000.
/// - A page is bounded in work, not only in entries: it ends early, perhaps without any entry but with a cursor, once it
///   has examined about [`PAGE_ROWS_MAX`] rows or taken its time. So a filter that nothing matches costs no more than
///   one that everything matches.
/// - A damaged cursor, and one of another list, is [`StoreError::Cursor`].
/// - No list takes what the [`Store`](super::Store) or a single read needs, however many callers ask.
#[async_trait]
pub trait Queries: Locations + Refusals {
    /// Returns outcomes by item and id, in input order, read consistently.
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError>;

    /// Returns an item with its levels, read in one transaction.
    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError>;

    /// Returns items with their levels by id, in input order. Each item is read in one transaction; different items may be
    /// read at different moments. At most some hundred ids a call, so that a call is short.
    async fn items_by_id(&self, item_ids: &[ItemId]) -> Result<Vec<Option<ItemWithLevels>>, StoreError> {
        let mut found = Vec::with_capacity(item_ids.len());
        for item_id in item_ids {
            found.push(self.item(item_id).await?);
        }
        Ok(found)
    }

    /// Returns which items hold these claims, in input order. A store may not tell who holds an id in another case; then
    /// the commit does.
    async fn holders(&self, claims: &[Claim]) -> Result<Vec<Option<ItemId>>, StoreError> {
        let mut holders = Vec::with_capacity(claims.len());
        for claim in claims {
            let Claim::Barcode(code) = claim else {
                holders.push(None);
                continue;
            };
            let mut holder = None;
            for archived in [false, true] {
                let filter = ItemFilter { barcode: Some(code.clone()), archived, ..ItemFilter::default() };
                let page = self.items(&filter, PageRequest { cursor: None, limit: 1 }).await?;
                holder = holder.or_else(|| page.entries.into_iter().next().map(|found| found.item.item_id));
            }
            holders.push(holder);
        }
        Ok(holders)
    }

    /// Returns the first of these codes that an item holds as a barcode, exactly in that spelling, with the item. It is read
    /// consistently.
    async fn holder(&self, codes: &[String]) -> Result<Option<(String, ItemId)>, StoreError>;

    /// Lists items by lower-cased name, then id. A page has at least one item. It ends early with a cursor before its
    /// levels exceed [`PAGE_LEVELS_MAX`].
    async fn items(&self, filter: &ItemFilter, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError>;

    /// Lists items whose catalogue record has changed, in an order of the store's own, archived ones too. The list never
    /// misses a change that a commit makes while it is read or later, if its reader goes on from
    /// [`Changed::next_updated_since`]. Of a store whose past is another than the reader's, as after a restore, it answers
    /// [`StoreError::Cursor`]: the reader begins anew.
    ///
    /// This one is for stores that know of a change only when it was: it reads the last [`READ_BACK_MS`] again.
    async fn changed_items(
        &self,
        filter: &ItemFilter,
        since: &Since,
        now: Timestamp,
        asked: PageRequest<'_>,
    ) -> Result<Changed<ItemWithLevels>, StoreError> {
        let walk = WalkByTime::of(since, now, asked.cursor)?;
        let filter = ItemFilter { updated_since: Some(walk.since()), with_archived: true, ..filter.clone() };
        walk.changed(self.items(&filter, walk.asked(asked.limit)).await?)
    }

    /// As [`Queries::changed_items`], of levels: those that have changed, and all of an item that has.
    async fn changed_levels(
        &self,
        filter: &LevelFilter,
        since: &Since,
        now: Timestamp,
        asked: PageRequest<'_>,
    ) -> Result<Changed<LevelWithItem>, StoreError> {
        let walk = WalkByTime::of(since, now, asked.cursor)?;
        let filter = LevelFilter { updated_since: Some(walk.since()), archived: true, ..filter.clone() };
        walk.changed(self.levels(&filter, walk.asked(asked.limit)).await?)
    }

    /// Lists movements of an item, newest recorded first (ties: higher seq first, then by location).
    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<Movement>, StoreError>;

    /// Lists movements of all items, newest recorded first; entries of one moment in an order of the store's own. Returns
    /// `None` if the store keeps no such list.
    async fn all_movements(
        &self,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError>;

    /// Returns the balances of an item as of `at`: after the last entry recorded at or before it.
    async fn stock_as_of(
        &self,
        item_id: &ItemId,
        at: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError>;

    /// Lists levels by item, then location.
    async fn levels(&self, filter: &LevelFilter, asked: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError>;

    /// Lists levels with the totals of their local days, archived items included, by item, then in an order of the
    /// store's own. Level and days of an entry are of one moment; the entries of different pages need not be. A ledger is
    /// examined back to `since`, however long it is. Returns `None` if the store has no days.
    async fn level_days(&self, filter: &DaysFilter, asked: PageRequest<'_>) -> Result<Option<DaysPage>, StoreError>;

    /// Returns whether each read of days is paid for. Then callers should name a location and a `since`, read several
    /// locations side by side, and keep what they have made for some minutes.
    fn pays_for_days(&self) -> bool {
        false
    }

    /// Lists refused commands, newest first.
    async fn commands(&self, filter: &CommandFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError>;

    /// Lists changes of the catalogue, newest first.
    async fn changes(&self, filter: &ChangeFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError>;

    /// Lists alerts, newest first.
    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError>;

    /// Opens the lists as of one moment, for an export: everything that was committed before the call, and nothing later.
    /// Returns `None` if the store can't; then each page of a list is of a moment of its own.
    async fn snapshot(&self) -> Result<Option<Arc<dyn Snapshot>>, StoreError> {
        Ok(None)
    }

    /// Checks that the store is reachable, for readiness.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Lists as of one moment; pages as in [`Queries`]. A snapshot keeps what it shows from being cleaned up, so it is held for
/// a bounded time: later pages are [`StoreError::Unavailable`]. Dropping it releases it.
#[async_trait]
pub trait Snapshot: Send + Sync + std::fmt::Debug {
    /// As [`Queries::items`].
    async fn items(&self, filter: &ItemFilter, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError>;

    /// As [`Queries::levels`].
    async fn levels(&self, filter: &LevelFilter, asked: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError>;

    /// As [`Queries::all_movements`].
    async fn all_movements(
        &self,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError>;

    /// As [`Queries::commands`].
    async fn commands(&self, filter: &CommandFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError>;

    /// As [`Queries::changes`].
    async fn changes(&self, filter: &ChangeFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError>;

    /// As [`Queries::alerts`].
    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError>;
}

/// A page of one level's ledger, oldest entry first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPage {
    /// The entries in order of seq.
    pub entries: Vec<Entry>,
    /// The seq where the next page begins; `None` at the end.
    pub next_seq: Option<u64>,
}

/// A fault that a store has found in its own rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFault {
    /// The item, if the row says which it is.
    pub item_id: Option<ItemId>,
    /// What was found.
    pub what: String,
}

/// One of several parts of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 0.
    pub number: u32,
    /// The number of parts.
    pub of: u32,
}

/// Where the reading of a level's ledger begins, and when it ends.
#[derive(Debug, Clone, Copy)]
pub struct LedgerFrom<'a> {
    /// The item of the level.
    pub item_id: &'a ItemId,
    /// Where the level is.
    pub location_id: &'a LocationId,
    /// The first entry; 1 is the first of the ledger.
    pub seq: u64,
    /// How many entries make a page full. A page may have more: it ends where a stored piece ends.
    pub limit: usize,
}

impl<'a> LedgerFrom<'a> {
    /// Names a level, the first entry and the size of a page.
    pub const fn new(item_id: &'a ItemId, location_id: &'a LocationId, seq: u64, limit: usize) -> Self {
        Self { item_id, location_id, seq, limit }
    }
}

/// Reads a whole store, for `audit`. If an item changes meanwhile, its audit is repeated.
#[async_trait]
pub trait AuditReader: Send + Sync + std::fmt::Debug {
    /// Lists all items by id, archived ones included. Pages end early as in [`Queries::items`].
    async fn audit_items(&self, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError>;

    /// Returns entries of one level's ledger, chunks and tail as stored. It does *not* repair duplicates and
    /// gaps.
    async fn audit_ledger(&self, from: LedgerFrom<'_>) -> Result<LedgerPage, StoreError>;

    /// Lists all records, in any stable order.
    async fn audit_records(&self, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError>;

    /// Returns in how many parts the records are best read, beside each other.
    fn audit_parts(&self) -> u32 {
        1
    }

    /// Lists the records of one part, in any stable order. The parts together are all records.
    async fn audit_part(&self, part: Part, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        if part.number == 0 {
            self.audit_records(asked).await
        } else {
            Ok(Page { entries: Vec::new(), next_cursor: None })
        }
    }

    /// Checks what only the store knows of itself: rows that can't be read, which the lists leave out, and its indexes
    /// against the rows that they are made of. A store without such rows has no faults.
    async fn audit_rows(&self) -> Result<Vec<StoreFault>, StoreError> {
        Ok(Vec::new())
    }
}
