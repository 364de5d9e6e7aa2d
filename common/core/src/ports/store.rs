use async_trait::async_trait;

use crate::domain::{CommandKey, Commit, LoadRequest, Loaded, Record, RejudgeMark, Timestamp};

/// The store could not do it, or its answer was lost. Whether a commit took effect is unknown; load again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It may pass: throttled, timed out, in conflict, unreachable, disk full.
    #[error("the stock store is unavailable: {0}")]
    Unavailable(String),
    /// The store answers, but rows of this one item are contended or over their rate; it may pass.
    #[error("the stock store is busy with this item: {0}")]
    Busy(String),
    /// What is stored can't be read by this version, or is damaged. Retrying does not help; a person must look.
    #[error("the stock store holds what this version can't read: {0}")]
    Unreadable(String),
    /// A later version of Stockline wrote it. It is sound: that version reads it, and this one must keep its hands off.
    #[error("the stock store holds what a later version of Stockline wrote, which must be deployed here too: {0}")]
    Newer(String),
}

/// What a commit came to. Only [`CommitOutcome::Committed`] wrote anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// All of it is durable.
    Committed,
    /// These commands were decided before: their stored records. Proof, whatever else failed.
    Decided(Vec<Record>),
    /// This re-judging was done before: its stored mark.
    Judged(Box<RejudgeMark>),
    /// A version or a claim was not as loaded: load again and judge afresh.
    Conflict,
    /// The store refuses this write as invalid or too large, and will again.
    Refused(String),
}

/// The stock store, as the worker uses it.
///
/// - `load` reads consistently: everything committed before the call began is seen. Levels are read before the item.
///   The answers are no snapshot across items.
/// - `commit` writes all of one [`Commit`] or nothing: levels and item under their loaded versions, records under
///   *no record [decides](Record::decides) this retry*, claims under *absent or mine*, marks under absent,
///   `threshold_check` as found. `Decided` takes precedence over `Conflict`.
/// - Both take many items and answer one by one in input order; one that fails does not fail its neighbours.
/// - A call may be repeated below the port, as it is, within its deadline: a repetition that meets its own write
///   answers as the first would have.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Loads what folds need.
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>>;

    /// Commits folds of different items.
    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>>;

    /// Marks a dead letter as discarded: final, the status stays. `false` where there is no such dead letter, or it
    /// was discarded or resubmitted before.
    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError>;
}
