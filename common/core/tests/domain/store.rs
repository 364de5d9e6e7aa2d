//! A store that implements only the contract. Before it writes, it checks every condition of a commit and that the
//! ledger explains the stock (P4).

use std::collections::{BTreeMap, BTreeSet};

use stockline_core::domain::{
    Claim, CommandId, CommandKey, Commit, Entry, Item, ItemId, Level, LoadRequest, Loaded, LoadedLevel, LocationId,
    LocationSettings, Quantity, Record, RejudgeMark, Status, Timestamp,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Decided(Vec<Record>),
    Judged(Box<RejudgeMark>),
    Conflict(String),
}

#[derive(Debug, Clone, Default)]
pub struct TestStore {
    pub items: BTreeMap<ItemId, Item>,
    pub levels: BTreeMap<(ItemId, LocationId), Level>,
    /// Every entry that left a tail, in order.
    pub chunked: BTreeMap<(ItemId, LocationId), Vec<Entry>>,
    pub records: BTreeMap<CommandKey, Record>,
    pub marks: BTreeMap<(CommandId, LocationId), RejudgeMark>,
    pub locations: BTreeMap<LocationId, LocationSettings>,
    pub holders: BTreeMap<Claim, ItemId>,
    /// The most entries before the tail that a load returns.
    pub history_max: Option<usize>,
}

fn key(item: &ItemId, command_id: CommandId) -> CommandKey {
    CommandKey { item_id: item.clone(), command_id }
}

fn conflict<T>(what: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Conflict(what.into()))
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
        self.records.get(&key(item, id))
    }

    pub fn level(&self, item: &ItemId, location: &str) -> Option<&Level> {
        self.levels.get(&(item.clone(), location.parse().unwrap()))
    }

    /// Returns every entry of a level, oldest first.
    pub fn ledger(&self, item: &ItemId, location: &str) -> Vec<Entry> {
        let place = (item.clone(), location.parse().unwrap());
        let chunked = self.chunked.get(&place).into_iter().flatten();
        chunked.chain(self.levels.get(&place).iter().flat_map(|level| &level.tail)).cloned().collect()
    }

    pub fn load(&self, request: &LoadRequest) -> Loaded {
        let item = &request.item_id;
        let of_item = |(owner, _): &&(ItemId, LocationId)| owner == item;
        let wanted = self.levels.keys().filter(of_item).map(|(_, location)| location);
        let levels = wanted.filter(|location| request.all_levels || request.locations.contains(*location));
        let levels = levels.map(|location| (location.clone(), self.load_level(item, location, request)));
        Loaded {
            item: self.items.get(item).cloned(),
            levels: levels.collect(),
            locations: self.locations.clone(),
            holders: self.holders.clone().into_iter().filter(|(claim, _)| request.claims.contains(claim)).collect(),
            records: self.records.clone().into_iter().filter(|(old, _)| request.records.contains(old)).collect(),
        }
    }

    fn load_level(&self, item: &ItemId, location: &LocationId, request: &LoadRequest) -> LoadedLevel {
        let place = (item.clone(), location.clone());
        let mut loaded = LoadedLevel::bare(self.levels[&place].clone());
        if let Some(since) = request.since.get(location) {
            let later = self.chunked.get(&place).into_iter().flatten().filter(|entry| entry.recorded_at > *since);
            loaded.history = later.cloned().collect();
            let over = loaded.history.len().saturating_sub(self.history_max.unwrap_or(usize::MAX));
            loaded.history_complete = over == 0;
            loaded.history.drain(..over);
        }
        loaded
    }

    /// Writes a commit whole or not at all.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), Refusal> {
        *self = self.after(commit)?;
        Ok(())
    }

    /// Returns the store as it would be after a commit.
    pub fn after(&self, commit: &Commit) -> Result<Self, Refusal> {
        let mut next = self.clone();
        next.put_records(commit)?;
        next.put_marks(commit)?;
        next.put_item(commit)?;
        next.put_levels(commit)?;
        next.put_claims(commit)?;
        Ok(next)
    }

    fn put_records(&mut self, commit: &Commit) -> Result<(), Refusal> {
        let mut decided = Vec::new();
        let mut rows = BTreeSet::new();
        for record in &commit.records {
            let row = key(&commit.item_id, record.outcome.command_id);
            assert!(rows.insert(row.clone()), "{row:?} is put twice in one commit");
            match self.records.get(&row) {
                Some(stored) if stored.decides(record.retry) => decided.push(stored.clone()),
                _ => drop(self.records.insert(row, record.clone())),
            }
        }
        if !decided.is_empty() {
            return Err(Refusal::Decided(decided));
        }
        for (old, by) in &commit.resubmitted {
            assert!(rows.insert(old.clone()), "{old:?} is written twice in one commit");
            let me = key(&commit.item_id, *by);
            let Some(record) = self.records.get_mut(old) else {
                return conflict("the resubmitted record is gone");
            };
            let discarded = record.outcome.dead_letter.as_ref().is_some_and(|letter| letter.discarded_at.is_some());
            let taken = record.resubmitted_as.as_ref().is_some_and(|other| *other != me);
            if record.outcome.status == Status::Applied || discarded || taken {
                return conflict("the resubmitted record is final");
            }
            record.resubmitted_as = Some(me);
        }
        Ok(())
    }

    fn put_item(&mut self, commit: &Commit) -> Result<(), Refusal> {
        if let Some(expected) = commit.threshold_check
            && self.items.get(&commit.item_id).map(|item| item.threshold_version) != Some(expected)
        {
            return conflict("threshold version");
        }
        let Some(put) = &commit.item else {
            return Ok(());
        };
        if self.items.get(&commit.item_id).map(|item| item.version) != put.loaded_version {
            return conflict("item version");
        }
        assert!(put.item.version > put.loaded_version.unwrap_or(0), "an item's version grows");
        self.items.insert(commit.item_id.clone(), put.item.clone());
        Ok(())
    }

    fn put_levels(&mut self, commit: &Commit) -> Result<(), Refusal> {
        let chunks: BTreeMap<_, _> = commit.chunks.iter().map(|chunk| (&chunk.location_id, &chunk.entries)).collect();
        assert_eq!(chunks.len(), commit.chunks.len(), "one chunk a level");
        let mut rows = BTreeSet::new();
        for put in &commit.levels {
            let level = &put.level;
            assert!(rows.insert(&level.location_id), "a level is put once");
            let place = (commit.item_id.clone(), level.location_id.clone());
            let old = self.levels.get(&place);
            if old.map(|old| old.version) != put.loaded_version {
                return conflict("level version");
            }
            assert_eq!(level.version, put.loaded_version.unwrap_or(0) + 1);
            let chunk = chunks.get(&level.location_id).map_or(&[][..], |entries| entries.as_slice());
            assert_ledger_continues(old, chunk, level);
            self.chunked.entry(place.clone()).or_default().extend_from_slice(chunk);
            self.levels.insert(place, level.clone());
        }
        assert!(chunks.keys().all(|location| rows.contains(location)), "a chunk comes with its level");
        Ok(())
    }

    fn put_claims(&mut self, commit: &Commit) -> Result<(), Refusal> {
        for change in &commit.claims {
            let mine = self.holders.get(&change.claim).map(|holder| *holder == commit.item_id);
            match (change.held, mine) {
                (true, Some(false)) => return conflict("the claim is another's"),
                (false, None | Some(false)) => return conflict("the claim is not mine"),
                (true, _) => drop(self.holders.insert(change.claim.clone(), commit.item_id.clone())),
                (false, _) => drop(self.holders.remove(&change.claim)),
            }
        }
        Ok(())
    }

    fn put_marks(&mut self, commit: &Commit) -> Result<(), Refusal> {
        let Some(mark) = &commit.mark else {
            return Ok(());
        };
        let row = (mark.command_id, mark.location_id.clone());
        if let Some(stored) = self.marks.get(&row) {
            return Err(Refusal::Judged(Box::new(stored.clone())));
        }
        self.marks.insert(row, mark.clone());
        Ok(())
    }
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
    assert!(old.is_none_or(|old| old.alert_no <= level.alert_no && old.counted_at <= level.counted_at));
}
