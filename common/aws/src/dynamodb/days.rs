//! Levels with the totals of their local days, which are made of their ledgers. An index lists the chunks of a location
//! month by month, so that the chunks of many levels are one read.
//!
//! The index only makes it cheap. It may lag behind the table, and it does not list chunks that are older than it. So each
//! ledger is checked: from the level's last entry back, without a gap. What the index does not show is read from the ledger.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::call::CALLS_AT_ONCE;
use super::key::{self, Key};
use super::ledger::{Backwards, Ledger};
use super::lists::{self, Listing, Looked, Order, Place, Range, Scope, Spot, Walk};
use super::locations::is_fresh;
use super::table::{BY_LOCATION, CHUNKS, PK};
use super::{DynamoStore, row};
use stockline_core::domain::analytics::{LevelDays, LocalDay, LocalDays, Tally};
use stockline_core::domain::{Entry, Item, Level, LocationId, Timestamp};
use stockline_core::ports::{DaysFilter, DaysPage, LevelWithDays, LevelWithItem, Locations, PageRequest, StoreError};

const LIST: &str = "level_days";

/// How many months of a location are read before it is looked whether they reach back far enough.
const MONTHS_AT_ONCE: usize = 12;

/// How long a catalogue record is reused. A report over many locations meets each item many times.
const ITEMS_KEPT: Duration = Duration::from_secs(60);
/// The most catalogue records that are kept. Beyond it all are forgotten.
const ITEMS_KEPT_MAX: usize = 50_000;

/// Catalogue records by partition, with the time of their request.
#[derive(Debug, Default)]
pub(super) struct KeptItems(Mutex<HashMap<String, (Arc<Item>, Timestamp)>>);

impl KeptItems {
    fn find(&self, pk: &str, now: Timestamp) -> Option<Arc<Item>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (item, asked_at) = kept.get(pk)?;
        is_fresh(*asked_at, now, ITEMS_KEPT).then(|| Arc::clone(item))
    }

    fn keep(&self, pk: &str, item: &Arc<Item>, asked_at: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= ITEMS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(pk.to_owned(), (Arc::clone(item), asked_at));
    }
}

/// Returns what was read, or `None` where a row can't be.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::Unreadable(why)) => {
            tracing::warn!(why, "a level is left out of a report");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The levels of some locations, by item. `None` stands for a level that can't be read.
struct Levels<'a>(&'a DynamoStore);

impl Levels<'_> {
    /// Returns the records of these items that are not kept.
    fn missing<'k>(&self, levels: impl Iterator<Item = &'k Key>, now: Timestamp) -> Vec<Key> {
        let missing = levels.filter(|level| self.0.kept_items.find(&level.pk, now).is_none());
        missing.map(item_of).collect()
    }
}

fn item_of(level: &Key) -> Key {
    Key { pk: level.pk.clone(), sk: key::ITEM_SK.into() }
}

impl Listing for Levels<'_> {
    const LIST: &'static str = LIST;
    type Entry = Option<LevelWithItem>;

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<Option<LevelWithItem>>, StoreError> {
        let Self(store) = self;
        let places: Vec<_> = spots.into_iter().filter_map(|spot| Some((Key::of(&spot.row)?, spot.place))).collect();
        let now = store.clock.now();
        let items = self.missing(places.iter().map(|(key, _)| key), now);
        let rows = places.len() + items.len();
        let found = store.get_many(places.iter().map(|(key, _)| key.clone()).chain(items), false).await;
        let mut views = Vec::with_capacity(places.len());
        for (key, place) in places {
            let item = match store.kept_items.find(&key.pk, now) {
                Some(item) => Ok(Some(item)),
                None => found.read(&item_of(&key), row::item).map(|item| item.map(Arc::new)),
            };
            match readable(item.and_then(|item| Ok(item.zip(found.read(&key, row::level)?))))? {
                Some(Some((item, level))) => {
                    store.kept_items.keep(&key.pk, &item, now);
                    views.push((place, Some(LevelWithItem { item, level })));
                }
                // The index is ahead of an eventually consistent read.
                Some(None) => {}
                None => views.push((place, None)),
            }
        }
        Ok(Looked { found: views, rows })
    }
}

/// The chunks of a level that the index shows.
type Chunks = Vec<Vec<Entry>>;

/// The entries of a level from some entry to the last, oldest first.
struct Recent {
    entries: VecDeque<Entry>,
    /// The seq of the first of them; one more than the level's, if there is none.
    first: u64,
}

impl Recent {
    /// Puts chunks before the tail, from the newest back to the first gap.
    fn of(level: &Level, mut chunks: Chunks) -> Self {
        let entries: VecDeque<Entry> = level.tail.iter().cloned().collect();
        let first = entries.front().map_or(level.seq + 1, |entry| entry.seq);
        let mut recent = Self { entries, first };
        chunks.sort_unstable_by_key(|chunk| chunk.first().map(|entry| entry.seq));
        for chunk in chunks.into_iter().rev() {
            if chunk.last().is_none_or(|last| last.seq + 1 < recent.first) {
                break;
            }
            chunk.into_iter().rev().for_each(|entry| recent.add_older(entry));
        }
        recent
    }

    /// Adds the entry before the first, and leaves out those that it has and those behind the level's last.
    fn add_older(&mut self, entry: Entry) {
        if entry.seq + 1 == self.first {
            self.first = entry.seq;
            self.entries.push_front(entry);
        }
    }

    /// Returns whether everything that occurred at `since` or later is there.
    fn reaches(&self, since: Option<Timestamp>) -> bool {
        let early = |entry: &Entry| since.is_some_and(|since| entry.recorded_at < since);
        self.first == 1 || self.entries.front().is_some_and(early)
    }
}

impl DynamoStore {
    /// Lists levels with their days, by item, then location.
    pub(super) async fn list_level_days(
        &self,
        filter: &DaysFilter,
        asked: PageRequest<'_>,
    ) -> Result<DaysPage, StoreError> {
        let after = Place::of_cursor(LIST, asked.cursor)?;
        let scope = Scope::new(self, BY_LOCATION, Range::default(), Order::Ascending, after.as_ref(), asked.limit);
        let partitions = match &filter.location_id {
            Some(location_id) => vec![location_id.to_string()],
            None => self.locations().await?.into_iter().map(|settings| settings.location_id.to_string()).collect(),
        };
        let mut spots = Walk::merged(self, &scope, partitions);
        let page = lists::page(&Levels(self), &mut spots, &scope, after.as_ref()).await?;
        let found: Vec<LevelWithItem> = page.entries.iter().flatten().cloned().collect();
        let mut unreadable = page.entries.len() - found.len();
        let mut chunks = self.chunks_of(&found, filter.since).await?;
        let reads: Vec<_> = found
            .into_iter()
            .map(|view| {
                let chunks = chunks.remove(&ledger_pk(&view)).unwrap_or_default();
                self.with_days(view, chunks, filter)
            })
            .collect();
        let found: Vec<Option<LevelWithDays>> = stream::iter(reads).buffered(CALLS_AT_ONCE).try_collect().await?;
        unreadable += found.iter().filter(|found| found.is_none()).count();
        Ok(DaysPage { entries: found.into_iter().flatten().collect(), unreadable, next_cursor: page.next_cursor })
    }

    /// Makes the days of a level; `None` if a part of its ledger can't be read.
    async fn with_days(
        &self,
        view: LevelWithItem,
        chunks: Chunks,
        filter: &DaysFilter,
    ) -> Result<Option<LevelWithDays>, StoreError> {
        let LevelWithItem { item, level } = view;
        let mut recent = Recent::of(&level, chunks);
        if !recent.reaches(filter.since) {
            let ledger = Ledger::new(self, &item.item_id, &level.location_id, false);
            let mut walk = Backwards::below(ledger, &level, recent.first);
            while !recent.reaches(filter.since) {
                match readable(walk.peek().await.map(|entry| entry.cloned()))? {
                    Some(Some(entry)) => recent.add_older(entry),
                    _ => return Ok(None),
                }
                walk.take();
            }
        }
        let zone = filter.time_zones.get(&level.location_id).map_or("UTC", String::as_str);
        let mut tally = match filter.since {
            Some(since) if recent.first > 1 => Tally::of_last_entries(&level, since),
            _ => Tally::default(),
        };
        recent.entries.iter().for_each(|entry| tally.add(entry));
        let days: LevelDays = tally.days(&LocalDays::of_zone(zone));
        Ok(Some(LevelWithDays { item, level, days: Arc::new(days) }))
    }

    /// Reads the chunks of levels from the index, by partition of their ledgers.
    async fn chunks_of(
        &self,
        levels: &[LevelWithItem],
        since: Option<Timestamp>,
    ) -> Result<HashMap<String, Chunks>, StoreError> {
        let mut places: BTreeMap<&LocationId, Vec<&LevelWithItem>> = BTreeMap::new();
        for view in levels {
            places.entry(&view.level.location_id).or_default().push(view);
        }
        let reads: Vec<_> = places.into_iter().map(|(at, levels)| self.chunks_at(at, levels, since)).collect();
        let found: Vec<HashMap<String, Chunks>> =
            stream::iter(reads).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Reads the chunks of some levels of one location, month by month back, until they reach back to `since`, or until a
    /// year has none.
    async fn chunks_at(
        &self,
        location_id: &LocationId,
        levels: Vec<&LevelWithItem>,
        since: Option<Timestamp>,
    ) -> Result<HashMap<String, Chunks>, StoreError> {
        let utc = LocalDays::of_zone("UTC");
        let mut found: HashMap<String, Chunks> = HashMap::new();
        let keys = levels.iter().map(|view| ledger_pk(view));
        let (Some(from), Some(to)) = (keys.clone().min(), keys.max()) else {
            return Ok(found);
        };
        let newest = levels.iter().map(|view| view.level.updated_at).max().unwrap_or(Timestamp::EPOCH);
        let oldest = since.map_or(LocalDay::EPOCH, |since| utc.day(since).month_begin());
        let mut month = utc.day(newest).month_begin();
        let mut is_needed = !levels.iter().all(|view| Recent::of(&view.level, Vec::new()).reaches(since));
        while is_needed && month >= oldest {
            let mut months = Vec::with_capacity(MONTHS_AT_ONCE);
            while months.len() < MONTHS_AT_ONCE && month >= oldest {
                months.push(Key::chunk_month(location_id, &month.month()));
                if month == LocalDay::EPOCH {
                    break;
                }
                month = month.plus(-1).month_begin();
            }
            let is_last = month == LocalDay::EPOCH;
            let reads: Vec<_> = months.iter().map(|month| self.chunks_in(month, &from, &to)).collect();
            let rows: Vec<Vec<(String, Vec<Entry>)>> =
                stream::iter(reads).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
            is_needed = !is_last && rows.iter().any(|rows| !rows.is_empty());
            for (pk, chunk) in rows.into_iter().flatten() {
                found.entry(pk).or_default().push(chunk);
            }
            let reaches = |view: &&LevelWithItem| {
                let chunks = found.get(&ledger_pk(view));
                oldest_of(&view.level, chunks.map_or(&[], Vec::as_slice), since)
            };
            is_needed = is_needed && !levels.iter().all(reaches);
        }
        Ok(found)
    }

    /// Reads the chunks of one partition of the index between two partitions of ledgers. One that can't be read is left
    /// out: its ledger then has a gap, and is read itself.
    async fn chunks_in(&self, month: &str, from: &str, to: &str) -> Result<Vec<(String, Vec<Entry>)>, StoreError> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let condition = format!("#{} = :month AND #{PK} BETWEEN :from AND :to", CHUNKS.partition);
        let values = [(":month", text(month)), (":from", text(from)), (":to", text(to))];
        let query = self.query(&condition, &values).index_name(CHUNKS.name);
        let mut chunks = Vec::new();
        for row in self.pages(query).await? {
            if let (Some(key), Some(entries)) = (Key::of(&row), readable(row::skimmed_chunk(&row))?) {
                chunks.push((key.pk, entries));
            }
        }
        Ok(chunks)
    }
}

/// Returns whether the oldest of these chunks, or the tail, reaches back to `since`.
fn oldest_of(level: &Level, chunks: &[Vec<Entry>], since: Option<Timestamp>) -> bool {
    let firsts = chunks.iter().filter_map(|chunk| chunk.first()).chain(level.tail.first());
    let oldest = firsts.min_by_key(|entry| entry.seq);
    let early = |entry: &Entry| entry.seq == 1 || since.is_some_and(|since| entry.recorded_at < since);
    level.seq == 0 || oldest.is_some_and(early)
}

fn ledger_pk(view: &LevelWithItem) -> String {
    Key::ledger_pk(&view.item.item_id, &view.level.location_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::tests::entries;

    fn level(tail: std::ops::RangeInclusive<u64>) -> Level {
        let mut level = Level::new("main".parse().unwrap(), 1);
        level.seq = *tail.end();
        level.tail = entries(tail);
        level
    }

    #[test]
    fn what_the_index_shows_is_taken_back_to_the_first_gap() {
        let first = |level: &Level, chunks: Chunks| Recent::of(level, chunks).first;
        let tail = level(9..=10);
        assert_eq!(first(&tail, vec![]), 9);
        assert_eq!(first(&tail, vec![entries(1..=4), entries(5..=8)]), 1);
        assert_eq!(first(&tail, vec![entries(5..=8), entries(1..=3)]), 5, "entry 4 is missing");
        assert_eq!(first(&tail, vec![entries(1..=4)]), 9, "the newest chunk is not shown yet");
        assert_eq!(first(&tail, vec![entries(5..=12), entries(11..=20)]), 5, "what came after the level is left out");
        let chunks = Recent::of(&tail, vec![entries(5..=12), entries(13..=20)]);
        assert_eq!(chunks.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [5, 6, 7, 8, 9, 10]);
        let without_tail = Level { seq: 8, tail: vec![], ..tail };
        assert_eq!(first(&without_tail, vec![entries(5..=8)]), 5);
        assert_eq!(first(&without_tail, vec![]), 9);
    }

    #[test]
    fn a_chunk_is_listed_in_the_month_of_its_last_entry() {
        let mut chunk = entries(1..=2);
        chunk[0].recorded_at = "2026-01-31T23:59:59Z".parse().unwrap();
        chunk[1].recorded_at = "2026-02-01T00:00:00Z".parse().unwrap();
        assert_eq!(row::chunk_month(&"main".parse().unwrap(), &chunk), "main#2026-02");
    }

    #[test]
    fn entries_reach_back_to_a_moment_if_the_first_was_recorded_before_it() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        let recent = Recent::of(&level(9..=10), vec![entries(5..=8)]);
        assert!(recent.reaches(at(6)) && !recent.reaches(at(5)) && !recent.reaches(None));
        assert!(Recent::of(&level(1..=2), vec![]).reaches(None));
    }
}
