//! Why a transaction was cancelled, and what that means for the commit: pure.

use aws_sdk_dynamodb::types::CancellationReason;

use super::row;
use stockline_core::ports::{CommitOutcome, StoreError};

/// What an action of a commit stands for: a failed condition means something else for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// An outcome, put by this retry. Its failed condition is proof that the command was decided.
    Record { retry: u32 },
    /// That a level was re-judged. Its failed condition is proof that it was done before.
    Mark,
    /// A version, a chunk, a claim or an old record was not as loaded.
    AsLoaded,
}

/// Reads the reasons, one for each action, in the order of the actions.
///
/// What is proved goes first: a decided command, then a re-judging that was done. A failed condition is next, for
/// loading again mends it whatever else happened; then what may pass. A refusal counts only where nothing else stands
/// beside it, since it sets the command aside.
pub(super) fn classify(actions: &[Stands], reasons: &[CancellationReason]) -> Result<CommitOutcome, StoreError> {
    let (mut decided, mut judged, mut conflict) = (Vec::new(), None, false);
    let (mut passing, mut refused) = (None, None);
    for (index, reason) in reasons.iter().enumerate() {
        match reason.code() {
            None | Some("None") => {}
            Some("ConditionalCheckFailed") => match (actions.get(index), reason.item()) {
                (Some(Stands::Record { retry }), Some(stored)) => {
                    let stored = row::record(stored)?;
                    // One that does not decide changed between the check and the answer: load again.
                    if stored.decides(*retry) { decided.push(stored) } else { conflict = true }
                }
                (Some(Stands::Mark), Some(stored)) => judged = Some(row::mark(stored)?),
                (Some(Stands::Record { .. } | Stands::Mark), None) => {
                    passing = Some("DynamoDB did not send the row that proves a duplicate".to_owned());
                }
                (Some(Stands::AsLoaded) | None, _) => conflict = true,
            },
            Some(code @ ("ValidationError" | "ItemCollectionSizeLimitExceeded")) => refused = Some(told(code, reason)),
            Some(code) => passing = Some(told(code, reason)),
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
    match (passing, refused) {
        (None, Some(why)) => Ok(CommitOutcome::Refused(why)),
        // Of one row: it says nothing about the others.
        (Some(why), _) => Err(StoreError::Busy(format!("TransactWriteItems: {why}"))),
        (None, None) => Err(StoreError::Busy("TransactWriteItems: cancelled without a reason".into())),
    }
}

fn told(code: &str, reason: &CancellationReason) -> String {
    format!("{code}: {}", reason.message().unwrap_or("no message"))
}
