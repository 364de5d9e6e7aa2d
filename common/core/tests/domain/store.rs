//! The stock in memory. Beyond its contract it checks that the ledger explains the stock (P4) and that a commit writes no
//! row twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use stockline_core::domain::{
    CommandId, CommandKey, Commit, Entry, ItemId, Level, LoadRequest, Loaded, LocationId, LocationSettings, Quantity,
    Record, Timestamp,
};
use stockline_core::ports::CommitOutcome;
use stockline_core::testing::Stock;

#[derive(Debug, Clone, Default)]
pub struct TestStore {
    stock: Stock,
    /// The most entries before the tail that a load brings.
    pub history_max: Option<usize>,
}

impl Deref for TestStore {
    type Target = Stock;

    fn deref(&self) -> &Stock {
        &self.stock
    }
}

impl DerefMut for TestStore {
    fn deref_mut(&mut self) -> &mut Stock {
        &mut self.stock
    }
}

impl TestStore {
    /// Locations `main` and `shop`, and a closed one, `closed`.
    pub fn new() -> Self {
        let mut store = Self::default();
        for name in ["main", "shop", "closed"] {
            let location_id: LocationId = name.parse().unwrap();
            let settings = LocationSettings {
                location_id: location_id.clone(),
                closed: name == "closed",
                ..LocationSettings::main()
            };
            store.locations.insert(location_id, settings);
        }
        store
    }

    pub fn record(&self, item: &ItemId, id: CommandId) -> Option<&Record> {
        self.records.get(&CommandKey { item_id: item.clone(), command_id: id })
    }

    pub fn level(&self, item: &ItemId, location: &str) -> Option<&Level> {
        self.levels.get(&(item.clone(), location.parse().unwrap()))
    }

    /// Returns every entry of a level, oldest first.
    pub fn ledger(&self, item: &ItemId, location: &str) -> Vec<Entry> {
        self.stock.ledger(item, &location.parse().unwrap())
    }

    pub fn load(&self, request: &LoadRequest) -> Loaded {
        self.stock.load(request, self.history_max.unwrap_or(usize::MAX))
    }

    /// Writes a commit whole or not at all.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), CommitOutcome> {
        *self = self.after(commit)?;
        Ok(())
    }

    /// Returns the store as it would be after a commit, or what the commit came to if it wrote nothing.
    pub fn after(&self, commit: &Commit) -> Result<Self, CommitOutcome> {
        assert_rows_are_written_once(commit);
        let mut next = self.clone();
        match next.stock.commit(commit) {
            CommitOutcome::Committed => {
                self.assert_versions_and_ledgers_continue(commit);
                Ok(next)
            }
            refused => Err(refused),
        }
    }

    fn assert_versions_and_ledgers_continue(&self, commit: &Commit) {
        let chunks: BTreeMap<_, _> = commit.chunks.iter().map(|chunk| (&chunk.location_id, &chunk.entries)).collect();
        for put in &commit.levels {
            let level = &put.level;
            assert_eq!(level.version, put.loaded_version.unwrap_or(0) + 1);
            let old = self.levels.get(&(commit.item_id.clone(), level.location_id.clone()));
            let chunk = chunks.get(&level.location_id).map_or(&[][..], |entries| entries.as_slice());
            assert_ledger_continues(old, chunk, level);
        }
        if let Some(put) = &commit.item {
            assert!(put.item.version > put.loaded_version.unwrap_or(0), "an item's version grows");
        }
    }
}

fn assert_rows_are_written_once(commit: &Commit) {
    let mut rows = BTreeSet::new();
    let put = commit.records.iter().map(|record| record.outcome.command_id);
    let put = put.map(|command_id| CommandKey { item_id: commit.item_id.clone(), command_id });
    for row in put.chain(commit.resubmitted.iter().map(|(old, _)| old.clone())) {
        assert!(rows.insert(row.clone()), "{row:?} is written twice in one commit");
    }
    for reversal in &commit.reversed {
        let row = CommandKey { item_id: commit.item_id.clone(), command_id: reversal.command_id };
        assert!(rows.insert(row.clone()), "{row:?} is written twice in one commit");
    }
    let levels: BTreeSet<_> = commit.levels.iter().map(|put| &put.level.location_id).collect();
    assert_eq!(levels.len(), commit.levels.len(), "a level is put once");
    let chunks: BTreeSet<_> = commit.chunks.iter().map(|chunk| &chunk.location_id).collect();
    assert_eq!(chunks.len(), commit.chunks.len(), "one chunk a level");
    assert!(chunks.is_subset(&levels), "a chunk comes with its level");
}

/// Checks P4: the new entries follow the old tail without a gap, each balance follows from the one before, and times
/// never go back.
fn assert_ledger_continues(old: Option<&Level>, chunk: &[Entry], level: &Level) {
    let old_tail = old.map_or(&[][..], |old| &old.tail);
    let written: Vec<&Entry> = chunk.iter().chain(&level.tail).collect();
    assert!(written.len() >= old_tail.len() && written.iter().zip(old_tail).all(|(new, old)| *new == old));
    assert!(chunk.is_empty() || level.tail.is_empty(), "a chunk takes the whole tail");
    let (mut seq, mut on_hand) = old.map_or((0, Quantity::ZERO), |old| (old.seq, old.on_hand));
    let mut recorded_at = old_tail.last().map_or(Timestamp::EPOCH, |entry| entry.recorded_at);
    for entry in &written[old_tail.len()..] {
        assert_eq!(entry.seq, seq + 1, "seq has no gaps");
        assert_eq!(entry.before(), on_hand, "an entry begins where the last one ended");
        assert_eq!(on_hand.checked_add(entry.delta), Some(entry.after), "before + delta = after");
        assert!(entry.recorded_at >= recorded_at && entry.occurred_at <= entry.recorded_at, "time goes on");
        assert!(!entry.late || entry.delta.is_zero(), "what is late moves nothing");
        (seq, on_hand, recorded_at) = (entry.seq, entry.after, entry.recorded_at);
    }
    assert_eq!((level.seq, level.on_hand), (seq, on_hand), "the level is the fold of its ledger");
    assert!(old.is_none_or(|old| old.alert_no <= level.alert_no));
}
