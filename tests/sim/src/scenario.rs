//! A scenario as plain data, so that a failing run can be shrunk and kept.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::faults::{Fault, Step};

/// The minimum number of commands of a run.
pub const COMMANDS_MIN: usize = 200;
/// A command that a till will send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) item: String,
    pub(crate) id: Uuid,
    /// The body without the times.
    pub(crate) body: Value,
    /// It occurred this long before it is sent, by the till's clock; negative if after.
    pub(crate) occurred_ago_ms: Option<i64>,
    /// Whether it carries `sent_at`.
    pub(crate) says_sent: bool,
}

/// Lines that are sent together and repeated until they are accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub(crate) till: usize,
    /// The time after the till's last request.
    pub(crate) after_ms: u64,
    pub(crate) lines: Vec<Line>,
    /// Whether it is sent again later, although it was accepted.
    pub(crate) again: Option<Again>,
}

/// A repetition of an accepted request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Again {
    pub(crate) after_ms: u64,
    /// Whether it has another body under the same ids.
    pub(crate) changed: bool,
    /// Whether it arrives weeks later instead of soon.
    pub(crate) weeks_later: bool,
}

/// An operation on a command that took no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    /// Queues a dead letter again.
    Retry,
    /// Discards a dead letter.
    Discard,
    /// Queues a command that took no effect under a new id.
    Resubmit,
}

/// An operation, its time, and the index of its command among those that took no effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) at_ms: u64,
    pub(crate) act: Act,
    pub(crate) nth: usize,
    /// The corrected item of a resubmission; `None` keeps the original.
    #[serde(default)]
    pub(crate) item: Option<String>,
    /// The corrected location of a resubmission; `None` keeps the original.
    #[serde(default)]
    pub(crate) location: Option<String>,
}

/// A message that was not written by an ingress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Poison {
    pub(crate) at_ms: u64,
    pub(crate) item: String,
    pub(crate) body: String,
}

/// All inputs of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    pub(crate) workers: usize,
    pub(crate) ingresses: usize,
    pub(crate) receivers: usize,
    pub(crate) tills: usize,
    pub(crate) tail_bytes: usize,
    pub(crate) visibility_ms: u64,
    /// The requests of the tills.
    pub requests: Vec<Request>,
    /// The planned faults.
    pub faults: Vec<Fault>,
    pub(crate) poisons: Vec<Poison>,
    /// Outages: the failing steps, from, until.
    pub(crate) outages: Vec<(Vec<Step>, u64, u64)>,
    /// Deployments that replace a worker: when, which.
    pub(crate) deploys: Vec<(u64, usize)>,
    /// Clock jumps: when, whose (workers, then ingresses), to which error.
    pub(crate) skews: Vec<(u64, usize, i64)>,
    /// When the location `late` is registered.
    pub(crate) late_location_ms: u64,
    /// Whether weeks pass and old commands are sent again.
    pub(crate) weeks: bool,
    /// A message that is received more often than this is moved to the dead letter queue.
    pub(crate) receives_max: u32,
    /// An item whose partition is over its write rate: from, until.
    pub(crate) busy: Option<(String, u64, u64)>,
    /// An item whose record can't be read: from, until.
    #[serde(default)]
    pub(crate) damaged: Option<(String, u64, u64)>,
    /// The table takes only so many writes a second: from, until, how many.
    #[serde(default)]
    pub(crate) capped: Option<(u64, u64, u64)>,
    /// The operations on commands that took no effect.
    #[serde(default)]
    pub(crate) operations: Vec<Operation>,
    /// The store refuses outcomes of commands with [`REFUSED_NOTE`] until then.
    #[serde(default = "for_ever")]
    pub(crate) refused_until_ms: u64,
}

const fn for_ever() -> u64 {
    u64::MAX
}

/// The limit as deployed; no fault may exhaust it.
pub(crate) const RECEIVES_MAX: u32 = 1_000;

/// The store refuses every outcome of a command with this note, except a dead letter.
pub(crate) const REFUSED_NOTE: &str = "what no store takes";

/// The fold panics when it judges a command with this note.
pub(crate) const PANIC_NOTE: &str = "what no fold can judge";

/// The fold panics on the first try of a command with this note; for a retry the fold is mended.
pub(crate) const MENDED_NOTE: &str = "what the next fold can judge";

impl Scenario {
    /// Counts the jumps to an error that right clocks never have.
    pub(crate) fn clock_steps(&self) -> u64 {
        self.skews.iter().filter(|(_, _, error)| error.abs() > stockline_core::domain::CLOCK_SKEW_MAX_MS).count() as u64
    }

    /// Counts the commands with this note.
    pub(crate) fn noted(&self, note: &str) -> u64 {
        let lines = self.requests.iter().flat_map(|request| &request.lines);
        lines.filter(|line| line.body["note"] == note).count() as u64
    }
}
