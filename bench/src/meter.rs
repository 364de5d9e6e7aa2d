//! Counts what DynamoDB bills for every call of a client, in two ways: as the engine reports it, and from the sent rows
//! by AWS's rules.
//!
//! An interceptor asks for the consumed capacity with every request and reads it from every answer. A failed
//! transaction is billed but does not report its capacity; only the count by the rules includes it.

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

/// A transaction prepares and commits each row, so it takes twice the units of a plain write.
const TRANSACTION_FACTOR: f64 = 2.0;

/// Asks for the consumed capacity if the input is of one of these operations, and returns the operation's name.
macro_rules! ask_for_capacity {
    ($input:ident, $($Input:ty => $name:literal),+ $(,)?) => {
        $(if let Some(input) = $input.downcast_mut::<$Input>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Indexes);
            $name
        } else)+ {
            "other"
        }
    };
}

/// Returns the consumed capacity if the output is of one of these operations.
macro_rules! capacity_of {
    ($output:ident, $($Output:ty),+ $(,)?) => {
        $(if let Some(output) = $output.downcast_ref::<$Output>() {
            output.consumed_capacity().into_iter().cloned().collect::<Vec<_>>()
        } else)+ {
            Vec::new()
        }
    };
}

/// The written rows of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Written {
    /// The number of puts and updates.
    pub(crate) rows: u64,
    /// The bytes of all rows.
    pub(crate) bytes: u64,
    /// The bytes of the largest row.
    pub(crate) max_bytes: u64,
    /// The stored bytes of their index entries.
    pub(crate) index_bytes: u64,
    /// Write units by AWS's rules.
    pub(crate) wru: f64,
}

/// All counts since the last [`Meter::reset`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// Requests by operation.
    pub(crate) calls: BTreeMap<&'static str, u64>,
    /// Requests that were answered with an error.
    pub(crate) failed: u64,
    /// Write units of the table, as the engine reports them.
    pub(crate) engine_wru: f64,
    /// Write units of the indexes, as the engine reports them.
    pub(crate) engine_index_wru: f64,
    /// Read units, as the engine reports them.
    pub(crate) engine_rru: f64,
    /// Written rows by kind.
    pub(crate) written: BTreeMap<String, Written>,
    /// Write units by partition key, by the rules.
    pub(crate) by_partition: HashMap<String, f64>,
    /// Write units by whole key, by the rules.
    pub(crate) by_row: HashMap<String, f64>,
}

impl Counts {
    /// Returns the write units of the table by the rules.
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

/// Counts the calls of the clients that it is added to. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Counts>>);

impl Meter {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resets the counts and returns them.
    pub(crate) fn reset(&self) -> Counts {
        std::mem::take(&mut *self.counts())
    }

    fn count_request(&self, input: &mut Input) {
        let mut counts = self.counts();
        if let Some(input) = input.downcast_ref::<TransactWriteItemsInput>() {
            input.transact_items().iter().filter_map(row_of).for_each(|row| counts.write(&row));
        }
        let operation = ask_for_capacity!(input,
            TransactWriteItemsInput => "TransactWriteItems",
            BatchGetItemInput => "BatchGetItem",
            GetItemInput => "GetItem",
            QueryInput => "Query",
            TransactGetItemsInput => "TransactGetItems",
            UpdateItemInput => "UpdateItem",
            PutItemInput => "PutItem",
        );
        *counts.calls.entry(operation).or_default() += 1;
    }

    fn count_answer(&self, output: &Output) {
        let mut counts = self.counts();
        let written = capacity_of!(output, TransactWriteItemsOutput, UpdateItemOutput, PutItemOutput);
        let read = capacity_of!(output, BatchGetItemOutput, GetItemOutput, QueryOutput, TransactGetItemsOutput);
        counts.write_capacity(&written);
        counts.read_capacity(&read);
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
        self.count_request(context.input_mut());
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match context.output_or_error() {
            Ok(output) => self.count_answer(output),
            Err(_) => self.counts().failed += 1,
        }
        Ok(())
    }
}

/// Returns the row that an action writes, or `None` for a mere condition. The size of an update is estimated from its
/// key and values: right for rows far below one unit, too low for others.
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
