//! A fold with a defect: judging some commands panics, in every worker, whenever one of them is judged.

use std::collections::BTreeMap;
use std::panic::resume_unwind;

use stockline_core::domain::{
    CommandId, DeadLetter, Fold, FoldLimits, ItemId, Loaded, Queued, Record, Rules, Slot, Timestamp, encode_message,
    fold,
};
use stockline_worker::Judge;

use super::scenario::{MENDED_NOTE, PANIC_NOTE};
use super::tamper::Tamper;

/// What workers judge by.
pub(crate) fn judge(tamper: Option<Tamper>) -> Judge {
    match tamper {
        Some(Tamper::PanicTakesNeighbours) => all_aside,
        _ => defective,
    }
}

/// The command of this slot, where judging it panics; retried, one with the other note meets a fold that is mended.
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

/// Does the fold come to a command on which it panics? What is decided is not judged, nor what is left to the next one.
fn panics(judged: &Fold, slots: &[Slot], decided: &BTreeMap<CommandId, Record>) -> bool {
    let is_open = |slot: &&Slot| decided.get(&slot.command_id()).is_none_or(|record| !record.decides(slot.retry()));
    slots[..judged.taken].iter().filter(is_open).any(|slot| defect(slot).is_some())
}

fn defective(
    loaded: &Loaded,
    item_id: &ItemId,
    slots: &[Slot],
    decided: &BTreeMap<CommandId, Record>,
    now: Timestamp,
    rules: &Rules,
    limits: &FoldLimits,
) -> Fold {
    let judged = fold(loaded, item_id, slots, decided, now, rules, limits);
    if panics(&judged, slots, decided) {
        // As a panic, but nothing is printed.
        resume_unwind(Box::new("a defect"));
    }
    judged
}

/// Nothing is found by halving: all that the fold would have taken is set aside.
fn all_aside(
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
    let aside = |slot: &Slot| match slot {
        Slot::Command(queued) => {
            let letter = DeadLetter::of("it panicked".to_owned(), encode_message(item_id, [&**queued]));
            let id = (item_id.clone(), queued.command.command_id);
            Slot::Dead(Box::new(Record::dead_letter(Some(queued), letter, id, now)))
        }
        dead @ Slot::Dead(_) => dead.clone(),
    };
    let aside: Vec<Slot> = slots[..judged.taken].iter().map(aside).collect();
    fold(loaded, item_id, &aside, decided, now, rules, limits)
}
