//! What a command's id, receipt and record come to: the status rules of design.md §5.

use stockline_core::domain::{
    Command, CommandId, CommandKey, Fingerprint, ItemId, Receipt, ReceiptError, Record, Timestamp,
};

use crate::app::App;
use crate::metrics;
use crate::problem::{Problem, codes};
use crate::view::{OutcomeView, Viewer};

/// What an accepted command is shown with.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) state: CommandKey,
    pub(crate) receipt: Receipt,
    pub(crate) status_url: String,
}

impl Accepted {
    /// For a command accepted now.
    pub(crate) fn of(app: &App, command: &Command, accepted_at: Timestamp) -> Self {
        let receipt = Receipt { accepted_at, fingerprint: Fingerprint::of(command) };
        let token = app.receipt_keys.sign(&command.item_id, command.command_id, receipt);
        let status_url = status_url(&command.item_id, command.command_id, &token);
        let state = CommandKey { item_id: command.item_id.clone(), command_id: command.command_id };
        Self { state, receipt, status_url }
    }
}

/// Where a command's status is.
pub(crate) fn status_url(item_id: &ItemId, command_id: CommandId, receipt: &str) -> String {
    if receipt.is_empty() {
        return format!("/v1/items/{item_id}/commands/{command_id}");
    }
    format!("/v1/items/{item_id}/commands/{command_id}?receipt={receipt}")
}

/// Reads a receipt. A foreign one is as if it were not there.
pub(crate) fn read(app: &App, state: &CommandKey, token: Option<&str>) -> Result<Option<Receipt>, Problem> {
    let Some(token) = token else { return Ok(None) };
    match app.receipt_keys.verify(&state.item_id, state.command_id, token) {
        Ok(receipt) => Ok(Some(receipt)),
        Err(ReceiptError::Foreign) => Ok(None),
        Err(error @ ReceiptError::Malformed) => {
            Err(Problem::new(codes::RECEIPT_INVALID, format!("the receipt {error}, or leave it out")))
        }
    }
}

/// Where a command stands.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It has an outcome.
    Settled(Box<Record>),
    /// A receipt proves that it was accepted, and a consistent read found no outcome.
    Queued(Receipt),
    /// Nothing of the kind.
    Unknown(Problem),
}

/// Judges what a consistent read found. Where the caller may not compare the two, the record is shown as if there
/// were no receipt.
pub(crate) fn judge(app: &App, viewer: &Viewer, receipt: Option<Receipt>, found: Option<Record>) -> Standing {
    match (found, receipt) {
        (Some(record), Some(receipt))
            if record.fingerprint.is_some_and(|print| print != receipt.fingerprint) && viewer.may_compare(&record) =>
        {
            Standing::Unknown(reused(&record, viewer))
        }
        (Some(record), _) if viewer.sees_record(&record) => Standing::Settled(Box::new(record)),
        (Some(_), _) => Standing::Unknown(not_found()),
        (None, Some(receipt)) if app.clock.now().millis_since(receipt.accepted_at) > app.retention_ms => {
            metrics::outcome_missing();
            tracing::error!(accepted_at = %receipt.accepted_at, "a command that was accepted has no outcome after the queue's retention");
            let detail = format!(
                "the command was accepted at {}, longer ago than the queue keeps messages, and has no outcome; this was counted",
                receipt.accepted_at
            );
            Standing::Unknown(Problem::new(codes::OUTCOME_MISSING, detail))
        }
        (None, Some(receipt)) => Standing::Queued(receipt),
        (None, None) => Standing::Unknown(not_found()),
    }
}

fn not_found() -> Problem {
    let detail = "nothing is known under this id and no receipt proves that it was accepted; sending the same command with the same id again is safe";
    Problem::new(codes::COMMAND_NOT_FOUND, detail)
}

fn reused(record: &Record, viewer: &Viewer) -> Problem {
    let holder = viewer.sees_record(record).then(|| OutcomeView::of(record, viewer));
    let holder = holder.and_then(|holder| serde_json::value::to_raw_value(&holder).ok());
    let detail = "another command holds this id and yours did not take effect; give yours an id of its own";
    Problem::new(codes::COMMAND_ID_REUSED, detail).with_holder(holder)
}
