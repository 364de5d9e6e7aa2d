//! Rules of the protocol, each of which can be taken away, between the adapter and the model or in the fold: if the
//! simulation is worth anything, it finds that.

use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, ConditionCheck, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::expression::Row;
use super::table::key_of_action;

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Tamper {
    /// An outcome is put whether or not the id is decided.
    IdsUnconditional,
    /// The mark of a re-judging is put whether or not there is one.
    MarkUnconditional,
    /// Claims are put and deleted whoever holds them.
    ClaimUnconditional,
    /// A level is put whatever its version.
    LevelUnconditional,
    /// An item's record is put whatever its version.
    ItemUnconditional,
    /// A level is judged anew whatever the item's threshold has become.
    ThresholdUnchecked,
    /// Actions whose conditions hold are done, although others' don't.
    NotAtomic,
    /// Chunks are written beside the transaction, whatever becomes of it.
    ChunkOutside,
    /// Rejections are written by a put of their own, under absence only.
    RejectionOutside,
    /// Keys that stay unprocessed count as absent.
    UnprocessedIgnored,
    /// The write path reads what may be old.
    StaleReads,
    /// The item is read before its levels.
    ItemFirst,
    /// A failed condition does not hand back what is stored.
    NoProof,
    /// A conflict is taken for a refusal.
    ConflictRefused,
    /// A stored outcome does not carry its alerts.
    AlertsForgotten,
    /// A stored mark does not carry its alert.
    MarkAlertForgotten,
    /// Alerts that the topic did not take count as published.
    PublishUnchecked,
    /// Messages are deleted as they are received.
    AckFirst,
    /// Groups are delivered in any order.
    GroupUnordered,
    /// A group is delivered on while some of it is in flight.
    GroupUnlocked,
    /// A pack that was not acknowledged counts as queued.
    FailedEntriesIgnored,
    /// After an error messages come again at once.
    BackAtOnce,
    /// A retry replaces whatever outcome there is.
    RetryUnconditional,
    /// A resubmission leaves the command that it replaces as it was.
    ResubmittedUnmarked,
    /// A command can be replaced whatever became of it, also by another before.
    ResubmittedUnconditional,
    /// Whatever outcome there is can be discarded.
    DiscardUnconditional,
    /// A dead letter that was discarded is still open.
    DiscardLeavesOpen,
    /// An alert is claimed whoever has claimed it.
    AlertClaimUnconditional,
    /// An alert that another has claimed counts as mailed.
    ClaimTakenForMail,
    /// An alert that was sent can be claimed again.
    SentClaimedAgain,
    /// An alert is marked as sent when it is claimed.
    MarkedBeforeMail,
    /// A fold that panics takes the command's neighbours along.
    PanicTakesNeighbours,
}

impl Tamper {
    /// All of them.
    pub const ALL: [Self; 32] = [
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
    ];
}

impl Tamper {
    /// The actions of a transaction without this rule, and those that are written beside it.
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

    /// The put of an alert's claim without this rule.
    pub(crate) fn claims(self, mut put: Put) -> Put {
        if put.condition_expression.is_none() {
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

    /// What is stored where an alert can't be claimed, as the adapter gets to see it.
    pub(crate) fn claimed(self, mut stored: Row) -> Row {
        if self == Self::ClaimTakenForMail {
            stored.entry("sent_at".into()).or_insert_with(|| AttributeValue::N("0".into()));
        }
        stored
    }

    /// An update of one row without this rule.
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

    /// A reason of a cancelled transaction as the adapter gets to see it.
    pub(crate) fn retold(self, mut reason: CancellationReason) -> CancellationReason {
        let (attribute, field) = match self {
            Self::AlertsForgotten => ("record", "alerts"),
            Self::MarkAlertForgotten => ("mark", "alert"),
            _ => return reason,
        };
        let stored = reason.item.as_mut().and_then(|row| row.get_mut(attribute));
        if let Some(AttributeValue::S(text)) = stored {
            let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
            json.as_object_mut().unwrap().remove(field);
            *text = json.to_string();
        }
        reason
    }
}

fn without_condition(action: &TransactWriteItem) -> TransactWriteItem {
    if let Some(check) = action.condition_check() {
        // It must be there, for the reasons stand in the order of the actions: one that always holds.
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

/// An update whose condition is judged, and that changes nothing.
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
    let record = action.put().and_then(|put| put.item().get("record"));
    record.is_some_and(|record| record.as_s().unwrap().contains(r#""status":"rejected""#))
}
