//! What folds need again and again, in memory: items, locations and the levels that were written last.
//!
//! The file decides. A commit checks its versions there, so a stale level would cost a conflict and never a wrong figure.
//! The writer's thread puts in what it has committed, in its order and before it answers. So a fold that begins after an
//! answer finds what was answered, as if it read the file. Items and locations also come from loads, but only if none has
//! changed since the load began.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::commit::Prepared;
use super::sealed;
use stockline_core::domain::{Item, ItemId, Level, LoadRequest, Loaded, LoadedLevel, LocationId, LocationSettings};

/// The most locations that are kept.
const LOCATIONS_MAX: usize = 10_000;

/// What a kept item and a kept level have besides their texts, in bytes of memory.
const ITEM_BYTES: usize = 700;
const LEVEL_BYTES: usize = 300;

/// A level with its tail as it is stored, which takes a quarter of the memory.
#[derive(Debug)]
pub(super) struct HotLevel {
    /// The level without its tail.
    pub(super) bare: Level,
    /// The tail with the checksum of the whole row.
    pub(super) tail: Vec<u8>,
}

impl HotLevel {
    /// Takes the stored form of a level of an item.
    pub(super) fn of(item_id: &ItemId, level: &mut Level) -> Self {
        let tail = sealed::tail(item_id, level);
        let entries = std::mem::take(&mut level.tail);
        let bare = level.clone();
        level.tail = entries;
        Self { bare, tail }
    }

    fn read(&self, item_id: &ItemId) -> Option<Level> {
        let tail = sealed::read_tail(item_id, &self.bare, &self.tail).ok()?;
        Some(Level { tail, ..self.bare.clone() })
    }
}

#[derive(Debug, Default)]
struct HotItem {
    /// `None` until a load or a commit has told it.
    item: Option<Arc<Item>>,
    levels: Vec<Arc<HotLevel>>,
}

impl HotItem {
    fn bytes(&self) -> usize {
        let barcodes = self.item.as_ref().map_or(0, |item| 64 * (item.catalogue.barcodes.len() + item.overrides.len()));
        ITEM_BYTES + barcodes + self.levels.iter().map(|level| LEVEL_BYTES + level.tail.len()).sum::<usize>()
    }

    fn put(&mut self, level: Arc<HotLevel>) {
        match self.levels.iter_mut().find(|kept| kept.bare.location_id == level.bare.location_id) {
            Some(kept) => *kept = level,
            None => self.levels.push(level),
        }
    }
}

/// Items in two generations: what is used moves to the young one. When that has half of the budget, the old one goes.
#[derive(Debug, Default)]
struct State {
    young: HashMap<ItemId, HotItem>,
    young_bytes: usize,
    old: HashMap<ItemId, HotItem>,
    locations: HashMap<LocationId, LocationSettings>,
    /// Counts the changes of items and locations.
    changes: u64,
}

impl State {
    /// Returns a kept item, which becomes young.
    fn find(&mut self, item_id: &ItemId) -> Option<&mut HotItem> {
        if let Some(item) = self.old.remove(item_id) {
            self.young_bytes += item.bytes();
            self.young.insert(item_id.clone(), item);
        }
        self.young.get_mut(item_id)
    }

    /// Changes an item, which is kept from now on.
    fn change(&mut self, item_id: &ItemId, half: usize, change: impl FnOnce(&mut HotItem)) {
        let before = self.find(item_id).map_or(0, |item| item.bytes());
        let item = self.young.entry(item_id.clone()).or_default();
        change(item);
        self.young_bytes = self.young_bytes + item.bytes() - before;
        if self.young_bytes > half {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    fn forget(&mut self, item_id: &ItemId) {
        if let Some(item) = self.young.remove(item_id) {
            self.young_bytes -= item.bytes();
        }
        self.old.remove(item_id);
    }
}

/// The kept rows.
#[derive(Debug)]
pub(super) struct HotRows {
    state: Mutex<State>,
    /// The memory that they may take, in bytes.
    bytes_max: usize,
}

impl HotRows {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), bytes_max }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how often items and locations have changed. [`HotRows::keep`] wants it from before the load.
    pub(super) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Answers a request if all that it names is kept, and it asks for no more than an item, levels and their locations.
    pub(super) fn load(&self, request: &LoadRequest) -> Option<Loaded> {
        let is_plain =
            !request.all_levels && request.since.is_empty() && request.claims.is_empty() && request.records.is_empty();
        if !is_plain {
            return None;
        }
        let mut loaded = Loaded::default();
        let (item, levels) = {
            let mut state = self.state();
            for location_id in &request.locations {
                loaded.locations.insert(location_id.clone(), state.locations.get(location_id)?.clone());
            }
            let hot = state.find(&request.item_id)?;
            let level = |location_id: &LocationId| {
                hot.levels.iter().find(|level| level.bare.location_id == *location_id).cloned()
            };
            let levels = request.locations.iter().map(level).collect::<Option<Vec<_>>>()?;
            (hot.item.clone()?, levels)
        };
        for hot in levels {
            let level = hot.read(&request.item_id)?;
            loaded.levels.insert(level.location_id.clone(), LoadedLevel::bare(level));
        }
        loaded.item = Some(Arc::unwrap_or_clone(item));
        Some(loaded)
    }

    /// Keeps the item and the locations of an answer, if none has changed since the load began.
    pub(super) fn keep(&self, request: &LoadRequest, loaded: &Loaded, changes: u64) {
        if self.bytes_max == 0 {
            return;
        }
        let mut state = self.state();
        if state.changes != changes {
            return;
        }
        if state.locations.len() + loaded.locations.len() > LOCATIONS_MAX {
            state.locations.clear();
        }
        state.locations.extend(loaded.locations.clone());
        if let Some(item) = &loaded.item {
            state.change(&request.item_id, self.bytes_max / 2, |hot| hot.item = Some(Arc::new(item.clone())));
        }
    }

    /// Keeps what a commit has written. It is durable, and no later commit is kept yet.
    pub(super) fn committed(&self, prepared: &Prepared) {
        if self.bytes_max == 0 {
            return;
        }
        let commit = &prepared.commit;
        let mut state = self.state();
        state.changes += u64::from(commit.item.is_some());
        if commit.item.is_none() && commit.levels.is_empty() {
            return;
        }
        state.change(&commit.item_id, self.bytes_max / 2, |hot| {
            if let Some(put) = &commit.item {
                hot.item = Some(Arc::new(put.item.clone()));
            }
            prepared.levels.iter().for_each(|level| hot.put(Arc::clone(level)));
        });
    }

    /// Returns the bytes of all that is kept.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let state = self.state();
        state.young.values().chain(state.old.values()).map(HotItem::bytes).sum()
    }

    /// Forgets an item whose rows are not as a commit expected.
    pub(super) fn forget(&self, item_id: &ItemId) {
        self.state().forget(item_id);
    }

    /// Forgets everything: a transaction has failed, or rows were changed in another way.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        *state = State { changes: state.changes + 1, ..State::default() };
    }
}
