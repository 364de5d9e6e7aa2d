//! A fold with a defect: it panics on some commands, in every worker and on every try.

use std::collections::BTreeMap;
use std::panic::resume_unwind;

use stockline_core::domain::{
    CommandId, DeadLetter, Fold, FoldLimits, ItemId, Loaded, Queued, Record, Rules, Slot, Timestamp, encode_message,
    fold,
};
use stockline_worker::Judge;

use super::scenario::{MENDED_NOTE, PANIC_NOTE};
use super::tamper::Tamper;

/// Returns the fold that the workers use.
pub(crate) fn judge(tamper: Option<Tamper>) -> Judge {
    match tamper {
        Some(Tamper::PanicTakesNeighbours) => defective::<true>,
        _ => defective::<false>,
    }
}

/// Returns the command of this slot if the fold panics on it. For a retry of a command with [`MENDED_NOTE`] the fold is
/// mended.
fn defect(slot: &Slot) -> Option<&Queued> {
    let Slot::Command(queued) = slot else {
        return None;
    };
    let panics = match queued.command.details.note.as_deref() {
        Some(PANIC_NOTE) => true,
        Some(MENDED_NOTE) => queued.retry == 0,
        _ => false,
    };
    panics.then_some(queued)
}

/// Returns whether the fold reaches a command on which it panics. It skips decided commands and those of the next fold.
fn panics(judged: &Fold, slots: &[Slot], decided: &BTreeMap<CommandId, Record>) -> bool {
    let is_open = |slot: &&Slot| decided.get(&slot.command_id()).is_none_or(|record| !record.decides(slot.retry()));
    slots[..judged.taken].iter().filter(is_open).any(|slot| defect(slot).is_some())
}

/// Folds, but panics on some commands. With `SETS_ALL_ASIDE` it does not panic: all commands of the fold are set aside,
/// as if halving did not exist.
fn defective<const SETS_ALL_ASIDE: bool>(
    loaded: &Loaded,
    item_id: &ItemId,
    slots: &[Slot],
    decided: &BTreeMap<CommandId, Record>,
    now: Timestamp,
    rules: &Rules,
    limits: &FoldLimits,
) -> Fold {
    let judged = fold(loaded, item_id, slots, decided, now, rules, limits);
    if !panics(&judged, slots, decided) {
        return judged;
    }
    if !SETS_ALL_ASIDE {
        // It unwinds like a panic but prints nothing.
        resume_unwind(Box::new("a defect"));
    }
    let aside: Vec<Slot> = slots[..judged.taken].iter().map(|slot| dead_letter(slot, item_id, now)).collect();
    fold(loaded, item_id, &aside, decided, now, rules, limits)
}

fn dead_letter(slot: &Slot, item_id: &ItemId, now: Timestamp) -> Slot {
    match slot {
        Slot::Command(queued) => {
            let letter = DeadLetter::of("it panicked".to_owned(), encode_message(item_id, [&**queued]));
            let id = (item_id.clone(), queued.command.command_id);
            Slot::Dead(Box::new(Record::dead_letter(Some(queued), letter, id, now)))
        }
        dead @ Slot::Dead(_) => dead.clone(),
    }
}
