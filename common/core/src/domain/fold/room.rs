use super::super::message::MAX_BY_BYTES;
use super::super::parse::MAX_FACTS_BYTES;
use super::super::{CommandId, CommandKey, Entry, LocationId, Record};
use super::draft::{Draft, DraftLevel};
use super::{FoldLimits, Slot};

/// The most bytes that one row of a commit adds, an entry in a chunk counted with its record and the texts of a dead
/// letter left out: a hundred of these are the 2 MB of [`FoldLimits`]. The heaviest is a transfer's record with its two
/// entries, 19 KB where every text is as long as `parse.rs` and `message.rs` let it be.
const ACTION_MAX_BYTES: usize = 20_000;

/// The most that JSON makes of one byte: `\u0001`.
const JSON_BYTES_PER_BYTE: usize = 6;

/// A ledger entry in binary without its free texts, the longest ids, numbers and times taken.
const ENTRY_BASE_BYTES: usize = 128;

/// The longest ledger entry in binary.
const ENTRY_MAX_BYTES: usize = ENTRY_BASE_BYTES + MAX_BY_BYTES + MAX_FACTS_BYTES;

/// The most bytes that the texts of a dead letter take in its row.
pub(super) fn letter_bytes(record: &Record) -> usize {
    let letter = record.outcome.dead_letter.as_ref();
    JSON_BYTES_PER_BYTE * letter.map_or(0, |letter| letter.body.len() + letter.reason.len())
}

/// The most bytes of a ledger entry in binary.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    let texts = [&entry.note, &entry.reference, &entry.device_id, &entry.operator];
    ENTRY_BASE_BYTES + entry.submitted_by.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
}

impl Draft<'_> {
    /// Would this slot write a row that this fold writes already in another sense? One commit holds one change of a
    /// row, so the slot waits for the next fold and meets what is stored: a retry of what is set aside here, a
    /// resubmission of what is decided or resubmitted here (or the other way round), a barcode that moves twice.
    pub(super) fn rewrites_own_row(&self, slot: &Slot) -> bool {
        let id = slot.command_id();
        let is_old = |(old, _): &(CommandKey, CommandId)| old.command_id == id && old.item_id == *self.item_id;
        if self.record(id).is_some() || self.resubmitted.iter().any(is_old) {
            return true;
        }
        let Slot::Command(queued) = slot else {
            return false;
        };
        let replaces_own = queued.resubmits.as_ref().is_some_and(|old| {
            let decided_here = old.item_id == *self.item_id && self.record(old.command_id).is_some();
            decided_here || self.resubmitted.iter().any(|(other, _)| other == old)
        });
        let claims = self.claim_changes(&queued.command.action);
        replaces_own || claims.iter().any(|(claim, _)| self.claims.contains_key(claim))
    }

    /// Does one more slot fit? The first always does.
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
            && actions * ACTION_MAX_BYTES + self.letter_bytes + new_letter_bytes <= limits.max_bytes
            // What was in the tail before goes into the same chunk.
            && limits.max_tail_bytes + fullest + ENTRY_MAX_BYTES <= limits.max_level_bytes
    }

    /// The rows of this fold where it decides `slot` too: records, a level and a chunk for each location, the item (put,
    /// or checked for a level that is new), claims, marks on what is resubmitted. A slot that is refused adds only its
    /// record, and a level whose tail stays has no chunk.
    fn actions_with(&self, slot: &Slot) -> usize {
        let changed = || self.levels.values().filter(|level| level.changed);
        let mut levels = changed().count();
        let mut item = self.item_changed || changed().any(DraftLevel::is_new);
        let mut claims = self.claims.len();
        let mut marks = self.resubmitted.len();
        if let Slot::Command(queued) = slot {
            let action = &queued.command.action;
            let untouched = |location: &&LocationId| self.levels.get(*location).is_none_or(|level| !level.changed);
            levels += action.locations().filter(untouched).count();
            // What names no location changes the item.
            let changes_item = action.locations().next().is_none();
            item |= changes_item || action.locations().any(|location| !self.loaded.levels.contains_key(location));
            claims += self.claim_changes(action).len();
            marks += usize::from(queued.resubmits.is_some());
        }
        self.records.len() + 1 + 2 * levels + usize::from(item) + claims + marks
    }
}
