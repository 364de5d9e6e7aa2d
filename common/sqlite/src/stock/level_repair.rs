//! Makes levels anew that can't be read or found: from the applied commands, whose records have every movement.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::fault::Fault;
use super::names::LocationNames;
use super::rows::{self, level_columns, record_columns};
use super::sealed;
use super::states::state_no;
use stockline_core::domain::{
    Action, AlertKind, Entry, EntryKind, Item, ItemId, Level, LocationId, Money, Quantity, Record, Status, StockState,
};
use stockline_core::ports::Movement;

/// Above every version that a level made anew may have had. Nothing is loaded while a repair runs.
const VERSION_STEP: u64 = 1 << 32;

/// What the records say of one level.
#[derive(Debug, Default)]
struct History {
    entries: BTreeMap<u64, Entry>,
    own_threshold: Option<Quantity>,
    alert_no: u64,
}

/// Makes every level anew that can't be read, or that is missing, of items whose record can be read. Returns what was
/// done, and what could not be.
pub(super) fn repair(connection: &Connection, names: &mut LocationNames) -> Result<Vec<String>, Fault> {
    let damaged = damaged_items(connection, names)?;
    if damaged.is_empty() {
        return Ok(Vec::new());
    }
    let histories = histories(connection, &damaged)?;
    let mut done = Vec::new();
    for (item_id, (item_no, item)) in &damaged {
        let sound: BTreeSet<LocationId> = sound_levels(connection, names, item_id, *item_no)?;
        let of_item = histories.iter().filter(|((of, _), _)| of == item_id);
        let lost: Vec<_> = of_item.filter(|((_, location_id), _)| !sound.contains(location_id)).collect();
        delete_unreadable(connection, names, item_id, *item_no)?;
        for ((_, location_id), history) in lost {
            done.push(match level(connection, names, (*item_no, item), location_id, history)? {
                Ok(level) => {
                    put(connection, names, *item_no, item_id, &level)?;
                    format!(
                        "the level of {item_id} at {location_id}: {} on hand after entry {}",
                        level.on_hand, level.seq
                    )
                }
                Err(what) => format!("the level of {item_id} at {location_id} can't be made anew: {what}"),
            });
        }
    }
    Ok(done)
}

type Damaged = BTreeMap<ItemId, (i64, Item)>;

/// Returns the items with a level that can't be read or is missing.
fn damaged_items(connection: &Connection, names: &mut LocationNames) -> Result<Damaged, Fault> {
    let mut statement = connection.prepare("SELECT item_no, body FROM item WHERE body IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut damaged = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Ok(item) = row.get_ref(1)?.as_str().map_err(|_| ()).and_then(|body| rows::item(body).map_err(|_| ()))
        else {
            continue;
        };
        let item_no = row.get(0)?;
        match super::load::levels(connection, names, &item.item_id, item_no) {
            Ok(_) => {}
            Err(Fault::Unreadable(_)) => _ = damaged.insert(item.item_id.clone(), (item_no, item)),
            Err(fault) => return Err(fault),
        }
    }
    Ok(damaged)
}

fn histories(connection: &Connection, damaged: &Damaged) -> Result<BTreeMap<(ItemId, LocationId), History>, Fault> {
    let mut statement = connection.prepare(concat!("SELECT ", record_columns!(), " ORDER BY record_no"))?;
    let mut rows = statement.query([])?;
    let mut histories: BTreeMap<(ItemId, LocationId), History> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Ok(record) = rows::record(row, 0) else { continue };
        if record.outcome.status == Status::Applied && damaged.contains_key(&record.outcome.item_id) {
            add(&mut histories, &record);
        }
    }
    Ok(histories)
}

fn add(histories: &mut BTreeMap<(ItemId, LocationId), History>, record: &Record) {
    let outcome = &record.outcome;
    let place = |location_id: &LocationId| (outcome.item_id.clone(), location_id.clone());
    for effect in &outcome.effects {
        if let Some(movement) = Movement::of_effect(outcome, effect) {
            let history = histories.entry(place(&movement.location_id)).or_default();
            history.entries.insert(movement.entry.seq, movement.entry);
        }
    }
    if let Some(Action::SetThreshold { location_id: Some(location_id), low_stock_threshold }) =
        outcome.command.as_ref().map(|command| &command.action)
    {
        histories.entry(place(location_id)).or_default().own_threshold = *low_stock_threshold;
    }
    for alert in &record.alerts {
        let history = histories.entry(place(&alert.location_id)).or_default();
        history.alert_no = history.alert_no.max(alert.alert_no);
    }
}

fn sound_levels(
    connection: &Connection,
    names: &mut LocationNames,
    item_id: &ItemId,
    item_no: i64,
) -> Result<BTreeSet<LocationId>, Fault> {
    Ok(each_level(connection, names, item_id, item_no)?.into_iter().filter_map(|(_, level)| level).collect())
}

/// Reads the levels that are found: their location numbers, and the location if the level can be read.
fn each_level(
    connection: &Connection,
    names: &mut LocationNames,
    item_id: &ItemId,
    item_no: i64,
) -> Result<Vec<(i64, Option<LocationId>)>, Fault> {
    let mut statement = connection.prepare(concat!("SELECT ", level_columns!(), " FROM level WHERE item_no = ?1"))?;
    let mut rows = statement.query([item_no])?;
    let mut levels = Vec::new();
    while let Some(row) = rows.next()? {
        let level = rows::level(connection, names, item_id, row, 0);
        levels.push((row.get(0)?, level.ok().map(|level| level.location_id)));
    }
    Ok(levels)
}

fn delete_unreadable(
    connection: &Connection,
    names: &mut LocationNames,
    item_id: &ItemId,
    item_no: i64,
) -> Result<(), Fault> {
    for (location_no, level) in each_level(connection, names, item_id, item_no)? {
        if level.is_none() {
            let sql = "DELETE FROM level WHERE item_no = ?1 AND location_no = ?2";
            connection.execute(sql, (item_no, location_no))?;
        }
    }
    Ok(())
}

/// Makes a level of its movements. Returns why not, if they have a gap or its chunks can't be read.
fn level(
    connection: &Connection,
    names: &mut LocationNames,
    (item_no, item): (i64, &Item),
    location_id: &LocationId,
    history: &History,
) -> Result<Result<Level, String>, Fault> {
    let mut level = Level::new(location_id.clone(), item.alert_epoch);
    for (entry, seq) in history.entries.values().zip(1..) {
        if entry.seq != seq || entry.before() != level.on_hand {
            return Ok(Err(format!("no outcome explains entry {seq}")));
        }
        match level.valuation().replay(entry) {
            Ok(stock) => (level.value, level.average_cost) = (stock.value, stock.average_cost),
            Err(what) => return Ok(Err(format!("entry {seq}: {what}"))),
        }
        (level.on_hand, level.seq, level.updated_at) = (entry.after, seq, entry.recorded_at);
        if entry.kind == EntryKind::Count && !entry.late {
            level.counted_at = level.counted_at.max(Some(entry.occurred_at));
            level.counted_seq = seq;
        }
    }
    let chunked = match last_chunked(connection, names, (item_no, item), location_id) {
        Ok(chunked) => chunked,
        Err(Fault::Unreadable(what)) => return Ok(Err(what)),
        Err(fault) => return Err(fault),
    };
    level.tail = history.entries.range(chunked + 1..).map(|(_, entry)| entry.clone()).collect();
    level.low_stock_threshold = history.own_threshold;
    level.state = StockState::judge(level.on_hand, level.threshold(item));
    level.alert_no = history.alert_no;
    // Whatever has been reported of this episode: no kind up to the present state alerts again.
    let reported = [AlertKind::Low, AlertKind::Out, AlertKind::Oversold].into_iter();
    let worst = level.state.alert_kind();
    level.alerted =
        reported.filter(|kind| worst.is_some_and(|worst| *kind as u8 <= worst as u8)).map(AlertKind::bit).sum();
    level.version = level.seq + VERSION_STEP;
    Ok(Ok(level))
}

/// Returns the seq of the last entry that is in a chunk; 0 if there is none.
fn last_chunked(
    connection: &Connection,
    names: &mut LocationNames,
    (item_no, item): (i64, &Item),
    location_id: &LocationId,
) -> Result<u64, Fault> {
    let Some(location_no) = names.no(connection, location_id)? else { return Ok(0) };
    let mut statement = connection.prepare(
        "SELECT first_seq, entries FROM chunk WHERE item_no = ?1 AND location_no = ?2 ORDER BY first_seq DESC LIMIT 1",
    )?;
    let mut rows = statement.query((item_no, location_no))?;
    let Some(row) = rows.next()? else { return Ok(0) };
    let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    let first_seq = row.get::<_, i64>(0)?.cast_unsigned();
    let entries = sealed::read_chunk(&item.item_id, location_id, first_seq, bytes)?;
    Ok(entries.last().map_or(0, |last| last.seq))
}

fn put(
    connection: &Connection,
    names: &mut LocationNames,
    item_no: i64,
    item_id: &ItemId,
    level: &Level,
) -> Result<(), Fault> {
    let location_no = names.no_or_new(connection, &level.location_id)?;
    connection.execute(
        "INSERT OR REPLACE INTO level (item_no, location_no, on_hand, seq, version, low_stock_threshold, state, \
         alerted, alert_no, alert_epoch, counted_at, updated_at, tail, value, average_cost, counted_seq) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        params![
            item_no,
            location_no,
            level.on_hand.raw(),
            level.seq.cast_signed(),
            level.version.cast_signed(),
            level.low_stock_threshold.map(Quantity::raw),
            state_no(level.state),
            level.alerted,
            level.alert_no.cast_signed(),
            level.alert_epoch.cast_signed(),
            level.counted_at.map(|at| at.as_millis()),
            level.updated_at.as_millis(),
            sealed::tail(item_id, level),
            level.value.raw(),
            level.average_cost.map(Money::raw),
            level.counted_seq.cast_signed()
        ],
    )?;
    Ok(())
}
