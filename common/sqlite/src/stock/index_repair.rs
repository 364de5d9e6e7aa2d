//! Makes the index of records anew: from the records, which are numbered 1, 2, 3 … without gaps.
//!
//! A record whose row is gone keeps its old key, so that its command is undecidable and never taken as new.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::Fault;
use super::id_key::id_key;
use super::key_chain::{self, Key};
use super::rows::{self, record_columns};

/// Reads the key of each record. Returns too which numbers have none.
///
/// It needs 16 bytes of memory for each record, and [`rebuild`] as much again.
pub(super) fn keys_of_records(connection: &Connection) -> Result<(Vec<Key>, BTreeSet<i64>), Fault> {
    let (mut keys, mut missing) = (Vec::new(), BTreeSet::new());
    let last: i64 = connection.query_row("SELECT coalesce(max(record_no), 0) FROM record", [], |row| row.get(0))?;
    let mut after = 0;
    while after < last {
        let from = after;
        let read = read_on(connection, &mut after, &mut keys, &mut missing);
        match read {
            Ok(()) => break,
            // A page can't be read: go on behind it.
            Err(Fault::Unreadable(_)) => {
                missing.insert(after + 1);
                after = (after + 1).max(from + 1);
            }
            Err(fault) => return Err(fault),
        }
    }
    missing.extend((after + 1)..=last);
    Ok((keys, missing))
}

fn read_on(
    connection: &Connection,
    after: &mut i64,
    keys: &mut Vec<Key>,
    missing: &mut BTreeSet<i64>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT record_no, ",
        record_columns!(),
        " WHERE record_no > ?1 ORDER BY record_no"
    ))?;
    let mut rows = statement.query([*after])?;
    while let Some(row) = rows.next()? {
        let record_no: i64 = row.get(0)?;
        missing.extend((*after + 1)..record_no);
        *after = record_no;
        match key_of(row) {
            Some(key) => keys.push((key, record_no)),
            None => _ = missing.insert(record_no),
        }
    }
    Ok(())
}

/// Returns the key of a record that can be read, else of the row that it lies in.
fn key_of(row: &Row<'_>) -> Option<i64> {
    let key = rows::record(row, 1).map(|record| record.reference()).ok().or_else(|| rows::record_key(row, 2))?;
    Some(id_key(&key.item_id, key.command_id))
}

/// Replaces the index by one that is made of the records and of the keys `known` before. Returns its last key.
pub(super) fn rebuild(connection: &Connection, known: impl Iterator<Item = Key>) -> Result<Option<Key>, Fault> {
    let (mut keys, missing) = keys_of_records(connection)?;
    let (old, _) = key_chain::read_all(connection)?;
    // A damaged table of records may hide rows and its end. A key of which nothing was read is kept; one that shares its
    // number or its id with a record that was read is itself damaged.
    let sorted = |mut numbers: Vec<i64>| {
        numbers.sort_unstable();
        numbers
    };
    let read = sorted(keys.iter().map(|(_, record_no)| *record_no).collect());
    let ids = sorted(keys.iter().map(|(id_key, _)| *id_key).collect());
    let is_hidden = |(id_key, record_no): &Key| {
        missing.contains(record_no) || (read.binary_search(record_no).is_err() && ids.binary_search(id_key).is_err())
    };
    keys.extend(old.into_iter().chain(known).filter(is_hidden));
    keys.sort_unstable();
    keys.dedup();
    let last = keys.iter().copied().max_by_key(|(_, record_no)| *record_no);
    set_aside(connection, "key_chain")?;
    set_aside(connection, "key_log")?;
    connection.execute_batch(concat!(
        "CREATE TABLE key_chain (id_key INTEGER NOT NULL, record_no INTEGER NOT NULL, link INTEGER NOT NULL, \
         PRIMARY KEY (id_key, record_no)) STRICT, WITHOUT ROWID;",
        "CREATE TABLE key_log (log_no INTEGER PRIMARY KEY, round_from INTEGER NOT NULL, position_key INTEGER, \
         position_record_no INTEGER, keys BLOB NOT NULL) STRICT;"
    ))?;
    key_chain::fill(connection, keys.into_iter().map(Ok))?;
    Ok(last)
}

/// Drops a table. Where its pages can't be read, it is only renamed.
fn set_aside(connection: &Connection, table: &str) -> Result<(), Fault> {
    connection.execute_batch("SAVEPOINT aside")?;
    if let Err(error) = connection.execute_batch(&format!("DROP TABLE {table}")) {
        tracing::warn!(table, %error, "a damaged table can't be dropped: it stays under another name");
        connection.execute_batch("ROLLBACK TO aside")?;
        let damaged = format!("{table}_damaged_%");
        let count: i64 =
            connection
                .query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE ?1", [damaged], |row| row.get(0))?;
        connection.execute_batch(&format!("ALTER TABLE {table} RENAME TO {table}_damaged_{count}"))?;
    }
    connection.execute_batch("RELEASE aside")?;
    Ok(())
}

/// Moves the keys of the table of earlier versions into the chain, once.
pub(super) fn take_over_old_index(connection: &Connection) -> Result<(), Fault> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'record_key'";
    if connection.query_row(there, [], |_| Ok(())).optional()?.is_none() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let moved = (|| {
        let mut statement =
            connection.prepare("SELECT id_key, record_no FROM record_key ORDER BY id_key, record_no")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        key_chain::fill(connection, rows.map(|row| row.map_err(Fault::from)))?;
        drop(statement);
        Ok(connection.execute_batch("DROP TABLE record_key; COMMIT")?)
    })();
    if moved.is_err() {
        connection.execute_batch("ROLLBACK")?;
    }
    moved
}
