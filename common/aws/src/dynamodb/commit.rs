//! Writes one commit as one `TransactWriteItems`: all rows under all their conditions, or nothing (design.md §7).

use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::DynamoStore;
use super::call::names;
use super::cancel::{ActionKind, classify};
use super::fault::{describe, is_refusal, unavailable};
use super::key::Key;
use super::row::{self, Row};
use stockline_core::domain::{
    ClaimChange, CommandKey, Commit, Dismissal, ItemPut, LevelPut, Reversal, Status, Timestamp,
};
use stockline_core::ports::{CommitOutcome, StoreError};

/// The most actions of one transaction (its documented limit). Folds respect it.
pub(super) const ACTIONS_MAX: usize = 100;

const ABSENT: &str = "attribute_not_exists(#pk)";
const UNDECIDED: &str = "attribute_not_exists(#pk) OR #dead < :retry";
const AT_VERSION: &str = "#version = :version";
const JUDGED_BY: &str = "#threshold_version = :threshold_version";
const FREE_OR_MINE: &str = "attribute_not_exists(#pk) OR #item_id = :me";
const MINE: &str = "#item_id = :me";
/// Not applied (only refused commands are in the index), not discarded, and not resubmitted as another command.
const RESUBMITTABLE: &str = "attribute_exists(#refused) AND attribute_not_exists(#discarded_at) \
     AND (attribute_not_exists(#resubmitted_as) OR #resubmitted_as = :me)";
const MARK_RESUBMITTED: &str = "SET #resubmitted_as = :me REMOVE #dead";
/// A movement that took effect, and that no other command took back.
const REVERSIBLE: &str =
    "attribute_exists(#record) AND attribute_not_exists(#refused) AND attribute_not_exists(#reversed_by)";
const MARK_REVERSED: &str = "SET #reversed_by = :me";
const OPEN_DEAD_LETTER: &str = "attribute_exists(#dead)";
const MARK_DISCARDED: &str = "SET #discarded_at = :at REMOVE #dead";
/// A rejected command is in a partition of the index whose name begins with its status.
const OPEN_REJECTION: &str = "begins_with(#refused, :rejected) AND attribute_not_exists(#resubmitted_as) \
     AND attribute_not_exists(#dismissed)";
const MARK_DISMISSED: &str = "SET #dismissed = :dismissal";

/// The reason why a commit can never be sent.
#[derive(Debug)]
struct Unsendable(String);

impl From<BuildError> for Unsendable {
    fn from(error: BuildError) -> Self {
        Self(error.to_string())
    }
}

impl From<StoreError> for Unsendable {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

/// The actions of a commit and their kinds, in the same order.
#[derive(Debug, Default)]
struct Actions {
    items: Vec<TransactWriteItem>,
    kinds: Vec<ActionKind>,
}

type Values<'a> = &'a [(&'a str, AttributeValue)];

impl Actions {
    fn put(
        &mut self,
        kind: ActionKind,
        row: Row,
        condition: &str,
        values: Values<'_>,
        table: &str,
    ) -> Result<(), Unsendable> {
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(row))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(condition)))
            .set_expression_attribute_values(bound(values));
        let put = match kind {
            ActionKind::Record { .. } | ActionKind::Mark => {
                put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            }
            ActionKind::AsLoaded => put,
        };
        self.push(kind, TransactWriteItem::builder().put(put.build()?).build());
        Ok(())
    }

    fn push(&mut self, kind: ActionKind, item: TransactWriteItem) {
        self.kinds.push(kind);
        self.items.push(item);
    }

    fn of(commit: &Commit, table: &str) -> Result<Self, Unsendable> {
        let mut actions = Self::default();
        for record in &commit.records {
            let kind = ActionKind::Record { retry: record.retry };
            let retry = (":retry", row::number(record.retry));
            actions.put(kind, row::of_record(record)?, UNDECIDED, &[retry], table)?;
        }
        if let Some(mark) = &commit.mark {
            actions.put(ActionKind::Mark, row::of_mark(&commit.item_id, mark)?, ABSENT, &[], table)?;
        }
        for put in &commit.levels {
            actions.put_level(commit, put, table)?;
        }
        for chunk in &commit.chunks {
            actions.put(ActionKind::AsLoaded, row::of_chunk(&commit.item_id, chunk), ABSENT, &[], table)?;
        }
        match &commit.item {
            Some(put) => actions.put_item(put, commit.threshold_check, table)?,
            None => actions.check_threshold(commit, table)?,
        }
        for change in &commit.claims {
            actions.change_claim(commit, change, table)?;
        }
        for (old, command_id) in &commit.resubmitted {
            let me = CommandKey { item_id: commit.item_id.clone(), command_id: *command_id };
            actions.mark_resubmitted(old, &me, table)?;
        }
        for reversal in &commit.reversed {
            actions.mark_reversed(commit, reversal, table)?;
        }
        Ok(actions)
    }

    fn put_level(&mut self, commit: &Commit, put: &LevelPut, table: &str) -> Result<(), Unsendable> {
        let row = row::of_level(&commit.item_id, &put.level)?;
        match put.loaded_version {
            None => self.put(ActionKind::AsLoaded, row, ABSENT, &[], table),
            Some(version) => {
                self.put(ActionKind::AsLoaded, row, AT_VERSION, &[(":version", row::number(version))], table)
            }
        }
    }

    /// Puts the item. A transaction names a row once, so the put also checks the threshold.
    fn put_item(&mut self, put: &ItemPut, threshold_check: Option<u64>, table: &str) -> Result<(), Unsendable> {
        let row = row::of_item(&put.item)?;
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        match put.loaded_version {
            None => conditions.push(ABSENT),
            Some(version) => {
                conditions.push(AT_VERSION);
                values.push((":version", row::number(version)));
            }
        }
        if let Some(version) = threshold_check {
            conditions.push(JUDGED_BY);
            values.push((":threshold_version", row::number(version)));
        }
        self.put(ActionKind::AsLoaded, row, &conditions.join(" AND "), &values, table)
    }

    fn check_threshold(&mut self, commit: &Commit, table: &str) -> Result<(), Unsendable> {
        let Some(version) = commit.threshold_check else {
            return Ok(());
        };
        let check = ConditionCheck::builder()
            .table_name(table)
            .set_key(Some(Key::item(&commit.item_id).attributes()))
            .condition_expression(JUDGED_BY)
            .set_expression_attribute_names(Some(names(JUDGED_BY)))
            .expression_attribute_values(":threshold_version", row::number(version))
            .build()?;
        self.push(ActionKind::AsLoaded, TransactWriteItem::builder().condition_check(check).build());
        Ok(())
    }

    fn change_claim(&mut self, commit: &Commit, change: &ClaimChange, table: &str) -> Result<(), Unsendable> {
        let key = Key::claim(&change.claim);
        let me = row::text(commit.item_id.as_str());
        if change.held {
            let row = row::of_holder(&key, &commit.item_id);
            return self.put(ActionKind::AsLoaded, row, FREE_OR_MINE, &[(":me", me)], table);
        }
        let delete = Delete::builder()
            .table_name(table)
            .set_key(Some(key.attributes()))
            .condition_expression(MINE)
            .set_expression_attribute_names(Some(names(MINE)))
            .expression_attribute_values(":me", me)
            .build()?;
        self.push(ActionKind::AsLoaded, TransactWriteItem::builder().delete(delete).build());
        Ok(())
    }

    fn mark_resubmitted(&mut self, old: &CommandKey, me: &CommandKey, table: &str) -> Result<(), Unsendable> {
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(Key::record(&old.item_id, old.command_id).attributes()))
            .update_expression(MARK_RESUBMITTED)
            .condition_expression(RESUBMITTABLE)
            .set_expression_attribute_names(Some(names(&[MARK_RESUBMITTED, RESUBMITTABLE].join(" "))))
            .expression_attribute_values(":me", row::json(me)?)
            .build()?;
        self.push(ActionKind::AsLoaded, TransactWriteItem::builder().update(update).build());
        Ok(())
    }
}

impl Actions {
    /// Marks a movement that is taken back, and its entries.
    fn mark_reversed(&mut self, commit: &Commit, reversal: &Reversal, table: &str) -> Result<(), Unsendable> {
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(Key::record(&commit.item_id, reversal.command_id).attributes()))
            .update_expression(MARK_REVERSED)
            .condition_expression(REVERSIBLE)
            .set_expression_attribute_names(Some(names(&[MARK_REVERSED, REVERSIBLE].join(" "))))
            .expression_attribute_values(":me", row::text(reversal.reversed_by.to_string()))
            .build()?;
        self.push(ActionKind::AsLoaded, TransactWriteItem::builder().update(update).build());
        for (location_id, seq) in &reversal.entries {
            let row = row::of_reversed(&commit.item_id, location_id, *seq, reversal.reversed_by);
            self.put(ActionKind::AsLoaded, row, ABSENT, &[], table)?;
        }
        Ok(())
    }
}

/// Returns `None` for no values, because DynamoDB accepts no empty map.
fn bound(values: Values<'_>) -> Option<Row> {
    (!values.is_empty()).then(|| values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

impl DynamoStore {
    /// Writes one commit, whole or not at all.
    pub(super) async fn commit_one(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        let actions = match Actions::of(commit, &self.table) {
            Ok(actions) => actions,
            Err(Unsendable(why)) => return Ok(CommitOutcome::Refused(why)),
        };
        match actions.items.len() {
            0 => return Ok(CommitOutcome::Committed),
            1..=ACTIONS_MAX => {}
            count => {
                let why = format!("the commit has {count} rows, but one transaction allows {ACTIONS_MAX}");
                return Ok(CommitOutcome::Refused(why));
            }
        }
        // The SDK adds a token, so its repetition of a successful transaction returns the first answer.
        let call = TransactWriteItemsInputBuilder::default().set_transact_items(Some(actions.items));
        match self.wire.transact_write_items(call).await {
            Ok(_) => Ok(CommitOutcome::Committed),
            Err(error) => not_committed(&actions.kinds, &error),
        }
    }

    /// See [`stockline_core::ports::Store::discard`].
    pub(super) async fn discard_one(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError> {
        let update = UpdateItemInputBuilder::default()
            .update_expression(MARK_DISCARDED)
            .condition_expression(OPEN_DEAD_LETTER)
            .set_expression_attribute_names(Some(names(MARK_DISCARDED)))
            .expression_attribute_values(":at", row::moment(at));
        self.mark(command, update, row::DISCARDED_AT, &row::moment(at)).await
    }

    /// See [`stockline_core::ports::Refusals::dismiss`].
    pub(super) async fn dismiss_one(&self, command: &CommandKey, dismissal: &Dismissal) -> Result<bool, StoreError> {
        let dismissal = row::json(dismissal)?;
        let update = UpdateItemInputBuilder::default()
            .update_expression(MARK_DISMISSED)
            .condition_expression(OPEN_REJECTION)
            .set_expression_attribute_names(Some(names(OPEN_REJECTION)))
            .expression_attribute_values(":dismissal", dismissal.clone())
            .expression_attribute_values(":rejected", row::text(row::refused_prefix(Status::Rejected)));
        self.mark(command, update, row::DISMISSED, &dismissal).await
    }

    /// Marks a record, if its condition holds. The mark is the attribute of this name with this value.
    async fn mark(
        &self,
        command: &CommandKey,
        update: UpdateItemInputBuilder,
        name: &str,
        value: &AttributeValue,
    ) -> Result<bool, StoreError> {
        let update = update
            .table_name(&self.table)
            .set_key(Some(Key::record(&command.item_id, command.command_id).attributes()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match self.wire.update_item(update).await {
            Ok(_) => return Ok(true),
            Err(error) => error,
        };
        if let SdkError::ServiceError(service) = &error
            && let UpdateItemError::ConditionalCheckFailedException(failed) = service.err()
        {
            // If the SDK repeated the call after a lost answer, it finds its own mark.
            return Ok(failed.item().is_some_and(|stored| stored.get(name) == Some(value)));
        }
        Err(unavailable("UpdateItem", &error))
    }
}

fn not_committed(kinds: &[ActionKind], error: &SdkError<TransactWriteItemsError>) -> Result<CommitOutcome, StoreError> {
    if let SdkError::ServiceError(service) = error
        && let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err()
    {
        return classify(kinds, cancelled.cancellation_reasons());
    }
    if is_refusal(error) {
        return Ok(CommitOutcome::Refused(describe(error)));
    }
    Err(unavailable("TransactWriteItems", error))
}
