//! Reads the messages that an earlier process queued. A row whose bits have flipped harms itself alone.
//!
//! A row's number is its place in the order, and its group is its item. Both have a checksum, and one flipped bit in
//! them is found again by trying each. Commands have their own checksums, which also say of which item they are.

use std::collections::VecDeque;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};
use uuid::Uuid;

use stockline_core::domain::{Timestamp, checksum, item_of_message};

/// A message as it was queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recovered {
    /// The number of its row.
    pub(super) row: i64,
    /// Its place in the order: the number of its row, unless that has changed.
    pub(super) n: i64,
    pub(super) group: String,
    pub(super) id: Uuid,
    pub(super) sent_at: i64,
    pub(super) receives: u32,
}

/// Returns the checksum of a row's key, group, id and time.
pub(super) fn row_check(n: i64, group: &str, id: Uuid, sent_at: Timestamp) -> i64 {
    sum(n, group, id, sent_at.as_millis())
}

fn sum(n: i64, group: &str, id: Uuid, sent_at: i64) -> i64 {
    checksum(&[&n.to_le_bytes(), group.as_bytes(), id.as_bytes(), &sent_at.to_le_bytes()]).into()
}

/// Reads all messages in order. A page that can't be read is left out, and the log says so. Then the messages move to a
/// new table: a write beside the damage would fail, and with it every send. So do they if pages may hide rows.
pub(super) fn messages(connection: &Connection, hides_rows: bool) -> rusqlite::Result<Vec<Recovered>> {
    let mut found = Vec::new();
    let mut is_whole = !hides_rows;
    if hides_rows {
        tracing::error!("pages of queue.db may hide messages or alerts: they wait there for a repair");
    }
    let (mut after, mut step) = (i64::MIN, 1_i64);
    loop {
        let error = match read_behind(connection, &mut after, &mut found) {
            Ok(()) => break,
            Err(error) => error,
        };
        let is_damage = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt));
        if !is_damage || found.is_empty() || step > 1 << 40 {
            return Err(error);
        }
        tracing::error!(%error, row = after + 1, "messages in a part of queue.db can't be read: they wait there for a repair");
        after = after.saturating_add(step);
        step *= 2;
        is_whole = false;
    }
    if !is_whole {
        let rows: Vec<i64> = found.iter().map(|message| message.row).collect();
        move_out(connection, &MESSAGES, &rows)?;
    }
    found.sort_by_key(|message| message.n);
    Ok(found)
}

struct TableOf {
    name: &'static str,
    columns: &'static str,
    create: &'static str,
}

const MESSAGES: TableOf = TableOf {
    name: "message",
    columns: "n, grp, dedup_id, sent_at, receives, body, row_check",
    create: "CREATE TABLE message (n INTEGER PRIMARY KEY, grp TEXT NOT NULL, dedup_id BLOB NOT NULL, \
             sent_at INTEGER NOT NULL, receives INTEGER NOT NULL, body TEXT NOT NULL, row_check INTEGER) STRICT",
};

const ALERTS: TableOf = TableOf {
    name: "alert",
    columns: "n, body",
    create: "CREATE TABLE alert (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT",
};

/// Moves the readable rows of a damaged table to a new one. The damaged one stays under another name.
fn move_out(connection: &Connection, table: &TableOf, rows: &[i64]) -> rusqlite::Result<()> {
    let TableOf { name, columns, create } = table;
    let aside = format!("{name}_damaged_%");
    let count: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE ?1", [aside], |row| row.get(0))?;
    let damaged = format!("{name}_damaged_{count}");
    connection.execute_batch(&format!("BEGIN IMMEDIATE; ALTER TABLE {name} RENAME TO {damaged}; {create}"))?;
    let sql = format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {damaged} WHERE n = ?1");
    for n in rows {
        if let Err(error) = connection.execute(&sql, [n]) {
            tracing::error!(%error, row = n, table = name, "a row can't be moved out of the damaged table");
        }
    }
    connection.execute_batch("COMMIT")
}

fn read_behind(connection: &Connection, after: &mut i64, found: &mut Vec<Recovered>) -> rusqlite::Result<()> {
    let mut select = connection
        .prepare_cached("SELECT n, grp, dedup_id, sent_at, receives, row_check FROM message WHERE n > ?1 ORDER BY n")?;
    let mut rows = select.query([*after])?;
    while let Some(row) = rows.next()? {
        *after = row.get(0)?;
        found.push(one(connection, *after, row));
    }
    Ok(())
}

/// Reads the numbers of the waiting alerts. A page that can't be read is left out, and the log says so. A number that
/// has changed to the greatest there is would stop those that follow, so it is left out too. If pages may hide rows, those
/// found move to a new table.
pub(super) fn alert_numbers(connection: &Connection, hides_rows: bool) -> rusqlite::Result<VecDeque<i64>> {
    let mut numbers = VecDeque::new();
    let mut statement = connection.prepare("SELECT n FROM alert WHERE n < ?1 ORDER BY n")?;
    let mut rows = statement.query([ALERT_NUMBER_MAX])?;
    let error = loop {
        match rows.next() {
            Ok(Some(row)) => numbers.push_back(row.get(0)?),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    match error {
        None if hides_rows => {}
        None => return Ok(numbers),
        Some(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            tracing::error!(%error, "alerts in a part of queue.db can't be read: they wait there for a repair");
        }
        Some(error) => return Err(error),
    }
    drop(rows);
    drop(statement);
    move_out(connection, &ALERTS, numbers.make_contiguous())?;
    Ok(numbers)
}

/// Far beyond what is ever counted.
const ALERT_NUMBER_MAX: i64 = 1 << 62;

/// Reads one row, as far as its bytes allow.
fn one(connection: &Connection, row_no: i64, row: &Row<'_>) -> Recovered {
    let group = row.get_ref(1).ok().and_then(|value| value.as_str().ok()).map(str::to_owned);
    let id = row.get_ref(2).ok().and_then(|value| value.as_blob().ok()).and_then(|id| Uuid::from_slice(id).ok());
    let read = Recovered {
        row: row_no,
        n: row_no,
        // The whole id would be found among the bits below.
        id: id.unwrap_or(Uuid::from_u64_pair(0, row_no.cast_unsigned())),
        group: group.clone().unwrap_or_default(),
        sent_at: row.get(3).unwrap_or(0),
        receives: row.get(4).unwrap_or(0),
    };
    let Some(check) = row.get::<_, Option<i64>>(5).ok().flatten() else {
        return if group.is_some() { read } else { of_body(connection, read) };
    };
    if check == sum(read.n, &read.group, read.id, read.sent_at) {
        return read;
    }
    tracing::error!(row = row_no, group = read.group, "a message's row in queue.db has changed since it was written");
    one_bit_back(&read, check).unwrap_or_else(|| of_body(connection, read))
}

/// Finds the one bit whose change explains the checksum.
fn one_bit_back(read: &Recovered, check: i64) -> Option<Recovered> {
    let fits = |tried: &Recovered| sum(tried.n, &tried.group, tried.id, tried.sent_at) == check;
    let numbers = (0..64).flat_map(|bit| {
        let flip = 1_i64 << bit;
        [Recovered { n: read.n ^ flip, ..read.clone() }, Recovered { sent_at: read.sent_at ^ flip, ..read.clone() }]
    });
    let ids = (0..128).map(|bit| Recovered { id: Uuid::from_u128(read.id.as_u128() ^ 1 << bit), ..read.clone() });
    let groups = (0..read.group.len() * 8).filter_map(|bit| {
        let mut bytes = read.group.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Some(Recovered { group: String::from_utf8(bytes).ok()?, ..read.clone() })
    });
    numbers.chain(ids).chain(groups).find(fits)
}

/// Takes the group from the commands of the message, which have checksums.
fn of_body(connection: &Connection, read: Recovered) -> Recovered {
    let body = connection
        .query_row("SELECT body FROM message WHERE n = ?1", [read.row], |row| Ok(text(row.get_ref(0)?)))
        .optional();
    match body.ok().flatten().as_deref().and_then(item_of_message) {
        Some(item_id) => Recovered { group: item_id.to_string(), ..read },
        None => read,
    }
}

/// Reads a text whose bytes may have changed.
pub(super) fn text(value: rusqlite::types::ValueRef<'_>) -> String {
    match value.as_bytes() {
        Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Err(_) => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flipped_bit_of_a_rows_key_is_found_again() {
        let was = Recovered { row: 7, n: 7, group: "cola".into(), id: Uuid::from_u128(9), sent_at: 1_769, receives: 0 };
        let check = sum(was.n, &was.group, was.id, was.sent_at);
        for bit in 0..32 {
            let n = Recovered { n: was.n ^ 1 << bit, row: was.n ^ 1 << bit, ..was.clone() };
            assert_eq!(one_bit_back(&n, check).unwrap().n, 7);
            let id = Recovered { id: Uuid::from_u128(was.id.as_u128() ^ 1 << (bit * 4)), ..was.clone() };
            assert_eq!(one_bit_back(&id, check).unwrap(), was);
        }
        let group = Recovered { group: "colb".into(), ..was.clone() };
        assert_eq!(one_bit_back(&Recovered { group: "cole".into(), ..group }, check).unwrap(), was);
        let two = Recovered { group: "colz".into(), n: 6, ..was.clone() };
        assert_eq!(one_bit_back(&two, check), None);
    }
}
