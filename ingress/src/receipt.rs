//! The status of a command, from its id, its receipt and its record: the rules of design.md §5.

use std::sync::Arc;

use stockline_core::domain::{
    Command, CommandId, CommandKey, ItemId, NotKept, Receipt, ReceiptError, ReceiptKeys, Record, Timestamp,
};
use stockline_core::ports::Clock;

use crate::metrics::MissingOutcomes;
use crate::problem::{Problem, codes};
use crate::view::{StatusView, Viewer};
use crate::web::link;

/// Issues receipts and judges commands by them.
#[derive(Debug)]
pub(crate) struct Receipts {
    keys: ReceiptKeys,
    retention_ms: i64,
    clock: Arc<dyn Clock>,
    missing_outcomes: MissingOutcomes,
}

/// A command that was accepted, with its receipt.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) key: CommandKey,
    pub(crate) receipt: Receipt,
    /// The receipt as the client gets it.
    pub(crate) token: String,
    pub(crate) status_url: String,
}

/// A valid receipt as it was presented.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    receipt: Receipt,
    /// Set if the command may be unknown although it was accepted.
    not_kept: Option<NotKept>,
}

impl From<Receipt> for Proof {
    fn from(receipt: Receipt) -> Self {
        Self { receipt, not_kept: None }
    }
}

/// The status of a command.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It has an outcome.
    Settled(Box<Record>),
    /// A receipt proves that it was accepted, and a consistent read found no outcome.
    Queued(Receipt),
    /// It is unknown, its outcome is missing, or another command holds its id.
    Problem(Problem),
}

impl Receipts {
    /// Receipts are signed with `keys`. An accepted command without an outcome is missing after `retention_ms`.
    pub(crate) fn new(keys: ReceiptKeys, retention_ms: i64, clock: Arc<dyn Clock>) -> Self {
        Self { keys, retention_ms, clock, missing_outcomes: MissingOutcomes::register() }
    }

    /// Issues the receipt of a command.
    pub(crate) fn issue(&self, command: &Command, accepted_at: Timestamp) -> Accepted {
        let receipt = Receipt::of(command, accepted_at);
        let token = self.keys.sign(&command.item_id, command.command_id, receipt);
        let status_url = status_url(&command.item_id, command.command_id, &token);
        let key = CommandKey { item_id: command.item_id.clone(), command_id: command.command_id };
        Accepted { key, receipt, token, status_url }
    }

    /// Reads a receipt. One of another installation or another command counts as none.
    pub(crate) fn read(&self, key: &CommandKey, token: Option<&str>) -> Result<Option<Proof>, Problem> {
        let Some(token) = token else { return Ok(None) };
        match self.keys.verify_kept(&key.item_id, key.command_id, token) {
            Ok((receipt, not_kept)) => Ok(Some(Proof { receipt, not_kept: not_kept.cloned() })),
            Err(ReceiptError::Foreign) => Ok(None),
            Err(error @ ReceiptError::Malformed) => {
                Err(Problem::new(codes::RECEIPT_INVALID, format!("the receipt {error}, or leave it out")))
            }
        }
    }

    /// Judges the record that a consistent read found. If the caller may not compare it with the receipt, the record is
    /// shown as if there were no receipt.
    pub(crate) fn judge(&self, viewer: &Viewer, proof: Option<Proof>, found: Option<Record>) -> Standing {
        if let (None, Some(Proof { receipt, not_kept: Some(NotKept { why, .. }) })) = (&found, &proof) {
            return Standing::Problem(not_kept(*receipt, why));
        }
        match (found, proof.map(|proof| proof.receipt)) {
            (Some(record), Some(receipt)) if viewer.is_another(&record, receipt) => {
                Standing::Problem(reused(&record, viewer))
            }
            (Some(record), _) if viewer.sees_record(&record) => Standing::Settled(Box::new(record)),
            (Some(_), _) => Standing::Problem(not_found()),
            (None, Some(receipt)) if self.clock.now().millis_since(receipt.accepted_at) > self.retention_ms => {
                Standing::Problem(self.missing(receipt))
            }
            (None, Some(receipt)) => Standing::Queued(receipt),
            (None, None) => Standing::Problem(not_found()),
        }
    }

    fn missing(&self, Receipt { accepted_at, .. }: Receipt) -> Problem {
        self.missing_outcomes.found();
        tracing::error!(%accepted_at, "an accepted command has no outcome after the retention of the queue");
        let detail = format!(
            "the command was accepted at {accepted_at}, which is longer ago than the queue keeps messages, and has no \
             outcome; this was counted"
        );
        Problem::new(codes::OUTCOME_MISSING, detail)
    }
}

/// Returns the address of a command's status; an empty `receipt` is left out.
pub(crate) fn status_url(item_id: &ItemId, command_id: CommandId, receipt: &str) -> String {
    let path = format!("/v1/items/{}/commands/{command_id}", item_id.in_path());
    if receipt.is_empty() {
        return link(&path);
    }
    link(&format!("{path}?receipt={receipt}"))
}

fn not_found() -> Problem {
    let detail = "no command is known under this id, and no receipt proves that it was accepted; it is safe to send the \
                  same command with the same id again";
    Problem::new(codes::COMMAND_NOT_FOUND, detail)
}

fn not_kept(Receipt { accepted_at, .. }: Receipt, why: &str) -> Problem {
    let detail = format!(
        "{why}, and this command, accepted at {accepted_at}, is not known here; it is safe to send the same command with \
         the same id again"
    );
    Problem::new(codes::COMMAND_NOT_FOUND, detail)
}

fn reused(record: &Record, viewer: &Viewer) -> Problem {
    let holder = viewer.sees_record(record).then(|| StatusView::of(record, viewer));
    let holder = holder.and_then(|holder| serde_json::value::to_raw_value(&holder).ok());
    let detail = "another command holds this id, and yours did not take effect; give yours a new id";
    Problem::new(codes::COMMAND_ID_REUSED, detail).with_holder(holder)
}
