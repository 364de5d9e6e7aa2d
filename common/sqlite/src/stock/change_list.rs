//! What has changed, in the order of the changes. The writer numbers its changes, and all rows of a transaction are seen at
//! once. So a reader that has seen every row up to a number misses nothing if it goes on behind it.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Rows};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::item_list::PageOf;
use super::listed::listed;
use super::load;
use super::readers::{View, parts};
use super::rows::{self, level_columns};
use stockline_core::domain::{Item, Timestamp};
use stockline_core::ports::cursor::{self, CursorError};
use stockline_core::ports::{Changed, ItemFilter, ItemWithLevels, LevelFilter, LevelWithItem, Page, Since};

/// How many openings are kept. A reader that was away for longer begins anew.
const OPENINGS_MAX: i64 = 10_000;

const ITEMS: &str = "changed_items";
const LEVELS: &str = "changed_levels";

/// A row in the order of changes. An item's own row has location 0.
type Key = (i64, i64, i64);

/// Before every row.
const BEGINNING: Key = (-1, 0, 0);

/// Where a reader stands: the opening whose changes it saw last, and the row.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    opening_id: String,
    key: Key,
}

/// A reading over several pages.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Walk {
    mark: Mark,
    /// Rows that changed before are left out.
    since_ms: Option<i64>,
    /// The last change when the reading began. Later ones are for the next reading, so that this one ends however much is
    /// written meanwhile.
    until: i64,
}

/// Returns the number of the last change. Openings are numbered in the order of their changes.
pub(super) fn last_change_no(connection: &Connection) -> rusqlite::Result<i64> {
    let mut last = 0;
    for sql in [
        "SELECT max(change_no) FROM item",
        "SELECT max(change_no) FROM level",
        "SELECT from_change_no FROM opening WHERE opening_no = (SELECT max(opening_no) FROM opening)",
    ] {
        let found = connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0)).optional()?;
        last = last.max(found.flatten().unwrap_or(0));
    }
    Ok(last)
}

/// Notes that the file was opened. From here on its changes are of a past of their own.
pub(super) fn note_opening(connection: &Connection) -> rusqlite::Result<()> {
    begin_past(connection, last_change_no(connection)?)?;
    let last = connection.last_insert_rowid();
    connection.execute("DELETE FROM opening WHERE opening_no <= ?1", [last - OPENINGS_MAX])?;
    Ok(())
}

/// Makes every reader begin anew, after rows were made anew.
pub(super) fn forget_openings(connection: &Connection) -> Result<(), Fault> {
    let from = last_change_no(connection)? + 1;
    connection.execute("DELETE FROM opening", [])?;
    Ok(begin_past(connection, from)?)
}

fn begin_past(connection: &Connection, from_change_no: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO opening (opening_id, from_change_no) VALUES (lower(hex(randomblob(12))), ?1)";
    connection.execute(sql, [from_change_no]).map(drop)
}

impl Walk {
    fn of(connection: &Connection, list: &str, since: &Since, cursor: Option<&str>) -> Result<Self, Fault> {
        let walk = match cursor::decode(list, cursor)? {
            Some(walk) => walk,
            None => {
                let (mark, since_ms) = match since {
                    Since::Time(at) => (Mark { opening_id: newest(connection)?, key: BEGINNING }, Some(at.as_millis())),
                    Since::Mark(text) => (cursor::decode(&mark_of(list), Some(text))?.ok_or(CursorError)?, None),
                };
                Self { mark, since_ms, until: last_change_no(connection)? }
            }
        };
        walk.check(connection)?;
        Ok(walk)
    }

    /// Refuses a reader that has seen changes which this file does not have.
    fn check(&self, connection: &Connection) -> Result<(), Fault> {
        let sql = "SELECT (SELECT from_change_no FROM opening AS later WHERE later.opening_no > own.opening_no \
                   ORDER BY opening_no LIMIT 1) FROM opening AS own WHERE opening_id = ?1";
        let until = connection
            .prepare_cached(sql)?
            .query_row([&self.mark.opening_id], |row| row.get::<_, Option<i64>>(0))
            .optional()?
            .ok_or(CursorError)?;
        if until.is_some_and(|until| self.mark.key.0 > until) { Err(CursorError.into()) } else { Ok(()) }
    }

    fn is_recent(&self, changed_at: impl IntoIterator<Item = Timestamp>) -> bool {
        let Some(since_ms) = self.since_ms else { return true };
        changed_at.into_iter().any(|at| at.as_millis() >= since_ms)
    }

    /// Returns the page whose last examined row is `last`.
    fn page<T>(
        mut self,
        connection: &Connection,
        list: &str,
        entries: Vec<T>,
        last: Option<Key>,
        more: bool,
    ) -> Result<Changed<T>, Fault> {
        // The opening is read in the transaction of the rows, which are of it or of earlier ones.
        self.mark = Mark { opening_id: newest(connection)?, key: last.unwrap_or(self.mark.key) };
        let mark = cursor::encode(&mark_of(list), &self.mark).ok_or(CursorError)?;
        let next_cursor = if more { cursor::encode(list, &self) } else { None };
        Ok(Changed { page: Page { entries, next_cursor }, next_updated_since: mark })
    }
}

fn mark_of(list: &str) -> String {
    format!("{list}_since")
}

fn newest(connection: &Connection) -> Result<String, Fault> {
    let sql = "SELECT opening_id FROM opening WHERE opening_no = (SELECT max(opening_no) FROM opening)";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// What a walk along changes makes of a row.
struct Looked<T> {
    entry: Option<T>,
    /// The rows that it costs beside this one.
    rows: usize,
}

/// Fills a page from the rows of a walk, whose first columns are the key.
fn walk<T>(
    mut rows: Rows<'_>,
    limit: usize,
    mut spend: impl FnMut(usize) -> bool,
    mut look: impl FnMut(&Row<'_>) -> Result<Looked<T>, Fault>,
) -> Result<(Vec<T>, Option<Key>, bool), Fault> {
    let (mut entries, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        if entries.len() >= limit {
            return Ok((entries, last, true));
        }
        let key = (row.get(0)?, row.get(1)?, row.get(2)?);
        let looked = look(row)?;
        entries.extend(looked.entry);
        last = Some(key);
        if !spend(1 + looked.rows) {
            return Ok((entries, last, true));
        }
    }
    Ok((entries, last, false))
}

/// Lists items by the change that last wrote their record.
pub(super) fn items(
    view: &mut View<'_>,
    filter: &ItemFilter,
    since: &Since,
    cursor: Option<&str>,
    most: PageOf,
) -> Result<Changed<ItemWithLevels>, Fault> {
    let mut budget = view.page_budget();
    let (connection, names) = parts(view);
    let from = Walk::of(connection, ITEMS, since, cursor)?;
    let mut statement = connection.prepare_cached(
        "SELECT change_no, item_no, 0, body FROM item WHERE (change_no, item_no) > (?1, ?2) AND change_no <= ?3 \
         AND body IS NOT NULL ORDER BY change_no, item_no",
    )?;
    let rows = statement.query((from.mark.key.0, from.mark.key.1, from.until))?;
    let mut levels = 0;
    let look = |row: &Row<'_>| {
        let item = listed(row.get_ref(3)?.as_str().map_err(|e| rusqlite::Error::from(e).into()).and_then(rows::item))?;
        let Some(item) = item.filter(|item| keeps(filter, item) && from.is_recent([item.updated_at])) else {
            return Ok(Looked { entry: None, rows: 0 });
        };
        let found = listed(load::levels(connection, names, &item.item_id, row.get(1)?))?;
        let entry = found.map(|levels| ItemWithLevels { item, levels });
        Ok(Looked { rows: entry.as_ref().map_or(0, ItemWithLevels::places), entry })
    };
    let spend = |rows: usize| {
        levels += rows;
        budget.spend(rows) && levels < most.levels
    };
    let (entries, last, more) = walk(rows, cursor::clamp(most.entries), spend, look)?;
    from.page(connection, ITEMS, entries, last, more)
}

fn keeps(filter: &ItemFilter, item: &Item) -> bool {
    let catalogue = &item.catalogue;
    let name = catalogue.name.to_lowercase();
    filter.barcode.as_ref().is_none_or(|code| catalogue.barcode(code).is_some())
        && filter.name_prefix.as_ref().is_none_or(|prefix| name.starts_with(&prefix.to_lowercase()))
        && filter.has_part(&name)
        && filter.is_of(catalogue)
}

/// Where the columns of the level begin.
const LEVEL_AT: usize = 4;

/// Lists levels by the change that last wrote them or their item.
pub(super) fn levels(
    view: &mut View<'_>,
    filter: &LevelFilter,
    since: &Since,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Changed<LevelWithItem>, Fault> {
    let mut budget = view.page_budget();
    let (connection, names) = parts(view);
    let from = Walk::of(connection, LEVELS, since, cursor)?;
    let only = match &filter.location_id {
        Some(location_id) => match names.no(connection, location_id)? {
            Some(no) => Some(no),
            None => return from.page(connection, LEVELS, Vec::new(), None, false),
        },
        None => None,
    };
    let mut statement = connection.prepare_cached(concat!(
        "SELECT level.change_no, item_no, location_no, body, ",
        level_columns!(),
        " FROM level CROSS JOIN item USING (item_no) \
         WHERE (level.change_no, item_no, location_no) > (?1, ?2, ?3) AND level.change_no <= ?4 \
         ORDER BY level.change_no, item_no, location_no"
    ))?;
    let (change_no, item_no, location_no) = from.mark.key;
    let rows = statement.query((change_no, item_no, location_no, from.until))?;
    // The levels of an item are near each other after its record has changed.
    let mut items: HashMap<i64, Option<Arc<Item>>> = HashMap::new();
    let look = |row: &Row<'_>| {
        let nothing = Looked { entry: None, rows: 0 };
        if only.is_some_and(|only| row.get::<_, i64>(2).is_ok_and(|no| no != only)) {
            return Ok(nothing);
        }
        let item_no = row.get(1)?;
        let item = match items.get(&item_no) {
            Some(item) => item.clone(),
            None => {
                let read = row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?.map(rows::item).transpose();
                let item = listed(read)?.flatten().map(Arc::new);
                items.entry(item_no).or_insert(item).clone()
            }
        };
        let Some(item) = item else { return Ok(nothing) };
        let level = listed(rows::level(connection, names, &item.item_id, row, LEVEL_AT))?;
        let entry = level.map(|level| LevelWithItem { item, level }).filter(|found| {
            filter.wants(found.state()) && from.is_recent([found.level.updated_at, found.item.updated_at])
        });
        Ok(Looked { entry, rows: 0 })
    };
    let (entries, last, more) = walk(rows, cursor::clamp(limit), |rows| budget.spend(rows), look)?;
    from.page(connection, LEVELS, entries, last, more)
}

/// Numbers the levels of an item with the change of its record, which changes what they show.
pub(super) fn change_levels(connection: &Connection, item_no: i64, change_no: i64) -> Result<(), Fault> {
    connection.prepare_cached("UPDATE level SET change_no = ?2 WHERE item_no = ?1")?.execute((item_no, change_no))?;
    Ok(())
}
