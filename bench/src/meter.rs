//! Counts what DynamoDB bills for every call of a client: as the engine says, and by AWS's rules from what is sent.
//!
//! An interceptor asks for the consumed capacity with every request and reads it from every answer. A transaction
//! that fails answers without it, and is billed all the same: the count by the rules has it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_get_items::{TransactGetItemsInput, TransactGetItemsOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity, TransactWriteItem};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut, Input, Output,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::item_size::{Row, item_bytes};
use crate::prices::write_units;

/// A transaction prepares and commits each row: two units where a plain write takes one.
const TRANSACTION_FACTOR: f64 = 2.0;

/// What rows of one kind were written.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Written {
    /// Puts and updates.
    pub(crate) rows: u64,
    /// Of all of them.
    pub(crate) bytes: u64,
    /// Of the largest.
    pub(crate) max_bytes: u64,
    /// Of their entries in the indexes, as stored.
    pub(crate) index_bytes: u64,
    /// By AWS's rules.
    pub(crate) wru: f64,
}

/// Everything counted since the last [`Meter::reset`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// Requests by operation.
    pub(crate) calls: BTreeMap<&'static str, u64>,
    /// Requests that were answered with an error.
    pub(crate) failed: u64,
    /// Write units of the table, as the engine says.
    pub(crate) engine_wru: f64,
    /// Write units of the indexes, as the engine says.
    pub(crate) engine_index_wru: f64,
    /// Read units, as the engine says.
    pub(crate) engine_rru: f64,
    /// By kind of row, by the rules.
    pub(crate) written: BTreeMap<String, Written>,
    /// Write units by partition key, by the rules.
    pub(crate) by_partition: HashMap<String, f64>,
    /// Write units by whole key, by the rules.
    pub(crate) by_row: HashMap<String, f64>,
}

impl Counts {
    /// Write units of the table by the rules.
    pub(crate) fn rule_wru(&self) -> f64 {
        self.written.values().map(|written| written.wru).sum()
    }

    fn write(&mut self, row: &Row) {
        let bytes = row.bytes as u64;
        #[expect(clippy::cast_precision_loss, reason = "at most some hundred units a row")]
        let wru = write_units(row.bytes) as f64 * TRANSACTION_FACTOR;
        let written = self.written.entry(row.kind()).or_default();
        written.rows += 1;
        written.bytes += bytes;
        written.max_bytes = written.max_bytes.max(bytes);
        written.index_bytes += row.index_bytes as u64;
        written.wru += wru;
        *self.by_partition.entry(row.pk.clone()).or_default() += wru;
        *self.by_row.entry(format!("{} {}", row.pk, row.sk)).or_default() += wru;
    }

    fn read_capacity(&mut self, capacity: &[ConsumedCapacity]) {
        self.engine_rru += capacity.iter().filter_map(|of_table| of_table.capacity_units).sum::<f64>();
    }

    fn write_capacity(&mut self, capacity: &[ConsumedCapacity]) {
        for of_table in capacity {
            let all = of_table.capacity_units.unwrap_or_default();
            let indexes = of_table.global_secondary_indexes.iter().flat_map(HashMap::values);
            let of_indexes: f64 = indexes.filter_map(|index| index.capacity_units).sum();
            self.engine_index_wru += of_indexes;
            self.engine_wru += all - of_indexes;
        }
    }
}

/// Counts the calls of the clients it is put into. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Counts>>);

impl Meter {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew; what was counted.
    pub(crate) fn reset(&self) -> Counts {
        std::mem::take(&mut *self.counts())
    }

    fn ask(&self, input: &mut Input) {
        let wanted = Some(ReturnConsumedCapacity::Indexes);
        let operation = if let Some(input) = input.downcast_mut::<TransactWriteItemsInput>() {
            input.return_consumed_capacity = wanted;
            let rows: Vec<_> = input.transact_items().iter().filter_map(row_of).collect();
            let mut counts = self.counts();
            rows.iter().for_each(|row| counts.write(row));
            "TransactWriteItems"
        } else if let Some(input) = input.downcast_mut::<BatchGetItemInput>() {
            input.return_consumed_capacity = wanted;
            "BatchGetItem"
        } else if let Some(input) = input.downcast_mut::<GetItemInput>() {
            input.return_consumed_capacity = wanted;
            "GetItem"
        } else if let Some(input) = input.downcast_mut::<QueryInput>() {
            input.return_consumed_capacity = wanted;
            "Query"
        } else if let Some(input) = input.downcast_mut::<TransactGetItemsInput>() {
            input.return_consumed_capacity = wanted;
            "TransactGetItems"
        } else if let Some(input) = input.downcast_mut::<UpdateItemInput>() {
            input.return_consumed_capacity = wanted;
            "UpdateItem"
        } else if let Some(input) = input.downcast_mut::<PutItemInput>() {
            input.return_consumed_capacity = wanted;
            "PutItem"
        } else {
            "other"
        };
        *self.counts().calls.entry(operation).or_default() += 1;
    }

    fn note(&self, output: &Output) {
        let mut counts = self.counts();
        if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
            counts.write_capacity(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
            counts.write_capacity(output.consumed_capacity.as_slice());
        } else if let Some(output) = output.downcast_ref::<PutItemOutput>() {
            counts.write_capacity(output.consumed_capacity.as_slice());
        } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
            counts.read_capacity(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<GetItemOutput>() {
            counts.read_capacity(output.consumed_capacity.as_slice());
        } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
            counts.read_capacity(output.consumed_capacity.as_slice());
        } else if let Some(output) = output.downcast_ref::<TransactGetItemsOutput>() {
            counts.read_capacity(output.consumed_capacity());
        }
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.ask(context.input_mut());
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match context.output_or_error() {
            Ok(output) => self.note(output),
            Err(_) => self.counts().failed += 1,
        }
        Ok(())
    }
}

/// The row that an action writes; `None` for a condition alone. An update is sized by its key and its values: right
/// for rows far below one unit, from below for others.
fn row_of(action: &TransactWriteItem) -> Option<Row> {
    if let Some(put) = &action.put {
        return Some(Row::of(&put.item, item_bytes(&put.item)));
    }
    if let Some(update) = &action.update {
        let values = update.expression_attribute_values.as_ref().map_or(0, item_bytes);
        return Some(Row::of(&update.key, item_bytes(&update.key) + values));
    }
    action.delete.as_ref().map(|delete| Row::of(&delete.key, item_bytes(&delete.key)))
}

#[cfg(test)]
mod tests;
