use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use stockline_core::domain::{Command, Fingerprint, LocationId, Outcome, Receipt, Record};

/// What a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Viewer {
    /// The name that its commands are submitted under.
    pub(crate) submits_as: Arc<str>,
    /// Whether it sees `unit_cost`, and messages that may contain it.
    pub(crate) costs: bool,
    /// Whether it sees settings: the mail addresses of a location.
    pub(crate) settings: bool,
    /// The locations that it sees; `None` means all.
    pub(crate) locations: Option<BTreeSet<LocationId>>,
}

impl Viewer {
    /// May the caller see this location?
    pub(crate) fn sees(&self, location_id: &LocationId) -> bool {
        self.locations.as_ref().is_none_or(|locations| locations.contains(location_id))
    }

    /// Returns the location that the caller is bound to, if it is exactly one.
    pub(crate) fn only_location(&self) -> Option<&LocationId> {
        self.locations.as_ref().filter(|locations| locations.len() == 1)?.first()
    }

    /// May the caller see this outcome? A transfer is visible at its giving side, and after it arrived also at its receiving
    /// side. A command without a location (of the catalogue) is visible to all. A command that could not be decoded is
    /// visible only to callers who see all locations.
    pub(crate) fn sees_outcome(&self, outcome: &Outcome) -> bool {
        if self.locations.is_none() {
            return true;
        }
        let Some(command) = &outcome.command else { return false };
        // A reversal names no location: it is of those that it moved.
        let names_none = || command.action.reverses().is_none() || outcome.effects.is_empty();
        command.action.locations().next().map_or_else(names_none, |first| self.sees(first))
            || outcome.effects.iter().any(|effect| self.sees(&effect.location_id))
    }

    /// May the caller see the outcome of this record?
    pub(crate) fn sees_record(&self, record: &Record) -> bool {
        self.sees_outcome(&record.outcome)
    }

    /// Does this record belong to another command than the receipt? For a caller who may not see the record's cost, costs
    /// are left out of the comparison: the answer could confirm a cost, if the caller submitted the id again and again with
    /// guesses.
    pub(crate) fn is_another(&self, record: &Record, receipt: Receipt) -> bool {
        let outcome = &record.outcome;
        match &outcome.command {
            Some(command) if command.has_cost() && !self.costs && outcome.submitted_by != self.submits_as => {
                let print = Fingerprint::of(&command.clone().without_cost());
                print != receipt.without_cost.unwrap_or(receipt.fingerprint)
            }
            _ => record.fingerprint.is_some_and(|print| print != receipt.fingerprint),
        }
    }

    /// Returns the command as the caller may see it: without `unit_cost` if the caller may not see costs.
    pub(crate) fn command<'a>(&self, command: &'a Command) -> Cow<'a, Command> {
        if self.costs || !command.has_cost() {
            return Cow::Borrowed(command);
        }
        Cow::Owned(command.clone().without_cost())
    }
}
