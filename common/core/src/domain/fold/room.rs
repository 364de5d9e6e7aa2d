//! Whether one more slot fits into the commit of a fold.

use super::super::{Action, CommandId, CommandKey, Effect, LocationId};
use super::draft::{Draft, DraftLevel};
use super::size::{ACTION_MAX_BYTES, ENTRY_MAX_BYTES, OVERRIDE_MAX_BYTES, letter_bytes};
use super::{FoldLimits, Slot};

impl Draft<'_> {
    /// Returns whether this slot would change a row that this fold changes already. One commit changes a row once, so
    /// the slot waits for the next fold and is judged against the stored row. Examples: a retry of a command that this
    /// fold sets aside, a resubmission or a reversal of a command that this fold decides, a barcode that moves twice.
    pub(super) fn rewrites_own_row(&self, slot: &Slot) -> bool {
        let id = slot.command_id();
        let is_old = |(old, _): &(CommandKey, CommandId)| old.command_id == id && old.item_id == *self.item_id;
        let is_taken_back = self.reversed.iter().any(|reversal| reversal.command_id == id);
        if self.record(id).is_some() || self.resubmitted.iter().any(is_old) || is_taken_back {
            return true;
        }
        let Slot::Command(queued) = slot else {
            return false;
        };
        let replaces_own = queued.resubmits.as_ref().is_some_and(|old| {
            let decided_here = old.item_id == *self.item_id && self.record(old.command_id).is_some();
            decided_here || self.resubmitted.iter().any(|(other, _)| other == old)
        });
        let takes_back_own = queued.command.action.reverses().is_some_and(|reverses| {
            let is_marked =
                |(old, _): &(CommandKey, CommandId)| old.command_id == reverses && old.item_id == *self.item_id;
            self.record(reverses).is_some()
                || self.reversed.iter().any(|reversal| reversal.command_id == reverses)
                || self.resubmitted.iter().any(is_marked)
        });
        let claims = self.claim_changes(&queued.command.action);
        replaces_own || takes_back_own || claims.iter().any(|(claim, _)| self.claims.contains_key(claim))
    }

    /// Returns whether one more slot fits. The first always does.
    pub(super) fn has_room(&self, slot: &Slot, limits: &FoldLimits) -> bool {
        if self.records.is_empty() {
            return true;
        }
        let actions = self.actions_with(slot);
        let new_letter_bytes = match slot {
            Slot::Dead(record) => letter_bytes(record),
            Slot::Command(_) => 0,
        };
        let fullest = self.levels.values().map(|level| level.new_entries_bytes).max().unwrap_or(0);
        actions <= limits.max_actions
            && actions * ACTION_MAX_BYTES + self.overrides_bytes(slot) + self.letter_bytes + new_letter_bytes
                <= limits.max_bytes
            // The entries that were in the tail before go into the same chunk.
            && limits.max_tail_bytes + fullest + ENTRY_MAX_BYTES <= limits.max_level_bytes
    }

    /// Returns the most bytes that overrides of the item's planning add to its row, if this fold writes that.
    fn overrides_bytes(&self, slot: &Slot) -> usize {
        let changes_item = matches!(slot, Slot::Command(queued) if queued.command.action.changes_item());
        let item = self.item.as_ref().filter(|_| self.item_changed || changes_item);
        // The slot may add one.
        item.map_or(0, |item| item.overrides.len() + 1).saturating_mul(OVERRIDE_MAX_BYTES)
    }

    /// Returns the effects that a reversal takes back, if it is applied.
    fn effects_taken_back(&self, action: &Action) -> &[Effect] {
        let key = action.reverses().map(|command_id| CommandKey { item_id: self.item_id.clone(), command_id });
        let record = key.and_then(|key| self.loaded.records.get(&key));
        record.map(|record| record.outcome.effects.as_slice()).unwrap_or_default()
    }

    /// Returns the most rows of this fold if it decides `slot` too: records, a level and a chunk for each location, the
    /// item (written, or checked for a new level), claims and marks on resubmitted records. A refused slot adds only
    /// its record, and a level that keeps its tail has no chunk.
    fn actions_with(&self, slot: &Slot) -> usize {
        let changed = || self.levels.values().filter(|level| level.changed);
        let mut levels = changed().count();
        let mut item = self.item_changed || changed().any(DraftLevel::is_new);
        let mut claims = self.claims.len();
        let mut marks = self.resubmitted.len();
        // The record that is taken back, and a row for each of its entries.
        marks += self.reversed.iter().map(|reversal| 1 + reversal.entries.len()).sum::<usize>();
        if let Slot::Command(queued) = slot {
            let action = &queued.command.action;
            let changes_item = action.changes_item();
            let untouched = |location: &&LocationId| self.levels.get(*location).is_none_or(|level| !level.changed);
            let moved = || action.locations().filter(|_| !changes_item);
            levels += moved().filter(untouched).count();
            let taken_back = self.effects_taken_back(action);
            levels += taken_back.iter().map(|effect| &effect.location_id).filter(untouched).count();
            marks += if taken_back.is_empty() { 0 } else { 1 + taken_back.len() };
            item |= changes_item || moved().any(|location| !self.loaded.levels.contains_key(location));
            claims += self.claim_changes(action).len();
            marks += usize::from(queued.resubmits.is_some());
        }
        self.records.len() + 1 + 2 * levels + usize::from(item) + claims + marks
    }
}
