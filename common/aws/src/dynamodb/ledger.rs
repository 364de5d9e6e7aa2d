//! The ledger of one level: chunks in order of seq, then the tail in the level's own row. The level is read first, so
//! every entry below its tail is in a chunk, and later entries are ignored.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::call::CALLS_AT_ONCE;
use super::key::Key;
use super::table::{PK, SK};
use super::{DynamoStore, row};
use stockline_core::domain::{Entry, ItemId, Level, LocationId, Quantity, Timestamp};
use stockline_core::ports::StoreError;

/// How many chunks the first read of a walk returns. Each further read returns four times as many.
const CHUNKS_FIRST: i32 = 4;
/// The most chunks of one read. DynamoDB also ends a read at 1 MB.
const CHUNKS_MOST: i32 = 256;

/// A balance: the location, the quantity and the last entry's seq.
pub(super) type Balance = (LocationId, Quantity, u64);

/// The ledger of one level and the way to read it.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    store: &'a DynamoStore,
    pk: String,
    consistent: bool,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(store: &'a DynamoStore, item_id: &ItemId, location_id: &LocationId, consistent: bool) -> Self {
        Self { store, pk: Key::ledger_pk(item_id, location_id), consistent }
    }

    /// Reads at most `count` chunks from the one that holds `seq` back, newest first. After a gap it reads once more,
    /// consistently, because an eventually consistent read may miss a new chunk. A gap in that read is damage.
    async fn back_from(&self, seq: u64, count: i32) -> Result<Vec<Vec<Entry>>, StoreError> {
        let mut consistent = self.consistent;
        loop {
            let values = [(":pk", AttributeValue::S(self.pk.clone())), (":seq", AttributeValue::S(Key::chunk_sk(seq)))];
            let query = self
                .store
                .query(&format!("#{PK} = :pk AND #{SK} <= :seq"), &values)
                .scan_index_forward(false)
                .limit(count)
                .consistent_read(consistent);
            let rows = self.store.page(query, None).await?.rows;
            let chunks = rows.iter().map(row::chunk).collect::<Result<Vec<_>, _>>()?;
            match gap(&chunks, seq) {
                None => return Ok(chunks),
                Some(missing) if consistent => {
                    return Err(StoreError::Unreadable(format!(
                        "{} has no entry {missing}; run the audit on this item",
                        self.pk
                    )));
                }
                Some(_) => consistent = true,
            }
        }
    }
}

/// Returns the first missing entry of chunks that should reach back from `seq` without gaps, newest first.
fn gap(chunks: &[Vec<Entry>], seq: u64) -> Option<u64> {
    let mut expected = seq;
    for chunk in chunks {
        match (chunk.first(), chunk.last()) {
            (Some(first), Some(last)) if first.seq <= expected && expected <= last.seq => expected = first.seq - 1,
            _ => return Some(expected),
        }
    }
    chunks.is_empty().then_some(seq)
}

/// The first step back of a [`TimeSearch`], in entries.
const STEP_FIRST: u64 = 64;

/// The search for the last chunk that begins at or before a time. `recorded_at` never decreases along a ledger, so the
/// search goes back from the newest entry in growing steps, then halves the range.
///
/// ```text
///  stepping back (step: Some) ──an early enough chunk──► halving (step: None) ──low > high──► end
///      │    ▲
///      └────┘ a later chunk: the step grows fourfold
/// ```
#[derive(Debug)]
struct TimeSearch {
    /// Every entry below is early enough.
    low: u64,
    /// Every entry above is too late.
    high: u64,
    /// The next step back; `None` after the first early enough chunk.
    step: Option<u64>,
}

impl TimeSearch {
    const fn below(seq: u64) -> Self {
        Self { low: 1, high: seq.saturating_sub(1), step: Some(0) }
    }

    /// Returns the seq to read next; `None` at the end.
    fn probe(&self) -> Option<u64> {
        let probe = match self.step {
            Some(step) => self.high.saturating_sub(step).max(self.low),
            None => self.low.midpoint(self.high),
        };
        (self.low <= self.high).then_some(probe)
    }

    /// Notes that the chunk with the probe spans `first` to `last` and begins early enough or too late.
    fn learn(&mut self, first: u64, last: u64, early_enough: bool) {
        if early_enough {
            (self.low, self.step) = (last + 1, None);
        } else {
            self.high = first.saturating_sub(1);
            self.step = self.step.map(|step| step.saturating_mul(4).max(STEP_FIRST));
        }
    }
}

/// A walk over entries from the newest back. An entry that is in the tail and in a chunk appears once.
#[derive(Debug)]
pub(super) struct Backwards<'a> {
    ledger: Ledger<'a>,
    /// The buffered entries, oldest first; they are taken from the end.
    piece: VecDeque<Entry>,
    /// Every entry from this seq on was taken, skipped, or is in `piece`.
    below: u64,
    chunks_next: i32,
}

impl<'a> Backwards<'a> {
    /// Walks from the entry before this seq.
    pub(super) fn below(ledger: Ledger<'a>, level: &Level, seq: u64) -> Self {
        let mut walk =
            Self { ledger, piece: VecDeque::new(), below: seq.min(level.seq + 1), chunks_next: CHUNKS_FIRST };
        walk.add_older(level.tail.clone());
        walk
    }

    /// Walks from the last entry recorded at or before this time.
    pub(super) async fn from_time(ledger: Ledger<'a>, level: &Level, at: Timestamp) -> Result<Self, StoreError> {
        let mut walk = Self::below(ledger, level, u64::MAX);
        if level.updated_at <= at || walk.piece.front().is_some_and(|first| first.recorded_at <= at) {
            walk.piece.retain(|entry| entry.recorded_at <= at);
            return Ok(walk);
        }
        walk.piece.clear();
        let mut search = TimeSearch::below(walk.below);
        let mut best = Vec::new();
        while let Some(probe) = search.probe() {
            let chunk = walk.ledger.back_from(probe, 1).await?.into_iter().next().unwrap_or_default();
            let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else {
                break;
            };
            let early_enough = first.recorded_at <= at;
            search.learn(first.seq, last.seq, early_enough);
            if early_enough {
                best = chunk;
            }
        }
        if best.is_empty() {
            walk.below = 1;
        }
        walk.add_older(best);
        walk.piece.retain(|entry| entry.recorded_at <= at);
        Ok(walk)
    }

    /// Puts older entries before the buffered ones.
    fn add_older(&mut self, older: Vec<Entry>) {
        let below = self.below;
        for entry in older.into_iter().rev().skip_while(|entry| entry.seq >= below) {
            self.below = entry.seq;
            self.piece.push_front(entry);
        }
    }

    /// Returns whether the buffer is empty though there are more entries.
    pub(super) fn is_dry(&self) -> bool {
        self.piece.is_empty() && self.below > 1
    }

    /// Reads the next older chunks.
    pub(super) async fn fill(&mut self) -> Result<(), StoreError> {
        let chunks = self.ledger.back_from(self.below - 1, self.chunks_next).await?;
        self.chunks_next = (self.chunks_next * 4).min(CHUNKS_MOST);
        for chunk in chunks {
            self.add_older(chunk);
        }
        Ok(())
    }

    /// Returns the next buffered entry without taking it.
    pub(super) fn head(&self) -> Option<&Entry> {
        self.piece.back()
    }

    /// Returns the next entry without taking it.
    pub(super) async fn peek(&mut self) -> Result<Option<&Entry>, StoreError> {
        while self.is_dry() {
            self.fill().await?;
        }
        Ok(self.head())
    }

    /// Takes the next buffered entry.
    pub(super) fn take(&mut self) -> Option<Entry> {
        self.piece.pop_back()
    }
}

impl DynamoStore {
    /// Reads the entries before the tail that were recorded after `since`, oldest first. Returns at most the `max`
    /// newest, and whether these are all.
    pub(super) async fn history_since(
        &self,
        item_id: &ItemId,
        level: &Level,
        since: Timestamp,
        max: usize,
    ) -> Result<(Vec<Entry>, bool), StoreError> {
        let mut history = Vec::new();
        let oldest_of_tail = level.tail.first();
        if oldest_of_tail.is_some_and(|entry| entry.recorded_at <= since) {
            return Ok((history, true));
        }
        let ledger = Ledger::new(self, item_id, &level.location_id, true);
        let tail_begins = oldest_of_tail.map_or(level.seq + 1, |entry| entry.seq);
        let mut walk = Backwards::below(ledger, level, tail_begins);
        let mut complete = true;
        while let Some(entry) = walk.peek().await? {
            if entry.recorded_at <= since {
                break;
            }
            if history.len() == max {
                complete = false;
                break;
            }
            history.extend(walk.take());
        }
        history.reverse();
        Ok((history, complete))
    }

    /// Returns the balances of an item as of a time, by location.
    pub(super) async fn balances(
        &self,
        item_id: &ItemId,
        levels: Vec<Level>,
        at: Timestamp,
    ) -> Result<Vec<Balance>, StoreError> {
        let balances: Vec<_> = levels.into_iter().map(|level| self.balance(item_id, level, at)).collect();
        let found: Vec<_> = stream::iter(balances).buffered(CALLS_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn balance(&self, item_id: &ItemId, level: Level, at: Timestamp) -> Result<Option<Balance>, StoreError> {
        let ledger = Ledger::new(self, item_id, &level.location_id, true);
        let mut walk = Backwards::from_time(ledger, &level, at).await?;
        let last = walk.peek().await?.map(|entry| (entry.after, entry.seq));
        Ok(last.map(|(on_hand, seq)| (level.location_id, on_hand, seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches chunks of (first seq, last seq, recording time of the first). Returns the first seq of the chunk found
    /// and the number of chunks read.
    fn search(chunks: &[(u64, u64, i64)], at: i64) -> (Option<u64>, usize) {
        let mut search = TimeSearch::below(chunks.last().map_or(1, |(_, last, _)| last + 1));
        let (mut best, mut looked_at) = (None, 0);
        while let Some(probe) = search.probe() {
            let (first, last, recorded_at) = *chunks.iter().find(|c| (c.0..=c.1).contains(&probe)).unwrap();
            looked_at += 1;
            search.learn(first, last, recorded_at <= at);
            best = if recorded_at <= at { Some(first) } else { best };
        }
        (best, looked_at)
    }

    #[test]
    fn the_last_chunk_that_begins_early_enough_is_found_in_few_reads() {
        let mut chunks = Vec::new();
        for n in 0_u64..5_000 {
            let first = chunks.last().map_or(1, |(_, last, _)| last + 1);
            // Some chunks begin at the same moment.
            chunks.push((first, first + n % 13, (n / 3 * 10).cast_signed()));
        }
        for at in (-1..17_000).step_by(7) {
            let expected = chunks.iter().rev().find(|chunk| chunk.2 <= at).map(|chunk| chunk.0);
            let (found, looked_at) = search(&chunks, at);
            assert_eq!(found, expected, "{at}");
            assert!(looked_at <= 24, "{at}: {looked_at}");
        }
        assert_eq!(search(&chunks, 20_000).1, 1, "the newest is looked at first");
        assert_eq!(search(&[], 5), (None, 0));
    }

    #[test]
    fn a_gap_between_chunks_is_reported() {
        let chunk = crate::dynamodb::tests::entries;
        assert_eq!(gap(&[chunk(7..=9), chunk(4..=6)], 9), None);
        assert_eq!(gap(&[chunk(7..=12), chunk(4..=8)], 9), None, "what overlaps is no gap");
        assert_eq!(gap(&[chunk(7..=9), chunk(3..=5)], 9), Some(6));
        assert_eq!(gap(&[chunk(7..=8)], 9), Some(9));
        assert_eq!(gap(&[chunk(10..=12)], 9), Some(9), "its key is not its first seq");
        assert_eq!(gap(&[], 9), Some(9));
    }
}
