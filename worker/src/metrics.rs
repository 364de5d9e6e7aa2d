//! The worker's metrics. Every counter starts at zero, so that the first failure shows.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use stockline_core::domain::{RejectionCode, Status, Timestamp};

/// Commands that took effect.
pub const APPLIED: &str = "stockline_worker_applied_total";
/// Commands refused, by `code`.
pub const REJECTED: &str = "stockline_worker_rejected_total";
/// Commands that were dead-lettered.
pub const DEAD_LETTERED: &str = "stockline_worker_dead_lettered_total";
/// Commands that were delivered again after they were decided.
pub const DUPLICATES: &str = "stockline_worker_duplicates_total";
/// Commits that lost to another worker.
pub const CONFLICTS: &str = "stockline_worker_conflicts_total";
/// Folds committed.
pub const FOLDS: &str = "stockline_worker_folds_total";
/// Commands of one committed fold.
pub const FOLD_COMMANDS: &str = "stockline_worker_fold_commands";
/// Alerts published, including those published again.
pub const ALERTS_PUBLISHED: &str = "stockline_worker_alerts_published_total";
/// Seconds from a command's acceptance until it is durably applied.
pub const ACCEPT_TO_APPLIED: &str = "stockline_worker_accept_to_applied_seconds";
/// Receives that failed.
pub const RECEIVE_ERRORS: &str = "stockline_worker_receive_errors_total";
/// 1 while the worker does not receive because the store or the alert topic is down.
pub const OUTAGE: &str = "stockline_worker_outage";
/// Commands that could not be decoded.
pub const UNDECODABLE: &str = "stockline_worker_undecodable_total";
/// Messages returned to the queue, to be delivered again.
pub const GIVEN_BACK: &str = "stockline_worker_given_back_total";
/// Levels whose re-judging was refused and skipped.
pub const REJUDGE_SKIPPED: &str = "stockline_worker_rejudge_skipped_total";
/// Items whose stored state this version can't read.
pub const UNREADABLE: &str = "stockline_worker_unreadable_total";
/// Items that are set aside now, because their stored state can't be read.
pub const SET_ASIDE: &str = "stockline_worker_items_set_aside";
/// Rounds that ended in a panic; their messages are delivered again.
pub const ROUND_PANICS: &str = "stockline_worker_round_panics_total";

/// The metric handles, looked up once.
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) duplicates: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) alerts_published: Counter,
    pub(crate) receive_errors: Counter,
    pub(crate) outage: Gauge,
    pub(crate) undecodable: Counter,
    pub(crate) given_back: Counter,
    pub(crate) rejudge_skipped: Counter,
    pub(crate) unreadable: Counter,
    pub(crate) set_aside: Gauge,
    pub(crate) round_panics: Counter,
    applied: Counter,
    rejected: Vec<Counter>,
    dead_lettered: Counter,
    folds: Counter,
    fold_commands: Histogram,
    accept_to_applied: Histogram,
}

/// The decisions of one fold, counted before the store gets them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The time of acceptance of each applied command.
    pub(crate) applied: Vec<Timestamp>,
    pub(crate) rejected: Vec<RejectionCode>,
    pub(crate) dead_lettered: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: &stockline_core::domain::Outcome) {
        match (outcome.status, &outcome.rejection) {
            (Status::Applied, _) => self.applied.push(outcome.accepted_at),
            (Status::Rejected, rejection) => self.rejected.extend(rejection.as_ref().map(|r| r.code)),
            (Status::DeadLettered, _) => self.dead_lettered += 1,
        }
    }

    fn commands(&self) -> u64 {
        (self.applied.len() + self.rejected.len()) as u64 + self.dead_lettered
    }
}

impl Meters {
    pub(crate) fn new() -> Self {
        let rejected = RejectionCode::ALL.iter().map(|code| counter!(REJECTED, "code" => code.as_str())).collect();
        let meters = Self {
            duplicates: counter!(DUPLICATES),
            conflicts: counter!(CONFLICTS),
            alerts_published: counter!(ALERTS_PUBLISHED),
            receive_errors: counter!(RECEIVE_ERRORS),
            outage: gauge!(OUTAGE),
            undecodable: counter!(UNDECODABLE),
            given_back: counter!(GIVEN_BACK),
            rejudge_skipped: counter!(REJUDGE_SKIPPED),
            unreadable: counter!(UNREADABLE),
            set_aside: gauge!(SET_ASIDE),
            round_panics: counter!(ROUND_PANICS),
            applied: counter!(APPLIED),
            rejected,
            dead_lettered: counter!(DEAD_LETTERED),
            folds: counter!(FOLDS),
            fold_commands: histogram!(FOLD_COMMANDS),
            accept_to_applied: histogram!(ACCEPT_TO_APPLIED),
        };
        meters.outage.set(0.0);
        meters
    }

    /// Counts a fold that is durable.
    pub(crate) fn committed(&self, tally: &Tally, now: Timestamp) {
        self.folds.increment(1);
        self.fold_commands.record(tally.commands() as f64);
        self.applied.increment(tally.applied.len() as u64);
        self.dead_lettered.increment(tally.dead_lettered);
        for code in &tally.rejected {
            if let Some(counter) = self.rejected.get(*code as usize) {
                counter.increment(1);
            }
        }
        for accepted_at in &tally.applied {
            self.accept_to_applied.record(now.millis_since(*accepted_at).max(0) as f64 / 1_000.0);
        }
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}
