use async_trait::async_trait;

use crate::domain::{CommandKey, Commit, LoadRequest, Loaded, Record, RejudgeMark, Timestamp};

/// A call of the store failed or its answer was lost. Whether a commit took effect is unknown, so load again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The fault may pass: throttling, a timeout, a conflict, no connection, a full disk.
    #[error("the stock store is unavailable: {0}")]
    Unavailable(String),
    /// The store works, but rows of this one item are contended or over their rate. The fault may pass.
    #[error("the stock store is busy with this item: {0}")]
    Busy(String),
    /// A stored row is damaged. A retry does not help; a person must look.
    #[error("the stock store holds what this version can't read: {0}")]
    Unreadable(String),
    /// A later version of Stockline wrote the row. The row is sound, but only that version may use it.
    #[error("the stock store holds what a later version of Stockline wrote, which must be deployed here too: {0}")]
    Newer(String),
    /// A cursor of a list is damaged or belongs to another list. The caller's fault: a retry does not help.
    #[error("the cursor is not one of this list")]
    Cursor,
}

/// The result of a commit. Only [`CommitOutcome::Committed`] wrote anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The whole commit is durable.
    Committed,
    /// Some commands were decided before, as their stored records prove, whatever else failed.
    Decided(Vec<Record>),
    /// The level was re-judged before, as the stored mark proves.
    Judged(Box<RejudgeMark>),
    /// A version or a claim was not as loaded. Load again and judge again.
    Conflict,
    /// The store refuses this write for ever, as invalid or too large.
    Refused(String),
}

/// The stock store, as the worker uses it.
///
/// - `load` reads consistently: it sees everything that was committed before the call began. It reads levels before the
///   item. The answers are not a snapshot across items.
/// - `commit` writes one [`Commit`] whole or not at all: levels and item if their versions are as loaded, records if no
///   record [decides](Record::decides) the retry, claims if they are free or this item's, marks if they are absent,
///   reversals if no other command took the movement back, and only if the item's threshold version is `threshold_check`. `Decided` has precedence over `Conflict`.
/// - Both accept many items. Each succeeds or fails alone, in input order.
/// - An adapter may repeat a call only unchanged and within its deadline. A repetition that finds its own write returns
///   what the first call would have returned.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Loads what folds need.
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>>;

    /// Commits folds of different items.
    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>>;

    /// Marks a dead letter as discarded, which is final; its status stays. Returns `false` if there is no such dead
    /// letter, or if it was discarded or resubmitted before.
    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError>;
}
