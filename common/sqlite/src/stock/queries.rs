//! The lists of refused commands, alerts and locations, and the stock as of a time. A list is a walk along an index in
//! its own order, one row after the other, until its page is full or its budget is spent.

use rusqlite::types::Value;
use rusqlite::{Row, Statement, params_from_iter};

use super::alert_book;
use super::fault::Fault;
use super::ledger::{self, Place};
use super::listed::{listed, shown, two};
use super::load;
use super::readers::{View, parts};
use super::rows::{self, record_columns};
use stockline_core::domain::{
    DeadLetter, ItemId, LocationId, LocationSettings, MAIN_LOCATION, Quantity, Record, Status, Timestamp,
};
use stockline_core::ports::cursor;
use stockline_core::ports::{AlertRecord, CommandFilter, Page};

/// A balance: where, how much, after which entry.
type Balance = (LocationId, Quantity, u64);

/// The balances of an item at a point in time, by location.
pub(super) fn stock_as_of(view: &mut View<'_>, item_id: &ItemId, at: Timestamp) -> Result<Option<Vec<Balance>>, Fault> {
    let (connection, names) = parts(view);
    let Some((item_no, _)) = load::registered(connection, item_id)? else {
        return Ok(None);
    };
    let mut balances = Vec::new();
    for level in load::levels(connection, names, item_id, item_no)? {
        let Some(location_no) = names.no(connection, &level.location_id)? else { continue };
        let place = Place { item_no, location_no, item_id: item_id.clone(), location_id: level.location_id.clone() };
        if let Some((on_hand, seq)) = ledger::as_of(connection, place, &level, at)? {
            balances.push((level.location_id, on_hand, seq));
        }
    }
    Ok(Some(balances))
}

const COMMANDS: &str = "commands";

/// Lists refused commands, newest first.
pub(super) fn commands(
    view: &View<'_>,
    filter: &CommandFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Record>, Fault> {
    let limit = cursor::clamp(limit);
    let (settled_at, record_no) = cursor::decode(COMMANDS, cursor)?.unwrap_or((i64::MAX, i64::MAX));
    let mut budget = view.page_budget();
    let mut statement = view.prepare_cached(
        "SELECT settled_at, record_no, settled_otherwise, code, location_id FROM refused \
         WHERE status = ?1 AND (settled_at, record_no) < (?2, ?3) ORDER BY settled_at DESC, record_no DESC",
    )?;
    let mut record = view.prepare_cached(RECORD)?;
    let mut rows = statement.query((filter.status.as_str(), settled_at, record_no))?;
    let mut found: Vec<((i64, i64), Record)> = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(place) = listed(two(row))? else { continue };
        if filter.since.is_some_and(|since| place.0 < since.as_millis()) {
            break;
        }
        if listed(keeps(filter, row))?.unwrap_or(false) {
            found.extend(listed(refused(&mut record, place, filter.status))?.map(|record| (place, record)));
            if found.len() > limit {
                break;
            }
        }
        if !budget.spend(1) {
            return Ok(of_places(cursor::page_until(COMMANDS, found, Some(place))));
        }
    }
    Ok(of_places(cursor::page(COMMANDS, found, limit, |(place, _)| *place)))
}

fn keeps(filter: &CommandFilter, row: &Row<'_>) -> Result<bool, Fault> {
    let settled_otherwise: bool = row.get(2)?;
    let text = |at: usize| row.get_ref(at)?.as_str_or_null().map_err(rusqlite::Error::from);
    let (code, location_id) = (text(3)?, text(4)?);
    Ok((filter.settled_otherwise || !settled_otherwise)
        && filter.code.is_none_or(|only| code == Some(only.as_str()))
        && filter.location_id.as_ref().is_none_or(|only| location_id == Some(only.as_str())))
}

/// The record of a row of a list.
pub(super) const RECORD: &str = concat!("SELECT ", record_columns!(), " WHERE record_no = ?1");

/// Reads the record of a refused command by its place in the list.
fn refused(statement: &mut Statement<'_>, place: (i64, i64), status: Status) -> Result<Record, Fault> {
    let mut rows = statement.query([place.1])?;
    let row = rows.next()?.ok_or_else(|| missing("refused commands", place.1))?;
    rows::record(row, 0).or_else(|fault| unreadable_record(row, place, status, fault))
}

/// Reads the record that a list names.
pub(super) fn recorded(statement: &mut Statement<'_>, list: &str, record_no: i64) -> Result<Record, Fault> {
    let mut rows = statement.query([record_no])?;
    rows::record(rows.next()?.ok_or_else(|| missing(list, record_no))?, 0)
}

fn missing(list: &str, record_no: i64) -> Fault {
    Fault::Unreadable(format!("the list of {list} names record {record_no}, which is missing"))
}

/// Shows a refused command whose record can't be read, as far as the row around it says which it is.
fn unreadable_record(row: &Row<'_>, place: (i64, i64), status: Status, fault: Fault) -> Result<Record, Fault> {
    let Fault::Unreadable(what) = fault else { return Err(fault) };
    let Some(key) = rows::record_key(row, 1) else {
        return Err(Fault::Unreadable(what));
    };
    let letter = DeadLetter::of(format!("this record can't be read: {what}"), String::new());
    let settled_at = Timestamp::from_millis(place.0);
    let mut record = Record::dead_letter(None, letter, (key.item_id, key.command_id), settled_at);
    record.outcome.status = status;
    Ok(record)
}

/// Leaves the keys of a page's entries away.
pub(super) fn of_places<K, T>(page: Page<(K, T)>) -> Page<T> {
    Page { entries: page.entries.into_iter().map(|(_, entry)| entry).collect(), next_cursor: page.next_cursor }
}

const AUDIT_RECORDS: &str = "audit_records";

/// All records, in the order of their first decision.
pub(super) fn audit_records(view: &View<'_>, cursor: Option<&str>, limit: usize) -> Result<Page<Record>, Fault> {
    let limit = cursor::clamp(limit);
    let after: i64 = cursor::decode(AUDIT_RECORDS, cursor)?.unwrap_or(0);
    let mut statement = view.prepare_cached(concat!(
        "SELECT record_no, ",
        record_columns!(),
        " WHERE record_no > ?1 ORDER BY record_no LIMIT ?2"
    ))?;
    let mut rows = statement.query((after, limit + 1))?;
    // The cursor counts those that can't be read too.
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get::<_, i64>(0)?, listed(rows::record(row, 1))?));
    }
    let page = cursor::page(AUDIT_RECORDS, found, limit, |(record_no, _)| *record_no);
    Ok(Page {
        entries: page.entries.into_iter().filter_map(|(_, record)| record).collect(),
        next_cursor: page.next_cursor,
    })
}

const ALERTS: &str = "alerts";

/// Alerts, newest first.
pub(super) fn alerts(
    view: &View<'_>,
    location_id: Option<&LocationId>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<AlertRecord>, Fault> {
    let limit = cursor::clamp(limit);
    let (raised_at, alert_id) = cursor::decode(ALERTS, cursor)?.unwrap_or((i64::MAX, String::new()));
    let mut values = vec![Value::Integer(raised_at), Value::Text(alert_id)];
    let sql = match location_id {
        None => {
            "SELECT alert_id, sent_at, body, raised_at FROM alert WHERE (raised_at, alert_id) < (?1, ?2) \
             ORDER BY raised_at DESC, alert_id DESC"
        }
        Some(location_id) => {
            values.push(Value::Text(location_id.to_string()));
            "SELECT alert_id, sent_at, body, raised_at FROM alert WHERE location_id = ?3 \
             AND (raised_at, alert_id) < (?1, ?2) ORDER BY raised_at DESC, alert_id DESC"
        }
    };
    let mut budget = view.page_budget();
    let mut statement = view.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut found: Vec<((i64, String), AlertRecord)> = Vec::new();
    while let Some(row) = rows.next()? {
        let place = (|| Ok((row.get(3)?, shown(row, 0)?)))();
        let Some(place): Option<(i64, String)> = listed(place)? else { continue };
        found.extend(listed(alert(row))?.map(|record| (place.clone(), record)));
        if found.len() > limit {
            break;
        }
        if !budget.spend(1) {
            return Ok(of_places(cursor::page_until(ALERTS, found, Some(place))));
        }
    }
    Ok(of_places(cursor::page(ALERTS, found, limit, |(place, _)| place.clone())))
}

fn alert(row: &Row<'_>) -> Result<AlertRecord, Fault> {
    let sent_at = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis);
    alert_book::record(row.get(0)?, sent_at, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)
}

/// All locations, by id; `main` is one of them.
pub(super) fn locations(view: &View<'_>) -> Result<Vec<LocationSettings>, Fault> {
    let mut statement = view.prepare_cached("SELECT settings FROM location WHERE settings IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str().map_err(|error| rusqlite::Error::from(error).into());
        found.extend(listed(text.and_then(rows::read_settings))?);
    }
    if found.iter().all(|settings: &LocationSettings| settings.location_id.as_str() != MAIN_LOCATION) {
        found.push(LocationSettings::main());
    }
    found.sort_unstable_by(|a, b| a.location_id.cmp(&b.location_id));
    Ok(found)
}
