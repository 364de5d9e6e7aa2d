//! Lists the movements of an item by walking its ledgers from the newest entry back and merging them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::call::CALLS_AT_ONCE;
use super::key::Key;
use super::ledger::{Backwards, Ledger};
use super::merge::{Merge, Source};
use super::table::{PK, SK};
use super::{DynamoStore, row};
use stockline_core::domain::{CommandId, Entry, ItemId, Level, LocationId, Timestamp};
use stockline_core::ports::cursor;
use stockline_core::ports::{Movement, MovementFilter, Page, PageRequest, StoreError};

/// About how many entries a chunk of the ledger holds. A page that may read so many rows reads so many entries for each.
const ENTRIES_PER_ROW: usize = 8;

const LIST: &str = "movements";

/// The last movement of a page. It stays valid when entries move from the tail into a chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct After {
    recorded_at: i64,
    seq: u64,
    location_id: LocationId,
}

/// Places of entries that were taken back, and the commands that did.
type Reversed = Vec<((LocationId, u64), CommandId)>;

/// The rank of a movement; the greatest comes first.
type Rank<'a> = (Timestamp, u64, Reverse<&'a LocationId>);

impl After {
    fn rank(&self) -> Rank<'_> {
        (Timestamp::from_millis(self.recorded_at), self.seq, Reverse(&self.location_id))
    }
}

/// One level's ledger.
#[derive(Debug)]
struct Walk<'a> {
    item_id: ItemId,
    location_id: LocationId,
    entries: Backwards<'a>,
}

impl Walk<'_> {
    fn rank_of<'a>(&'a self, entry: &Entry) -> Rank<'a> {
        (entry.recorded_at, entry.seq, Reverse(&self.location_id))
    }
}

impl Source for Walk<'_> {
    type Rank<'a>
        = Rank<'a>
    where
        Self: 'a;
    type Entry = Movement;

    fn head(&self) -> Option<Rank<'_>> {
        self.entries.head().map(|entry| self.rank_of(entry))
    }

    fn is_dry(&self) -> bool {
        self.entries.is_dry()
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        self.entries.fill().await
    }

    fn take(&mut self) -> Option<Movement> {
        let entry = self.entries.take()?;
        let (item_id, location_id) = (self.item_id.clone(), self.location_id.clone());
        Some(Movement { entry, item_id, location_id, reversed_by: None })
    }
}

impl DynamoStore {
    /// Lists movements of an item over all its levels, newest recorded first.
    pub(super) async fn list_movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<Movement>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let limit = cursor::clamp(limit);
        let after: Option<After> = cursor::decode(LIST, cursor)?;
        if filter.to == Some(Timestamp::EPOCH) {
            return Ok(Page { entries: Vec::new(), next_cursor: None });
        }
        let levels = self.levels_with_movements(item_id, filter.location_id.as_ref()).await?;
        let walks: Vec<_> = levels.iter().map(|level| self.walk(item_id, level, filter, after.as_ref())).collect();
        let mut walks = Merge::new(stream::iter(walks).buffered(CALLS_AT_ONCE).try_collect().await?);
        let (mut entries, mut last) = (Vec::new(), None);
        for _ in 0..self.options.page_rows_max.saturating_mul(ENTRIES_PER_ROW) {
            let Some(walk) = walks.peek().await? else {
                return self.page_of(entries, None).await;
            };
            if walk.head().is_some_and(|(recorded_at, ..)| filter.from.is_some_and(|from| recorded_at < from)) {
                return self.page_of(entries, None).await;
            }
            if entries.len() == limit {
                break;
            }
            if let Some(movement) = walk.take() {
                let Movement { location_id, entry, .. } = &movement;
                let recorded_at = entry.recorded_at.as_millis();
                last = Some(After { recorded_at, seq: entry.seq, location_id: location_id.clone() });
                if filter.keeps(entry) {
                    entries.push(movement);
                }
            }
        }
        self.page_of(entries, last).await
    }

    /// Returns a page of movements, each with the command that took it back.
    async fn page_of(&self, mut entries: Vec<Movement>, last: Option<After>) -> Result<Page<Movement>, StoreError> {
        let mut places: BTreeMap<LocationId, (u64, u64)> = BTreeMap::new();
        for movement in &entries {
            let seq = movement.entry.seq;
            let range = places.entry(movement.location_id.clone()).or_insert((seq, seq));
            *range = (range.0.min(seq), range.1.max(seq));
        }
        let Some(item_id) = entries.first().map(|movement| movement.item_id.clone()) else {
            return Ok(cursor::page_until(LIST, entries, last));
        };
        let reads: Vec<_> = places.into_iter().map(|(place, seqs)| self.reversed(&item_id, place, seqs)).collect();
        let found: Vec<Reversed> = stream::iter(reads).buffered(CALLS_AT_ONCE).try_collect().await?;
        let found: BTreeMap<_, _> = found.into_iter().flatten().collect();
        if !found.is_empty() {
            for movement in &mut entries {
                let place = (movement.location_id.clone(), movement.entry.seq);
                movement.reversed_by = found.get(&place).copied();
            }
        }
        Ok(cursor::page_until(LIST, entries, last))
    }

    /// Reads which entries of a level were taken back, between two seqs.
    async fn reversed(&self, item_id: &ItemId, place: LocationId, seqs: (u64, u64)) -> Result<Reversed, StoreError> {
        let values = [
            (":pk", row::text(Key::reversed_pk(item_id, &place))),
            (":first", row::text(Key::chunk_sk(seqs.0))),
            (":last", row::text(Key::chunk_sk(seqs.1))),
        ];
        let query = self.query(&format!("#{PK} = :pk AND #{SK} BETWEEN :first AND :last"), &values);
        let rows = self.pages(query).await?;
        let read = |row| {
            let seq = Key::of(row).and_then(|key| key.sk.parse().ok()).unwrap_or_default();
            row::reversed_by(row).map(|by| ((place.clone(), seq), by))
        };
        rows.iter().map(read).collect()
    }

    async fn levels_with_movements(
        &self,
        item_id: &ItemId,
        only: Option<&LocationId>,
    ) -> Result<Vec<Level>, StoreError> {
        match only {
            None => self.levels_of(item_id, false).await,
            Some(location_id) => {
                let found = self.get(&Key::level(item_id, location_id), false).await?;
                found.iter().map(row::level).collect()
            }
        }
    }

    /// Positions the walk of a level's ledger behind the cursor and before the end of the requested period.
    async fn walk(
        &self,
        item_id: &ItemId,
        level: &Level,
        filter: &MovementFilter,
        after: Option<&After>,
    ) -> Result<Walk<'_>, StoreError> {
        let ledger = Ledger::new(self, item_id, &level.location_id, false);
        let (item_id, location_id) = (item_id.clone(), level.location_id.clone());
        let to = filter.to.map(|to| to.plus_millis(-1));
        let Some(after) = after else {
            let latest = to.unwrap_or(Timestamp::from_millis(i64::MAX));
            return Ok(Walk { item_id, location_id, entries: Backwards::from_time(ledger, level, latest).await? });
        };
        let (recorded_at, ..) = after.rank();
        let latest = to.unwrap_or(recorded_at).min(recorded_at);
        let entries = if latest == recorded_at && after.location_id == location_id {
            Backwards::below(ledger, level, after.seq)
        } else {
            Backwards::from_time(ledger, level, latest).await?
        };
        let mut walk = Walk { item_id, location_id, entries };
        // Earlier pages showed some of the entries recorded at the cursor's own time.
        while walk.entries.peek().await?.is_some() && walk.head() >= Some(after.rank()) {
            walk.entries.take();
        }
        Ok(walk)
    }
}
