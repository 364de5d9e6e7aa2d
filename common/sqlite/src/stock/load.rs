use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::commit::claim_key;
use super::fault::Fault;
use super::ledger::{self, Place};
use super::names::LocationNames;
use super::readers::{View, parts};
use super::rows::{self, level_columns};
use stockline_core::domain::{
    Claim, Item, ItemId, Level, LoadRequest, Loaded, LoadedLevel, LocationId, LocationSettings,
};
use stockline_core::ports::StoreError;

/// Loads many items in one transaction. An unreadable item does not fail the others.
pub(super) fn load(
    view: &mut View<'_>,
    requests: &[LoadRequest],
    late_count_entries_max: usize,
) -> Result<Vec<Result<Loaded, StoreError>>, Fault> {
    let wanted = requests.iter().flat_map(|request| &request.records);
    let mut records = view.records_first(wanted.map(|old| (old.item_id.clone(), old.command_id)))?.into_iter();
    let mut settings = HashMap::new();
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        let found = request.records.iter().cloned().zip(records.by_ref().take(request.records.len()));
        let records = found.filter_map(|(old, record)| record.map(|record| (old, record))).collect();
        answers.push(match one(view, request, &mut settings, late_count_entries_max) {
            Ok(loaded) => Ok(Loaded { records, ..loaded }),
            Err(fault) if fault.is_of_one_row() => Err(fault.into()),
            Err(fault) => return Err(fault),
        });
    }
    Ok(answers)
}

type Settings = HashMap<LocationId, Option<LocationSettings>>;

fn one(
    view: &mut View<'_>,
    request: &LoadRequest,
    settings: &mut Settings,
    late_count_entries_max: usize,
) -> Result<Loaded, Fault> {
    let (connection, names) = parts(view);
    let mut loaded = Loaded::default();
    if let Some((item_no, item)) = rows::find_item(connection, &request.item_id)? {
        loaded.item = item;
        loaded.levels = if request.all_levels {
            let levels = levels(connection, names, item_no)?;
            levels.into_iter().map(|level| (level.location_id.clone(), LoadedLevel::bare(level))).collect()
        } else {
            named_levels(connection, names, item_no, request)?
        };
        for (location_id, since) in &request.since {
            if let (Some(level), Some(location_no)) =
                (loaded.levels.get_mut(location_id), names.no(connection, location_id)?)
            {
                let place = Place { item_no, location_no };
                (level.history, level.history_complete) =
                    ledger::history_since(connection, place, &level.level, *since, late_count_entries_max)?;
            }
        }
    }
    for location_id in &request.locations {
        if !settings.contains_key(location_id) {
            settings.insert(location_id.clone(), rows::settings(connection, location_id)?);
        }
        if let Some(Some(found)) = settings.get(location_id) {
            loaded.locations.insert(location_id.clone(), found.clone());
        }
    }
    for claim in &request.claims {
        if let Some(holder) = holder(connection, claim)? {
            loaded.holders.insert(claim.clone(), holder);
        }
    }
    Ok(loaded)
}

fn named_levels(
    connection: &Connection,
    names: &mut LocationNames,
    item_no: i64,
    request: &LoadRequest,
) -> Result<BTreeMap<LocationId, LoadedLevel>, Fault> {
    let mut levels = BTreeMap::new();
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        level_columns!(),
        " FROM level WHERE item_no = ?1 AND location_no = ?2"
    ))?;
    for location_id in &request.locations {
        let Some(location_no) = names.no(connection, location_id)? else {
            continue;
        };
        let mut rows = statement.query((item_no, location_no))?;
        if let Some(row) = rows.next()? {
            levels.insert(location_id.clone(), LoadedLevel::bare(rows::level(connection, names, row, 0)?));
        }
    }
    Ok(levels)
}

/// Reads all levels of an item, by location.
pub(super) fn levels(connection: &Connection, names: &mut LocationNames, item_no: i64) -> Result<Vec<Level>, Fault> {
    let mut statement =
        connection.prepare_cached(concat!("SELECT ", level_columns!(), " FROM level WHERE item_no = ?1"))?;
    let mut rows = statement.query([item_no])?;
    let mut levels = Vec::new();
    while let Some(row) = rows.next()? {
        levels.push(rows::level(connection, names, row, 0)?);
    }
    levels.sort_unstable_by(|a: &Level, b| a.location_id.cmp(&b.location_id));
    Ok(levels)
}

/// Returns the holder of a claim.
pub(super) fn holder(connection: &Connection, claim: &Claim) -> Result<Option<ItemId>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT item_id FROM claim JOIN item USING (item_no) WHERE kind = ?1 AND claimed = ?2")?;
    let mut rows = statement.query(claim_key(claim))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let text: String = row.get(0)?;
    text.parse()
        .map(Some)
        .map_err(|_| Fault::Unreadable(format!("the holder of a claim is {text:?}, which is not an item id")))
}

/// Reads a registered item with its number.
pub(super) fn registered(connection: &Connection, item_id: &ItemId) -> Result<Option<(i64, Item)>, Fault> {
    Ok(rows::find_item(connection, item_id)?.and_then(|(item_no, item)| item.map(|item| (item_no, item))))
}
