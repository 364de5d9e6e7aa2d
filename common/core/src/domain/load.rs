//! What a fold needs to have loaded, and what was found.

use std::collections::{BTreeMap, BTreeSet};

use super::occurrence::Occurrence;
use super::{
    Action, Claim, CommandKey, Entry, Item, ItemId, Level, LocationId, LocationSettings, Queued, Record, Rules, Slot,
    Timestamp,
};

/// Names everything that a fold of some commands reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// The item of all commands.
    pub item_id: ItemId,
    /// The locations that the commands name: their levels and their settings.
    pub locations: BTreeSet<LocationId>,
    /// Whether to load all levels of the item.
    pub all_levels: bool,
    /// For late counts: load the level's entries that were recorded after this time.
    pub since: BTreeMap<LocationId, Timestamp>,
    /// The claims whose holders are needed.
    pub claims: BTreeSet<Claim>,
    /// The records that resubmissions replace, and those of the movements that reversals take back.
    pub records: BTreeSet<CommandKey>,
}

impl LoadRequest {
    /// Requests the item and all its levels, for re-judging. The store reads the levels *before* the item.
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

    /// Requests what a fold of `slots` reads.
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
        if let Some(command_id) = queued.command.action.reverses() {
            // Only its record says which levels it moved.
            self.records.insert(CommandKey { item_id: self.item_id.clone(), command_id });
            self.all_levels = true;
        }
        match &queued.command.action {
            Action::RegisterItem(catalogue) => {
                self.claims.insert(Claim::ItemKey(self.item_id.folded()));
                self.claims.extend(catalogue.barcodes.iter().flat_map(|barcode| Claim::of_barcode(&barcode.code)));
            }
            Action::UpdateItem(patch) => {
                self.all_levels |= patch.decimals.is_some();
                self.claims
                    .extend(patch.barcodes.iter().flatten().flat_map(|barcode| Claim::of_barcode(&barcode.code)));
            }
            Action::Count { location_id, .. } => {
                let at = Occurrence::of(queued, rules);
                if at.explicit && at.age_ms(queued) <= rules.late_count_max_age_ms {
                    let since = self.since.entry(location_id.clone()).or_insert(at.occurred_at);
                    *since = (*since).min(at.occurred_at);
                }
            }
            _ => {}
        }
    }
}

/// A level as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedLevel {
    /// The level with its tail. Its `version` is a condition of the commit.
    pub level: Level,
    /// The entries before the tail back to the requested time, oldest first and without gaps. If there are more
    /// entries than the store's limit, only the newest.
    pub history: Vec<Entry>,
    /// Whether `history` reaches back to the requested time. `false` if the limit cut it short.
    pub history_complete: bool,
}

impl LoadedLevel {
    /// Makes a loaded level without history.
    pub const fn bare(level: Level) -> Self {
        Self { level, history: Vec::new(), history_complete: true }
    }

    /// Returns whether every entry recorded after `time` was loaded. Several counts of one fold share a request, so
    /// each checks its own time.
    pub(super) fn reaches_back_to(&self, time: Timestamp) -> bool {
        let oldest = self.history.first().or(self.level.tail.first());
        self.history_complete || oldest.is_some_and(|entry| entry.seq == 1 || entry.recorded_at <= time)
    }
}

/// The answer to a [`LoadRequest`], read consistently: a missing row does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The catalogue record, if the item is registered.
    pub item: Option<Item>,
    /// The levels that exist.
    pub levels: BTreeMap<LocationId, LoadedLevel>,
    /// The settings of the locations that exist; `main` always does.
    pub locations: BTreeMap<LocationId, LocationSettings>,
    /// The holders of the claims that are taken.
    pub holders: BTreeMap<Claim, ItemId>,
    /// The records that exist.
    pub records: BTreeMap<CommandKey, Record>,
}
