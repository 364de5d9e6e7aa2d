//! The lists of movements, of changes of the catalogue and of entries that were taken back, which are made of the applied
//! commands' records.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::fault::Fault;
use super::listed::{listed, two};
use super::names::LocationNames;
use super::queries::{RECORD, of_places, recorded};
use super::readers::{View, parts};
use super::rows::{self, record_columns};
use stockline_core::domain::{Command, CommandId, Effect, Record, Status};
use stockline_core::ports::cursor;
use stockline_core::ports::{ChangeFilter, Movement, MovementFilter, Page};

const MOVEMENTS: &str = "all_movements";
const CHANGES: &str = "changes";

/// The most differences that are named.
const NAMED_MAX: usize = 1_000;

/// A row of a list behind its place: the location or the item, the type, and the operator or the location.
type ListRow<'a> = (i64, &'static str, Option<&'a str>);

fn movement_row<'a>(location_no: i64, record: &'a Record, effect: &Effect) -> ListRow<'a> {
    let operator = record.outcome.command.as_ref().and_then(|command| command.details.operator.as_deref());
    let kind = record.outcome.command.as_ref().map_or(effect.kind.command_kind(), Command::kind);
    (location_no, kind.as_str(), operator)
}

fn change_row(item_no: i64, record: &Record) -> Option<ListRow<'_>> {
    let command = record.outcome.changed()?;
    Some((item_no, command.kind().as_str(), command.action.locations().next().map(|location| location.as_str())))
}

/// Lists an applied command: its movements, or its change of the catalogue.
pub(super) fn put(
    connection: &Connection,
    names: &mut LocationNames,
    item_no: i64,
    record_no: i64,
    record: &Record,
) -> Result<(), Fault> {
    for (leg, effect) in (0_i64..).zip(&record.outcome.effects) {
        let location_no = names.no_or_new(connection, &effect.location_id)?;
        let (location_no, kind, operator) = movement_row(location_no, record, effect);
        connection
            .prepare_cached(
                "INSERT INTO movement (recorded_at, record_no, leg, location_no, kind, operator) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![effect.recorded_at.as_millis(), record_no, leg, location_no, kind, operator])?;
    }
    if let Some((item_no, kind, location_id)) = change_row(item_no, record) {
        connection
            .prepare_cached(
                "INSERT INTO change (settled_at, record_no, item_no, kind, location_id) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![record.outcome.settled_at.as_millis(), record_no, item_no, kind, location_id])?;
    }
    put_reversed(connection, names, item_no, record)
}

/// Lists the entries of a movement that was taken back.
pub(super) fn put_reversed(
    connection: &Connection,
    names: &mut LocationNames,
    item_no: i64,
    record: &Record,
) -> Result<(), Fault> {
    let Some(by) = record.outcome.reversed_by else { return Ok(()) };
    for effect in &record.outcome.effects {
        let location_no = names.no_or_new(connection, &effect.location_id)?;
        connection
            .prepare_cached("INSERT INTO reversed (item_no, location_no, seq, command_id) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![item_no, location_no, effect.seq.cast_signed(), by.0.as_bytes()])?;
    }
    Ok(())
}

/// Says of each movement of an item which command took it back.
pub(super) fn find_reversed(
    connection: &Connection,
    names: &mut LocationNames,
    item_no: i64,
    movements: &mut [Movement],
) -> Result<(), Fault> {
    // Most items have none.
    if !connection.prepare_cached("SELECT 1 FROM reversed WHERE item_no = ?1")?.exists([item_no])? {
        return Ok(());
    }
    let mut statement = connection
        .prepare_cached("SELECT command_id FROM reversed WHERE item_no = ?1 AND location_no = ?2 AND seq = ?3")?;
    for movement in movements {
        let Some(location_no) = names.no(connection, &movement.location_id)? else { continue };
        let place = (item_no, location_no, movement.entry.seq.cast_signed());
        let by: Option<[u8; 16]> = statement.query_row(place, |row| row.get(0)).optional()?;
        movement.reversed_by = by.map(|by| CommandId(Uuid::from_bytes(by)));
    }
    Ok(())
}

/// Fills the lists of a file that had none, once.
pub(super) fn fill_new_lists(connection: &Connection) -> Result<(), Fault> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'lists_to_fill'";
    if connection.query_row(there, [], |_| Ok(())).optional()?.is_none() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let filled = fill(connection, &mut LocationNames::default())
        .and_then(|()| Ok(connection.execute_batch("DROP TABLE lists_to_fill; COMMIT")?));
    if filled.is_err() {
        connection.execute_batch("ROLLBACK")?;
    }
    filled
}

/// Makes all lists anew in the open transaction, if they differ from the records. Returns whether they did.
pub(super) fn repair(connection: &Connection, names: &mut LocationNames) -> Result<bool, Fault> {
    if differences(connection, names)?.is_empty() {
        return Ok(false);
    }
    connection.execute_batch("DELETE FROM movement; DELETE FROM change; DELETE FROM reversed")?;
    fill(connection, names)?;
    Ok(true)
}

fn fill(connection: &Connection, names: &mut LocationNames) -> Result<(), Fault> {
    each_applied(connection, &mut |item_no, record_no, record| put(connection, names, item_no, record_no, record))
}

/// Calls `work` with the number of the item and the record of each applied command, in order. It leaves out what can't be
/// read.
fn each_applied(
    connection: &Connection,
    work: &mut dyn FnMut(i64, i64, &Record) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let last: i64 = connection.query_row("SELECT coalesce(max(record_no), 0) FROM record", [], |row| row.get(0))?;
    let (mut after, mut step) = (0, 1);
    while after < last {
        match applied_behind(connection, &mut after, work) {
            Err(Fault::Unreadable(what)) => {
                tracing::error!(what, after, "records can't be read: the lists are made without them");
                after += step;
                step *= 2;
            }
            done => return done,
        }
    }
    Ok(())
}

fn applied_behind(
    connection: &Connection,
    after: &mut i64,
    work: &mut dyn FnMut(i64, i64, &Record) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare(concat!(
        "SELECT record_no, item_no, ",
        record_columns!(),
        " WHERE record_no > ?1 ORDER BY record_no"
    ))?;
    let mut rows = statement.query([*after])?;
    while let Some(row) = rows.next()? {
        *after = row.get(0)?;
        if let Some(record) = listed(rows::record(row, 2))?
            && record.outcome.status == Status::Applied
        {
            work(row.get(1)?, *after, &record)?;
        }
    }
    Ok(())
}

/// Compares all lists with the records, both ways. Returns the first differences.
pub(super) fn differences(connection: &Connection, names: &mut LocationNames) -> Result<Vec<String>, Fault> {
    let (mut found, mut movements, mut changes, mut reversed) = (Vec::new(), 0_i64, 0_i64, 0_i64);
    each_applied(connection, &mut |item_no, record_no, record| {
        let outcome = &record.outcome;
        for (leg, effect) in (0_i64..).zip(&outcome.effects) {
            movements += 1;
            // No location has number 0.
            let location_no = names.no(connection, &effect.location_id)?.unwrap_or(0);
            let (location_no, kind, operator) = movement_row(location_no, record, effect);
            let mut statement = connection.prepare_cached(
                "SELECT 1 FROM movement WHERE recorded_at = ?1 AND record_no = ?2 AND leg = ?3 AND location_no = ?4 \
                 AND kind = ?5 AND operator IS ?6",
            )?;
            let place = params![effect.recorded_at.as_millis(), record_no, leg, location_no, kind, operator];
            if found.len() < NAMED_MAX && !statement.exists(place)? {
                found.push(format!("a movement of command {} is not in the list of movements", outcome.command_id));
            }
            if let Some(by) = outcome.reversed_by {
                reversed += 1;
                let mut statement = connection.prepare_cached(
                    "SELECT 1 FROM reversed WHERE item_no = ?1 AND location_no = ?2 AND seq = ?3 AND command_id = ?4",
                )?;
                let place = params![item_no, location_no, effect.seq.cast_signed(), by.0.as_bytes()];
                if found.len() < NAMED_MAX && !statement.exists(place)? {
                    let what = "is not in the list of those that were taken back";
                    found.push(format!("a movement of command {} {what}", outcome.command_id));
                }
            }
        }
        if let Some((item_no, kind, location_id)) = change_row(item_no, record) {
            changes += 1;
            let mut statement = connection.prepare_cached(
                "SELECT 1 FROM change WHERE settled_at = ?1 AND record_no = ?2 AND item_no = ?3 AND kind = ?4 \
                 AND location_id IS ?5",
            )?;
            let place = params![outcome.settled_at.as_millis(), record_no, item_no, kind, location_id];
            if found.len() < NAMED_MAX && !statement.exists(place)? {
                found.push(format!("command {} is not in the list of changes", outcome.command_id));
            }
        }
        Ok(())
    })?;
    for (list, sql, expected) in [
        ("movements", "SELECT count(*) FROM movement", movements),
        ("changes", "SELECT count(*) FROM change", changes),
        ("reversed movements", "SELECT count(*) FROM reversed", reversed),
    ] {
        let rows: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        if found.is_empty() && rows != expected {
            found.push(format!("the list of {list} has {rows} rows, and the records have {expected}"));
        }
    }
    Ok(found)
}

/// Lists movements of all items, newest recorded first.
pub(super) fn movements(
    view: &mut View<'_>,
    filter: &MovementFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Movement>, Fault> {
    let limit = cursor::clamp(limit);
    let after: (i64, i64, i64) = cursor::decode(MOVEMENTS, cursor)?.unwrap_or((i64::MAX, i64::MAX, i64::MAX));
    let end = filter.to.map_or(after, |to| after.min((to.as_millis(), i64::MIN, i64::MIN)));
    let mut budget = view.page_budget();
    let (connection, names) = parts(view);
    let only_at = match &filter.location_id {
        Some(location_id) => match names.no(connection, location_id)? {
            Some(location_no) => Some(location_no),
            None => return Ok(Page { entries: Vec::new(), next_cursor: None }),
        },
        None => None,
    };
    let mut statement = connection.prepare_cached(
        "SELECT recorded_at, record_no, leg, location_no, kind, operator FROM movement \
         WHERE (recorded_at, record_no, leg) < (?1, ?2, ?3) ORDER BY recorded_at DESC, record_no DESC, leg DESC",
    )?;
    let mut record = connection.prepare_cached(RECORD)?;
    let mut rows = statement.query(end)?;
    let mut found: Vec<((i64, i64, i64), Movement)> = Vec::new();
    while let Some(row) = rows.next()? {
        let read = (|| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)))();
        let Some((place, location_no)): Option<((i64, i64, i64), i64)> = listed(read)? else { continue };
        if filter.from.is_some_and(|from| place.0 < from.as_millis()) {
            break;
        }
        let kind = row.get_ref(4)?.as_str().unwrap_or_default();
        let operator = row.get_ref(5)?.as_str_or_null().unwrap_or_default();
        if only_at.is_none_or(|only| only == location_no)
            && filter.kind.is_none_or(|only| only.as_str() == kind)
            && filter.operator.as_ref().is_none_or(|only| operator == Some(only.as_str()))
        {
            found.extend(listed(recorded(&mut record, "movements", place.1))?.and_then(|record| {
                let effect = record.outcome.effects.get(usize::try_from(place.2).ok()?)?;
                Movement::of_effect(&record.outcome, effect).map(|movement| (place, movement))
            }));
            if found.len() > limit {
                break;
            }
        }
        if !budget.spend(1) {
            return Ok(of_places(cursor::page_until(MOVEMENTS, found, Some(place))));
        }
    }
    Ok(of_places(cursor::page(MOVEMENTS, found, limit, |(place, _)| *place)))
}

/// Lists changes of the catalogue, newest first.
pub(super) fn changes(
    view: &View<'_>,
    filter: &ChangeFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Record>, Fault> {
    let limit = cursor::clamp(limit);
    let (settled_at, record_no): (i64, i64) = cursor::decode(CHANGES, cursor)?.unwrap_or((i64::MAX, i64::MAX));
    let mut budget = view.page_budget();
    let item_no = match &filter.item_id {
        Some(item_id) => match rows::find_item(view, item_id)? {
            Some((item_no, _)) => Some(item_no),
            None => return Ok(Page { entries: Vec::new(), next_cursor: None }),
        },
        None => None,
    };
    let of_all = "SELECT settled_at, record_no, kind, location_id FROM change \
                  WHERE (settled_at, record_no) < (?1, ?2) ORDER BY settled_at DESC, record_no DESC";
    let of_item = "SELECT settled_at, record_no, kind, location_id FROM change WHERE item_no = ?3 \
                   AND (settled_at, record_no) < (?1, ?2) ORDER BY settled_at DESC, record_no DESC";
    let mut statement = view.prepare_cached(if item_no.is_some() { of_item } else { of_all })?;
    let mut record = view.prepare_cached(RECORD)?;
    let mut rows = match item_no {
        Some(item_no) => statement.query((settled_at, record_no, item_no))?,
        None => statement.query((settled_at, record_no))?,
    };
    let mut found: Vec<((i64, i64), Record)> = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(place) = listed(two(row))? else { continue };
        if filter.since.is_some_and(|since| place.0 < since.as_millis()) {
            break;
        }
        let kind = row.get_ref(2)?.as_str().unwrap_or_default();
        let location_id = row.get_ref(3)?.as_str_or_null().unwrap_or_default();
        if filter.kind.is_none_or(|only| only.as_str() == kind)
            && filter.location_id.as_ref().is_none_or(|only| location_id == Some(only.as_str()))
        {
            found.extend(listed(recorded(&mut record, "changes", place.1))?.map(|record| (place, record)));
            if found.len() > limit {
                break;
            }
        }
        if !budget.spend(1) {
            return Ok(of_places(cursor::page_until(CHANGES, found, Some(place))));
        }
    }
    Ok(of_places(cursor::page(CHANGES, found, limit, |(place, _)| *place)))
}
