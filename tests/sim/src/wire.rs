//! Serves one process's DynamoDB adapter from the table.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemError, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::describe_table::builders::DescribeTableInputBuilder;
use aws_sdk_dynamodb::operation::describe_table::{DescribeTableError, DescribeTableOutput};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{QueryError, QueryOutput};
use aws_sdk_dynamodb::operation::scan::builders::ScanInputBuilder;
use aws_sdk_dynamodb::operation::scan::{ScanError, ScanOutput};
use aws_sdk_dynamodb::operation::transact_get_items::builders::TransactGetItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_get_items::{TransactGetItemsError, TransactGetItemsOutput};
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, KeysAndAttributes, TransactWriteItem};
use stockline_aws::dynamodb::Wire;
use stockline_core::domain::Status;
use stockline_core::testing::record_json;
use tokio::time::sleep;

use super::auditor::read::record_of;
use super::connection::{SimWire, TABLE, failed, lost, refused, throttled};
use super::expression::{Bound, Row, holds};
use super::faults::{Kind, Step};
use super::scenario::REFUSED_NOTE;
use super::table::{Key, Table, key_of, key_of_action};
use super::tamper::Tamper;
use super::world::{Answer, World};

/// Reads keys one after the other, so that two rows may be from different moments.
async fn read(world: Arc<World>, table: Arc<Mutex<Table>>, keys: Vec<Key>, consistent: bool) -> Vec<Arc<Row>> {
    let mut rows = Vec::new();
    for key in keys {
        let now_ms = world.now_ms();
        {
            let table = table.lock().unwrap();
            let row = if consistent { table.get(&key) } else { table.get_old(&key, now_ms) };
            rows.extend(row.map(|row| if world.is_damaged(&key) { Arc::new(damaged(row)) } else { row.clone() }));
        }
        let pause = world.rng().below(4);
        if pause == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    rows
}

/// Returns an item's row as damage leaves it.
fn damaged(row: &Row) -> Row {
    let mut row = row.clone();
    row.insert("item".into(), AttributeValue::S("{".into()));
    row
}

#[async_trait]
impl Wire for SimWire {
    async fn batch_get_item(
        &self,
        input: BatchGetItemInputBuilder,
    ) -> Result<BatchGetItemOutput, SdkError<BatchGetItemError>> {
        let asked = &input.get_request_items().as_ref().unwrap()[TABLE];
        let consistent = asked.consistent_read() == Some(true) && !self.is(Tamper::StaleReads);
        let mut keys: Vec<Key> = asked.keys().iter().map(key_of).collect();
        keys.sort_unstable();
        let levels = keys.iter().any(|(_, sk)| sk.starts_with("LEVEL#"));
        let step = if levels { Step::LoadLevels } else { Step::LoadItem };
        let (world, table) = (self.world().clone(), self.table.clone());
        let serve = |kind: Option<Kind>| {
            let mut keys = keys.clone();
            let (world, table) = (world.clone(), table.clone());
            async move {
                let mut left = if kind == Some(Kind::Partial) { keys.split_off(keys.len() / 2) } else { Vec::new() };
                if kind == Some(Kind::Partial) && world.rng().percent(50) {
                    std::mem::swap(&mut keys, &mut left);
                }
                (read(world, table, keys, consistent).await, left)
            }
        };
        if levels && self.is(Tamper::ItemFirst) {
            let table = self.table.lock().unwrap();
            let items = keys.iter().filter(|(_, sk)| sk.starts_with("LEVEL#"));
            let found = items.map(|(pk, _)| (pk.clone(), table.get(&(pk.clone(), "ITEM".into())).cloned()));
            self.early.lock().unwrap().extend(found);
        }
        let (mut rows, mut left) = match self.process.call(step, serve).await {
            Answer::Received(answer) => answer,
            Answer::Throttled => {
                return Err(refused(BatchGetItemError::ProvisionedThroughputExceededException(throttled())));
            }
            Answer::Lost | Answer::Conflict => return Err(lost()),
        };
        if self.is(Tamper::UnprocessedIgnored) {
            left.clear();
        }
        if !levels && self.is(Tamper::ItemFirst) {
            let early = self.early.lock().unwrap();
            for row in rows.iter_mut() {
                let (pk, sk) = key_of(row);
                if let ("ITEM", Some(Some(old))) = (sk.as_str(), early.get(&pk)) {
                    *row = old.clone();
                }
            }
        }
        self.world()
            .note(|| format!("{} {step:?} {keys:?}: {} rows, {} left", self.process.name, rows.len(), left.len()));
        let rows = rows.iter().map(|row| row.as_ref().clone()).collect();
        let mut output = BatchGetItemOutput::builder().responses(TABLE, rows);
        if !left.is_empty() {
            let attributes = asked.keys().iter().filter(|key| left.contains(&key_of(key))).cloned().collect();
            let left = KeysAndAttributes::builder().set_keys(Some(attributes)).consistent_read(consistent).build();
            output = output.unprocessed_keys(TABLE, left.unwrap());
        }
        Ok(output.build())
    }

    async fn query(&self, input: QueryInputBuilder) -> Result<QueryOutput, SdkError<QueryError>> {
        let condition = input.get_key_condition_expression().clone().unwrap();
        let names = input.get_expression_attribute_names().clone();
        let values = input.get_expression_attribute_values().clone();
        let bound = Bound { names: names.as_ref(), values: values.as_ref() };
        let pk = bound.value(":pk").as_s().unwrap().clone();
        let step = match pk.split('#').next() {
            Some("LEDGER") => Step::History,
            Some("ALERT") => Step::Location,
            _ => Step::LoadAll,
        };
        let consistent = *input.get_consistent_read() == Some(true) && !self.is(Tamper::StaleReads);
        let forward = *input.get_scan_index_forward() != Some(false);
        let limit = input.get_limit().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
        let (world, table) = (self.world().clone(), self.table.clone());
        let serve = |_| {
            // The keys are found at once; the rows are read one after the other.
            let (world, table, pk, condition) = (world.clone(), table.clone(), pk.clone(), condition.clone());
            let (names, values) = (names.clone(), values.clone());
            async move {
                let bound = Bound { names: names.as_ref(), values: values.as_ref() };
                let mut keys: Vec<Key> = {
                    let table = table.lock().unwrap();
                    let found = table.partition(&pk).filter(|(_, row)| holds(&condition, bound, Some(row)));
                    found.map(|(key, _)| key.clone()).collect()
                };
                if !forward {
                    keys.reverse();
                }
                keys.truncate(limit);
                read(world, table, keys, consistent).await
            }
        };
        match self.process.call(step, serve).await {
            Answer::Received(rows) => {
                self.world().note(|| format!("{} {step:?} {pk}: {} rows", self.process.name, rows.len()));
                let rows = rows.iter().map(|row| row.as_ref().clone()).collect();
                Ok(QueryOutput::builder().set_items(Some(rows)).build())
            }
            Answer::Throttled => Err(refused(QueryError::ProvisionedThroughputExceededException(throttled()))),
            Answer::Lost | Answer::Conflict => Err(lost()),
        }
    }

    async fn transact_write_items(
        &self,
        input: TransactWriteItemsInputBuilder,
    ) -> Result<TransactWriteItemsOutput, SdkError<TransactWriteItemsError>> {
        let actions = input.get_transact_items().clone().unwrap();
        let keys: Vec<_> = actions.iter().map(key_of_action).collect();
        if keys.iter().all(|(pk, _)| pk.starts_with("LOCATION")) {
            // Managers meet no faults.
            let mut table = self.table.lock().unwrap();
            table.begin();
            actions.iter().for_each(|action| table.apply(action, self.world().now_ms()));
            return Ok(TransactWriteItemsOutput::builder().build());
        }
        let step = if keys.iter().any(|(_, sk)| sk.starts_with("AT#")) { Step::Rejudge } else { Step::Commit };
        let (actions, outside) = self.world().tamper.map_or((actions.clone(), Vec::new()), |rule| rule.apart(&actions));
        let actions = Arc::new(actions);
        let token = self.world().rng().next();
        let (world, table) = (self.world().clone(), self.table.clone());
        let serve = |_| transact(world.clone(), table.clone(), actions.clone(), token);
        for action in &outside {
            let mut table = self.table.lock().unwrap();
            if table.allows(action) {
                table.begin();
                table.apply(action, self.world().now_ms());
            }
        }
        let reasons = match self.process.call(step, serve).await {
            Answer::Received(Ok(())) => {
                self.world().note(|| format!("{} {step:?} {keys:?}: done", self.process.name));
                return Ok(TransactWriteItemsOutput::builder().build());
            }
            Answer::Received(Err(reasons)) => reasons,
            Answer::Conflict => conflict(&vec![true; actions.len()], self.is(Tamper::ConflictRefused)),
            Answer::Throttled => {
                let error = TransactWriteItemsError::ProvisionedThroughputExceededException(throttled());
                return Err(refused(error));
            }
            Answer::Lost => return Err(lost()),
        };
        self.world().note(|| {
            let codes: Vec<_> = reasons.iter().map(|reason| reason.code().unwrap_or_default()).collect();
            format!("{} {step:?} {keys:?}: {codes:?}", self.process.name)
        });
        let reasons = match self.world().tamper {
            Some(rule) => reasons.into_iter().map(|reason| rule.alter_reason(reason)).collect(),
            None => reasons,
        };
        let cancelled = TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons)).build();
        Err(refused(TransactWriteItemsError::TransactionCanceledException(cancelled)))
    }

    async fn get_item(&self, input: GetItemInputBuilder) -> Result<GetItemOutput, SdkError<GetItemError>> {
        match self.find(&input).await {
            Answer::Received(row) => Ok(GetItemOutput::builder().set_item(row).build()),
            Answer::Throttled => Err(refused(GetItemError::ProvisionedThroughputExceededException(throttled()))),
            Answer::Lost | Answer::Conflict => Err(lost()),
        }
    }

    async fn scan(&self, _: ScanInputBuilder) -> Result<ScanOutput, SdkError<ScanError>> {
        unreachable!("the simulation never calls this")
    }

    async fn put_item(&self, input: PutItemInputBuilder) -> Result<PutItemOutput, SdkError<PutItemError>> {
        match self.put(&input).await {
            Answer::Received(Ok(())) => Ok(PutItemOutput::builder().build()),
            Answer::Received(Err(stored)) => {
                Err(refused(PutItemError::ConditionalCheckFailedException(failed(stored))))
            }
            Answer::Throttled => Err(refused(PutItemError::ProvisionedThroughputExceededException(throttled()))),
            Answer::Lost | Answer::Conflict => Err(lost()),
        }
    }

    async fn update_item(&self, input: UpdateItemInputBuilder) -> Result<UpdateItemOutput, SdkError<UpdateItemError>> {
        match self.update(&input).await {
            Answer::Received(Ok(())) => Ok(UpdateItemOutput::builder().build()),
            Answer::Received(Err(stored)) => {
                Err(refused(UpdateItemError::ConditionalCheckFailedException(failed(stored))))
            }
            Answer::Throttled => Err(refused(UpdateItemError::ProvisionedThroughputExceededException(throttled()))),
            Answer::Lost | Answer::Conflict => Err(lost()),
        }
    }

    async fn transact_get_items(
        &self,
        _: TransactGetItemsInputBuilder,
    ) -> Result<TransactGetItemsOutput, SdkError<TransactGetItemsError>> {
        unreachable!("the simulation never calls this")
    }

    async fn describe_table(
        &self,
        _: DescribeTableInputBuilder,
    ) -> Result<DescribeTableOutput, SdkError<DescribeTableError>> {
        unreachable!("the simulation never calls this")
    }
}

fn conflict(taken: &[bool], as_refusal: bool) -> Vec<CancellationReason> {
    cancelled(taken, if as_refusal { "ValidationError" } else { "TransactionConflict" })
}

/// Returns the reasons of a cancelled transaction, with this code for each affected action.
fn cancelled(concerned: &[bool], code: &str) -> Vec<CancellationReason> {
    let reason = |concerned: &bool| CancellationReason::builder().code(if *concerned { code } else { "None" }).build();
    concerned.iter().map(reason).collect()
}

/// Returns whether the store accepts this outcome only as a dead letter.
fn is_refused(action: &TransactWriteItem) -> bool {
    let Some(record) = action.put().and_then(|put| record_of(put.item())) else { return false };
    record.outcome.status != Status::DeadLettered && record_json(&record).to_string().contains(REFUSED_NOTE)
}

/// Runs a transaction: it locks its rows, and a moment later writes all of them or nothing.
async fn transact(
    world: Arc<World>,
    table: Arc<Mutex<Table>>,
    actions: Arc<Vec<TransactWriteItem>>,
    token: u64,
) -> Result<(), Vec<CancellationReason>> {
    let transaction = world.rng().next();
    if table.lock().unwrap().knows(token, world.now_ms()) {
        return Ok(());
    }
    let busy: Vec<_> = actions.iter().map(|action| world.is_busy(&key_of_action(action).0)).collect();
    if busy.contains(&true) {
        return Err(cancelled(&busy, "ThrottlingError"));
    }
    if world.is_capped(actions.len() as u64) {
        return Err(cancelled(&vec![true; actions.len()], "ThrottlingError"));
    }
    let keys: Vec<_> = actions.iter().map(key_of_action).collect();
    // A transaction may name a row only once.
    let is_twice = |key: &Key| keys.iter().filter(|other| *other == key).count() > 1;
    let refuses = world.refuses();
    let refused: Vec<_> =
        actions.iter().zip(&keys).map(|(action, key)| is_twice(key) || (refuses && is_refused(action))).collect();
    if refused.contains(&true) {
        return Err(cancelled(&refused, "ValidationError"));
    }
    let locked = table.lock().unwrap().lock(&actions, transaction);
    locked.map_err(|taken| conflict(&taken, world.is(Tamper::ConflictRefused)))?;
    let takes = world.rng().between(1, 3);
    sleep(Duration::from_millis(takes)).await;
    let mut table = table.lock().unwrap();
    table.unlock(transaction);
    let now_ms = world.now_ms();
    let refusal = table.refusal(&actions, !world.is(Tamper::NoProof));
    let is_rejudging = keys.iter().any(|(_, sk)| sk.starts_with("AT#"));
    if !is_rejudging && actions.iter().any(|action| action.condition_check().is_some() && !table.allows(action)) {
        world.refused_for_threshold();
    }
    table.begin();
    for action in actions.iter() {
        let may = refusal.is_none() || (world.is(Tamper::NotAtomic) && table.allows(action));
        if may {
            table.apply(action, now_ms);
        }
    }
    match refusal {
        None => {
            table.remember(token, now_ms);
            Ok(())
        }
        Some(reasons) => Err(reasons),
    }
}
