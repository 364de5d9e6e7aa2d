//! Lists the chunks that are older than the index of chunks in it.
//!
//! A chunk never changes, and its place in the index follows from its entries. So this needs no condition but that the chunk
//! is there, it goes on beside workers, and what was done before is found done.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::audit::PARTS;
use super::call::{CALLS_AT_ONCE, NextKey, names};
use super::fault::unavailable;
use super::key::{Key, LEDGER_PK_PREFIX};
use super::row::{self, Row};
use super::table::{CHUNKS, PK};
use super::{DynamoStore, StoreError};
use stockline_core::ports::Part;

/// What a backfill has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Chunks that are listed now and were not before.
    pub listed: u64,
    /// Chunks that can't be read. `worker audit` tells more.
    pub unreadable: u64,
    /// Answers of the scan: each is of at most 1 MB of the table.
    pub answers: u64,
}

impl DynamoStore {
    /// Lists old chunks in the index. It reads the whole table once. After a failure it can be started again, and goes on
    /// with what is missing.
    ///
    /// # Errors
    /// Reports that the table does not answer, or throttles for too long.
    pub async fn list_old_chunks(&self, progress: &mut dyn FnMut(&Backfilled)) -> Result<Backfilled, StoreError> {
        let parts = (0..PARTS).map(|number| self.old_chunks(Part { number, of: PARTS }).boxed());
        let mut answers = stream::iter(parts).flatten_unordered(None);
        let mut done = Backfilled::default();
        while let Some(rows) = answers.try_next().await? {
            done.answers += 1;
            let writes = rows.iter().map(|row| self.list_chunk(row));
            let listed: Vec<bool> = stream::iter(writes).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
            for is_listed in listed {
                *(if is_listed { &mut done.listed } else { &mut done.unreadable }) += 1;
            }
            progress(&done);
        }
        Ok(done)
    }

    /// Scans a part of the table for chunks that are not in the index.
    fn old_chunks(&self, part: Part) -> impl stream::Stream<Item = Result<Vec<Row>, StoreError>> {
        stream::try_unfold(Some(None::<NextKey>), move |at| async move {
            let Some(from) = at else { return Ok(None) };
            let filter = format!("begins_with(#{PK}, :pk) AND attribute_not_exists(#{})", CHUNKS.partition);
            let prefix = AttributeValue::S(LEDGER_PK_PREFIX.into());
            let scan = self.scan_of(part, from, &filter).expression_attribute_values(":pk", prefix);
            let (rows, next) = self.scan(scan).await?;
            Ok(Some((rows, next.map(Some))))
        })
    }

    /// Writes the place of a chunk in the index. Returns whether the chunk can be read.
    async fn list_chunk(&self, row: &Row) -> Result<bool, StoreError> {
        const LIST: &str = "SET #chunk_month = :month";
        const IS_THERE: &str = "attribute_exists(#entries)";
        let Some(key) = Key::of(row) else { return Ok(false) };
        let (Ok(entries), Some(location_id)) = (row::chunk(row), key.ledger_location()) else {
            return Ok(false);
        };
        let update = UpdateItemInputBuilder::default()
            .table_name(&self.table)
            .set_key(Some(key.attributes()))
            .update_expression(LIST)
            .condition_expression(IS_THERE)
            .set_expression_attribute_names(Some(names(&[LIST, IS_THERE].join(" "))))
            .expression_attribute_values(":month", row::text(row::chunk_month(&location_id, &entries)));
        self.wire.update_item(update).await.map_err(|error| unavailable("UpdateItem", &error))?;
        Ok(true)
    }
}
