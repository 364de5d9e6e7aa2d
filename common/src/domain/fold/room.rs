use super::super::{
    Action, Catalogue, CataloguePatch, Claim, Command, CommandId, Entry, Item, LocationId, Queued, Record, Resubmits,
};
use super::draft::Draft;
use super::{FoldLimits, Slot};

/// A record with two effects and two alerts, its two levels, its two entries and the item's row, with their keys but
/// without texts of free length: never more than this, in JSON or in the ledger's binary.
const SLOT_BASE_BYTES: usize = 6_000;

/// A ledger entry without texts of free length; the longest ids, numbers and times taken.
const ENTRY_BASE_BYTES: usize = 128;

/// A row for a claim: its key and the item that holds it, without the barcode.
const CLAIM_BASE_BYTES: usize = 256;

/// What a text takes in JSON.
fn json_bytes(text: &str) -> usize {
    let escape = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    2 + text.bytes().map(escape).sum::<usize>()
}

fn catalogue_bytes(catalogue: &Catalogue) -> usize {
    let texts = [&catalogue.name, &catalogue.unit].into_iter().chain(&catalogue.category).chain(&catalogue.barcodes);
    texts.map(|text| json_bytes(text) + 1).sum()
}

fn patch_bytes(patch: &CataloguePatch) -> usize {
    let category = patch.category.iter().flatten();
    let texts = patch.name.iter().chain(&patch.unit).chain(category).chain(patch.barcodes.iter().flatten());
    texts.map(|text| json_bytes(text) + 1).sum()
}

/// What the free texts of a command take in JSON.
fn text_bytes(command: &Command) -> usize {
    let facts = &command.facts;
    let texts = [&facts.note, &facts.reference, &facts.device_id, &facts.operator];
    let own = match &command.action {
        Action::RegisterItem(catalogue) => catalogue_bytes(catalogue),
        Action::UpdateItem(patch) => patch_bytes(patch),
        _ => 0,
    };
    own + texts.into_iter().flatten().map(|text| json_bytes(text)).sum::<usize>()
}

/// The most bytes that deciding a command adds to a commit: to its record, its entries, its item and its claims.
pub(super) fn command_bytes(queued: &Queued, item: Option<&Item>) -> usize {
    let alerts = item.map_or(0, |item| 2 * (json_bytes(&item.catalogue.name) + json_bytes(&item.catalogue.unit)));
    let record = json_bytes(&queued.submitted_by) + text_bytes(&queued.command);
    let entries = 2 * (queued.submitted_by.len() + text_bytes(&queued.command));
    let (item_row, claim_rows) = match &queued.command.action {
        _ if queued.command.kind().is_movement() => (0, 0),
        action => (item.map_or(0, |item| catalogue_bytes(&item.catalogue)), claims_of(action, item) * CLAIM_BASE_BYTES),
    };
    // A detail names at most one barcode, which `claim_rows` leaves room for.
    SLOT_BASE_BYTES + alerts + record + entries + 2 * item_row + claim_rows
}

/// The most bytes of a dead letter's row.
pub(super) fn record_bytes(record: &Record) -> usize {
    let outcome = &record.outcome;
    let letter = outcome.dead_letter.as_ref().map_or(0, |letter| json_bytes(&letter.body) + json_bytes(&letter.reason));
    SLOT_BASE_BYTES + letter + json_bytes(&outcome.submitted_by) + outcome.command.as_ref().map_or(0, text_bytes)
}

/// The most bytes of a ledger entry in binary.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    let texts = [&entry.note, &entry.reference, &entry.device_id, &entry.operator];
    ENTRY_BASE_BYTES + entry.submitted_by.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
}

/// The most claims that a command takes or gives up.
fn claims_of(action: &Action, item: Option<&Item>) -> usize {
    match action {
        Action::RegisterItem(catalogue) => 1 + catalogue.barcodes.len(),
        Action::UpdateItem(CataloguePatch { barcodes: Some(barcodes), .. }) => {
            barcodes.len() + item.map_or(0, |item| item.catalogue.barcodes.len())
        }
        _ => 0,
    }
}

impl Draft<'_> {
    /// Would this slot write a row that this fold writes already in another sense? One commit holds one change of a
    /// row, so the slot waits for the next fold and meets what is stored: a retry of what is set aside here, a
    /// resubmission of what is decided or resubmitted here (or the other way round), a barcode that moves twice.
    pub(super) fn rewrites_own_row(&self, slot: &Slot) -> bool {
        let id = slot.command_id();
        let is_old = |(old, _): &(Resubmits, CommandId)| old.command_id == id && old.item_id == *self.item_id;
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
        replaces_own || self.moves_claim_again(&queued.command.action)
    }

    fn moves_claim_again(&self, action: &Action) -> bool {
        let (Action::UpdateItem(CataloguePatch { barcodes: Some(new), .. }), Some(item)) = (action, &self.item) else {
            return false;
        };
        let old = &item.catalogue.barcodes;
        let given_up = old.iter().filter(|barcode| !new.contains(barcode));
        let taken = new.iter().filter(|barcode| !old.contains(barcode));
        !self.claims.is_empty()
            && given_up.chain(taken).any(|barcode| self.claims.contains_key(&Claim::Barcode(barcode.clone())))
    }

    /// Does one more command fit? The first always does.
    pub(super) fn has_room(&self, slot: &Slot, limits: &FoldLimits) -> bool {
        if self.records.is_empty() {
            return true;
        }
        let (new_actions, new_bytes, new_entry_bytes) = match slot {
            Slot::Dead(record) => (1, record_bytes(record), 0),
            Slot::Command(queued) => {
                let entry = ENTRY_BASE_BYTES + queued.submitted_by.len() + text_bytes(&queued.command);
                (self.actions_of(queued), command_bytes(queued, self.item.as_ref()), entry)
            }
        };
        let levels = 2 * self.levels.values().filter(|level| level.changed).count();
        let actions = self.records.len()
            + levels
            + usize::from(self.item_changed || self.levels.values().any(|level| level.changed && level.is_new()))
            + self.claims.len()
            + self.resubmitted.len()
            + new_actions;
        // What was in the tail before goes into the same chunk.
        let fullest =
            self.levels.values().map(|level| level.new_entries_bytes).max().unwrap_or(0) + limits.max_tail_bytes;
        actions <= limits.max_actions
            && self.bytes + new_bytes <= limits.max_bytes
            && fullest + new_entry_bytes <= limits.max_level_bytes
    }

    /// The most rows that a command adds: its record, a level and a chunk for each location that is new to this
    /// fold, the item (put, or checked for a level that is new), its claims, its mark.
    fn actions_of(&self, queued: &Queued) -> usize {
        let new_level = |location: &&LocationId| self.levels.get(*location).is_none_or(|level| !level.changed);
        let levels = queued.command.action.locations().filter(new_level).count();
        let makes_level = queued.command.action.locations().any(|location| !self.loaded.levels.contains_key(location));
        let item = !self.item_changed && (makes_level || !queued.command.kind().is_movement());
        1 + 2 * levels
            + claims_of(&queued.command.action, self.item.as_ref())
            + usize::from(item)
            + usize::from(queued.resubmits.is_some())
    }
}
