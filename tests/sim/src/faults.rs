//! The injected faults, the steps that they hit, and their counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A call that leaves the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// The ingress sends packs.
    Send,
    /// A worker receives messages.
    Receive,
    /// A worker reads the levels of a fold.
    LoadLevels,
    /// A worker reads the item, locations and claims of a fold.
    LoadItem,
    /// A worker reads chunks for a late count.
    History,
    /// A worker reads all levels of an item to re-judge them.
    LoadAll,
    /// A worker commits a fold.
    Commit,
    /// A worker commits one re-judging.
    Rejudge,
    /// A worker publishes alerts.
    Publish,
    /// A worker acknowledges messages.
    Ack,
    /// A worker extends or returns messages.
    Visibility,
    /// A manager or an operator reads an outcome.
    Find,
    /// An operator discards a dead letter.
    Discard,
    /// The alerter reads a location, or its openings.
    Location,
    /// The alerter claims an alert, notes an opening, or records that its month has alerts.
    Claim,
    /// The alerter hands a mail to the provider.
    Mail,
    /// The alerter marks an alert as sent.
    Mark,
    /// The alerter's function reports which messages it has handled.
    Reply,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Send,
        Self::Receive,
        Self::LoadLevels,
        Self::LoadItem,
        Self::History,
        Self::LoadAll,
        Self::Commit,
        Self::Rejudge,
        Self::Publish,
        Self::Ack,
        Self::Visibility,
        Self::Find,
        Self::Discard,
        Self::Location,
        Self::Claim,
        Self::Mail,
        Self::Mark,
        Self::Reply,
    ];

    /// Returns whether the alerter makes this call.
    pub(crate) const fn is_alerters(self) -> bool {
        matches!(self, Self::Location | Self::Claim | Self::Mail | Self::Mark | Self::Reply)
    }

    /// Returns whether the client repeats this call. A mail is not repeated: after a lost answer it would be sent
    /// twice.
    pub(crate) const fn is_repeated(self) -> bool {
        !matches!(self, Self::Mail | Self::Reply)
    }
}

/// A fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The call never arrives, however often it is repeated.
    Drop,
    /// The call is completed, but no answer arrives.
    LoseAnswer,
    /// The call is completed, its answer is lost, and the same call is repeated.
    Repeat,
    /// The caller times out; the call is completed long after.
    Late,
    /// The process dies before the call is sent.
    CrashBefore,
    /// The process dies after the call is completed.
    CrashAfter,
    /// The process dies; its call arrives long after.
    CrashLate,
    /// The process is paused past the visibility timeout, or past the lease of a claim, before the call is sent.
    PauseBefore,
    /// The process is paused for as long before it receives the answer.
    PauseAfter,
    /// The service is over its rate.
    Throttle,
    /// Another transaction holds the rows.
    Conflict,
    /// Some entries fail or stay unprocessed; for a mail, one address is refused.
    Partial,
    /// The received messages are delivered to another receiver at once.
    Duplicate,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Drop,
        Self::LoseAnswer,
        Self::Repeat,
        Self::Late,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::CrashLate,
        Self::PauseBefore,
        Self::PauseAfter,
        Self::Throttle,
        Self::Conflict,
        Self::Partial,
        Self::Duplicate,
    ];

    /// Returns whether this fault can hit such a call.
    pub const fn can_meet(self, step: Step) -> bool {
        let write = !matches!(
            step,
            Step::Receive
                | Step::LoadLevels
                | Step::LoadItem
                | Step::History
                | Step::LoadAll
                | Step::Find
                | Step::Location
                | Step::Reply
        );
        match self {
            Self::Drop
            | Self::LoseAnswer
            | Self::CrashBefore
            | Self::CrashAfter
            | Self::PauseBefore
            | Self::PauseAfter => true,
            Self::Repeat => step.is_repeated() && !matches!(step, Step::Visibility),
            Self::Late | Self::CrashLate => write,
            Self::Throttle => !matches!(step, Step::Receive | Step::Ack | Step::Visibility | Step::Reply),
            Self::Conflict => matches!(step, Step::Commit | Step::Rejudge),
            Self::Partial => matches!(
                step,
                Step::Send
                    | Step::LoadLevels
                    | Step::LoadItem
                    | Step::Publish
                    | Step::Ack
                    | Step::Visibility
                    | Step::Mail
            ),
            Self::Duplicate => matches!(step, Step::Receive),
        }
    }
}

/// A planned fault. It hits the first matching call after a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Milliseconds after the start.
    pub from_ms: u64,
    /// The call.
    pub step: Step,
    /// The fault.
    pub kind: Kind,
}

/// How often each fault hit each call.
pub type FaultCounts = BTreeMap<(Kind, Step), u64>;

/// The faults of a run that wait for their call, and the counts of those that hit one.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
    pub(crate) met: FaultCounts,
    /// Calls of these steps get no answer until then.
    outages: Vec<(Vec<Step>, u64, u64)>,
    pub(crate) refused_by_outage: u64,
}

impl Faults {
    pub(crate) fn new(waiting: Vec<Fault>, outages: Vec<(Vec<Step>, u64, u64)>) -> Self {
        Self { waiting, outages, ..Self::default() }
    }

    /// Returns the fault that hits this call, if any.
    pub(crate) fn meet(&mut self, step: Step, now_ms: u64) -> Option<Kind> {
        if self.outages.iter().any(|(steps, from, until)| steps.contains(&step) && (*from..*until).contains(&now_ms)) {
            self.refused_by_outage += 1;
            return Some(Kind::Drop);
        }
        let index = self.waiting.iter().position(|fault| fault.step == step && fault.from_ms <= now_ms)?;
        let fault = self.waiting.remove(index);
        *self.met.entry((fault.kind, step)).or_default() += 1;
        Some(fault.kind)
    }
}
