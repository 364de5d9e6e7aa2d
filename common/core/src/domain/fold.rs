//! The fold applies an ordered batch of commands of one item to its state, purely and in one go.
//!
//! It turns the loaded state and the commands into one [`Commit`], which a store writes whole or not at all (design.md
//! §7).

use std::collections::BTreeMap;

use super::{CommandId, Commit, FoldLimits, ItemId, Loaded, Record, Rules, Slot, Timestamp};

mod catalogue_commands;
mod costs;
mod decide;
mod decision;
mod draft;
mod leg;
mod movements;
mod reversal;
mod room;
mod size;

use draft::Draft;

/// The result of a fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// How many slots from the front the fold settles, duplicates included; at least 1 if there was a slot.
    pub taken: usize,
    /// The rows to write.
    pub commit: Commit,
    /// The command that ended the fold because it changed the default threshold. Every level must be re-judged before
    /// the next fold.
    pub rejudge: Option<CommandId>,
}

/// Judges `slots` in order against `loaded` until a limit is reached, and skips the commands that `decided` settles.
///
/// `now` is the commit time. The same arguments always make the same fold.
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
