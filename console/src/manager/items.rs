//! The list of items, searched as it is typed.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use super::bulk::{self, Told};
use crate::api::{Gathered, Item, ItemPage, Level, LevelPage, segment};
use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Frame, Section, page};
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// Items of a page of the list.
const PAGE: usize = 50;

/// What is searched.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    cursor: String,
    /// `low`, `out` or `oversold`: only levels in this state; empty for all items.
    #[serde(default)]
    state: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    supplier: String,
    /// `yes`: those that are archived.
    #[serde(default)]
    archived: String,
}

impl Wanted {
    /// Returns what is added to the path of the API and to our own: the same words, but that of the name.
    fn filters(&self, name: &str, archived: &str) -> String {
        let pairs = [
            (name, self.q.trim()),
            ("category", self.category.trim()),
            ("supplier", self.supplier.trim()),
            ("archived", if self.archived == "yes" { archived } else { "" }),
        ];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| format!("&{name}={}", segment(value))).collect()
    }
}

/// An item in the list.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) path: String,
    pub(crate) item_id: String,
    pub(crate) name: String,
    pub(crate) category: String,
    pub(crate) on_hand: String,
    pub(crate) unit: String,
    pub(crate) state: String,
    pub(crate) state_text: &'static str,
    /// What choosing it posts: the id of the command, and the item. Empty where it can't be chosen.
    pub(crate) pick: String,
    pub(crate) pick_label: String,
}

#[derive(Template)]
#[template(path = "manager/items.html")]
struct ItemsPage {
    frame: Frame,
    wanted: Wanted,
    told: Vec<Told>,
    states: [(&'static str, &'static str); 3],
    may_add: bool,
    listed: Listed,
}

#[derive(Template)]
#[template(path = "manager/items_list.html")]
struct ItemsPart {
    frame: Frame,
    listed: Listed,
}

/// What fills the list.
#[derive(Debug)]
struct Listed {
    rows: Vec<Row>,
    /// The address of the next page; empty at the end.
    next: String,
    /// Says that the search has not seen the whole list; empty if the page is full, or the list ends.
    cut: String,
}

/// Lists the items.
pub(crate) async fn items(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    listed(&visit, wanted, Vec::new()).await
}

/// Changes the chosen items, and lists them again.
pub(crate) async fn change(visit: Visit, Query(wanted): Query<Wanted>, form: Form) -> Result<Response, Fault> {
    let told = bulk::change(&visit, &form).await?;
    listed(&visit, wanted, told).await
}

async fn listed(visit: &Visit, wanted: Wanted, told: Vec<Told>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let q = wanted.q.trim().to_owned();
    if ["low", "out", "oversold"].contains(&wanted.state.as_str()) {
        return short(visit, &places, wanted, told).await;
    }
    let filters = wanted.filters("name", "true");
    let row = |item: &Item| Row::of(visit, &places, item);
    let mut found = visit.api.gather::<ItemPage, _>("/v1/items", &filters, &wanted.cursor, PAGE, row).await?;
    if wanted.cursor.is_empty() && !q.is_empty() {
        for item in by_code(visit, &q).await? {
            found.rows.retain(|row| row.item_id != item.item_id);
            found.rows.insert(0, row(&item));
        }
    }
    let listed = Listed::of(visit, found, &wanted.filters("q", "yes"));
    shown(visit, &places, wanted, told, listed)
}

fn shown(visit: &Visit, places: &Places, wanted: Wanted, told: Vec<Told>, listed: Listed) -> Result<Response, Fault> {
    let frame = visit.frame_at(visit.t.items, Section::Items, places);
    if visit.wants_part {
        return page(&ItemsPart { frame, listed });
    }
    let states = ["low", "out", "oversold"].map(|state| (state, visit.t.state(state)));
    page(&ItemsPage { frame, wanted, told, states, may_add: visit.session.person.is_manager, listed })
}

/// Lists the levels in a state.
async fn short(visit: &Visit, places: &Places, wanted: Wanted, told: Vec<Told>) -> Result<Response, Fault> {
    let filters = format!("&state={}", wanted.state);
    let row = |level: &Level| Row::of_level(visit, places, level);
    let found = visit.api.gather::<LevelPage, _>("/v1/stock", &filters, &wanted.cursor, PAGE, row).await?;
    let listed = Listed::of(visit, found, &filters);
    let wanted = Wanted { state: wanted.state, ..Wanted::default() };
    shown(visit, places, wanted, told, listed)
}

/// Returns the items with this SKU and with this barcode.
async fn by_code(visit: &Visit, code: &str) -> Result<Vec<Item>, Fault> {
    let code = segment(code);
    let by_sku = visit.api.find::<Item>(&format!("/v1/items/{code}")).await?;
    let by_barcode: ItemPage = visit.api.get(&format!("/v1/items?barcode={code}&limit=1")).await?;
    Ok(by_sku.into_iter().chain(by_barcode.items).collect())
}

impl Listed {
    /// Says where the list goes on. `filters` are those of our own addresses.
    fn of(visit: &Visit, found: Gathered<Row>, filters: &str) -> Self {
        let Gathered { rows, next, is_cut } = found;
        let next =
            next.map(|cursor| format!("{}/console/items?cursor={}{filters}", visit.app.config.base, segment(&cursor)));
        Self { rows, next: next.unwrap_or_default(), cut: visit.cut_text(is_cut) }
    }
}

impl Row {
    fn of_level(visit: &Visit, places: &Places, level: &Level) -> Self {
        Self {
            path: format!("{}/console/items/{}", visit.app.config.base, segment(&level.item_id)),
            item_id: level.item_id.clone(),
            name: level.item_name.clone().unwrap_or_else(|| level.item_id.clone()),
            category: places.name(&level.location_id).to_owned(),
            on_hand: visit.locale.number(&level.on_hand),
            unit: String::new(),
            state: level.state.clone(),
            state_text: visit.t.state(&level.state),
            pick: String::new(),
            pick_label: String::new(),
        }
    }

    fn of(visit: &Visit, places: &Places, item: &Item) -> Self {
        let here = item.levels.iter().find(|level| level.location_id == places.here_id());
        let worst = here.or_else(|| item.levels.first());
        let state = worst.map_or("", |level| level.state.as_str());
        Self {
            path: format!("{}/console/items/{}", visit.app.config.base, segment(&item.item_id)),
            item_id: item.item_id.clone(),
            name: item.name.clone(),
            category: item.category.clone().unwrap_or_default(),
            on_hand: visit.locale.number(&item.on_hand),
            unit: item.unit.clone(),
            state: if item.archived { "archived" } else { state }.to_owned(),
            state_text: if item.archived { visit.t.archived } else { visit.t.state(state) },
            pick: match visit.session.person.is_manager {
                true => format!("{} {}", visit.new_id(), item.item_id),
                false => String::new(),
            },
            pick_label: fill(visit.t.bulk_pick, &[&item.name]),
        }
    }
}
