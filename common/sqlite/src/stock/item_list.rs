//! One item, and lists of items with their levels.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, Rows, params_from_iter};
use serde::Serialize;

use super::fault::Fault;
use super::listed::{listed, shown};
use super::load;
use super::names::LocationNames;
use super::page_budget::PageBudget;
use super::queries::of_places;
use super::readers::{View, parts};
use super::rows;
use stockline_core::domain::{Claim, ItemId, barcode_spellings};
use stockline_core::ports::cursor;
use stockline_core::ports::{ItemFilter, ItemWithLevels, Page};

/// Reads an item with its levels.
pub(super) fn item(view: &mut View<'_>, item_id: &ItemId) -> Result<Option<ItemWithLevels>, Fault> {
    let (connection, names) = parts(view);
    let Some((item_no, item)) = load::registered(connection, item_id)? else {
        return Ok(None);
    };
    Ok(Some(ItemWithLevels { item, levels: load::levels(connection, names, item_id, item_no)? }))
}

/// The bounds of a page of items.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageOf {
    pub(super) entries: usize,
    /// Of all its items together.
    pub(super) levels: usize,
}

/// A page of items while it fills. Each has its key in the list.
struct Filling<'a, K> {
    connection: &'a Connection,
    names: &'a mut LocationNames,
    budget: PageBudget,
    most: PageOf,
    views: Vec<(K, ItemWithLevels)>,
    levels: usize,
}

/// What a filter makes of a row.
enum Looked {
    /// The item with this number is in the list.
    Kept(i64),
    /// The row stands for so many that are not in the list.
    LeftOut(usize),
    /// The list ended before this row.
    End,
}

impl<'a, K: Serialize + Clone> Filling<'a, K> {
    fn begin(view: &'a mut View<'_>, most: PageOf) -> Self {
        let budget = view.page_budget();
        let (connection, names) = parts(view);
        let most = PageOf { entries: cursor::clamp(most.entries), ..most };
        Self { connection, names, budget, most, views: Vec::new(), levels: 0 }
    }

    /// Adds an item with its levels, if they can be read. Returns whether the page needs more: it has one item more than
    /// it shows, which proves that there is a next page.
    fn add(&mut self, place: &K, item_id: &str, item_no: i64) -> Result<bool, Fault> {
        let Some(view) = listed(self.read(item_id, item_no))? else {
            return Ok(true);
        };
        self.budget.spend(view.places());
        self.levels += view.places();
        self.views.push((place.clone(), view));
        if self.levels > self.most.levels && self.views.len() > 1 {
            self.most.entries = self.views.len() - 1;
        }
        Ok(self.views.len() <= self.most.entries)
    }

    fn read(&mut self, item_id: &str, item_no: i64) -> Result<ItemWithLevels, Fault> {
        let mut statement = self.connection.prepare_cached("SELECT body FROM item WHERE item_no = ?1")?;
        let item = statement.query_row([item_no], |row| Ok(row.get_ref(0)?.as_str().map(rows::item)?)).optional()?;
        let item = item.transpose()?.filter(|item| item.item_id.as_str() == item_id);
        let item =
            item.ok_or_else(|| Fault::Unreadable(format!("a list names item {item_id}, and its row does not")))?;
        let levels = load::levels(self.connection, self.names, &item.item_id, item_no)?;
        Ok(ItemWithLevels { item, levels })
    }

    /// Fills the page with the items of an ordered walk. `look` says what the filter makes of a row, and `place` reads its key,
    /// which has the `item_id`.
    fn page(
        mut self,
        list: &str,
        mut rows: Rows<'_>,
        look: impl Fn(&Row<'_>) -> Result<Looked, Fault>,
        place: impl Fn(&Row<'_>) -> Result<K, Fault>,
        item_id: impl Fn(&K) -> &str,
    ) -> Result<Page<ItemWithLevels>, Fault> {
        while let Some(row) = rows.next()? {
            let examined = match look(row)? {
                Looked::End => break,
                Looked::LeftOut(rows) => rows,
                Looked::Kept(item_no) => {
                    let place = place(row)?;
                    if !self.add(&place, item_id(&place), item_no)? {
                        break;
                    }
                    1
                }
            };
            if !self.budget.spend(examined) {
                return Ok(of_places(cursor::page_until(list, self.views, Some(place(row)?))));
            }
        }
        Ok(of_places(cursor::page(list, self.views, self.most.entries, |(place, _)| place.clone())))
    }
}

const ITEMS: &str = "items";

/// How many rows a search leaves out for each one that it shows to the page's budget. The engine skips the others by
/// themselves, which takes a tenth of the time.
const ROWS_PER_SAMPLE: usize = 64;

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
    values.extend(filter.category.as_ref().or(filter.supplier.as_ref()).cloned().map(Value::Text));
    // The walk is along the index of the first of both; the second is looked up row by row, within the budget.
    let (only, supplier) = match (&filter.category, &filter.supplier) {
        (None, None) => ("", "NULL"),
        (Some(_), None) => ("category = ?4 AND ", "NULL"),
        (None, Some(_)) => ("supplier = ?4 AND ", "NULL"),
        (Some(_), Some(_)) => ("category = ?4 AND ", "supplier"),
    };
    let part = filter.name_part.as_ref().map(|part| part.to_lowercase());
    let has_part = match &part {
        Some(part) => {
            values.push(Value::Text(part.clone()));
            format!(" AND (instr(name_key, ?{}) > 0 OR item_no % {ROWS_PER_SAMPLE} = 0)", values.len())
        }
        None => String::new(),
    };
    let sql = format!(
        "SELECT item_no, name_key, item_id, updated_at, {supplier} FROM item \
         WHERE {only}archived = ?1 AND (name_key, item_id) > (?2, ?3){has_part} ORDER BY name_key, item_id"
    );
    let second = filter.supplier.as_ref().filter(|_| filter.category.is_some());
    let since = filter.updated_since.map_or(i64::MIN, |since| since.as_millis());
    let filling = Filling::begin(view, most);
    let mut statement = filling.connection.prepare_cached(&sql)?;
    let rows = statement.query(params_from_iter(values))?;
    let look = |row: &Row<'_>| {
        let name = String::from_utf8_lossy(row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?);
        if !name.starts_with(&prefix) {
            return Ok(Looked::End);
        }
        if part.as_ref().is_some_and(|part| !name.contains(part)) {
            return Ok(Looked::LeftOut(ROWS_PER_SAMPLE));
        }
        // If the type of the time has changed, only a list that asks for it leaves the item out: its record is whole.
        let updated_at = listed(row.get::<_, i64>(3).map_err(Fault::from))?;
        let is_recent = updated_at.map_or(filter.updated_since.is_none(), |at| at >= since);
        let is_of_second = match second {
            None => true,
            Some(wanted) => {
                listed(row.get::<_, Option<String>>(4).map_err(Fault::from))?.flatten().as_ref() == Some(wanted)
            }
        };
        Ok(if is_recent && is_of_second { Looked::Kept(row.get(0)?) } else { Looked::LeftOut(1) })
    };
    filling.page(ITEMS, rows, look, |row| Ok((shown(row, 1)?, shown(row, 2)?)), |(_, item_id)| item_id)
}

/// Returns the first of these codes that an item holds, with the item.
pub(super) fn holder(view: &mut View<'_>, codes: Vec<String>) -> Result<Option<(String, ItemId)>, Fault> {
    for code in codes {
        let claim = Claim::Barcode(code);
        if let (Some(holder), Claim::Barcode(code)) = (load::holder(view, &claim)?, claim) {
            return Ok(Some((code, holder)));
        }
    }
    Ok(None)
}

/// Finds the item that holds a barcode, if the rest of the filter accepts it.
fn item_of_barcode(view: &mut View<'_>, filter: &ItemFilter, barcode: &str) -> Result<Page<ItemWithLevels>, Fault> {
    let holder = holder(view, barcode_spellings(barcode))?;
    let found = holder.map(|(_, holder)| item(view, &holder)).transpose().map(Option::flatten);
    let found = listed(found)?.flatten();
    let prefix = filter.name_prefix.as_ref().map(|prefix| prefix.to_lowercase()).unwrap_or_default();
    let keeps = |found: &ItemWithLevels| {
        let item = &found.item;
        let name = item.catalogue.name.to_lowercase();
        item.catalogue.barcode(barcode).is_some()
            && filter.wants_archived(item.is_archived())
            && name.starts_with(&prefix)
            && filter.has_part(&name)
            && filter.is_of(&item.catalogue)
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
    let look = |row: &Row<'_>| {
        let is_registered: bool = row.get(2)?;
        Ok(if is_registered { Looked::Kept(row.get(0)?) } else { Looked::LeftOut(1) })
    };
    filling.page(AUDIT_ITEMS, rows, look, |row| shown(row, 1), String::as_str)
}
