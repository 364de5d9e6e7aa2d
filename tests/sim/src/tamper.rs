//! Rules of the protocol, each of which can be taken away between the adapter and the model: if the simulation is
//! worth anything, it finds that.

use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

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
}

impl Tamper {
    /// All of them.
    pub const ALL: [Self; 22] = [
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
                Self::ChunkOutside => pk.starts_with("LEDGER#"),
                _ => false,
            };
            match self {
                _ if bare => kept.push(without_condition(action)),
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
    if let Some(put) = action.put() {
        let put = Put::builder().table_name(put.table_name()).set_item(Some(put.item().clone()));
        return TransactWriteItem::builder().put(put.build().unwrap()).build();
    }
    if let Some(check) = action.condition_check() {
        // It must be there, for the reasons stand in the order of the actions: one that always holds.
        let check = ConditionCheck::builder().table_name(check.table_name()).set_key(Some(check.key().clone()));
        let check =
            check.condition_expression("attribute_not_exists(#never)").expression_attribute_names("#never", "never");
        return TransactWriteItem::builder().condition_check(check.build().unwrap()).build();
    }
    match action.delete() {
        Some(delete) => {
            let delete = Delete::builder().table_name(delete.table_name()).set_key(Some(delete.key().clone()));
            TransactWriteItem::builder().delete(delete.build().unwrap()).build()
        }
        None => action.clone(),
    }
}

fn is_rejection(action: &TransactWriteItem) -> bool {
    let record = action.put().and_then(|put| put.item().get("record"));
    record.is_some_and(|record| record.as_s().unwrap().contains(r#""status":"rejected""#))
}
