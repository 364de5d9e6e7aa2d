//! Levels with the totals of their local days. They are made of the ledger, and kept in memory as long as nothing moves.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement, params_from_iter};

use super::fault::Fault;
use super::ledger::Place;
use super::listed::{listed, shown};
use super::page_budget::PageBudget;
use super::readers::{View, parts};
use super::rows::{self, level_columns};
use super::sealed;
use stockline_core::domain::analytics::{LevelDays, LocalDays, Moved, Tally};
use stockline_core::domain::{Item, Level, LocationId, skim_movements};
use stockline_core::ports::{DaysFilter, DaysPage, LevelWithDays, cursor};

const DAYS: &str = "level_days";

/// The bytes that kept days may occupy. Beyond it all are forgotten.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where the columns of the level begin.
const LEVEL_AT: usize = 4;

/// Days that were made before.
#[derive(Debug, Default)]
pub(super) struct DayCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// By the numbers of item and location.
    days: HashMap<(i64, i64), KeptDays>,
    bytes: usize,
}

#[derive(Debug)]
struct KeptDays {
    /// The last entry of the ledger that the days are made of. Entries never change, so the days of a seq don't either.
    seq: u64,
    zone: Arc<str>,
    days: Arc<LevelDays>,
}

impl DayCache {
    fn find(&self, place: &Place, seq: u64, zone: &str) -> Option<Arc<LevelDays>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.days.get(&(place.item_no, place.location_no))?;
        (found.seq == seq && *found.zone == *zone).then(|| Arc::clone(&found.days))
    }

    fn keep(&self, place: &Place, days: KeptDays) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes.saturating_add(days.days.size()) > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += days.days.size();
        if let Some(old) = kept.days.insert((place.item_no, place.location_no), days) {
            kept.bytes = kept.bytes.saturating_sub(old.days.size());
        }
    }
}

/// The zones of the locations, looked up once a page.
struct Zones<'a> {
    names: &'a BTreeMap<LocationId, String>,
    days: HashMap<LocationId, (Arc<str>, LocalDays)>,
}

impl Zones<'_> {
    fn of(&mut self, location_id: &LocationId) -> &(Arc<str>, LocalDays) {
        self.days.entry(location_id.clone()).or_insert_with(|| {
            let zone = self.names.get(location_id).map_or("UTC", String::as_str);
            (zone.into(), LocalDays::of_zone(zone))
        })
    }
}

/// Lists levels with their days, by item, then by the number of the location.
pub(super) fn level_days(
    view: &mut View<'_>,
    cache: &DayCache,
    filter: &DaysFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<DaysPage, Fault> {
    let (limit, after) = (cursor::clamp(limit), cursor::decode::<(String, i64)>(DAYS, cursor)?);
    let mut budget = view.page_budget();
    let (connection, names) = parts(view);
    let mut page = DaysPage { entries: Vec::new(), unreadable: 0, next_cursor: None };
    let (from, behind) = after.unwrap_or((String::new(), i64::MIN));
    let mut values = vec![Value::Text(from), Value::Integer(behind)];
    if let Some(location_id) = &filter.location_id {
        match names.no(connection, location_id)? {
            Some(no) => values.push(Value::Integer(no)),
            None => return Ok(page),
        }
    }
    let mut zones = Zones { names: &filter.time_zones, days: HashMap::new() };
    let mut open: Option<Arc<Item>> = None;
    let mut chunks = connection.prepare_cached(
        "SELECT first_seq, entries FROM chunk WHERE item_no = ?1 AND location_no = ?2 ORDER BY first_seq",
    )?;
    let mut statement = connection.prepare_cached(statement(filter.location_id.is_some()))?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        budget.spend(1);
        let read = read(connection, names, &mut open, row, |place, level, tail| {
            let (zone, days) = zones.of(&level.location_id);
            match cache.find(place, level.seq, zone) {
                Some(days) => Ok(days),
                None => {
                    let made = Arc::new(days_of(&mut chunks, (place, level, tail), days, &mut budget)?);
                    let kept = KeptDays { seq: level.seq, zone: Arc::clone(zone), days: Arc::clone(&made) };
                    cache.keep(place, kept);
                    Ok(made)
                }
            }
        });
        match listed(read)? {
            Some(found) => page.entries.push(found),
            None => page.unreadable += 1,
        }
        if page.entries.len() >= limit || budget.is_spent() {
            let place: (String, i64) = (shown(row, 1)?, row.get(LEVEL_AT)?);
            page.next_cursor = cursor::encode(DAYS, &place);
            break;
        }
    }
    Ok(page)
}

/// Returns the walk in the list's order, behind an item and the number of a location.
const fn statement(at_location: bool) -> &'static str {
    if at_location {
        concat!(
            "SELECT item.item_no, item.item_id, body, 0, ",
            level_columns!(),
            " FROM level_by_location AS place CROSS JOIN item USING (item_no) CROSS JOIN level \
             USING (item_no, location_no) WHERE place.location_no = ?3 AND body IS NOT NULL AND place.item_id >= ?1 \
             AND (place.item_id > ?1 OR level.location_no > ?2) ORDER BY place.item_id"
        )
    } else {
        concat!(
            "SELECT item.item_no, item.item_id, body, 0, ",
            level_columns!(),
            " FROM item CROSS JOIN level USING (item_no) WHERE body IS NOT NULL AND item_id >= ?1 \
             AND (item_id > ?1 OR location_no > ?2) ORDER BY item_id, location_no"
        )
    }
}

/// Reads a row: the level with its item, and with the days that `days` returns. `open` is the item of the row before.
fn read(
    connection: &Connection,
    names: &mut super::names::LocationNames,
    open: &mut Option<Arc<Item>>,
    row: &Row<'_>,
    days: impl FnOnce(&Place, &Level, &[u8]) -> Result<Arc<LevelDays>, Fault>,
) -> Result<LevelWithDays, Fault> {
    let item_id = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
    let item = match open.take().filter(|item| item.item_id.as_str().as_bytes() == item_id) {
        Some(item) => item,
        None => {
            let item = rows::item(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
            if item.item_id.as_str().as_bytes() != item_id {
                let row_of = String::from_utf8_lossy(item_id);
                return Err(Fault::Unreadable(format!("the row of item {row_of} holds item {}", item.item_id)));
            }
            Arc::new(item)
        }
    };
    *open = Some(Arc::clone(&item));
    let (level, tail) = rows::level_and_tail(connection, names, &item.item_id, row, LEVEL_AT)?;
    let place = Place {
        item_no: row.get(0)?,
        location_no: row.get(LEVEL_AT)?,
        item_id: item.item_id.clone(),
        location_id: level.location_id.clone(),
    };
    let days = days(&place, &level, tail)?;
    Ok(LevelWithDays { item, level, days })
}

/// Adds up the whole ledger of a level, whose tail is encoded beside it. It gives way to the write path between two chunks.
fn days_of(
    chunks: &mut Statement<'_>,
    (place, level, tail): (&Place, &Level, &[u8]),
    days: &LocalDays,
    budget: &mut PageBudget,
) -> Result<LevelDays, Fault> {
    let entries = usize::try_from(level.seq).unwrap_or(0);
    let mut sum = LedgerSum { tally: Tally::of_entries(entries), next: 1, last: level.seq };
    let mut rows = chunks.query((place.item_no, place.location_no))?;
    while let Some(row) = rows.next()? {
        let first_seq = row.get::<_, i64>(0)?.cast_unsigned();
        let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let before = sum.next;
        sealed::skim_chunk(&place.item_id, &place.location_id, first_seq, bytes, |seq, moved| sum.add(seq, moved))?;
        budget.spend(usize::try_from(sum.next - before).unwrap_or(0));
    }
    let before = sum.next;
    skim_movements(tail, |seq, moved| sum.add(seq, moved))?;
    budget.spend(usize::try_from(sum.next - before).unwrap_or(0));
    if sum.next <= level.seq {
        let Place { item_id, location_id, .. } = place;
        let missing = sum.next;
        return Err(Fault::Unreadable(format!("the ledger of {item_id} at {location_id}: entry {missing} is missing")));
    }
    Ok(sum.tally.days(days))
}

/// The sum of a ledger up to the first entry that is missing.
struct LedgerSum {
    tally: Tally,
    /// The seq of the next entry.
    next: u64,
    /// The last entry.
    last: u64,
}

impl LedgerSum {
    /// Adds the next entry. An entry may be in a chunk and in the tail, and one behind a gap is not added.
    fn add(&mut self, seq: u64, moved: Moved) {
        if seq == self.next && seq <= self.last {
            self.next += 1;
            self.tally.add_moved(moved);
        }
    }
}
