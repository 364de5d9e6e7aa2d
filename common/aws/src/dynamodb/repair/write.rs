//! Writes a mended item: the rows that differ from what was read, all in one transaction, each under the condition that it is
//! still as it was read.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use stockline_core::domain::{Chunk, Record};
use stockline_core::ports::StoreError;

use super::super::DynamoStore;
use super::super::call::names;
use super::super::commit::ACTIONS_MAX;
use super::super::fault::unavailable;
use super::super::key::Key;
use super::super::row::{self, DEAD, DISCARDED_AT, DISMISSED, RESUBMITTED_AS, REVERSED_BY, Row};
use super::super::table::{PK, SK};
use super::plan::Mended;
use super::remains::Read;

/// A row to write.
#[derive(Debug, Clone)]
pub(super) struct Change {
    was: Option<Row>,
    now: Option<Row>,
}

impl Change {
    pub(super) fn put(now: Row, was: Option<Row>) -> Self {
        Self { was, now: Some(now) }
    }

    pub(super) fn delete(was: Row) -> Self {
        Self { was: Some(was), now: None }
    }

    fn action(self, table: &str) -> Result<TransactWriteItem, String> {
        let (condition, values) = as_read(self.was.as_ref(), self.now.as_ref());
        let (names, values) = (names(&condition), (!values.is_empty()).then_some(values));
        let action = TransactWriteItem::builder();
        let action = match (self.now, self.was) {
            (Some(now), _) => {
                let put = Put::builder().table_name(table).set_item(Some(now)).condition_expression(condition);
                let put = put.set_expression_attribute_names(Some(names)).set_expression_attribute_values(values);
                action.put(put.build().map_err(|error| error.to_string())?)
            }
            (None, was) => {
                let key = was.as_ref().and_then(Key::of).map(|key| key.attributes());
                let delete = Delete::builder().table_name(table).set_key(key).condition_expression(condition);
                let delete = delete.set_expression_attribute_names(Some(names)).set_expression_attribute_values(values);
                action.delete(delete.build().map_err(|error| error.to_string())?)
            }
        };
        Ok(action.build())
    }
}

/// Returns the condition that a row is as it was read, in every attribute that either version has.
fn as_read(was: Option<&Row>, now: Option<&Row>) -> (String, HashMap<String, AttributeValue>) {
    let Some(was) = was else { return (format!("attribute_not_exists(#{PK})"), HashMap::new()) };
    let (mut parts, mut values) = (Vec::new(), HashMap::new());
    for (name, value) in was.iter().filter(|(name, _)| *name != PK && *name != SK) {
        parts.push(format!("#{name} = :{name}"));
        values.insert(format!(":{name}"), value.clone());
    }
    let new = now.into_iter().flat_map(HashMap::keys).filter(|name| !was.contains_key(*name));
    parts.extend(new.map(|name| format!("attribute_not_exists(#{name})")));
    (parts.join(" AND "), values)
}

/// Returns the rows that differ.
pub(super) fn changes(read: &Read, mended: &Mended) -> Result<Vec<Change>, StoreError> {
    let remains = &read.remains;
    let item_id = &remains.item_id;
    let was = |key: &Key| read.rows.get(key).cloned();
    let mut changes = Vec::new();
    if mended.item != remains.item
        && let Some(item) = &mended.item
    {
        changes.push(Change::put(row::of_item(item)?, was(&Key::item(item_id))));
    }
    for (location_id, level) in &mended.levels {
        let old = remains.ledgers.get(location_id).and_then(|ledger| ledger.level.as_ref());
        if old != Some(level) {
            changes.push(Change::put(row::of_level(item_id, level)?, was(&Key::level(item_id, location_id))));
        }
    }
    for ((location_id, first), entries) in &mended.chunks {
        let old = remains.ledgers.get(location_id).and_then(|ledger| ledger.chunks.get(first));
        if old != Some(entries) {
            let chunk = Chunk { location_id: location_id.clone(), entries: entries.clone() };
            changes.push(Change::put(row::of_chunk(item_id, &chunk), was(&Key::chunk(item_id, location_id, *first))));
        }
    }
    for (location_id, ledger) in &remains.ledgers {
        let gone = ledger.chunks.keys().filter(|first| !mended.chunks.contains_key(&(location_id.clone(), **first)));
        changes.extend(gone.filter_map(|first| was(&Key::chunk(item_id, location_id, *first))).map(Change::delete));
    }
    for (command_id, record) in &mended.records {
        if remains.records.get(command_id) != Some(record) {
            let was = was(&Key::record(item_id, *command_id));
            changes.push(Change::put(of_record(record, was.as_ref())?, was));
        }
    }
    for ((location_id, seq), by) in &mended.marks {
        if remains.marks.get(&(location_id.clone(), *seq)) != Some(by) {
            let mark = row::of_reversed(item_id, location_id, *seq, *by);
            changes.push(Change::put(mark, was(&Key::reversed(item_id, location_id, *seq))));
        }
    }
    let gone = remains.marks.keys().filter(|entry| !mended.marks.contains_key(*entry));
    changes.extend(gone.filter_map(|(place, seq)| was(&Key::reversed(item_id, place, *seq))).map(Change::delete));
    Ok(changes)
}

/// Writes an outcome as the protocol does: what is set later stands in attributes of its own.
pub(super) fn of_record(record: &Record, was: Option<&Row>) -> Result<Row, StoreError> {
    let mut bare = record.clone();
    let reversed_by = bare.outcome.reversed_by.take();
    let resubmitted_as = bare.resubmitted_as.take();
    let mut row = row::of_record(&bare)?;
    if let Some(by) = reversed_by {
        row.insert(REVERSED_BY.into(), row::text(by.to_string()));
    }
    if let Some(new) = &resubmitted_as {
        row.insert(RESUBMITTED_AS.into(), row::json(new)?);
        row.remove(DEAD);
    }
    for name in [DISCARDED_AT, DISMISSED] {
        if let Some(value) = was.and_then(|was| was.get(name)) {
            row.insert(name.into(), value.clone());
        }
    }
    Ok(row)
}

impl DynamoStore {
    /// Writes all changes or none. The inner error says why none was written.
    pub(super) async fn write_changes(&self, changes: Vec<Change>) -> Result<Result<(), String>, StoreError> {
        let count = changes.len();
        let only_new = changes.iter().all(|change| change.was.is_none());
        if count > ACTIONS_MAX && !only_new {
            let why = format!("{count} rows would change, but one transaction allows {ACTIONS_MAX}; count this item");
            return Ok(Err(why));
        }
        let mut actions = Vec::with_capacity(count);
        for change in changes {
            match change.action(&self.table) {
                Ok(action) => actions.push(action),
                Err(why) => return Ok(Err(why)),
            }
        }
        // Rows that are only added each stand for themselves.
        for part in actions.chunks(ACTIONS_MAX) {
            let call = TransactWriteItemsInputBuilder::default().set_transact_items(Some(part.to_vec()));
            match self.wire.transact_write_items(call).await {
                Ok(_) => {}
                Err(SdkError::ServiceError(service))
                    if matches!(service.err(), TransactWriteItemsError::TransactionCanceledException(_)) =>
                {
                    return Ok(Err("its rows changed meanwhile; stop the workers and repair again".to_owned()));
                }
                Err(error) => return Err(unavailable("TransactWriteItems", &error)),
            }
        }
        Ok(Ok(()))
    }
}
