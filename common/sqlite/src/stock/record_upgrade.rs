//! Moves the outcomes of earlier programs, which are in JSON, to the table of compact ones. Each step is a transaction, so a
//! start that was cut off goes on where it ended.

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use super::rows;

/// How many records a step moves. It bounds the memory and the log of a step.
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
    let (mut after, mut skipped, mut told) = (0, 0, 0);
    while after < last {
        match in_transaction(connection, || move_behind(connection, after)) {
            Ok(None) => break,
            Ok(Some(moved_to)) => after = moved_to,
            // A page can't be read: go on behind it. Its records stay where they are, and read as missing.
            Err(Fault::Unreadable(what)) => {
                tracing::error!(what, after, "records of an earlier program can't be read, and are not moved");
                skipped += 1;
                after += 1 << skipped.min(20);
            }
            Err(fault) => return Err(fault),
        }
        if after - told >= TOLD_RECORDS {
            tracing::info!(records = after, of = last, "making the records of an earlier program compact");
            told = after;
        }
    }
    if skipped == 0 {
        connection.execute_batch("DROP TABLE record_json")?;
    }
    Ok(())
}

fn in_transaction<T>(connection: &Connection, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = work().and_then(|done| Ok(connection.execute_batch("COMMIT").map(|()| done)?));
    if done.is_err() {
        connection.execute_batch("ROLLBACK")?;
    }
    done
}

/// Moves the next records. Returns the number of the last one.
fn move_behind(connection: &Connection, after: i64) -> Result<Option<i64>, Fault> {
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
    let mut found = read.query((after, STEP_RECORDS))?;
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
    Ok(moved.last().copied())
}
