//! Translates the reasons of a cancelled transaction into the outcome of the commit, purely.

use aws_sdk_dynamodb::types::CancellationReason;

use super::row;
use stockline_core::ports::{CommitOutcome, StoreError};

/// The kind of an action in a commit. A failed condition has a different meaning for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActionKind {
    /// The outcome of this retry. Its failed condition proves that the command was decided.
    Record { retry: u32 },
    /// The mark of a re-judging. Its failed condition proves that the level was re-judged before.
    Mark,
    /// A version, a chunk, a claim or an old record. Its failed condition means that the row is not as loaded.
    AsLoaded,
}

/// Reads the reasons, one for each action, in the order of the actions.
///
/// Proofs have precedence: a decided command, then a finished re-judging. A failed condition comes next, because
/// loading again mends it; then a transient fault. A refusal counts only without any other reason, because it sets the
/// command aside.
pub(super) fn classify(actions: &[ActionKind], reasons: &[CancellationReason]) -> Result<CommitOutcome, StoreError> {
    let (mut decided, mut judged, mut conflict) = (Vec::new(), None, false);
    let (mut transient, mut refused) = (None, None);
    for (index, reason) in reasons.iter().enumerate() {
        match reason.code() {
            None | Some("None") => {}
            Some("ConditionalCheckFailed") => match (actions.get(index), reason.item()) {
                (Some(ActionKind::Record { retry }), Some(stored)) => {
                    let stored = row::record(stored)?;
                    // A record that does not decide changed between the check and the answer, so load again.
                    if stored.decides(*retry) { decided.push(stored) } else { conflict = true }
                }
                (Some(ActionKind::Mark), Some(stored)) => judged = Some(row::mark(stored)?),
                (Some(ActionKind::Record { .. } | ActionKind::Mark), None) => {
                    transient = Some("DynamoDB did not send the row that proves a duplicate".to_owned());
                }
                (Some(ActionKind::AsLoaded) | None, _) => conflict = true,
            },
            Some(code @ ("ValidationError" | "ItemCollectionSizeLimitExceeded")) => {
                refused = Some(describe(code, reason))
            }
            Some(code) => transient = Some(describe(code, reason)),
        }
    }
    if !decided.is_empty() {
        return Ok(CommitOutcome::Decided(decided));
    }
    if let Some(mark) = judged {
        return Ok(CommitOutcome::Judged(Box::new(mark)));
    }
    if conflict {
        return Ok(CommitOutcome::Conflict);
    }
    match (transient, refused) {
        (None, Some(why)) => Ok(CommitOutcome::Refused(why)),
        // The fault concerns one row and says nothing about the others.
        (Some(why), _) => Err(StoreError::Busy(format!("TransactWriteItems: {why}"))),
        (None, None) => Err(StoreError::Busy("TransactWriteItems: cancelled without a reason".into())),
    }
}

fn describe(code: &str, reason: &CancellationReason) -> String {
    format!("{code}: {}", reason.message().unwrap_or("no message"))
}
