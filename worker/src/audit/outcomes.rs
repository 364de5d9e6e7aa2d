//! The ledger entries that an outcome claims, and the contradictions within it.

use stockline_core::domain::{Action, Effect, Entry, EntryKind, LocationId, Outcome, Record, Status};
use stockline_core::ports::Movement;

/// Returns the ledger entries of an outcome's effects.
pub(super) fn entries(outcome: &Outcome) -> impl Iterator<Item = (LocationId, Entry)> + '_ {
    outcome.effects.iter().filter_map(|effect| {
        Movement::of_effect(outcome, effect).map(|movement| (movement.location_id, movement.entry))
    })
}

/// Returns the contradictions within one record.
pub(super) fn faults(record: &Record) -> Vec<&'static str> {
    let outcome = &record.outcome;
    let mut faults = Vec::new();
    match outcome.status {
        Status::Applied => match &outcome.command {
            Some(command) if !effects_fit(&command.action, &outcome.effects) => {
                faults.push("it is applied, yet its effects are not those of its command");
            }
            Some(_) => {}
            None => faults.push("it is applied, yet its command is missing"),
        },
        Status::Rejected | Status::DeadLettered => {
            if !outcome.effects.is_empty() {
                faults.push("its status says no effect, yet it has effects");
            }
            if !record.alerts.is_empty() {
                faults.push("its status says no effect, yet it has raised alerts");
            }
        }
    }
    if record.alerts.iter().any(|alert| alert.opening && alert.seq != 1) {
        faults.push("an alert of it is marked as an opening, yet is not of the level's first entry");
    }
    if (outcome.status == Status::Rejected) != outcome.rejection.is_some() {
        faults.push("status and rejection disagree");
    }
    if (outcome.status == Status::DeadLettered) != outcome.dead_letter.is_some() {
        faults.push("status and dead letter disagree");
    }
    faults
}

/// Returns whether the effects fit: one at the command's location, both legs of a transfer, none of a catalogue command.
fn effects_fit(action: &Action, effects: &[Effect]) -> bool {
    if !action.kind().is_movement() {
        return effects.is_empty();
    }
    if action.reverses().is_some() {
        // Its legs are those of what it takes back, and a count has no opposite.
        return (1..=2).contains(&effects.len()) && effects.iter().all(|effect| effect.kind != EntryKind::Count);
    }
    let locations_fit = effects.iter().map(|effect| &effect.location_id).eq(action.locations());
    let kinds_fit = effects.iter().all(|effect| effect.kind.command_kind() == action.kind());
    let legs_fit = !matches!(action, Action::Transfer { .. })
        || matches!(effects, [out, into] if out.kind == EntryKind::TransferOut && into.kind == EntryKind::TransferIn);
    locations_fit && kinds_fit && legs_fit
}
