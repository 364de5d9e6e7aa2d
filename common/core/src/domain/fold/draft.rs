use std::collections::btree_map;
use std::collections::{BTreeMap, HashMap};

use super::super::{
    Chunk, Claim, ClaimChange, CommandId, CommandKey, Commit, Entry, Item, ItemId, ItemPut, Level, LevelPut, Loaded,
    LoadedLevel, LocationId, Record, Reversal, Timestamp, Valuation, codec,
};
use super::size;
use super::{FoldLimits, Rules};

/// A level that this fold changes.
pub(super) struct DraftLevel {
    pub(super) level: Level,
    loaded_version: Option<u64>,
    pub(super) history: Vec<Entry>,
    pub(super) changed: bool,
    /// The bytes of this fold's new entries, as an upper estimate.
    pub(super) new_entries_bytes: usize,
}

/// The state of a fold in progress.
pub(super) struct Draft<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) item_id: &'a ItemId,
    pub(super) now: Timestamp,
    pub(super) rules: &'a Rules,
    pub(super) item: Option<Item>,
    pub(super) item_changed: bool,
    pub(super) levels: BTreeMap<LocationId, DraftLevel>,
    pub(super) claims: BTreeMap<Claim, bool>,
    pub(super) records: Vec<Record>,
    by_id: HashMap<CommandId, usize>,
    pub(super) resubmitted: Vec<(CommandKey, CommandId)>,
    pub(super) reversed: Vec<Reversal>,
    /// The bytes of the dead letters' texts so far, as an upper estimate.
    pub(super) letter_bytes: usize,
}

impl<'a> Draft<'a> {
    pub(super) fn new(loaded: &'a Loaded, item_id: &'a ItemId, now: Timestamp, rules: &'a Rules) -> Self {
        Self {
            loaded,
            item_id,
            now,
            rules,
            item: loaded.item.clone(),
            item_changed: false,
            levels: BTreeMap::new(),
            claims: BTreeMap::new(),
            records: Vec::new(),
            by_id: HashMap::new(),
            resubmitted: Vec::new(),
            reversed: Vec::new(),
            letter_bytes: 0,
        }
    }

    /// Returns the record that this fold made for a command.
    pub(super) fn record(&self, id: CommandId) -> Option<&Record> {
        self.by_id.get(&id).map(|index| &self.records[*index])
    }

    /// Records a dead letter in its place.
    pub(super) fn set_aside(&mut self, record: &Record) {
        let mut record = record.clone();
        record.outcome.settled_at = self.now.max(record.outcome.accepted_at);
        self.letter_bytes += size::letter_bytes(&record);
        self.push(record);
    }

    /// Adds the record of a decided command.
    pub(super) fn push(&mut self, record: Record) {
        self.by_id.insert(record.outcome.command_id, self.records.len());
        self.records.push(record);
    }

    /// Returns a level as this fold has changed it so far, or a new level if there is none.
    pub(super) fn level(&mut self, location_id: &LocationId) -> &mut DraftLevel {
        let epoch = self.item.as_ref().map_or(0, |item| item.alert_epoch);
        match self.levels.entry(location_id.clone()) {
            btree_map::Entry::Occupied(entry) => entry.into_mut(),
            btree_map::Entry::Vacant(entry) => {
                let loaded = self.loaded.levels.get(location_id).cloned();
                let loaded_version = loaded.as_ref().map(|l| l.level.version);
                let LoadedLevel { level, history, .. } =
                    loaded.unwrap_or_else(|| LoadedLevel::bare(Level::new(location_id.clone(), epoch)));
                entry.insert(DraftLevel { level, loaded_version, history, changed: false, new_entries_bytes: 0 })
            }
        }
    }

    /// Returns all loaded or new levels as this fold has changed them so far.
    pub(super) fn balances(&self) -> impl Iterator<Item = &Level> {
        let unchanged = self.loaded.levels.iter().filter(|(location, _)| !self.levels.contains_key(*location));
        unchanged.map(|(_, loaded)| &loaded.level).chain(self.levels.values().map(|draft| &draft.level))
    }

    /// Marks the item's record as changed.
    pub(super) fn put_item(&mut self, item: Item) {
        self.item = Some(item);
        self.item_changed = true;
    }

    /// Returns who holds a claim, with this fold's own changes.
    pub(super) fn holder(&self, claim: &Claim) -> Option<&ItemId> {
        match self.claims.get(claim) {
            Some(true) => Some(self.item_id),
            Some(false) => None,
            None => self.loaded.holders.get(claim),
        }
    }

    pub(super) fn into_commit(self, limits: &FoldLimits) -> Commit {
        let mut commit = Commit::new(self.item_id.clone());
        commit.item = self
            .item
            .filter(|_| self.item_changed)
            .map(|item| ItemPut { loaded_version: self.loaded.item.as_ref().map(|loaded| loaded.version), item });
        for (location_id, draft) in self.levels {
            if !draft.changed {
                continue;
            }
            let mut level = draft.level;
            level.version += 1;
            if codec::encode_entries(&level.tail).len() > limits.max_tail_bytes {
                commit.chunks.push(Chunk { location_id, entries: std::mem::take(&mut level.tail) });
            }
            commit.levels.push(LevelPut { loaded_version: draft.loaded_version, level });
        }
        // A re-judging that runs at the same time does not see a new level. So the item must still have the threshold
        // that the level was judged by. (If the commit writes the item, its version ensures that.)
        if commit.item.is_none() && commit.levels.iter().any(|put| put.loaded_version.is_none()) {
            commit.threshold_check = self.loaded.item.as_ref().map(|item| item.threshold_version);
        }
        commit.claims = self.claims.into_iter().map(|(claim, held)| ClaimChange { claim, held }).collect();
        commit.records = self.records;
        commit.resubmitted = self.resubmitted;
        commit.reversed = self.reversed;
        commit
    }
}

impl DraftLevel {
    /// Appends an entry and moves the balance with its value. The caller has checked for overflow.
    pub(super) fn append(&mut self, entry: Entry, stock: Valuation) {
        if self.level.seq == 0 {
            self.level.open();
        }
        self.changed = true;
        self.new_entries_bytes += size::entry_bytes(&entry);
        self.level.on_hand = entry.after;
        self.level.value = stock.value;
        self.level.average_cost = stock.average_cost;
        self.level.seq = entry.seq;
        self.level.updated_at = entry.recorded_at;
        self.level.tail.push(entry);
    }

    /// Returns whether the level is not stored yet.
    pub(super) const fn is_new(&self) -> bool {
        self.loaded_version.is_none()
    }

    /// Marks a change without an entry.
    pub(super) fn touch(&mut self, at: Timestamp) {
        self.changed = true;
        self.level.updated_at = self.level.updated_at.max(at);
    }
}
