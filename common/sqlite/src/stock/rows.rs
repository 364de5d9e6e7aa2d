//! Reads rows.

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::fault::Fault;
use super::names::LocationNames;
use super::sealed;
use super::states::state_of;
use stockline_core::domain::{
    CommandId, CommandKey, Item, ItemId, Level, LocationId, LocationSettings, MAIN_LOCATION, Money, Quantity, Record,
    Timestamp,
};

/// The columns of a level, in the order that [`level`] reads.
macro_rules! level_columns {
    () => {
        "location_no, on_hand, level.seq, level.version, level.low_stock_threshold, state, alerted, alert_no, \
         alert_epoch, counted_at, level.updated_at, tail, value, average_cost, counted_seq"
    };
}
pub(super) use level_columns;

/// The columns of a record, in the order that [`record`] reads, and the tables that have them.
macro_rules! record_columns {
    () => {
        "record.body, record.command_id, item.item_id FROM record LEFT JOIN item USING (item_no)"
    };
}
pub(super) use record_columns;

/// Reads a level of an item from its columns, which begin at `at`.
pub(super) fn level(
    connection: &Connection,
    names: &mut LocationNames,
    item_id: &ItemId,
    row: &Row<'_>,
    at: usize,
) -> Result<Level, Fault> {
    let (level, tail) = columns(connection, names, row, at)?;
    let tail = sealed::read_tail(item_id, &level, tail)?;
    Ok(Level { tail, ..level })
}

/// As [`level`], but leaves its tail encoded beside it.
pub(super) fn level_and_tail<'r>(
    connection: &Connection,
    names: &mut LocationNames,
    item_id: &ItemId,
    row: &'r Row<'_>,
    at: usize,
) -> Result<(Level, &'r [u8]), Fault> {
    let (level, tail) = columns(connection, names, row, at)?;
    let tail = sealed::open_tail(item_id, &level, tail)?;
    Ok((level, tail))
}

/// Reads the columns of a level: its tail is as it is stored, and the checksum is not checked.
fn columns<'r>(
    connection: &Connection,
    names: &mut LocationNames,
    row: &'r Row<'_>,
    at: usize,
) -> Result<(Level, &'r [u8]), Fault> {
    let tail = row.get_ref(at + 11)?.as_blob().map_err(rusqlite::Error::from)?;
    let level = Level {
        location_id: names.id(connection, row.get(at)?)?,
        on_hand: Quantity::from_raw(row.get(at + 1)?),
        seq: row.get::<_, i64>(at + 2)?.cast_unsigned(),
        version: row.get::<_, i64>(at + 3)?.cast_unsigned(),
        low_stock_threshold: row.get::<_, Option<i64>>(at + 4)?.map(Quantity::from_raw),
        state: state_of(row.get(at + 5)?)?,
        alerted: row.get(at + 6)?,
        alert_no: row.get::<_, i64>(at + 7)?.cast_unsigned(),
        alert_epoch: row.get::<_, i64>(at + 8)?.cast_unsigned(),
        counted_at: row.get::<_, Option<i64>>(at + 9)?.map(Timestamp::from_millis),
        updated_at: Timestamp::from_millis(row.get(at + 10)?),
        value: Money::from_raw(row.get(at + 12)?),
        average_cost: row.get::<_, Option<i64>>(at + 13)?.map(Money::from_raw),
        counted_seq: row.get::<_, i64>(at + 14)?.cast_unsigned(),
        tail: Vec::new(),
    };
    Ok((level, tail))
}

/// Reads an item from its body.
pub(super) fn item(body: &str) -> Result<Item, Fault> {
    sealed::read_json("the catalogue record of an item", body)
}

/// Finds the number of an item, and its record if it is registered.
pub(super) fn find_item(connection: &Connection, item_id: &ItemId) -> Result<Option<(i64, Option<Item>)>, Fault> {
    let mut statement = connection.prepare_cached("SELECT item_no, body FROM item WHERE item_id = ?1")?;
    let mut rows = statement.query([item_id.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let body = row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    let found = body.map(item).transpose()?;
    if let Some(other) = found.as_ref().filter(|found| found.item_id != *item_id) {
        return Err(Fault::Unreadable(format!("the row of item {item_id} holds item {}", other.item_id)));
    }
    Ok(Some((row.get(0)?, found)))
}

/// Finds the record of this command among the candidates. The checksum of a record covers its key, so a record that can be
/// read is of the command that its row names. One that can't be read may be this one, so it is never taken as absent.
pub(super) fn find_record(
    connection: &Connection,
    candidates: &[i64],
    item_id: &ItemId,
    command_id: CommandId,
) -> Result<Option<(i64, Record)>, Fault> {
    if candidates.is_empty() {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(concat!("SELECT ", record_columns!(), " WHERE record_no = ?1"))?;
    for record_no in candidates {
        let mut rows = statement.query([record_no])?;
        let Some(row) = rows.next()? else {
            return Err(Fault::Unreadable(format!("record {record_no} is missing, which may be that of {command_id}")));
        };
        let record = record(row, 0)?;
        if record.outcome.command_id == command_id && record.outcome.item_id == *item_id {
            return Ok(Some((*record_no, record)));
        }
    }
    Ok(None)
}

/// Reads a record from [`record_columns`], which begin at `at`.
pub(super) fn record(row: &Row<'_>, at: usize) -> Result<Record, Fault> {
    let body = row.get_ref(at)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Record::from_bytes(body, record_key(row, at + 1))?)
}

/// Reads which command the row of a record is of; `None` if the row does not say it.
pub(super) fn record_key(row: &Row<'_>, at: usize) -> Option<CommandKey> {
    let command_id = CommandId(Uuid::from_slice(row.get_ref(at).ok()?.as_blob().ok()?).ok()?);
    let item_id = row.get_ref(at + 1).ok()?.as_str().ok()?.parse().ok()?;
    Some(CommandKey { item_id, command_id })
}

/// Reads the settings of a location. `main` always has some.
pub(super) fn settings(connection: &Connection, location_id: &LocationId) -> Result<Option<LocationSettings>, Fault> {
    let mut statement = connection.prepare_cached("SELECT settings FROM location WHERE location_id = ?1")?;
    let mut text: Option<Option<String>> = statement.query_row([location_id.as_str()], |row| row.get(0)).optional()?;
    if text.is_none() {
        // A damaged index must not make a location unknown. The table is small, and unknown locations are rare.
        let mut all = connection.prepare_cached("SELECT settings FROM location NOT INDEXED WHERE +location_id = ?1")?;
        text = all.query_row([location_id.as_str()], |row| row.get(0)).optional()?;
    }
    match text.flatten() {
        Some(text) => Ok(Some(read_settings(&text)?)),
        None if location_id.as_str() == MAIN_LOCATION => Ok(Some(LocationSettings::main())),
        None => Ok(None),
    }
}

/// Finds a registered location whose id differs from this one only by its case; `None` if this one is registered, perhaps
/// by a program that did not look. The table is small.
pub(super) fn twin_of(connection: &Connection, location_id: &LocationId) -> Result<Option<LocationId>, Fault> {
    let mut statement = connection.prepare_cached("SELECT location_id FROM location WHERE settings IS NOT NULL")?;
    let ids = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let (wanted, main) = (location_id.folded(), MAIN_LOCATION.to_owned());
    if location_id.as_str() == MAIN_LOCATION || ids.iter().any(|id| *id == location_id.as_str()) {
        return Ok(None);
    }
    let registered = ids.into_iter().chain([main]).filter_map(|id| id.parse::<LocationId>().ok());
    Ok({ registered }.find(|id| id.folded() == wanted))
}

/// Reads settings from their text.
pub(super) fn read_settings(text: &str) -> Result<LocationSettings, Fault> {
    sealed::read_json("the settings of a location", text)
}
