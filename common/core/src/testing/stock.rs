use std::collections::BTreeMap;

use crate::domain::{
    Alert, Claim, ClientId, ClientSettings, CommandId, CommandKey, Commit, Entry, Item, ItemId, Level, LoadRequest,
    Loaded, LoadedLevel, LocationId, LocationSettings, Record, RejudgeMark, Status, Timestamp,
};
use crate::ports::{CommitOutcome, ItemWithLevels, Lease, MailTally};

/// The rows of a [`MemoryStore`](super::MemoryStore). A test may look at all of them and damage them.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    /// The items of the catalogue.
    pub items: BTreeMap<ItemId, Item>,
    /// Levels with their tails.
    pub levels: BTreeMap<(ItemId, LocationId), Level>,
    /// Entries that left a tail, by the seq of the first entry.
    pub chunks: BTreeMap<(ItemId, LocationId, u64), Vec<Entry>>,
    /// The outcomes of commands.
    pub records: BTreeMap<CommandKey, Record>,
    /// The items that hold barcodes and item keys.
    pub claims: BTreeMap<Claim, ItemId>,
    /// Levels that were re-judged for a command.
    pub marks: BTreeMap<(ItemId, CommandId, LocationId), RejudgeMark>,
    /// Location settings that were put.
    pub locations: BTreeMap<LocationId, LocationSettings>,
    /// The registered clients.
    pub clients: BTreeMap<ClientId, ClientSettings>,
    /// The alert history.
    pub alerts: BTreeMap<String, (Alert, StoredClaim)>,
    /// Notices of refused commands, by location and day.
    pub notices: BTreeMap<(LocationId, String), StoredClaim>,
    /// The answer of [`Queries::pays_for_days`](crate::ports::Queries::pays_for_days).
    pub pays_for_days: bool,
}

/// The alerter's claim on an alert or a notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredClaim {
    /// Its lease. Absent after the claim has ended.
    pub lease: Option<Lease>,
    /// When the mail was sent. For a notice: the end of the period that its list covers.
    pub sent_at: Option<Timestamp>,
    /// Who does not have the mail yet, after others got it.
    pub missing: Vec<String>,
    /// Whom the mail has reached.
    pub tally: Option<MailTally>,
    /// Whether nobody was to get it.
    pub no_recipient: bool,
    /// When an opening was gathered.
    pub gathered_at: Option<Timestamp>,
}

impl Stock {
    /// Returns the data for a fold, with at most `history_max` entries before each tail.
    pub fn load(&self, request: &LoadRequest, history_max: usize) -> Loaded {
        let item_id = &request.item_id;
        let levels = self.levels_of(item_id);
        let wanted = levels.filter(|level| request.all_levels || request.locations.contains(&level.location_id));
        let load = |level: &Level| {
            let location_id = level.location_id.clone();
            let mut loaded = LoadedLevel::bare(level.clone());
            if let Some(since) = request.since.get(&location_id) {
                loaded.history =
                    self.chunked(item_id, &location_id).filter(|e| e.recorded_at > *since).cloned().collect();
                let over = loaded.history.len().saturating_sub(history_max);
                loaded.history_complete = over == 0;
                loaded.history.drain(..over);
            }
            (location_id, loaded)
        };
        Loaded {
            item: self.items.get(item_id).cloned(),
            levels: wanted.map(load).collect(),
            locations: request.locations.iter().filter_map(|id| Some((id.clone(), self.location(id)?))).collect(),
            holders: request.claims.iter().filter_map(|c| Some((c.clone(), self.claims.get(c)?.clone()))).collect(),
            records: request.records.iter().filter_map(|r| Some((r.clone(), self.records.get(r)?.clone()))).collect(),
        }
    }

    /// Returns a location's settings. `main` has default settings until some are put.
    pub fn location(&self, location_id: &LocationId) -> Option<LocationSettings> {
        let main = || Some(LocationSettings::main()).filter(|main| main.location_id == *location_id);
        self.locations.get(location_id).cloned().or_else(main)
    }

    /// Returns an item's levels by location.
    pub fn levels_of<'a>(&'a self, item_id: &'a ItemId) -> impl Iterator<Item = &'a Level> {
        self.levels.iter().filter(move |((of, _), _)| of == item_id).map(|(_, level)| level)
    }

    /// Returns an item with its levels.
    pub fn view(&self, item: &Item) -> ItemWithLevels {
        ItemWithLevels { item: item.clone(), levels: self.levels_of(&item.item_id).cloned().collect() }
    }

    /// Returns the entries that left a level's tail, oldest first.
    pub fn chunked(&self, item_id: &ItemId, location_id: &LocationId) -> impl Iterator<Item = &Entry> {
        let place = |seq| (item_id.clone(), location_id.clone(), seq);
        self.chunks.range(place(0)..=place(u64::MAX)).flat_map(|(_, entries)| entries)
    }

    /// Returns a level's whole ledger, oldest first.
    pub fn ledger(&self, item_id: &ItemId, location_id: &LocationId) -> Vec<Entry> {
        let level = self.levels.get(&(item_id.clone(), location_id.clone()));
        let tail = level.into_iter().flat_map(|level| &level.tail);
        self.chunked(item_id, location_id).chain(tail).cloned().collect()
    }

    /// Writes all of a commit under all its conditions, or nothing.
    pub fn commit(&mut self, commit: &Commit) -> CommitOutcome {
        let item_id = &commit.item_id;
        let stored =
            commit.records.iter().filter_map(|record| Some((record, self.records.get(&key(item_id, record))?)));
        let decided: Vec<_> = stored.filter(|(new, old)| old.decides(new.retry)).map(|(_, old)| old.clone()).collect();
        if !decided.is_empty() {
            return CommitOutcome::Decided(decided);
        }
        let mark_key = |mark: &RejudgeMark| (item_id.clone(), mark.command_id, mark.location_id.clone());
        if let Some(mark) = commit.mark.as_ref().and_then(|mark| self.marks.get(&mark_key(mark))) {
            return CommitOutcome::Judged(Box::new(mark.clone()));
        }
        if !self.conditions_hold(commit) {
            return CommitOutcome::Conflict;
        }
        for put in &commit.levels {
            self.levels.insert((item_id.clone(), put.level.location_id.clone()), put.level.clone());
        }
        for chunk in &commit.chunks {
            let first = chunk.entries[0].seq;
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
            self.records.insert(key(item_id, record), record.clone());
        }
        for (old, by) in &commit.resubmitted {
            let resubmission = CommandKey { item_id: item_id.clone(), command_id: *by };
            self.records.entry(old.clone()).and_modify(|record| record.resubmitted_as = Some(resubmission));
        }
        for reversal in &commit.reversed {
            let key = CommandKey { item_id: item_id.clone(), command_id: reversal.command_id };
            self.records.entry(key).and_modify(|record| record.outcome.reversed_by = Some(reversal.reversed_by));
        }
        if let Some(mark) = &commit.mark {
            self.marks.insert(mark_key(mark), mark.clone());
        }
        CommitOutcome::Committed
    }

    fn conditions_hold(&self, commit: &Commit) -> bool {
        let item_id = &commit.item_id;
        let item = self.items.get(item_id);
        let level = |location_id: &LocationId| self.levels.get(&(item_id.clone(), location_id.clone()));
        let levels_hold = commit
            .levels
            .iter()
            .all(|put| level(&put.level.location_id).map(|level| level.version) == put.loaded_version);
        let item_holds = commit.item.as_ref().is_none_or(|put| item.map(|item| item.version) == put.loaded_version);
        let threshold_holds =
            commit.threshold_check.is_none_or(|version| item.is_some_and(|item| item.threshold_version == version));
        let chunks_hold = commit.chunks.iter().all(|chunk| {
            let place = (item_id.clone(), chunk.location_id.clone(), chunk.entries[0].seq);
            !self.chunks.contains_key(&place)
        });
        let claims_hold = commit.claims.iter().all(|change| match self.claims.get(&change.claim) {
            Some(holder) => holder == item_id,
            None => change.held,
        });
        let resubmissions_hold = commit.resubmitted.iter().all(|(old, by)| {
            let resubmission = CommandKey { item_id: item_id.clone(), command_id: *by };
            self.records.get(old).is_some_and(|record| {
                record.outcome.status != Status::Applied
                    && !is_discarded(record)
                    && record.resubmitted_as.as_ref().is_none_or(|other| *other == resubmission)
            })
        });
        let reversals_hold = commit.reversed.iter().all(|reversal| {
            let key = CommandKey { item_id: item_id.clone(), command_id: reversal.command_id };
            let record = self.records.get(&key);
            record
                .is_some_and(|record| record.outcome.status == Status::Applied && record.outcome.reversed_by.is_none())
        });
        levels_hold
            && item_holds
            && threshold_holds
            && chunks_hold
            && claims_hold
            && resubmissions_hold
            && reversals_hold
    }

    /// Marks a dead letter as discarded. Returns `false` if there is none, or if it is already settled.
    pub fn discard(&mut self, command: &CommandKey, at: Timestamp) -> bool {
        let record = self.records.get_mut(command).filter(|record| record.resubmitted_as.is_none());
        let letter = record.and_then(|record| record.outcome.dead_letter.as_mut());
        letter.filter(|letter| letter.discarded_at.is_none()).map(|letter| letter.discarded_at = Some(at)).is_some()
    }
}

fn key(item_id: &ItemId, record: &Record) -> CommandKey {
    CommandKey { item_id: item_id.clone(), command_id: record.outcome.command_id }
}

/// Reports whether a dead letter was discarded.
fn is_discarded(record: &Record) -> bool {
    record.outcome.dead_letter.as_ref().is_some_and(|letter| letter.discarded_at.is_some())
}
