//! The list of levels, by item, then location. Each filter has a table or an index that begins with what it asks for and
//! goes on in the order of the list, so a page examines one row after the other and can end behind any item.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::listed::{listed, shown};
use super::names::LocationNames;
use super::readers::{View, parts};
use super::rows::{self, level_columns};
use stockline_core::domain::{Item, Level, Quantity, StockState};
use stockline_core::ports::cursor;
use stockline_core::ports::{LevelFilter, LevelWithItem, Page};

const LEVELS: &str = "levels";

/// The columns of an examined row: the item's, then the level's.
macro_rules! examined {
    () => {
        concat!("item.item_id, archived, item.low_stock_threshold, body, ", level_columns!())
    };
}

/// Where the columns of the level begin.
const LEVEL_AT: usize = 4;

/// The end of a page: all levels of an item, or those up to a location.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    item_id: String,
    location_id: Option<String>,
}

/// An item whose levels are being read. What can't be read is left out.
struct Open {
    item_id: String,
    item: Option<Arc<Item>>,
    is_unreadable: bool,
    levels: Vec<Level>,
}

impl Open {
    fn new(item_id: String) -> Self {
        Self { item_id, item: None, is_unreadable: false, levels: Vec::new() }
    }

    /// Adds the level of a row, which the filter keeps.
    fn add(
        &mut self,
        connection: &Connection,
        names: &mut LocationNames,
        row: &Row<'_>,
        filter: &LevelFilter,
    ) -> Result<(), Fault> {
        if self.item.is_none() && !self.is_unreadable {
            self.item = listed(self.read(row))?.map(Arc::new);
            self.is_unreadable = self.item.is_none();
        }
        if let Some(item) = &self.item {
            let level = listed(rows::level(connection, names, &item.item_id, row, LEVEL_AT))?;
            self.levels.extend(level.filter(|level| filter.is_recent(item, level)));
        }
        Ok(())
    }

    fn read(&self, row: &Row<'_>) -> Result<Item, Fault> {
        let item = rows::item(row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?)?;
        if item.item_id.as_str() == self.item_id {
            return Ok(item);
        }
        Err(Fault::Unreadable(format!("the row of item {} holds item {}", self.item_id, item.item_id)))
    }
}

/// Lists levels by item, then location.
pub(super) fn levels(
    view: &mut View<'_>,
    filter: &LevelFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<LevelWithItem>, Fault> {
    let (limit, after) = (cursor::clamp(limit), cursor::decode::<Place>(LEVELS, cursor)?);
    let mut budget = view.page_budget();
    let (connection, names) = parts(view);
    // The item at which the page before ended in the middle comes again.
    let (from, seen) = match after {
        None => (String::new(), None),
        Some(Place { item_id, location_id: None }) => (format!("{item_id}\0"), None),
        Some(Place { item_id, location_id }) => {
            (item_id.clone(), location_id.map(|location_id| (item_id, location_id)))
        }
    };
    let mut values = vec![Value::Text(from)];
    if let Some(location_id) = &filter.location_id {
        match names.no(connection, location_id)? {
            Some(no) => values.push(Value::Integer(no)),
            None => return Ok(Page { entries: Vec::new(), next_cursor: None }),
        }
    }
    let mut statement = connection.prepare_cached(statement(filter.wants_no_normal(), filter.location_id.is_some()))?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut found, mut open) = (Vec::<LevelWithItem>::new(), None::<Open>);
    loop {
        let row = rows.next()?;
        let item_id = row.map(|row| shown(row, 0)).transpose()?;
        if let Some(closed) = open.take_if(|open| item_id.as_ref() != Some(&open.item_id)) {
            let place = Place { item_id: closed.item_id.clone(), location_id: None };
            close(closed, seen.as_ref(), &mut found);
            if found.len() > limit {
                break;
            }
            if item_id.is_some() && budget.is_spent() {
                return Ok(cursor::page_until(LEVELS, found, Some(place)));
            }
        }
        let (Some(row), Some(item_id)) = (row, item_id) else {
            break;
        };
        budget.spend(1);
        let open = open.get_or_insert_with(|| Open::new(item_id));
        if listed(keeps(filter, row))?.unwrap_or(false) {
            open.add(connection, names, row, filter)?;
        }
    }
    Ok(cursor::page(LEVELS, found, limit, |view| Place {
        item_id: view.item.item_id.to_string(),
        location_id: Some(view.level.location_id.to_string()),
    }))
}

/// Returns the walk in the list's order. Its first value is the item to begin with, the second one the location.
const fn statement(not_normal: bool, at_location: bool) -> &'static str {
    match (not_normal, at_location) {
        (false, false) => concat!(
            "SELECT ",
            examined!(),
            " FROM item LEFT JOIN level USING (item_no) WHERE item_id >= ?1 ORDER BY item_id"
        ),
        (false, true) => concat!(
            "SELECT ",
            examined!(),
            " FROM level_by_location AS place CROSS JOIN item USING (item_no) CROSS JOIN level \
             USING (item_no, location_no) WHERE place.location_no = ?2 AND place.item_id >= ?1 ORDER BY place.item_id"
        ),
        (true, false) => concat!(
            "SELECT ",
            examined!(),
            " FROM low_levels AS place CROSS JOIN item USING (item_no) CROSS JOIN level USING (item_no, location_no) \
             WHERE place.item_id >= ?1 ORDER BY place.item_id"
        ),
        (true, true) => concat!(
            "SELECT ",
            examined!(),
            " FROM low_levels AS place CROSS JOIN item USING (item_no) CROSS JOIN level USING (item_no, location_no) \
             WHERE place.location_no = ?2 AND place.item_id >= ?1 ORDER BY place.item_id"
        ),
    }
}

/// Returns whether the list shows the level of this row. An item may have none, or not be registered.
fn keeps(filter: &LevelFilter, row: &Row<'_>) -> Result<bool, Fault> {
    let (Some(archived), Some(on_hand)) = (row.get::<_, Option<bool>>(1)?, row.get::<_, Option<i64>>(LEVEL_AT + 1)?)
    else {
        return Ok(false);
    };
    let own: Option<i64> = row.get(LEVEL_AT + 4)?;
    let threshold = own.or(row.get(2)?).map(Quantity::from_raw);
    let state = StockState::judge(Quantity::from_raw(on_hand), threshold);
    Ok((filter.archived || !archived) && filter.wants(state))
}

/// Moves the levels of an item to the page, by location. `seen` is the last level of the page before.
fn close(open: Open, seen: Option<&(String, String)>, found: &mut Vec<LevelWithItem>) {
    let Open { item_id, item, mut levels, .. } = open;
    levels.sort_unstable_by(|a, b| a.location_id.cmp(&b.location_id));
    if let Some((_, location_id)) = seen.filter(|(of, _)| *of == item_id) {
        levels.retain(|level| level.location_id.as_str() > location_id.as_str());
    }
    if let Some(item) = item {
        found.extend(levels.into_iter().map(|level| LevelWithItem { item: item.clone(), level }));
    }
}
