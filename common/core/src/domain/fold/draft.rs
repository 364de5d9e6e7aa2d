use std::collections::btree_map;
use std::collections::{BTreeMap, HashMap};

use super::super::{Alert, Entry, Level, LocationId, codec};
use super::super::{
    Claim, CommandId, CommandKey, Effect, Fingerprint, Item, ItemId, Outcome, Queued, Record, Rejection, RejectionCode,
    Status, Timestamp,
};
use super::room;
use super::{Chunk, ClaimChange, Commit, FoldLimits, ItemPut, LevelPut, Loaded, LoadedLevel, Rules};

/// What deciding one command gave.
pub(super) type Decision = Result<Applied, Box<Rejection>>;

/// What an applied command did.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) effects: Vec<Effect>,
    pub(super) alerts: Vec<Alert>,
    /// The default threshold changed.
    pub(super) ends_fold: bool,
}

/// A level that this fold changes.
pub(super) struct DraftLevel {
    pub(super) level: Level,
    loaded_version: Option<u64>,
    pub(super) history: Vec<Entry>,
    pub(super) changed: bool,
    /// Of the entries made by this fold, estimated from above.
    pub(super) new_entries_bytes: usize,
}

/// The state of a fold under way.
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
    /// Of the dead letters' texts so far, estimated from above.
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
            letter_bytes: 0,
        }
    }

    /// What this fold itself decided.
    pub(super) fn record(&self, id: CommandId) -> Option<&Record> {
        self.by_id.get(&id).map(|index| &self.records[*index])
    }

    /// Records a dead letter in its place.
    pub(super) fn set_aside(&mut self, record: &Record) {
        let mut record = record.clone();
        record.outcome.settled_at = self.now.max(record.outcome.accepted_at);
        self.letter_bytes += room::letter_bytes(&record);
        self.push(record);
    }

    fn push(&mut self, record: Record) {
        self.by_id.insert(record.outcome.command_id, self.records.len());
        self.records.push(record);
    }

    /// Decides one command; true where it changed the default threshold, which ends the fold.
    pub(super) fn decide(&mut self, queued: &Queued) -> bool {
        let decision = self.resubmission(queued).and_then(|()| {
            if queued.command.kind().is_movement() { self.movement(queued) } else { self.catalogue_command(queued) }
        });
        let (status, applied, rejection) = match decision {
            Ok(applied) => (Status::Applied, applied, None),
            Err(rejection) => (Status::Rejected, Applied::default(), Some(*rejection)),
        };
        let settled_at =
            applied.effects.iter().map(|e| e.recorded_at).max().unwrap_or(self.now.max(queued.accepted_at));
        self.push(Record {
            v: Record::VERSION,
            outcome: Outcome {
                command_id: queued.command.command_id,
                item_id: self.item_id.clone(),
                status,
                accepted_at: queued.accepted_at,
                settled_at,
                submitted_by: queued.submitted_by.clone(),
                command: Some(queued.command.clone()),
                effects: applied.effects,
                rejection,
                dead_letter: None,
            },
            fingerprint: Some(Fingerprint::of(&queued.command)),
            retry: queued.retry,
            alerts: applied.alerts.into_iter().map(|alert| Alert { trace: queued.trace.clone(), ..alert }).collect(),
            changed_default: queued.command.action.sets_default().then_some(applied.ends_fold),
            resubmits: queued.resubmits.clone(),
            first_accepted_at: queued.first_accepted_at,
            resubmitted_as: None,
        });
        applied.ends_fold
    }

    /// A resubmission replaces a command that took no effect and that nothing else replaces.
    fn resubmission(&mut self, queued: &Queued) -> Result<(), Box<Rejection>> {
        let Some(old) = &queued.resubmits else {
            return Ok(());
        };
        let me = CommandKey { item_id: self.item_id.clone(), command_id: queued.command.command_id };
        let refuse = |detail: &str| {
            let detail = format!("command {} of item {} {detail}", old.command_id, old.item_id);
            Err(Box::new(reject(RejectionCode::PreconditionFailed, detail)))
        };
        match self.loaded.records.get(old).filter(|_| *old != me) {
            None => refuse("is not known, so it can't be resubmitted"),
            Some(record) if record.outcome.status == Status::Applied => refuse("was applied in the meantime"),
            Some(record) if record.resubmitted_as.as_ref().is_some_and(|other| *other != me) => {
                refuse("was resubmitted as another command")
            }
            Some(record) if record.outcome.dead_letter.as_ref().is_some_and(|l| l.discarded_at.is_some()) => {
                refuse("was discarded")
            }
            Some(_) => {
                self.resubmitted.push((old.clone(), me.command_id));
                Ok(())
            }
        }
    }

    /// A level to read or change, as this fold has it so far; a new one where there is none.
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

    /// The balances as this fold has them so far, of all levels that were loaded or changed.
    pub(super) fn balances(&self) -> impl Iterator<Item = &Level> {
        let unchanged = self.loaded.levels.iter().filter(|(location, _)| !self.levels.contains_key(*location));
        unchanged.map(|(_, loaded)| &loaded.level).chain(self.levels.values().map(|draft| &draft.level))
    }

    /// Marks the item's record as changed.
    pub(super) fn put_item(&mut self, item: Item) {
        self.item = Some(item);
        self.item_changed = true;
    }

    /// Who holds a claim, this fold's own changes included.
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
        // A level that is new is in nobody's re-judging: the threshold that it was judged by must be the item's still.
        // (Where the item is put, its version says so.)
        if commit.item.is_none() && commit.levels.iter().any(|put| put.loaded_version.is_none()) {
            commit.threshold_check = self.loaded.item.as_ref().map(|item| item.threshold_version);
        }
        commit.claims = self.claims.into_iter().map(|(claim, held)| ClaimChange { claim, held }).collect();
        commit.records = self.records;
        commit.resubmitted = self.resubmitted;
        commit
    }
}

impl DraftLevel {
    /// Appends an entry and moves the balance; the caller has checked for overflow.
    pub(super) fn append(&mut self, entry: Entry) {
        self.changed = true;
        self.new_entries_bytes += room::entry_bytes(&entry);
        self.level.on_hand = entry.after;
        self.level.seq = entry.seq;
        self.level.updated_at = entry.recorded_at;
        self.level.tail.push(entry);
    }

    /// Is it to be put under absent?
    pub(super) const fn is_new(&self) -> bool {
        self.loaded_version.is_none()
    }

    /// Marks a change that is not an entry.
    pub(super) fn touch(&mut self, at: Timestamp) {
        self.changed = true;
        self.level.updated_at = self.level.updated_at.max(at);
    }
}

/// A rejection with nothing but its code and its text.
pub(super) fn reject(code: RejectionCode, detail: impl Into<String>) -> Rejection {
    Rejection { code, detail: detail.into(), found: None, available: None, held_by: None, location_id: None }
}
