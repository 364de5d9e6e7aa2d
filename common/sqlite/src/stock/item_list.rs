//! One item, and lists of items with their levels.

use rusqlite::types::Value;
use rusqlite::{Connection, Rows, params_from_iter};
use serde::Serialize;

use super::fault::Fault;
use super::load;
use super::names::LocationNames;
use super::page_budget::PageBudget;
use super::readers::{View, parts};
use super::rows;
use stockline_core::domain::{Claim, ItemId};
use stockline_core::ports::cursor;
use stockline_core::ports::{ItemFilter, ItemWithLevels, Page};

/// Reads an item with its levels.
pub(super) fn item(view: &mut View<'_>, item_id: &ItemId) -> Result<Option<ItemWithLevels>, Fault> {
    let (connection, names) = parts(view);
    let Some((item_no, item)) = load::registered(connection, item_id)? else {
        return Ok(None);
    };
    Ok(Some(ItemWithLevels { item, levels: load::levels(connection, names, item_no)? }))
}

/// The bounds of a page of items.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageOf {
    pub(super) entries: usize,
    /// Of all its items together.
    pub(super) levels: usize,
}

/// A page of items while it fills.
struct Filling<'a> {
    connection: &'a Connection,
    names: &'a mut LocationNames,
    budget: PageBudget,
    most: PageOf,
    views: Vec<ItemWithLevels>,
    levels: usize,
}

impl<'a> Filling<'a> {
    fn begin(view: &'a mut View<'_>, most: PageOf) -> Self {
        let budget = view.page_budget();
        let (connection, names) = parts(view);
        let most = PageOf { entries: cursor::clamp(most.entries), ..most };
        Self { connection, names, budget, most, views: Vec::new(), levels: 0 }
    }

    /// Adds an item with its levels. Returns whether the page needs more: it has one item more than it shows, which
    /// proves that there is a next page.
    fn add(&mut self, item_no: i64) -> Result<bool, Fault> {
        let mut statement = self.connection.prepare_cached("SELECT body FROM item WHERE item_no = ?1")?;
        let item = statement.query_row([item_no], |row| Ok(row.get_ref(0)?.as_str().map(rows::item)?))??;
        let levels = load::levels(self.connection, self.names, item_no)?;
        self.budget.spend(levels.len());
        self.levels += levels.len();
        self.views.push(ItemWithLevels { item, levels });
        if self.levels > self.most.levels && self.views.len() > 1 {
            self.most.entries = self.views.len() - 1;
        }
        Ok(self.views.len() <= self.most.entries)
    }

    /// Fills the page with the items of an ordered walk. `look` reads the key of a row, and the item's number if the
    /// filter keeps it; it returns `None` where the list ends.
    fn page<K: Serialize>(
        mut self,
        list: &str,
        mut rows: Rows<'_>,
        look: impl Fn(&rusqlite::Row<'_>) -> Result<Option<(K, Option<i64>)>, Fault>,
        key: impl Fn(&ItemWithLevels) -> K,
    ) -> Result<Page<ItemWithLevels>, Fault> {
        while let Some(row) = rows.next()? {
            let Some((place, kept)) = look(row)? else {
                break;
            };
            if let Some(item_no) = kept
                && !self.add(item_no)?
            {
                break;
            }
            if !self.budget.spend(1) {
                return Ok(cursor::page_until(list, self.views, Some(place)));
            }
        }
        Ok(cursor::page(list, self.views, self.most.entries, key))
    }
}

const ITEMS: &str = "items";

/// Items by lower-cased name, then id.
pub(super) fn items(
    view: &mut View<'_>,
    filter: &ItemFilter,
    cursor: Option<&str>,
    most: PageOf,
) -> Result<Page<ItemWithLevels>, Fault> {
    let after: Option<(String, String)> = cursor::decode(ITEMS, cursor)?;
    if let Some(barcode) = &filter.barcode {
        return item_of_barcode(view, filter, barcode);
    }
    let prefix = filter.name_prefix.as_ref().map(|prefix| prefix.to_lowercase()).unwrap_or_default();
    let (name_key, item_id) = after.unwrap_or_default().max((prefix.clone(), String::new()));
    let mut values = vec![Value::Integer(filter.archived.into()), Value::Text(name_key), Value::Text(item_id)];
    let sql = match &filter.category {
        None => {
            "SELECT item_no, name_key, item_id, updated_at FROM item \
             WHERE archived = ?1 AND (name_key, item_id) > (?2, ?3) ORDER BY name_key, item_id"
        }
        Some(category) => {
            values.push(Value::Text(category.clone()));
            "SELECT item_no, name_key, item_id, updated_at FROM item \
             WHERE category = ?4 AND archived = ?1 AND (name_key, item_id) > (?2, ?3) ORDER BY name_key, item_id"
        }
    };
    let since = filter.updated_since.map_or(i64::MIN, |since| since.as_millis());
    let filling = Filling::begin(view, most);
    let mut statement = filling.connection.prepare_cached(sql)?;
    let rows = statement.query(params_from_iter(values))?;
    let look = |row: &rusqlite::Row<'_>| {
        let place: (String, String) = (row.get(1)?, row.get(2)?);
        if !place.0.starts_with(&prefix) {
            return Ok(None);
        }
        let kept = row.get::<_, i64>(3)? >= since;
        Ok(Some((place, kept.then(|| row.get(0)).transpose()?)))
    };
    filling.page(ITEMS, rows, look, |view| (view.item.catalogue.name.to_lowercase(), view.item.item_id.to_string()))
}

/// Finds the item that holds a barcode, if the rest of the filter accepts it.
fn item_of_barcode(view: &mut View<'_>, filter: &ItemFilter, barcode: &str) -> Result<Page<ItemWithLevels>, Fault> {
    let holder = load::holder(view, &Claim::Barcode(barcode.to_owned()))?;
    let found = holder.map(|holder| item(view, &holder)).transpose()?.flatten();
    let prefix = filter.name_prefix.as_ref().map(|prefix| prefix.to_lowercase()).unwrap_or_default();
    let keeps = |found: &ItemWithLevels| {
        let item = &found.item;
        item.is_archived() == filter.archived
            && item.catalogue.name.to_lowercase().starts_with(&prefix)
            && filter.category.as_ref().is_none_or(|category| item.catalogue.category.as_ref() == Some(category))
            && filter.updated_since.is_none_or(|since| item.updated_at >= since)
    };
    Ok(Page { entries: found.into_iter().filter(keeps).collect(), next_cursor: None })
}

const AUDIT_ITEMS: &str = "audit_items";

/// All items, by id.
pub(super) fn audit_items(
    view: &mut View<'_>,
    cursor: Option<&str>,
    most: PageOf,
) -> Result<Page<ItemWithLevels>, Fault> {
    let after: Option<String> = cursor::decode(AUDIT_ITEMS, cursor)?;
    let filling = Filling::begin(view, most);
    let mut statement = filling
        .connection
        .prepare_cached("SELECT item_no, item_id, body IS NOT NULL FROM item WHERE item_id > ?1 ORDER BY item_id")?;
    let rows = statement.query([after.unwrap_or_default()])?;
    let look = |row: &rusqlite::Row<'_>| {
        let place: String = row.get(1)?;
        let kept: bool = row.get(2)?;
        Ok(Some((place, kept.then(|| row.get(0)).transpose()?)))
    };
    filling.page(AUDIT_ITEMS, rows, look, |view| view.item.item_id.to_string())
}
