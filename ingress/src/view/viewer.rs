use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use stockline_core::domain::{Action, Command, LocationId, Outcome, Record};

/// What a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Viewer {
    /// As whom it submits.
    pub(crate) submits_as: Arc<str>,
    /// `unit_cost` and what may hold it.
    pub(crate) costs: bool,
    /// Settings: who gets a location's mails.
    pub(crate) settings: bool,
    /// Only there; `None`: everywhere.
    pub(crate) locations: Option<BTreeSet<LocationId>>,
}

impl Viewer {
    /// May it see this location?
    pub(crate) fn sees(&self, location_id: &LocationId) -> bool {
        self.locations.as_ref().is_none_or(|locations| locations.contains(location_id))
    }

    /// The one location that it is bound to, if it is one.
    pub(crate) fn only_location(&self) -> Option<&LocationId> {
        self.locations.as_ref().filter(|locations| locations.len() == 1)?.first()
    }

    /// May it see this outcome? A transfer shows at its giving side, and at its receiving side once it arrived
    /// there; what names no location (the catalogue) shows to all; what could not be decoded only to those who see
    /// everywhere.
    pub(crate) fn sees_outcome(&self, outcome: &Outcome) -> bool {
        if self.locations.is_none() {
            return true;
        }
        let Some(command) = &outcome.command else { return false };
        command.action.locations().next().is_none_or(|first| self.sees(first))
            || outcome.effects.iter().any(|effect| self.sees(&effect.location_id))
    }

    /// As [`Viewer::sees_outcome`].
    pub(crate) fn sees_record(&self, record: &Record) -> bool {
        self.sees_outcome(&record.outcome)
    }

    /// May it learn whether this record is of the very command that it submitted? Not where another's cost would be
    /// confirmed by it: the id could be submitted again with one guess after the other.
    pub(crate) fn may_compare(&self, record: &Record) -> bool {
        let outcome = &record.outcome;
        self.costs || outcome.submitted_by == self.submits_as || !outcome.command.as_ref().is_some_and(has_cost)
    }

    /// The command as this caller sees it: without `unit_cost` where that is not for them.
    pub(crate) fn command<'a>(&self, command: &'a Command) -> Cow<'a, Command> {
        if self.costs || !has_cost(command) {
            return Cow::Borrowed(command);
        }
        let mut command = command.clone();
        match &mut command.action {
            Action::RegisterItem(catalogue) => catalogue.unit_cost = None,
            Action::UpdateItem(patch) => patch.unit_cost = None,
            Action::Receive { unit_cost, .. } => *unit_cost = None,
            _ => {}
        }
        Cow::Owned(command)
    }
}

fn has_cost(command: &Command) -> bool {
    match &command.action {
        Action::RegisterItem(catalogue) => catalogue.unit_cost.is_some(),
        Action::UpdateItem(patch) => patch.unit_cost.is_some(),
        Action::Receive { unit_cost, .. } => unit_cost.is_some(),
        _ => false,
    }
}
