//! Brings rows of earlier programs into the present form: chunks into their index, outcomes out of JSON.
//!
//! Each row is written under a condition that leaves a row alone which others have changed meanwhile. So it goes on beside
//! workers, and what was done before is found done.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::audit::PARTS;
use super::call::{CALLS_AT_ONCE, NextKey, names};
use super::key::{Key, LEDGER_PK_PREFIX, RECORD_PK_PREFIX};
use super::row::{self, RECORD, Row};
use super::table::{CHUNKS, PK};
use super::{DynamoStore, StoreError};
use stockline_core::domain::Record;
use stockline_core::ports::Part;

/// What a backfill brings into the present form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backfill {
    /// Lists chunks in the index that are older than it.
    Chunks,
    /// Writes outcomes that are in JSON in their compact form.
    Records,
}

/// What a backfill has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Rows that are in the present form now and were not before.
    pub rows: u64,
    /// Rows that can't be read. `worker audit` tells more.
    pub unreadable: u64,
    /// Answers of the scan: each is of at most 1 MB of the table.
    pub answers: u64,
}

impl DynamoStore {
    /// Brings old rows into the present form. It reads the whole table once. After a failure it can be started again, and
    /// goes on with what is missing.
    ///
    /// # Errors
    /// Reports that the table does not answer, or throttles for too long.
    pub async fn backfill(
        &self,
        what: Backfill,
        progress: &mut dyn FnMut(&Backfilled),
    ) -> Result<Backfilled, StoreError> {
        let parts = (0..PARTS).map(|number| self.old_rows(what, Part { number, of: PARTS }).boxed());
        let mut answers = stream::iter(parts).flatten_unordered(None);
        let mut done = Backfilled::default();
        while let Some(rows) = answers.try_next().await? {
            done.answers += 1;
            let writes = rows.iter().map(async |row| match what {
                Backfill::Chunks => self.list_chunk(row).await,
                Backfill::Records => self.compact_record(row).await,
            });
            let readable: Vec<bool> = stream::iter(writes).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
            for is_readable in readable {
                *(if is_readable { &mut done.rows } else { &mut done.unreadable }) += 1;
            }
            progress(&done);
        }
        Ok(done)
    }

    /// Scans a part of the table for rows of earlier programs.
    fn old_rows(&self, what: Backfill, part: Part) -> impl stream::Stream<Item = Result<Vec<Row>, StoreError>> {
        let (prefix, is_old) = match what {
            Backfill::Chunks => (LEDGER_PK_PREFIX, format!("attribute_not_exists(#{})", CHUNKS.partition)),
            Backfill::Records => (RECORD_PK_PREFIX, format!("attribute_type(#{RECORD}, :text)")),
        };
        let filter = format!("begins_with(#{PK}, :pk) AND {is_old}");
        stream::try_unfold(Some(None::<NextKey>), move |at| {
            let filter = filter.clone();
            async move {
                let Some(from) = at else { return Ok(None) };
                let mut scan = self.scan_of(part, from, &filter).expression_attribute_values(":pk", row::text(prefix));
                if what == Backfill::Records {
                    scan = scan.expression_attribute_values(":text", row::text("S"));
                }
                let (rows, next) = self.scan(scan).await?;
                Ok(Some((rows, next.map(Some))))
            }
        })
    }

    /// Writes the place of a chunk in the index. A chunk never changes, and its place follows from its entries. Returns
    /// whether the chunk can be read.
    async fn list_chunk(&self, row: &Row) -> Result<bool, StoreError> {
        const LIST: &str = "SET #chunk_month = :month";
        const IS_THERE: &str = "attribute_exists(#entries)";
        let Some(key) = Key::of(row) else { return Ok(false) };
        let (Ok(entries), Some(location_id)) = (row::chunk(row), key.ledger_location()) else {
            return Ok(false);
        };
        let month = row::text(row::chunk_month(&location_id, &entries));
        let update = self.change(&key, LIST, IS_THERE).expression_attribute_values(":month", month);
        self.update_if(update).await?;
        Ok(true)
    }

    /// Writes an outcome in its compact form, unless it has changed meanwhile. What was set beside it later stays. Returns
    /// whether the outcome can be read.
    async fn compact_record(&self, row: &Row) -> Result<bool, StoreError> {
        const COMPACT: &str = "SET #record = :compact";
        const IS_SAME: &str = "#record = :json";
        let (Some(key), Some(AttributeValue::S(json))) = (Key::of(row), row.get(RECORD)) else { return Ok(false) };
        let Some(record) = Record::from_bytes(json.as_bytes(), None).ok() else { return Ok(false) };
        // A row that holds the outcome of another command is the audit's business.
        if key.command().as_ref() != Some(&record.reference()) {
            return Ok(false);
        }
        let Ok(bytes) = record.to_bytes() else { return Ok(false) };
        let update = self
            .change(&key, COMPACT, IS_SAME)
            .expression_attribute_values(":compact", AttributeValue::B(Blob::new(bytes)))
            .expression_attribute_values(":json", row::text(json.as_str()));
        self.update_if(update).await?;
        Ok(true)
    }

    fn change(&self, key: &Key, update: &str, condition: &str) -> UpdateItemInputBuilder {
        UpdateItemInputBuilder::default()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names(&format!("{update} {condition}"))))
    }
}
