//! The lists of the read side. Each page is one statement in one transaction.

use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde::Serialize;
use uuid::Uuid;

use super::fault::Fault;
use super::ledger::{self, Place};
use super::load;
use super::names::LocationNames;
use super::readers::{View, parts};
use super::rows::{self, level_columns};
use super::sealed;
use stockline_core::domain::{
    Claim, CommandId, DeadLetter, Item, ItemId, LocationId, LocationSettings, MAIN_LOCATION, Quantity, Record, Status,
    StockState, Timestamp,
};
use stockline_core::ports::cursor;
use stockline_core::ports::{AlertRecord, CommandFilter, ItemFilter, ItemWithLevels, LevelFilter, LevelWithItem, Page};

/// The level's own threshold, else the item's default.
macro_rules! threshold {
    () => {
        "coalesce(level.low_stock_threshold, item.low_stock_threshold)"
    };
}

/// A statement with its conditions, and the values in order.
struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    fn new(select: &str) -> Self {
        Self { sql: format!("{select} WHERE 1"), values: Vec::new() }
    }

    /// Adds a condition with one value for each `?`.
    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.extend(values);
    }

    /// Ends the statement. It reads one row more than the page, which shows whether there is a next page.
    fn order(&mut self, order: &str, limit: usize) {
        self.sql.push_str(&format!(" ORDER BY {order} LIMIT {}", limit + 1));
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn time(at: Timestamp) -> Value {
    Value::Integer(at.as_millis())
}

/// Reads an item with its levels.
pub(super) fn item(view: &mut View<'_>, item_id: &ItemId) -> Result<Option<ItemWithLevels>, Fault> {
    let (connection, names) = parts(view);
    let Some((item_no, item)) = load::registered(connection, item_id)? else {
        return Ok(None);
    };
    Ok(Some(ItemWithLevels { item, levels: load::levels(connection, names, item_id, item_no)? }))
}

const ITEMS: &str = "items";

/// Items by lower-cased name, then id.
pub(super) fn items(
    view: &mut View<'_>,
    filter: &ItemFilter,
    cursor: Option<&str>,
    most: PageOf,
) -> Result<Page<ItemWithLevels>, Fault> {
    let (limit, (connection, names)) = (cursor::clamp(most.entries), parts(view));
    let mut query = Query::new("SELECT item_no, body, name_key, item_id FROM item");
    query.and("name_key IS NOT NULL AND archived = ?", [Value::Integer(filter.archived.into())]);
    if let Some(barcode) = &filter.barcode {
        match load::holder(connection, &Claim::Barcode(barcode.clone()))? {
            Some(holder) => query.and("item_id = ?", [text(holder.as_str())]),
            None => return Ok(Page { entries: Vec::new(), next_cursor: None }),
        }
    }
    if let Some(prefix) = &filter.name_prefix {
        let prefix = prefix.to_lowercase();
        query.and("name_key >= ? AND name_key < ?", [text(&prefix), text(&format!("{prefix}\u{10ffff}"))]);
    }
    if let Some(category) = &filter.category {
        query.and("category = ?", [text(category)]);
    }
    if let Some(since) = filter.updated_since {
        query.and("updated_at >= ?", [time(since)]);
    }
    if let Some((name_key, item_id)) = cursor::decode::<(String, String)>(ITEMS, cursor) {
        query.and("(name_key, item_id) > (?, ?)", [text(&name_key), text(&item_id)]);
    }
    query.order("name_key, item_id", limit);
    let (mut views, limit) = item_views(connection, names, &query, PageOf { entries: limit, ..most })?;
    if let Some(barcode) = &filter.barcode {
        let has = |view: &ItemWithLevels| view.item.catalogue.barcodes.contains(barcode);
        views.iter_mut().for_each(|view| view.entry = view.entry.take().filter(has));
    }
    Ok(page(ITEMS, views, limit))
}

/// A row of a list with its key. A row that can't be read has no entry: the list shows the others.
struct Listed<K, T> {
    key: K,
    entry: Option<T>,
}

impl<K, T> Listed<K, T> {
    fn new(key: K, entry: Result<T, Fault>) -> Result<Self, Fault> {
        match entry {
            Ok(entry) => Ok(Self { key, entry: Some(entry) }),
            Err(Fault::Unreadable(what)) => {
                tracing::error!(what, "a row can't be read: lists leave it out; run `stockline audit`");
                Ok(Self { key, entry: None })
            }
            Err(fault) => Err(fault),
        }
    }
}

/// Makes a page of the rows that can be read. Its cursor counts all of them.
fn page<K: Serialize + Clone, T>(list: &str, listed: Vec<Listed<K, T>>, limit: usize) -> Page<T> {
    let page = cursor::page(list, listed, limit, |listed| listed.key.clone());
    Page {
        entries: page.entries.into_iter().filter_map(|listed| listed.entry).collect(),
        next_cursor: page.next_cursor,
    }
}

/// Reads a text of a key. Its bytes may have changed: then the row is left out, and the list goes on behind it.
fn shown(row: &Row<'_>, at: usize) -> Result<String, Fault> {
    let bytes = row.get_ref(at)?.as_bytes().map_err(rusqlite::Error::from)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

type ListedItem = Listed<(String, String), ItemWithLevels>;

/// The bounds of a page of items.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageOf {
    pub(super) entries: usize,
    /// Of all its items together.
    pub(super) levels: usize,
}

/// The items of a page and one more where there is one, and how many of them are the page.
fn item_views(
    connection: &Connection,
    names: &mut LocationNames,
    query: &Query,
    most: PageOf,
) -> Result<(Vec<ListedItem>, usize), Fault> {
    let mut statement = connection.prepare_cached(&query.sql)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let mut views = Vec::new();
    let mut level_count = 0;
    while let Some(row) = rows.next()? {
        let key = (shown(row, 2)?, shown(row, 3)?);
        let view = Listed::new(key, item_view(connection, names, row))?;
        level_count += view.entry.as_ref().map_or(0, |view| view.levels.len());
        views.push(view);
        if level_count > most.levels && views.len() > 1 {
            let before = views.len() - 1;
            return Ok((views, before));
        }
    }
    Ok((views, most.entries))
}

fn item_view(connection: &Connection, names: &mut LocationNames, row: &Row<'_>) -> Result<ItemWithLevels, Fault> {
    let item = rows::item(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
    let levels = load::levels(connection, names, &item.item_id, row.get(0)?)?;
    Ok(ItemWithLevels { item, levels })
}

const AUDIT_ITEMS: &str = "audit_items";

/// All items, by id.
pub(super) fn audit_items(
    view: &mut View<'_>,
    cursor: Option<&str>,
    most: PageOf,
) -> Result<Page<ItemWithLevels>, Fault> {
    let (limit, (connection, names)) = (cursor::clamp(most.entries), parts(view));
    let mut query = Query::new("SELECT item_no, body, ifnull(name_key, ''), item_id FROM item");
    query.and("body IS NOT NULL", []);
    if let Some((_, item_id)) = cursor::decode::<(String, String)>(AUDIT_ITEMS, cursor) {
        query.and("item_id > ?", [text(&item_id)]);
    }
    query.order("item_id", limit);
    let (views, limit) = item_views(connection, names, &query, PageOf { entries: limit, ..most })?;
    Ok(page(AUDIT_ITEMS, views, limit))
}

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

const LEVELS: &str = "levels";

/// Lists levels by item, then location. The sparse table `low_levels` finds the levels that are not `normal`.
pub(super) fn levels(
    view: &mut View<'_>,
    filter: &LevelFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<LevelWithItem>, Fault> {
    let (limit, (connection, names)) = (cursor::clamp(limit), parts(view));
    let not_normal = filter.state.is_some_and(|state| state != StockState::Normal);
    let mut query = Query::new(&format!(
        "SELECT body, item.item_no, item_id, location_id, {} FROM item {} CROSS JOIN level USING (item_no{}) CROSS JOIN location \
         USING (location_no)",
        level_columns!(),
        if not_normal { "CROSS JOIN low_levels USING (item_no)" } else { "" },
        if not_normal { ", location_no" } else { "" },
    ));
    query.and("body IS NOT NULL", []);
    if !filter.archived {
        query.and("archived = 0", []);
    }
    if let Some(location_id) = &filter.location_id {
        match names.no(connection, location_id)? {
            Some(no) => query.and("level.location_no = ?", [Value::Integer(no)]),
            None => return Ok(Page { entries: Vec::new(), next_cursor: None }),
        }
    }
    match filter.state {
        Some(StockState::Oversold) => query.and("on_hand < 0", []),
        Some(StockState::Out) => query.and("on_hand = 0", []),
        Some(StockState::Low) => query.and(concat!("on_hand > 0 AND on_hand < ", threshold!()), []),
        Some(StockState::Normal) => query.and(concat!("on_hand > 0 AND on_hand >= ifnull(", threshold!(), ", 0)"), []),
        None => {}
    }
    if let Some((item_id, location_id)) = cursor::decode::<(String, String)>(LEVELS, cursor) {
        // The first condition lets the index begin there.
        query.and(
            "item_id >= ? AND (item_id, location_id) > (?, ?)",
            [text(&item_id), text(&item_id), text(&location_id)],
        );
    }
    query.order("item_id, location_id", limit);
    let mut statement = connection.prepare_cached(&query.sql)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let (mut views, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let key = (shown(row, 2)?, shown(row, 3)?);
        views.push(Listed::new(key, level_view(connection, names, row, &mut last))?);
    }
    Ok(page(LEVELS, views, limit))
}

/// The number of an item with its record, which several rows share.
type LastItem = Option<(i64, Arc<Item>)>;

fn level_view(
    connection: &Connection,
    names: &mut LocationNames,
    row: &Row<'_>,
    last: &mut LastItem,
) -> Result<LevelWithItem, Fault> {
    let item_no: i64 = row.get(1)?;
    let item = match last {
        Some((same, item)) if *same == item_no => item.clone(),
        _ => Arc::new(rows::item(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?),
    };
    *last = Some((item_no, item.clone()));
    let level = rows::level(connection, names, &item.item_id, row, 4)?;
    Ok(LevelWithItem { item, level })
}

const COMMANDS: &str = "commands";

/// Lists refused commands, newest first.
pub(super) fn commands(
    view: &mut View<'_>,
    filter: &CommandFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Record>, Fault> {
    let limit = cursor::clamp(limit);
    let mut query = Query::new(
        "SELECT settled_at, record_no, body, command_id, item_no FROM refused CROSS JOIN record USING (record_no)",
    );
    query.and("status = ?", [text(filter.status.as_str())]);
    if let Some(code) = filter.code {
        query.and("code = ?", [text(code.as_str())]);
    }
    if let Some(location_id) = &filter.location_id {
        query.and("location_id = ?", [text(location_id.as_str())]);
    }
    if let Some(since) = filter.since {
        query.and("settled_at >= ?", [time(since)]);
    }
    if !filter.settled_otherwise {
        query.and("settled_otherwise = 0", []);
    }
    if let Some((settled_at, record_no)) = cursor::decode::<(i64, i64)>(COMMANDS, cursor) {
        query.and("(settled_at, record_no) < (?, ?)", [Value::Integer(settled_at), Value::Integer(record_no)]);
    }
    query.order("settled_at DESC, record_no DESC", limit);
    let mut statement = view.prepare_cached(&query.sql)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key: (i64, i64) = (row.get(0)?, row.get(1)?);
        let record = rows::record(row, 2).or_else(|fault| unreadable_record(view, row, filter.status, fault));
        found.push(Listed::new(key, record)?);
    }
    Ok(page(COMMANDS, found, limit))
}

/// Shows a refused command whose record can't be read, as far as the row around it says which it is.
fn unreadable_record(connection: &Connection, row: &Row<'_>, status: Status, fault: Fault) -> Result<Record, Fault> {
    let Fault::Unreadable(what) = fault else { return Err(fault) };
    let command_id = row.get_ref(3)?.as_blob().ok().and_then(|id| Uuid::from_slice(id).ok());
    let mut names = connection.prepare_cached("SELECT item_id FROM item WHERE item_no = ?1")?;
    let item_id: Option<String> = names.query_row([row.get::<_, i64>(4)?], |row| row.get(0)).optional()?;
    let (Some(command_id), Some(Ok(item_id))) = (command_id, item_id.map(|id| id.parse::<ItemId>())) else {
        return Err(Fault::Unreadable(what));
    };
    let letter = DeadLetter::of(format!("this record can't be read: {what}"), String::new());
    let settled_at = Timestamp::from_millis(row.get(0)?);
    let mut record = Record::dead_letter(None, letter, (item_id, CommandId(command_id)), settled_at);
    record.outcome.status = status;
    Ok(record)
}

const AUDIT_RECORDS: &str = "audit_records";

/// All records, in the order of their first decision.
pub(super) fn audit_records(view: &View<'_>, cursor: Option<&str>, limit: usize) -> Result<Page<Record>, Fault> {
    let limit = cursor::clamp(limit);
    let after: i64 = cursor::decode(AUDIT_RECORDS, cursor).unwrap_or(0);
    let mut statement =
        view.prepare_cached("SELECT record_no, body FROM record WHERE record_no > ?1 ORDER BY record_no LIMIT ?2")?;
    let mut rows = statement.query((after, limit + 1))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Listed::new(row.get::<_, i64>(0)?, rows::record(row, 1))?);
    }
    Ok(page(AUDIT_RECORDS, found, limit))
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
    let mut query = Query::new("SELECT alert_id, sent_at, body, raised_at FROM alert");
    if let Some(location_id) = location_id {
        query.and("location_id = ?", [text(location_id.as_str())]);
    }
    if let Some((raised_at, alert_id)) = cursor::decode::<(i64, String)>(ALERTS, cursor) {
        query.and("(raised_at, alert_id) < (?, ?)", [Value::Integer(raised_at), text(&alert_id)]);
    }
    query.order("raised_at DESC, alert_id DESC", limit);
    let mut statement = view.prepare_cached(&query.sql)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key: (i64, String) = (row.get(3)?, shown(row, 0)?);
        found.push(Listed::new(key, alert(row))?);
    }
    Ok(page(ALERTS, found, limit))
}

fn alert(row: &Row<'_>) -> Result<AlertRecord, Fault> {
    let alert = sealed::read_json("an alert", row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
    let sent_at = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis);
    Ok(AlertRecord { alert_id: row.get(0)?, alert, sent_at })
}

/// All locations, by id; `main` is one of them.
pub(super) fn locations(view: &View<'_>) -> Result<Vec<LocationSettings>, Fault> {
    let mut statement = view.prepare_cached("SELECT settings FROM location WHERE settings IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let settings = rows::read_settings(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
        found.extend(Listed::new((), settings)?.entry);
    }
    if found.iter().all(|settings: &LocationSettings| settings.location_id.as_str() != MAIN_LOCATION) {
        found.push(LocationSettings::main());
    }
    found.sort_unstable_by(|a, b| a.location_id.cmp(&b.location_id));
    Ok(found)
}
