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
            let levels = levels(connection, names, &request.item_id, item_no)?;
            levels.into_iter().map(|level| (level.location_id.clone(), LoadedLevel::bare(level))).collect()
        } else {
            named_levels(connection, names, item_no, request)?
        };
        for (location_id, since) in &request.since {
            if let (Some(level), Some(location_no)) =
                (loaded.levels.get_mut(location_id), names.no(connection, location_id)?)
            {
                let (item_id, location_id) = (request.item_id.clone(), location_id.clone());
                let place = Place { item_no, location_no, item_id, location_id };
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
    if loaded.item.is_none() {
        is_no_item(connection, &request.item_id)?;
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
            levels.insert(
                location_id.clone(),
                LoadedLevel::bare(rows::level(connection, names, &request.item_id, row, 0)?),
            );
        }
    }
    if levels.len() < request.locations.len() {
        none_is_missing(connection, &request.item_id, item_no)?;
    }
    Ok(levels)
}

/// Checks that the levels that a look-up can find are those that the item has. A level that is there and not found must
/// not begin anew. Levels are never deleted.
fn none_is_missing(connection: &Connection, item_id: &ItemId, item_no: i64) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT location_no FROM level WHERE item_no = ?1")?;
    let numbers = statement.query_map([item_no], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    these_are_all(connection, (item_id, item_no), &numbers)
}

/// Checks the location numbers of an item's levels by the count and the sum that its row has.
fn these_are_all(connection: &Connection, (item_id, item_no): (&ItemId, i64), numbers: &[i64]) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT levels FROM item WHERE item_no = ?1")?;
    let has: i64 = statement.query_row([item_no], |row| row.get(0))?;
    let found = numbers.iter().fold((numbers.len() as i64) << 32, |sum, number| sum.wrapping_add(*number));
    if has == found {
        return Ok(());
    }
    let (has, found) = (has >> 32, numbers.len());
    Err(Fault::Unreadable(format!("item {item_id} has {has} levels, and the {found} that are found are not those")))
}

/// Reads all levels of an item, by location.
pub(super) fn levels(
    connection: &Connection,
    names: &mut LocationNames,
    item_id: &ItemId,
    item_no: i64,
) -> Result<Vec<Level>, Fault> {
    let mut statement =
        connection.prepare_cached(concat!("SELECT ", level_columns!(), " FROM level WHERE item_no = ?1"))?;
    let mut rows = statement.query([item_no])?;
    let (mut levels, mut numbers) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        numbers.push(row.get(0)?);
        levels.push(rows::level(connection, names, item_id, row, 0)?);
    }
    these_are_all(connection, (item_id, item_no), &numbers)?;
    levels.sort_unstable_by(|a: &Level, b| a.location_id.cmp(&b.location_id));
    Ok(levels)
}

/// Checks that an item that is not found by its id is not registered: such an item holds the claim on its own id, which
/// is in another table. Else a sale would be refused because a bit has flipped.
pub(super) fn is_no_item(connection: &Connection, item_id: &ItemId) -> Result<(), Fault> {
    let holder = holder(connection, &Claim::ItemKey(item_id.folded()))?;
    if holder.as_ref() == Some(item_id) {
        return Err(Fault::Unreadable(format!("item {item_id} is registered, yet its row is not found")));
    }
    Ok(())
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
    let found = rows::find_item(connection, item_id)?.and_then(|(item_no, item)| item.map(|item| (item_no, item)));
    if found.is_none() {
        is_no_item(connection, item_id)?;
    }
    Ok(found)
}
