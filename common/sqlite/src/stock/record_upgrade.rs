//! Moves the outcomes of earlier programs, which are in JSON, to the table of compact ones. Each step is a transaction, so a
//! start that was cut off goes on where it ended.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::fault::Fault;
use super::rows;

/// How many records a step moves at most. It bounds the memory and the log of a step.
const STEP_RECORDS: i64 = 10_000;

/// After how many records the log says how far it is.
const TOLD_RECORDS: i64 = 200_000;

/// Moves all records, if there are any of earlier programs.
pub(super) fn move_json_records(connection: &Connection) -> Result<(), Fault> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'record_json'";
    if connection.query_row(there, [], |_| Ok(())).optional()?.is_none() {
        return Ok(());
    }
    let last: i64 =
        connection.query_row("SELECT coalesce(max(record_no), 0) FROM record_json", [], |row| row.get(0))?;
    let (mut after, mut told, mut step) = (0, 0, STEP_RECORDS);
    let (mut jump, mut is_whole) = (1, true);
    while after < last {
        match move_behind(connection, after, step) {
            Ok(None) => break,
            Ok(Some(moved_to)) => (after, step, jump) = (moved_to, STEP_RECORDS.min(2 * step), 1),
            // First come close to the page that can't be read.
            Err(Fault::Unreadable(_)) if step > 1 => step /= 2,
            // Then go on behind it. Its records stay where they are, and read as missing.
            Err(Fault::Unreadable(what)) => {
                tracing::error!(what, after, "records of an earlier program can't be read, and are not moved");
                (after, jump, is_whole) = (after + jump, 2 * jump, false);
            }
            Err(fault) => return Err(fault),
        }
        if after - told >= TOLD_RECORDS {
            tracing::info!(records = after, of = last, "making the records of an earlier program compact");
            told = after;
        }
    }
    if is_whole {
        connection.execute_batch("DROP TABLE record_json")?;
    }
    Ok(())
}

/// Moves the next records in a transaction, which a fault rolls back. Returns the number of the last one.
fn move_behind(connection: &Connection, after: i64, step: i64) -> Result<Option<i64>, Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut read = connection.prepare_cached(
        "SELECT CAST(record_json.body AS BLOB), command_id, item_id, record_no \
         FROM record_json LEFT JOIN item USING (item_no) WHERE record_no > ?1 ORDER BY record_no LIMIT ?2",
    )?;
    let mut put = connection.prepare_cached(
        "INSERT INTO record (record_no, command_id, item_no, body) \
         SELECT record_no, command_id, item_no, coalesce(?2, CAST(body AS BLOB)) FROM record_json WHERE record_no = ?1",
    )?;
    let mut remove = connection.prepare_cached("DELETE FROM record_json WHERE record_no = ?1")?;
    let mut moved = Vec::new();
    let mut found = read.query((after, step))?;
    while let Some(row) = found.next()? {
        // What can't be read stays as it is. So does a record whose row names another command.
        let compact = rows::record(row, 0)
            .ok()
            .filter(|record| rows::record_key(row, 1).as_ref() == Some(&record.reference()))
            .and_then(|record| record.to_bytes().ok());
        let record_no: i64 = row.get(3)?;
        put.execute((record_no, compact))?;
        moved.push(record_no);
    }
    for record_no in &moved {
        remove.execute([record_no])?;
    }
    drop(found);
    transaction.commit()?;
    Ok(moved.last().copied())
}
