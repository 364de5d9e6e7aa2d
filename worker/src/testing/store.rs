use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use stockline_core::domain::{
    Claim, CommandId, CommandKey, Commit, Entry, Item, ItemId, Level, LoadRequest, Loaded, LoadedLevel, LocationId,
    LocationSettings, Record, RejudgeMark, Status, Timestamp,
};
use stockline_core::ports::{CommitOutcome, ItemWithLevels, StoreError};

/// The stock, as the port's contract requires. Tests may read and damage everything public.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    pub(crate) items: BTreeMap<ItemId, Item>,
    pub(crate) levels: BTreeMap<(ItemId, LocationId), Level>,
    pub(crate) chunks: BTreeMap<(ItemId, LocationId, u64), Vec<Entry>>,
    pub(crate) records: BTreeMap<(ItemId, CommandId), Record>,
    pub(crate) claims: BTreeMap<Claim, ItemId>,
    pub(crate) marks: BTreeMap<(ItemId, CommandId, LocationId), RejudgeMark>,
    pub(crate) locations: BTreeMap<LocationId, LocationSettings>,
    /// A commit is refused as invalid if one of its commands has this note.
    pub(crate) refused_note: Option<String>,
    /// A mark for this location is refused as invalid.
    pub(crate) refused_mark: Option<LocationId>,
    /// A load of this item returns [`StoreError::Unreadable`].
    pub(crate) unreadable: Option<ItemId>,
    /// A load of this item returns [`StoreError::Busy`].
    pub(crate) busy: Option<ItemId>,
    /// A load of this item returns [`StoreError::Newer`].
    pub(crate) newer: Option<ItemId>,
}

#[derive(Debug, Default)]
pub(crate) struct SimStore(Mutex<Stock>);

impl SimStore {
    pub(crate) fn stock(&self) -> MutexGuard<'_, Stock> {
        self.0.lock().unwrap()
    }
}

impl Stock {
    pub(crate) fn load(&self, request: &LoadRequest) -> Result<Loaded, StoreError> {
        let item_id = &request.item_id;
        if self.unreadable.as_ref() == Some(item_id) {
            return Err(StoreError::Unreadable("a tail that breaks off".into()));
        }
        if self.busy.as_ref() == Some(item_id) {
            return Err(StoreError::Busy("its rows are in conflict".into()));
        }
        if self.newer.as_ref() == Some(item_id) {
            return Err(StoreError::Newer("a tail of version 9".into()));
        }
        let of_item = self.levels.iter().filter(|((item, _), _)| item == item_id);
        let levels = of_item
            .filter(|((_, location), _)| request.all_levels || request.locations.contains(location))
            .map(|((_, location), level)| {
                let history = request.since.get(location).map(|since| self.history(item_id, location, *since));
                let history = history.unwrap_or_default();
                (location.clone(), LoadedLevel { level: level.clone(), history, history_complete: true })
            })
            .collect();
        let pick = |location: &LocationId| Some((location.clone(), self.locations.get(location)?.clone()));
        Ok(Loaded {
            item: self.items.get(item_id).cloned(),
            levels,
            locations: request.locations.iter().filter_map(pick).collect(),
            holders: request.claims.iter().filter_map(|c| Some((c.clone(), self.claims.get(c)?.clone()))).collect(),
            records: request.records.iter().filter_map(|r| Some((r.clone(), self.record(r)?.clone()))).collect(),
        })
    }

    fn history(&self, item_id: &ItemId, location: &LocationId, since: Timestamp) -> Vec<Entry> {
        let first = (item_id.clone(), location.clone(), 0);
        let last = (item_id.clone(), location.clone(), u64::MAX);
        let entries = self.chunks.range(first..=last).flat_map(|(_, entries)| entries);
        entries.filter(|entry| entry.recorded_at > since).cloned().collect()
    }

    fn record(&self, of: &CommandKey) -> Option<&Record> {
        self.records.get(&(of.item_id.clone(), of.command_id))
    }

    /// Writes all of a commit under all its conditions, or nothing.
    pub(crate) fn commit(&mut self, commit: &Commit) -> CommitOutcome {
        let item_id = &commit.item_id;
        let key = |record: &Record| (item_id.clone(), record.outcome.command_id);
        let stored = commit.records.iter().filter_map(|record| Some((record, self.records.get(&key(record))?)));
        let decided: Vec<_> = stored.filter(|(new, old)| old.decides(new.retry)).map(|(_, old)| old.clone()).collect();
        if !decided.is_empty() {
            return CommitOutcome::Decided(decided);
        }
        let mark_key = |m: &RejudgeMark| (item_id.clone(), m.command_id, m.location_id.clone());
        if let Some(mark) = commit.mark.as_ref().and_then(|mark| self.marks.get(&mark_key(mark))) {
            return CommitOutcome::Judged(Box::new(mark.clone()));
        }
        if !self.conditions_hold(commit) {
            return CommitOutcome::Conflict;
        }
        if self.refuses(commit) {
            return CommitOutcome::Refused("the row is invalid".into());
        }
        for put in &commit.levels {
            self.levels.insert((item_id.clone(), put.level.location_id.clone()), put.level.clone());
        }
        for chunk in &commit.chunks {
            let first = chunk.entries.first().unwrap().seq;
            self.chunks.insert((item_id.clone(), chunk.location_id.clone(), first), chunk.entries.clone());
        }
        if let Some(put) = &commit.item {
            self.items.insert(item_id.clone(), put.item.clone());
        }
        for change in &commit.claims {
            if change.held {
                self.claims.insert(change.claim.clone(), item_id.clone());
            } else {
                self.claims.remove(&change.claim);
            }
        }
        for record in &commit.records {
            self.records.insert(key(record), record.clone());
        }
        for (old, by) in &commit.resubmitted {
            let old = self.records.get_mut(&(old.item_id.clone(), old.command_id)).unwrap();
            old.resubmitted_as = Some(CommandKey { item_id: item_id.clone(), command_id: *by });
        }
        if let Some(mark) = &commit.mark {
            self.marks.insert(mark_key(mark), mark.clone());
        }
        CommitOutcome::Committed
    }

    fn conditions_hold(&self, commit: &Commit) -> bool {
        let item_id = &commit.item_id;
        let item = self.items.get(item_id);
        let level_version =
            |location: &LocationId| self.levels.get(&(item_id.clone(), location.clone())).map(|l| l.version);
        let levels_hold = commit.levels.iter().all(|put| level_version(&put.level.location_id) == put.loaded_version);
        let item_holds = commit.item.as_ref().is_none_or(|put| item.map(|item| item.version) == put.loaded_version);
        let threshold_holds =
            commit.threshold_check.is_none_or(|version| item.is_some_and(|item| item.threshold_version == version));
        let chunks_hold = commit.chunks.iter().all(|chunk| {
            let first = chunk.entries.first().unwrap().seq;
            !self.chunks.contains_key(&(item_id.clone(), chunk.location_id.clone(), first))
        });
        let claims_hold = commit.claims.iter().all(|change| match self.claims.get(&change.claim) {
            Some(holder) => holder == item_id,
            None => change.held,
        });
        let resubmits_hold = commit.resubmitted.iter().all(|(old, by)| {
            self.record(old).is_some_and(|record| {
                record.outcome.status != Status::Applied
                    && record.outcome.dead_letter.as_ref().is_none_or(|letter| letter.discarded_at.is_none())
                    && record.resubmitted_as.as_ref().is_none_or(|other| other.command_id == *by)
            })
        });
        levels_hold && item_holds && threshold_holds && chunks_hold && claims_hold && resubmits_hold
    }

    fn refuses(&self, commit: &Commit) -> bool {
        let note = |record: &Record| record.outcome.command.as_ref().and_then(|command| command.details.note.clone());
        let bad_record = self.refused_note.is_some()
            && commit
                .records
                .iter()
                .any(|record| record.outcome.status != Status::DeadLettered && note(record) == self.refused_note);
        let bad_mark = self.refused_mark.is_some()
            && commit.mark.as_ref().map(|mark| &mark.location_id) == self.refused_mark.as_ref();
        bad_record || bad_mark
    }

    pub(crate) fn view(&self, item: &Item) -> ItemWithLevels {
        let of_item = self.levels.iter().filter(|((item_id, _), _)| *item_id == item.item_id);
        ItemWithLevels { item: item.clone(), levels: of_item.map(|(_, level)| level.clone()).collect() }
    }

    /// Returns the whole ledger of a level: its chunks, then its tail.
    pub(crate) fn ledger(&self, item_id: &ItemId, location: &LocationId) -> Vec<Entry> {
        let mut entries = self.history(item_id, location, Timestamp::EPOCH);
        let level = self.levels.get(&(item_id.clone(), location.clone()));
        entries.extend(level.into_iter().flat_map(|level| level.tail.iter().cloned()));
        entries
    }
}
