//! A line of the file, as the command that it becomes.

use stockline_core::domain::{CommandId, CommandKind, ItemId, Timestamp};

use super::answers::{StatusAnswer, problem_of};
use super::report::Replaces;
use crate::problem::Problem;

/// A line to send.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) kind: CommandKind,
    pub(super) item: String,
    pub(super) command_id: CommandId,
    /// The command as JSON.
    pub(super) json: Vec<u8>,
    /// The original line.
    pub(super) record: csv::ByteRecord,
    /// The refused command that it replaces, if it is from a refused file.
    pub(super) replaces: Option<Replaces>,
    /// How the line was refused in an earlier run. Its item and id are then those of the command that took its place, if
    /// there is one.
    pub(super) refused_before: Option<RefusedBefore>,
    /// It took effect in an earlier run, and something else was set since.
    pub(super) set_again: bool,
}

/// An earlier refusal of a line.
#[derive(Debug)]
pub(super) struct RefusedBefore {
    pub(super) accepted_at: Timestamp,
    pub(super) problem: Problem,
}

/// Gives a line the id that a resubmission of it has. A rejection is final for its id; sent again from the refused file, the
/// line can't take effect beside a resubmission.
pub(super) fn under_next_id(line: Line) -> Line {
    match line.item.parse::<ItemId>() {
        Ok(item_id) => {
            let command_id = line.command_id.of_resubmission(&item_id);
            Line { replaces: Some(Replaces { command_id: line.command_id, item_id }), command_id, ..line }
        }
        Err(_) => line,
    }
}

/// Returns the line as the command that took the place of one that an earlier run was refused.
pub(super) fn successor(line: Line, answer: StatusAnswer) -> Line {
    let Some(mut outcome) = answer.outcome else { return line };
    let resubmitted = outcome.resubmitted_as.take();
    let refused_before = Some(RefusedBefore { accepted_at: outcome.accepted_at, problem: problem_of(outcome) });
    match resubmitted {
        Some(by) => Line { item: by.item_id, command_id: by.command_id, refused_before, ..line },
        None => Line { refused_before, ..under_next_id(line) },
    }
}
