//! The lists of the read side. Each page is one statement in one transaction.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::fault::Fault;
use super::ledger::{self, Place};
use super::load;
use super::names::LocationNames;
use super::readers::{View, parts};
use super::rows::{self, level_columns};
use stockline_core::domain::{
    Claim, ItemId, LocationId, LocationSettings, MAIN_LOCATION, Quantity, Record, StockState, Timestamp,
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
    Ok(Some(ItemWithLevels { item, levels: load::levels(connection, names, item_no)? }))
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
    let mut query = Query::new("SELECT item_no, body FROM item");
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
    let (views, limit) = item_views(connection, names, &query, PageOf { entries: limit, ..most })?;
    Ok(cursor::page(ITEMS, views, limit, |view| (view.item.catalogue.name.to_lowercase(), view.item.item_id.clone())))
}

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
) -> Result<(Vec<ItemWithLevels>, usize), Fault> {
    let mut statement = connection.prepare_cached(&query.sql)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let mut views = Vec::new();
    let mut level_count = 0;
    while let Some(row) = rows.next()? {
        let item = rows::item(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
        let levels = load::levels(connection, names, row.get(0)?)?;
        level_count += levels.len();
        views.push(ItemWithLevels { item, levels });
        if level_count > most.levels && views.len() > 1 {
            let before = views.len() - 1;
            return Ok((views, before));
        }
    }
    Ok((views, most.entries))
}

const AUDIT_ITEMS: &str = "audit_items";

/// All items, by id.
pub(super) fn audit_items(
    view: &mut View<'_>,
    cursor: Option<&str>,
    most: PageOf,
) -> Result<Page<ItemWithLevels>, Fault> {
    let (limit, (connection, names)) = (cursor::clamp(most.entries), parts(view));
    let mut query = Query::new("SELECT item_no, body FROM item");
    query.and("body IS NOT NULL", []);
    if let Some(item_id) = cursor::decode::<String>(AUDIT_ITEMS, cursor) {
        query.and("item_id > ?", [text(&item_id)]);
    }
    query.order("item_id", limit);
    let (views, limit) = item_views(connection, names, &query, PageOf { entries: limit, ..most })?;
    Ok(cursor::page(AUDIT_ITEMS, views, limit, |view| view.item.item_id.clone()))
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
    for level in load::levels(connection, names, item_no)? {
        if let Some(location_no) = names.no(connection, &level.location_id)?
            && let Some((on_hand, seq)) = ledger::as_of(connection, Place { item_no, location_no }, &level, at)?
        {
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
        "SELECT body, item.item_no, {} FROM item {} CROSS JOIN level USING (item_no{}) CROSS JOIN location \
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
    let (mut views, mut last) = (Vec::<LevelWithItem>::new(), None);
    while let Some(row) = rows.next()? {
        let item_no: i64 = row.get(1)?;
        let item = match (views.last(), last) {
            (Some(before), Some(same)) if same == item_no => before.item.clone(),
            _ => std::sync::Arc::new(rows::item(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?),
        };
        last = Some(item_no);
        views.push(LevelWithItem { item, level: rows::level(connection, names, row, 2)? });
    }
    Ok(cursor::page(LEVELS, views, limit, |view| (view.item.item_id.clone(), view.level.location_id.clone())))
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
    let mut query = Query::new("SELECT settled_at, record_no, body FROM refused CROSS JOIN record USING (record_no)");
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
    let mut found: Vec<((i64, i64), Record)> = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(((row.get(0)?, row.get(1)?), rows::record(row, 2)?));
    }
    let page = cursor::page(COMMANDS, found, limit, |(key, _)| *key);
    Ok(Page { entries: page.entries.into_iter().map(|(_, record)| record).collect(), next_cursor: page.next_cursor })
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
        found.push((row.get::<_, i64>(0)?, rows::record(row, 1)?));
    }
    let page = cursor::page(AUDIT_RECORDS, found, limit, |(record_no, _)| *record_no);
    Ok(Page { entries: page.entries.into_iter().map(|(_, record)| record).collect(), next_cursor: page.next_cursor })
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
    let mut query = Query::new("SELECT alert_id, sent_at, body FROM alert");
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
        let body = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
        let alert = serde_json::from_str(body).map_err(|error| Fault::Unreadable(format!("an alert: {error}")))?;
        let sent_at = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis);
        found.push(AlertRecord { alert_id: row.get(0)?, alert, sent_at });
    }
    Ok(cursor::page(ALERTS, found, limit, |record| (record.alert.raised_at.as_millis(), record.alert_id.clone())))
}

/// All locations, by id; `main` is one of them.
pub(super) fn locations(view: &View<'_>) -> Result<Vec<LocationSettings>, Fault> {
    let mut statement = view.prepare_cached("SELECT settings FROM location WHERE settings IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(rows::read_settings(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    if found.iter().all(|settings: &LocationSettings| settings.location_id.as_str() != MAIN_LOCATION) {
        found.push(LocationSettings::main());
    }
    found.sort_unstable_by(|a, b| a.location_id.cmp(&b.location_id));
    Ok(found)
}
