//! The fold: an ordered batch of commands of one item, applied to its state, purely, in one go.
//!
//! Loaded state and commands in, one [`Commit`] out, which a store writes whole or not at all (design.md §7).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Claim, CommandId, CommandKey, Entry, Item, ItemId, Level, LocationId, LocationSettings, Queued, Record,
    RejudgeMark, Timestamp,
};

mod catalogue_commands;
mod draft;
mod movements;
mod occurrence;
mod room;

use draft::Draft;
use occurrence::Occurrence;

/// The rules that an installation sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A movement that occurred longer before it was first accepted is refused, in milliseconds; 30 days.
    pub max_age_ms: i64,
    /// A count that was taken longer before it was first accepted is refused, in milliseconds; 72 hours.
    pub late_count_max_age_ms: i64,
}

impl Default for Rules {
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self { max_age_ms: 30 * 24 * HOUR_MS, late_count_max_age_ms: 72 * HOUR_MS }
    }
}

/// How much one commit may hold; what is over goes into the next fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldLimits {
    /// Rows written or checked; DynamoDB takes 100 in a transaction.
    pub max_actions: usize,
    /// Bytes of all rows, estimated from above: 20,000 an action and the texts of dead letters, so that without these
    /// the actions are the limit; DynamoDB takes 4 MB in a transaction.
    pub max_bytes: usize,
    /// Bytes of one level's entries in binary, estimated from above; DynamoDB takes 400 KB a row.
    pub max_level_bytes: usize,
    /// Bytes of a tail above which it is moved into a chunk, so that a level stays under 1 KB.
    pub max_tail_bytes: usize,
}

impl Default for FoldLimits {
    fn default() -> Self {
        Self { max_actions: 100, max_bytes: 2_000_000, max_level_bytes: 200_000, max_tail_bytes: 640 }
    }
}

/// One place in the queue: a command to judge, or one that is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// To be judged.
    Command(Box<Queued>),
    /// To be recorded as dead-lettered.
    Dead(Box<Record>),
}

impl Slot {
    /// The id that it is decided under.
    pub fn command_id(&self) -> CommandId {
        match self {
            Self::Command(queued) => queued.command.command_id,
            Self::Dead(record) => record.outcome.command_id,
        }
    }

    /// See [`Queued::retry`].
    pub fn retry(&self) -> u32 {
        match self {
            Self::Command(queued) => queued.retry,
            Self::Dead(record) => record.retry,
        }
    }

    fn queued(&self) -> Option<&Queued> {
        match self {
            Self::Command(queued) => Some(queued),
            Self::Dead(_) => None,
        }
    }
}

/// What a fold of these commands must have loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// The item.
    pub item_id: ItemId,
    /// The levels and location settings that its commands name.
    pub locations: BTreeSet<LocationId>,
    /// All levels of the item, for commands that concern each.
    pub all_levels: bool,
    /// For late counts: the level's ledger back to (not including) entries recorded at or before this time.
    pub since: BTreeMap<LocationId, Timestamp>,
    /// Whose holders to look up.
    pub claims: BTreeSet<Claim>,
    /// Records that resubmissions replace.
    pub records: BTreeSet<CommandKey>,
}

impl LoadRequest {
    /// Only the item and all its levels: for re-judging. Contract: the levels are read *before* the item.
    pub fn of(item_id: ItemId) -> Self {
        Self {
            item_id,
            locations: BTreeSet::new(),
            all_levels: true,
            since: BTreeMap::new(),
            claims: BTreeSet::new(),
            records: BTreeSet::new(),
        }
    }

    /// For a fold of these slots.
    pub fn for_slots<'a>(item_id: ItemId, slots: impl IntoIterator<Item = &'a Slot>, rules: &Rules) -> Self {
        let mut request = Self { all_levels: false, ..Self::of(item_id) };
        for queued in slots.into_iter().filter_map(Slot::queued) {
            request.add(queued, rules);
        }
        request
    }

    fn add(&mut self, queued: &Queued, rules: &Rules) {
        for location in queued.command.action.locations() {
            if !self.locations.contains(location) {
                self.locations.insert(location.clone());
            }
        }
        self.records.extend(queued.resubmits.clone());
        match &queued.command.action {
            Action::RegisterItem(catalogue) => {
                self.claims.insert(Claim::ItemKey(self.item_id.lower_case()));
                self.claims.extend(catalogue.barcodes.iter().cloned().map(Claim::Barcode));
            }
            Action::UpdateItem(patch) => {
                self.all_levels |= patch.decimals.is_some();
                self.claims.extend(patch.barcodes.iter().flatten().cloned().map(Claim::Barcode));
            }
            Action::Count { location_id, .. } => {
                let at = Occurrence::of(queued);
                if at.explicit && at.age_ms(queued) <= rules.late_count_max_age_ms {
                    let since = self.since.entry(location_id.clone()).or_insert(at.occurred_at);
                    *since = (*since).min(at.occurred_at);
                }
            }
            _ => {}
        }
    }
}

/// A level as loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedLevel {
    /// The level with its tail; its `version` is the condition of the commit.
    pub level: Level,
    /// Entries before the tail, oldest first, without gaps up to it, back to the asked time; where there are more
    /// than the bound, the newest.
    pub history: Vec<Entry>,
    /// Does `history` reach back to the asked time (or none was asked)? `false` where the bound was met.
    pub history_complete: bool,
}

impl LoadedLevel {
    /// Without history.
    pub const fn bare(level: Level) -> Self {
        Self { level, history: Vec::new(), history_complete: true }
    }

    /// Is every entry here that was recorded after `time`? A count asks for itself, whatever was asked for others.
    fn reaches_back_to(&self, time: Timestamp) -> bool {
        let oldest = self.history.first().or(self.level.tail.first());
        self.history_complete || oldest.is_some_and(|entry| entry.seq == 1 || entry.recorded_at <= time)
    }
}

/// What [`LoadRequest`] asked for, as found; what is absent was read consistently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The catalogue record.
    pub item: Option<Item>,
    /// Those that exist.
    pub levels: BTreeMap<LocationId, LoadedLevel>,
    /// Those that exist; `main` always does.
    pub locations: BTreeMap<LocationId, LocationSettings>,
    /// Those that are held.
    pub holders: BTreeMap<Claim, ItemId>,
    /// Those that exist.
    pub records: BTreeMap<CommandKey, Record>,
}

/// Puts the item's record under its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPut {
    /// The version that must be found; `None`: must be absent.
    pub loaded_version: Option<u64>,
    /// The new record.
    pub item: Item,
}

/// Puts a level under its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelPut {
    /// The version that must be found; `None`: must be absent.
    pub loaded_version: Option<u64>,
    /// The new level, tail included.
    pub level: Level,
}

/// Ledger entries that left the tail; immutable, absent before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where.
    pub location_id: LocationId,
    /// Oldest first, never empty; its key is the first's `seq`.
    pub entries: Vec<Entry>,
}

/// A claim taken under *absent or mine*, or given up under *mine*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimChange {
    /// What.
    pub claim: Claim,
    /// Taken or given up.
    pub held: bool,
}

/// Everything that one fold writes: all of it, under all its conditions, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The item.
    pub item_id: ItemId,
    /// Its record, where a catalogue command changed it.
    pub item: Option<ItemPut>,
    /// The item's `threshold_version` that must be found: re-judging, and a level that is new.
    pub threshold_check: Option<u64>,
    /// Levels, each at most once.
    pub levels: Vec<LevelPut>,
    /// Chunks of those levels.
    pub chunks: Vec<Chunk>,
    /// Uniqueness rows.
    pub claims: Vec<ClaimChange>,
    /// Outcomes in order; each put where no record [decides](Record::decides) its retry.
    pub records: Vec<Record>,
    /// Old records to mark `resubmitted_as` the given command of this item, where they are not applied,
    /// discarded or marked as another.
    pub resubmitted: Vec<(CommandKey, CommandId)>,
    /// That a level was re-judged for a command; put under absent.
    pub mark: Option<RejudgeMark>,
}

impl Commit {
    /// Nothing yet.
    pub const fn new(item_id: ItemId) -> Self {
        Self {
            item_id,
            item: None,
            threshold_check: None,
            levels: Vec::new(),
            chunks: Vec::new(),
            claims: Vec::new(),
            records: Vec::new(),
            resubmitted: Vec::new(),
            mark: None,
        }
    }

    /// Is there nothing to write (every command was decided before)?
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.mark.is_none()
    }
}

/// The result of a fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// How many slots from the front it settles, duplicates included; at least 1 where there was a slot.
    pub taken: usize,
    /// What to write.
    pub commit: Commit,
    /// It ended because this command changed the default threshold: every level is to be re-judged before the
    /// next fold.
    pub rejudge: Option<CommandId>,
}

/// Judges `slots` in order against `loaded`, skipping those that `decided` settles, until a limit is met.
///
/// `now` is the commit time. Pure: the same arguments give the same fold.
pub fn fold(
    loaded: &Loaded,
    item_id: &ItemId,
    slots: &[Slot],
    decided: &BTreeMap<CommandId, Record>,
    now: Timestamp,
    rules: &Rules,
    limits: &FoldLimits,
) -> Fold {
    let mut draft = Draft::new(loaded, item_id, now, rules);
    let mut taken = 0;
    let mut rejudge = None;
    for slot in slots {
        let id = slot.command_id();
        let earlier = draft.record(id).or_else(|| decided.get(&id));
        if earlier.is_some_and(|record| record.decides(slot.retry())) {
            taken += 1;
            continue;
        }
        if draft.rewrites_own_row(slot) || !draft.has_room(slot, limits) {
            break;
        }
        taken += 1;
        match slot {
            Slot::Dead(record) => draft.set_aside(record),
            Slot::Command(queued) => {
                if draft.decide(queued) {
                    rejudge = Some(id);
                    break;
                }
            }
        }
    }
    Fold { taken, commit: draft.into_commit(limits), rejudge }
}
