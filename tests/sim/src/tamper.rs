//! Removes one rule of the protocol, between the adapter and the model or in the fold. The simulation must notice.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, ConditionCheck, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};
use stockline_core::domain::Status;

use super::auditor::read::record_of;
use super::expression::Row;
use super::table::key_of_action;

/// The rule that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tamper {
    /// An outcome is put even if the id is decided.
    IdsUnconditional,
    /// The mark of a re-judging is put even if it exists.
    MarkUnconditional,
    /// Barcode and item-key claims are put and deleted whoever holds them.
    ClaimUnconditional,
    /// A level is put whatever its version.
    LevelUnconditional,
    /// An item's record is put whatever its version.
    ItemUnconditional,
    /// A level is re-judged even if the item's threshold has changed again.
    ThresholdUnchecked,
    /// A transaction writes the rows whose conditions hold, although other conditions fail.
    NotAtomic,
    /// Chunks are written outside the transaction.
    ChunkOutside,
    /// Rejections are written outside the transaction, under absence only.
    RejectionOutside,
    /// Unprocessed keys count as absent.
    UnprocessedIgnored,
    /// The write path reads with eventual consistency.
    StaleReads,
    /// The item is read before its levels.
    ItemFirst,
    /// A failed condition does not return the stored row.
    NoProof,
    /// A transaction conflict counts as a refusal.
    ConflictRefused,
    /// A stored outcome does not carry its alerts.
    AlertsForgotten,
    /// A stored mark does not carry its alert.
    MarkAlertForgotten,
    /// Alerts that the topic failed to accept count as published.
    PublishUnchecked,
    /// Messages are deleted as they are received.
    AckFirst,
    /// Groups are delivered in any order.
    GroupUnordered,
    /// A group is delivered while some of its messages are in flight.
    GroupUnlocked,
    /// A pack that was not acknowledged counts as queued.
    FailedEntriesIgnored,
    /// After an error messages are redelivered at once.
    BackAtOnce,
    /// A retry replaces whatever outcome there is.
    RetryUnconditional,
    /// A resubmission does not mark the command that it replaces.
    ResubmittedUnmarked,
    /// A command can be replaced whatever its outcome, even if it was replaced before.
    ResubmittedUnconditional,
    /// Any outcome can be discarded.
    DiscardUnconditional,
    /// A discarded dead letter stays open.
    DiscardLeavesOpen,
    /// An alert is claimed even if another process holds the claim.
    AlertClaimUnconditional,
    /// An alert that another process has claimed counts as mailed.
    ClaimTakenForMail,
    /// A sent alert can be claimed again.
    SentClaimedAgain,
    /// An alert is marked as sent when it is claimed.
    MarkedBeforeMail,
    /// A fold that panics sets the neighbours of its command aside too.
    PanicTakesNeighbours,
    /// The fold believes every clock, whatever the queue shows.
    ClockBeforeQueue,
}

impl Tamper {
    /// All rules.
    pub const ALL: [Self; 33] = [
        Self::IdsUnconditional,
        Self::MarkUnconditional,
        Self::ClaimUnconditional,
        Self::LevelUnconditional,
        Self::ItemUnconditional,
        Self::ThresholdUnchecked,
        Self::NotAtomic,
        Self::ChunkOutside,
        Self::RejectionOutside,
        Self::UnprocessedIgnored,
        Self::StaleReads,
        Self::ItemFirst,
        Self::NoProof,
        Self::ConflictRefused,
        Self::AlertsForgotten,
        Self::MarkAlertForgotten,
        Self::PublishUnchecked,
        Self::AckFirst,
        Self::GroupUnordered,
        Self::GroupUnlocked,
        Self::FailedEntriesIgnored,
        Self::BackAtOnce,
        Self::RetryUnconditional,
        Self::ResubmittedUnmarked,
        Self::ResubmittedUnconditional,
        Self::DiscardUnconditional,
        Self::DiscardLeavesOpen,
        Self::AlertClaimUnconditional,
        Self::ClaimTakenForMail,
        Self::SentClaimedAgain,
        Self::MarkedBeforeMail,
        Self::PanicTakesNeighbours,
        Self::ClockBeforeQueue,
    ];
}

impl Tamper {
    /// Returns the actions of a transaction without this rule, and the actions that are written outside it.
    pub(crate) fn apart(self, actions: &[TransactWriteItem]) -> (Vec<TransactWriteItem>, Vec<TransactWriteItem>) {
        let mut outside = Vec::new();
        let mut kept = Vec::new();
        for action in actions {
            let (pk, sk) = key_of_action(action);
            let bare = match self {
                Self::IdsUnconditional => sk == "CMD",
                Self::MarkUnconditional => sk.starts_with("AT#"),
                Self::ClaimUnconditional => pk.starts_with("BARCODE#") || pk.starts_with("ITEMKEY#"),
                Self::LevelUnconditional => sk.starts_with("LEVEL#"),
                Self::ItemUnconditional => pk.starts_with("ITEM#") && sk == "ITEM" && action.put().is_some(),
                Self::ThresholdUnchecked => action.condition_check().is_some(),
                Self::ResubmittedUnconditional => action.update().is_some(),
                Self::RetryUnconditional => sk == "CMD" && is_retry(action),
                Self::ChunkOutside => pk.starts_with("LEDGER#"),
                _ => false,
            };
            match self {
                _ if bare => kept.push(without_condition(action)),
                Self::ResubmittedUnmarked if action.update().is_some() => kept.push(without_effect(action)),
                _ => kept.push(action.clone()),
            }
            match self {
                Self::ChunkOutside if bare => outside.push(without_condition(action)),
                Self::RejectionOutside if is_rejection(action) => outside.push(action.clone()),
                _ => {}
            }
        }
        (kept, outside)
    }

    /// Returns the put of an alert's claim without this rule.
    pub(crate) fn claims(self, mut put: Put) -> Put {
        // An opening is noted without a lease.
        if put.expression_attribute_values().is_none_or(|values| !values.contains_key(":until")) {
            return put;
        }
        match self {
            Self::AlertClaimUnconditional => put.condition_expression = None,
            Self::SentClaimedAgain => {
                put.condition_expression = Some("attribute_not_exists(#pk) OR #lease_until <= :now".into());
            }
            Self::MarkedBeforeMail => {
                let now = put.expression_attribute_values.as_ref().map(|values| values[":now"].clone());
                put.item.insert("sent_at".into(), now.unwrap());
            }
            _ => {}
        }
        put
    }

    /// Returns the stored row of an alert that can't be claimed, as the adapter sees it.
    pub(crate) fn claimed(self, mut stored: Row) -> Row {
        if self == Self::ClaimTakenForMail {
            stored.entry("sent_at".into()).or_insert_with(|| AttributeValue::N("0".into()));
        }
        stored
    }

    /// Returns an update of one row without this rule.
    pub(crate) fn updates(self, action: &TransactWriteItem) -> TransactWriteItem {
        let mut action = action.clone();
        let change = action.update.as_mut().filter(|change| change.key["pk"].as_s().unwrap().starts_with("CMD#"));
        if let Some(change) = change {
            match self {
                Self::DiscardUnconditional => change.condition_expression = None,
                Self::DiscardLeavesOpen => {
                    change.update_expression = change.update_expression.replace(" REMOVE #dead", "");
                }
                _ => {}
            }
        }
        action
    }

    /// Returns a reason of a cancelled transaction, as the adapter sees it.
    pub(crate) fn alter_reason(self, mut reason: CancellationReason) -> CancellationReason {
        let Some(row) = reason.item.as_mut() else { return reason };
        match self {
            Self::AlertsForgotten => {
                if let Some(mut record) = record_of(row) {
                    record.alerts.clear();
                    row.insert("record".into(), AttributeValue::B(Blob::new(record.to_bytes().unwrap())));
                }
            }
            Self::MarkAlertForgotten => {
                if let Some(AttributeValue::S(text)) = row.get_mut("mark") {
                    let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
                    json.as_object_mut().unwrap().remove("alert");
                    *text = json.to_string();
                }
            }
            _ => {}
        }
        reason
    }
}

fn without_condition(action: &TransactWriteItem) -> TransactWriteItem {
    if let Some(check) = action.condition_check() {
        // Reasons are listed by action, so the action must remain; its condition always holds.
        let check = ConditionCheck::builder().table_name(check.table_name()).set_key(Some(check.key().clone()));
        let check =
            check.condition_expression("attribute_not_exists(#never)").expression_attribute_names("#never", "never");
        return TransactWriteItem::builder().condition_check(check.build().unwrap()).build();
    }
    let mut bare = action.clone();
    if let Some(put) = &mut bare.put {
        put.condition_expression = None;
    }
    if let Some(delete) = &mut bare.delete {
        delete.condition_expression = None;
    }
    if let Some(change) = &mut bare.update {
        change.condition_expression = None;
    }
    bare
}

/// Returns an update that has a condition but changes nothing.
fn without_effect(action: &TransactWriteItem) -> TransactWriteItem {
    let mut bare = action.clone();
    if let Some(change) = &mut bare.update {
        change.update_expression = String::new();
    }
    bare
}

fn is_retry(action: &TransactWriteItem) -> bool {
    let values = action.put().and_then(|put| put.expression_attribute_values());
    values.and_then(|values| values.get(":retry")).is_some_and(|retry| *retry != AttributeValue::N("0".into()))
}

fn is_rejection(action: &TransactWriteItem) -> bool {
    let record = action.put().and_then(|put| record_of(put.item()));
    record.is_some_and(|record| record.outcome.status == Status::Rejected)
}
