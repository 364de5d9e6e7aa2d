//! What only the store knows of itself: rows that can't be read, and each index and list against the rows that it is
//! made of, both ways.

use std::collections::BTreeSet;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::fault::Fault;
use super::key_chain::{self, Key};
use super::names::LocationNames;
use super::readers::{View, parts};
use super::rows::{self, level_columns, record_columns};
use super::{command_lists, index_repair, sealed};
use stockline_core::domain::{Alert, Claim, Item, ItemId, Quantity, RejudgeMark, Status};
use stockline_core::ports::StoreFault;

/// The most faults of one kind that are listed.
const OF_ONE_KIND_MAX: usize = 1_000;

#[derive(Default)]
struct Found(Vec<StoreFault>);

impl Found {
    fn add(&mut self, item_id: Option<&str>, what: String) {
        let item_id = item_id.and_then(|id| id.parse().ok());
        self.0.push(StoreFault { item_id, what });
    }

    /// Runs one check. If SQLite can't read a page, that is a fault, and the next check runs.
    fn check(&mut self, of: &str, check: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        match check(self) {
            Ok(()) => Ok(()),
            Err(Fault::Unreadable(what) | Fault::Index(what) | Fault::Newer(what)) => {
                self.add(None, format!("{of}: {what}"));
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }
}

impl View<'_> {
    /// Checks all rows of the store. Call it before any other read of this view.
    pub(super) fn check(&mut self) -> Result<Vec<StoreFault>, Fault> {
        let pending = self.pending_keys();
        let (connection, names) = parts(self);
        all(connection, names, pending)
    }
}

/// Checks all rows. `pending` are the keys that are not in the table of the index yet.
fn all(connection: &Connection, names: &mut LocationNames, pending: Vec<Key>) -> Result<Vec<StoreFault>, Fault> {
    let mut found = Found::default();
    found.check("records", |found| records(connection, found))?;
    found.check("the index of records", |found| index(connection, pending, found))?;
    found.check("items", |found| items(connection, found))?;
    found.check("levels", |found| levels(connection, names, found))?;
    found.check("chunks of the ledger", |found| texts(connection, CHUNKS, found, &mut |_| Ok(())))?;
    found.check("the list of low levels", |found| differences(connection, LOW_LEVELS, found))?;
    found.check("the list of levels by location", |found| differences(connection, BY_LOCATION, found))?;
    found.check("the list of refused commands", |found| differences(connection, REFUSED, found))?;
    found.check("the lists of movements and changes", |found| {
        command_lists::differences(connection, names)?.into_iter().for_each(|what| found.add(None, what));
        Ok(())
    })?;
    found.check("locations", |found| {
        let sql = "SELECT settings, location_id FROM location WHERE settings IS NOT NULL";
        texts(connection, sql, found, &mut |text| rows::read_settings(text).map(drop))
    })?;
    found.check("alerts", |found| {
        let sql = "SELECT body, alert_id FROM alert";
        texts(connection, sql, found, &mut |text| sealed::read_json::<Alert>("an alert", text).map(drop))
    })?;
    found.check("marks of re-judging", |found| {
        let sql = "SELECT mark, item_no FROM rejudged";
        texts(connection, sql, found, &mut |text| sealed::read_json::<RejudgeMark>("a mark", text).map(drop))
    })?;
    Ok(found.0)
}

/// The keys of chunks; the ledgers themselves are read by the audit.
const CHUNKS: &str = "SELECT '', chunk_no FROM chunk WHERE typeof(entries) != 'blob'";

/// Levels that are low by their balance and threshold and not listed, and the other way round.
const LOW_LEVELS: &str = "
    SELECT item_id, 'a level is low, out or oversold and not in the list of those: location number ' || location_no
    FROM level JOIN item USING (item_no)
    WHERE (on_hand <= 0 OR on_hand < coalesce(level.low_stock_threshold, item.low_stock_threshold))
      AND NOT EXISTS (SELECT 1 FROM low_levels AS listed
                      WHERE listed.location_no = level.location_no AND listed.item_id = item.item_id
                        AND listed.item_no = level.item_no)
    UNION ALL
    SELECT listed.item_id,
        'the list of low levels names location number ' || listed.location_no || ', whose level is not low'
    FROM low_levels AS listed LEFT JOIN level USING (item_no, location_no)
        LEFT JOIN item ON item.item_no = listed.item_no AND item.item_id = listed.item_id
    WHERE coalesce(NOT (on_hand <= 0 OR on_hand < coalesce(level.low_stock_threshold, item.low_stock_threshold, 0)), 1)
        OR item.item_no IS NULL";

/// The list of levels by location against the levels, both ways.
const BY_LOCATION: &str = "
    SELECT item_id, 'a level is not in the list by location: location number ' || location_no
    FROM level JOIN item USING (item_no)
    WHERE NOT EXISTS (SELECT 1 FROM level_by_location AS listed
                      WHERE listed.location_no = level.location_no AND listed.item_id = item.item_id
                        AND listed.item_no = level.item_no)
    UNION ALL
    SELECT listed.item_id, 'the list of levels names location number ' || listed.location_no || ', which has no such level'
    FROM level_by_location AS listed
    WHERE NOT EXISTS (SELECT 1 FROM level JOIN item USING (item_no)
                      WHERE level.item_no = listed.item_no AND level.location_no = listed.location_no
                        AND item.item_id = listed.item_id)";

const REFUSED: &str = "
    SELECT NULL, 'the list of refused commands names record ' || record_no || ', which is not there'
    FROM refused WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.record_no = refused.record_no)";

fn differences(connection: &Connection, sql: &str, found: &mut Found) -> Result<(), Fault> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut listed = 0;
    while let Some(row) = rows.next()? {
        listed += 1;
        if listed <= OF_ONE_KIND_MAX {
            let item_id: Option<String> = row.get(0)?;
            found.add(item_id.as_deref(), row.get(1)?);
        }
    }
    Ok(())
}

/// Reads one text of each row.
fn texts(
    connection: &Connection,
    sql: &str,
    found: &mut Found,
    read: &mut dyn FnMut(&str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str().map_err(|error| Fault::Unreadable(error.to_string()));
        if let Err(Fault::Unreadable(what)) = text.and_then(&mut *read) {
            found.add(None, format!("row {}: {what}", shown(row.get_ref(1)?)));
        }
    }
    Ok(())
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        value => value.as_bytes().map_or_else(|_| format!("{value:?}"), |bytes| String::from_utf8_lossy(bytes).into()),
    }
}

fn records(connection: &Connection, found: &mut Found) -> Result<(), Fault> {
    let last: i64 = connection.query_row("SELECT coalesce(max(record_no), 0) FROM record", [], |row| row.get(0))?;
    let (mut after, mut step) = (0, 1);
    while after < last {
        match records_behind(connection, &mut after, found) {
            Ok(()) => break,
            Err(Fault::Unreadable(what)) => {
                found.add(None, format!("records behind number {after}: {what}"));
                after += step;
                step *= 2;
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

fn records_behind(connection: &Connection, after: &mut i64, found: &mut Found) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT record_no, (SELECT status FROM refused WHERE refused.record_no = record.record_no), ",
        record_columns!(),
        " WHERE record_no > ?1 ORDER BY record_no"
    ))?;
    let mut rows = statement.query([*after])?;
    while let Some(row) = rows.next()? {
        let record_no: i64 = row.get(0)?;
        if record_no != *after + 1 {
            found.add(None, format!("records {} to {} are missing", *after + 1, record_no - 1));
        }
        *after = record_no;
        let key = rows::record_key(row, 3);
        match rows::record(row, 2) {
            Ok(record) => {
                let outcome = &record.outcome;
                let listed: Option<String> = row.get(1).ok().flatten();
                let refused = (outcome.status != Status::Applied).then(|| outcome.status.as_str());
                if listed.as_deref() != refused {
                    let what = format!(
                        "command {} is {}, the list of refused commands says {listed:?}",
                        outcome.command_id,
                        outcome.status.as_str()
                    );
                    found.add(Some(outcome.item_id.as_str()), what);
                }
                if key.as_ref() != Some(&record.reference()) {
                    let what = format!("the row of command {} names another command", outcome.command_id);
                    found.add(Some(outcome.item_id.as_str()), what);
                }
            }
            Err(Fault::Unreadable(what) | Fault::Newer(what)) => {
                let item_id = key.as_ref().map(|key| key.item_id.as_str());
                found.add(item_id, format!("record {record_no} can't be read: {what}"));
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

fn index(connection: &Connection, pending: Vec<Key>, found: &mut Found) -> Result<(), Fault> {
    let (keys, missing) = index_repair::keys_of_records(connection)?;
    let (mut indexed, damage) = key_chain::read_all(connection)?;
    if let Some(what) = damage {
        found.add(None, what);
    }
    indexed.extend(pending);
    let (keys, indexed): (BTreeSet<Key>, BTreeSet<Key>) = (keys.into_iter().collect(), indexed.into_iter().collect());
    for (_, record_no) in keys.difference(&indexed).take(OF_ONE_KIND_MAX) {
        found.add(None, format!("record {record_no} is not in the index of records"));
    }
    let others = indexed.difference(&keys).filter(|(_, record_no)| !missing.contains(record_no));
    for (_, record_no) in others.take(OF_ONE_KIND_MAX) {
        found.add(None, format!("the index of records has record {record_no} under another command's key"));
    }
    Ok(())
}

fn items(connection: &Connection, found: &mut Found) -> Result<(), Fault> {
    let mut statement = connection.prepare(
        "SELECT item_id, body, name_key, category, archived, low_stock_threshold, updated_at, levels, \
         (SELECT count(*) * 4294967296 + coalesce(sum(location_no), 0) FROM level WHERE level.item_no = item.item_no), \
         supplier \
         FROM item",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = shown(row.get_ref(0)?);
        if let Err(Fault::Unreadable(what) | Fault::Newer(what)) = item(connection, row, &id) {
            found.add(Some(&id), format!("the row of item {id}: {what}"));
        }
    }
    Ok(())
}

fn item(connection: &Connection, row: &Row<'_>, id: &str) -> Result<(), Fault> {
    let damaged = |what: &str| Err(Fault::Unreadable(what.to_owned()));
    if row.get::<_, i64>(7)? != row.get::<_, i64>(8)? {
        return damaged("its levels are not those that it has");
    }
    let Some(body) = row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)? else {
        return Ok(());
    };
    let item: Item = rows::item(body)?;
    if item.item_id.as_str() != id {
        return damaged("it holds another item");
    }
    let catalogue = &item.catalogue;
    let as_listed = row.get::<_, Option<String>>(2)?.as_deref() == Some(&*catalogue.name.to_lowercase())
        && row.get::<_, Option<String>>(3)? == catalogue.category
        && row.get::<_, Option<bool>>(4)? == Some(item.is_archived())
        && row.get::<_, Option<i64>>(5)? == catalogue.low_stock_threshold.map(Quantity::raw)
        && row.get::<_, Option<i64>>(6)? == Some(item.updated_at.as_millis())
        && row.get::<_, Option<String>>(9)? == catalogue.planning.supplier;
    if !as_listed {
        return damaged("what lists select by differs from its record");
    }
    let claims = catalogue.barcodes.iter().map(|barcode| Claim::Barcode(barcode.code.clone()));
    for claim in claims.chain([Claim::ItemKey(item.item_id.folded())]) {
        if super::load::holder(connection, &claim)?.as_ref() != Some(&item.item_id) {
            return damaged(&format!("{claim:?} is not its own"));
        }
    }
    Ok(())
}

fn levels(connection: &Connection, names: &mut LocationNames, found: &mut Found) -> Result<(), Fault> {
    let mut statement = connection.prepare(concat!(
        "SELECT item.item_id, ",
        level_columns!(),
        " FROM level LEFT JOIN item USING (item_no)"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = shown(row.get_ref(0)?);
        let Ok(item_id) = id.parse::<ItemId>() else {
            found.add(None, format!("a level is of item {id:?}, which is not there"));
            continue;
        };
        match rows::level(connection, names, &item_id, row, 1) {
            Ok(_) => {}
            Err(Fault::Unreadable(what) | Fault::Newer(what)) => found.add(Some(&id), what),
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Makes anew what is made of other rows. Returns what was done.
pub(super) fn repair(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut done = Vec::new();
    let mut run = |what: &str, sql: &str| -> Result<(), Fault> {
        let changed = connection.execute(sql, [])?;
        if changed > 0 {
            done.push(format!("{what}: {changed} row(s)"));
        }
        Ok(())
    };
    run(
        "numbers of levels",
        "UPDATE item SET levels = found FROM (SELECT item.item_no AS no, count(location_no) * 4294967296 + \
         coalesce(sum(location_no), 0) AS found FROM item LEFT JOIN level USING (item_no) GROUP BY item.item_no) \
         WHERE item_no = no AND levels != found",
    )?;
    run(
        "low levels that are not low",
        "DELETE FROM low_levels WHERE NOT EXISTS (SELECT 1 FROM level JOIN item USING (item_no) \
         WHERE level.item_no = low_levels.item_no AND level.location_no = low_levels.location_no AND \
         item.item_id = low_levels.item_id AND (on_hand <= 0 OR on_hand < coalesce(level.low_stock_threshold, item.low_stock_threshold)))",
    )?;
    run(
        "low levels that were not listed",
        "INSERT OR IGNORE INTO low_levels (location_no, item_id, item_no) SELECT location_no, item_id, item_no \
         FROM level JOIN item USING (item_no) \
         WHERE on_hand <= 0 OR on_hand < coalesce(level.low_stock_threshold, item.low_stock_threshold)",
    )?;
    run(
        "levels by location that are not there",
        "DELETE FROM level_by_location AS listed WHERE NOT EXISTS (SELECT 1 FROM level JOIN item USING (item_no) \
         WHERE level.item_no = listed.item_no AND level.location_no = listed.location_no AND \
         item.item_id = listed.item_id)",
    )?;
    run(
        "levels by location that were not listed",
        "INSERT OR IGNORE INTO level_by_location (location_no, item_id, item_no) \
         SELECT location_no, item_id, item_no FROM level JOIN item USING (item_no)",
    )?;
    run(
        "refused commands without a record",
        "DELETE FROM refused WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.record_no = refused.record_no)",
    )?;
    let mut listed = 0;
    let mut statement = connection.prepare(concat!(
        "SELECT record_no, (SELECT status FROM refused WHERE refused.record_no = record.record_no), ",
        record_columns!()
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Ok(record) = rows::record(row, 2) else { continue };
        let refused = (record.outcome.status != Status::Applied).then(|| record.outcome.status.as_str());
        if row.get::<_, Option<String>>(1).ok().flatten().as_deref() != refused {
            super::write::list_refused_again(connection, row.get(0)?, &record)?;
            listed += 1;
        }
    }
    if listed > 0 {
        done.push(format!("the list of refused commands: {listed} row(s)"));
    }
    Ok(done)
}
