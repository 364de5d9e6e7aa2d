use std::sync::Arc;

use async_trait::async_trait;

use super::changed::WalkByTime;
use super::{
    AlertRecord, ChangeFilter, Changed, CommandFilter, DaysFilter, DaysPage, ItemFilter, ItemWithLevels, LevelFilter,
    LevelWithItem, Locations, Movement, MovementFilter, Page, PageRequest, Since, StoreError,
};
use crate::domain::{Claim, CommandKey, Dismissal, ItemId, LocationId, Quantity, Record, Timestamp};

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
///   has examined about [`PAGE_ROWS_MAX`](super::PAGE_ROWS_MAX) rows or taken its time. So a filter that nothing matches costs no more than
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
    /// levels exceed [`PAGE_LEVELS_MAX`](super::PAGE_LEVELS_MAX).
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
