//! Reads rows.

use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::Fault;
use super::names::LocationNames;
use stockline_core::domain::{
    CommandId, Item, ItemId, Level, LocationId, LocationSettings, MAIN_LOCATION, Quantity, Record, StockState,
    Timestamp, decode_entries,
};

/// The columns of a level, in the order that [`level`] reads.
macro_rules! level_columns {
    () => {
        "location_no, on_hand, level.seq, level.version, level.low_stock_threshold, state, alerted, alert_no, \
         alert_epoch, counted_at, level.updated_at, tail"
    };
}
pub(super) use level_columns;

/// Reads a level from its columns, which begin at `at`.
pub(super) fn level(
    connection: &Connection,
    names: &mut LocationNames,
    row: &Row<'_>,
    at: usize,
) -> Result<Level, Fault> {
    let tail = row.get_ref(at + 11)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Level {
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
        tail: decode_entries(tail)?,
    })
}

const STATES: [StockState; 4] = [StockState::Normal, StockState::Low, StockState::Out, StockState::Oversold];

/// Returns the stored number of a state, which must never change.
pub(super) fn state_no(state: StockState) -> i64 {
    STATES.iter().zip(0..).find_map(|(s, no)| (*s == state).then_some(no)).unwrap_or(0)
}

fn state_of(no: usize) -> Result<StockState, Fault> {
    STATES.get(no).copied().ok_or_else(|| Fault::Unreadable(format!("a level has the unknown state {no}")))
}

/// Reads an item from its body.
pub(super) fn item(body: &str) -> Result<Item, Fault> {
    serde_json::from_str(body).map_err(|error| Fault::Unreadable(format!("the catalogue record of an item: {error}")))
}

/// Finds the number of an item, and its record if it is registered.
pub(super) fn find_item(connection: &Connection, item_id: &ItemId) -> Result<Option<(i64, Option<Item>)>, Fault> {
    let mut statement = connection.prepare_cached("SELECT item_no, body FROM item WHERE item_id = ?1")?;
    let mut rows = statement.query([item_id.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let body = row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    Ok(Some((row.get(0)?, body.map(item).transpose()?)))
}

/// Finds the record of this command among the candidates.
pub(super) fn find_record(
    connection: &Connection,
    candidates: &[i64],
    item_id: &ItemId,
    command_id: CommandId,
) -> Result<Option<(i64, Record)>, Fault> {
    if candidates.is_empty() {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(
        "SELECT body FROM record WHERE record_no = ?1 AND command_id = ?2 \
         AND item_no = (SELECT item_no FROM item WHERE item_id = ?3)",
    )?;
    for record_no in candidates {
        let mut rows = statement.query((record_no, command_id.0.as_bytes(), item_id.as_str()))?;
        if let Some(row) = rows.next()? {
            return Ok(Some((*record_no, record(row, 0)?)));
        }
    }
    Ok(None)
}

/// Reads a record from its body.
pub(super) fn record(row: &Row<'_>, at: usize) -> Result<Record, Fault> {
    let body = row.get_ref(at)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(Record::from_json(body)?)
}

/// Reads the settings of a location. `main` always has some.
pub(super) fn settings(connection: &Connection, location_id: &LocationId) -> Result<Option<LocationSettings>, Fault> {
    let mut statement = connection.prepare_cached("SELECT settings FROM location WHERE location_id = ?1")?;
    let text: Option<Option<String>> = statement.query_row([location_id.as_str()], |row| row.get(0)).optional()?;
    match text.flatten() {
        Some(text) => Ok(Some(read_settings(&text)?)),
        None if location_id.as_str() == MAIN_LOCATION => Ok(Some(LocationSettings::main())),
        None => Ok(None),
    }
}

/// Reads settings from their text.
pub(super) fn read_settings(text: &str) -> Result<LocationSettings, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Unreadable(format!("the settings of a location: {error}")))
}
