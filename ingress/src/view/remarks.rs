//! What is unusual about the effects of a command, in words.

use stockline_core::domain::{Action, Effect, EntryKind, Outcome};

use super::viewer::Viewer;

/// Returns a sentence for each effect at a place that the viewer sees whose time, or whose change of the balance, is not as
/// the command has it.
pub(super) fn of(outcome: &Outcome, viewer: &Viewer) -> Vec<String> {
    let seen = outcome.effects.iter().filter(|effect| viewer.sees(&effect.location_id));
    seen.flat_map(|effect| [time(outcome, effect), balance(outcome, effect)]).flatten().collect()
}

/// The command's time was corrected or clamped.
fn time(outcome: &Outcome, effect: &Effect) -> Option<String> {
    let details = &outcome.command.as_ref()?.details;
    let claimed = details.occurred_at?;
    let place = &effect.location_id;
    let taken = effect.occurred_at;
    if effect.clock_ahead {
        return Some(format!("{place}: its time, {claimed}, was in the future; the time of its acceptance was taken"));
    }
    (claimed != taken)
        .then(|| format!("{place}: its time, {claimed}, was corrected to {taken} by the clock of its sender"))
}

/// The balance did not change by the command's quantity.
fn balance(outcome: &Outcome, effect: &Effect) -> Option<String> {
    let place = &effect.location_id;
    if effect.late {
        return Some(match effect.kind {
            EntryKind::Count => format!("{place}: late; a later count is known, so the stock did not change"),
            _ => format!(
                "{place}: late; it occurred before the last count, which had included it, so the stock did not change"
            ),
        });
    }
    let Action::Count { counted, .. } = &outcome.command.as_ref()?.action else { return None };
    (effect.after != *counted)
        .then(|| format!("{place}: {counted} counted; later movements were kept, so {} are on hand", effect.after))
}
