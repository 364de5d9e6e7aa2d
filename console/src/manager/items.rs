//! The list of items, searched as it is typed.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use crate::api::{Item, ItemPage, Level, LevelPage, segment};
use crate::fault::Fault;
use crate::page::{Frame, Section, page};
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
}

#[derive(Template)]
#[template(path = "manager/items.html")]
struct ItemsPage {
    frame: Frame,
    q: String,
    /// The chosen state; empty for all.
    state: String,
    states: [(&'static str, &'static str); 3],
    may_add: bool,
    rows: Vec<Row>,
    /// The address of the next page; empty at the end.
    next: String,
}

#[derive(Template)]
#[template(path = "manager/items_list.html")]
struct ItemsPart {
    frame: Frame,
    rows: Vec<Row>,
    next: String,
}

/// Lists the items.
pub(crate) async fn items(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let q = wanted.q.trim().to_owned();
    if ["low", "out", "oversold"].contains(&wanted.state.as_str()) {
        return short(&visit, &places, &wanted).await;
    }
    let mut path = format!("/v1/items?limit={PAGE}");
    if !q.is_empty() {
        path.push_str(&format!("&name={}", segment(&q)));
    }
    if !wanted.cursor.is_empty() {
        path.push_str(&format!("&cursor={}", segment(&wanted.cursor)));
    }
    let found: ItemPage = visit.api.get(&path).await?;
    let mut items = found.items;
    if wanted.cursor.is_empty() && !q.is_empty() {
        by_code(&visit, &q, &mut items).await?;
    }
    let next = found.next_cursor.map(|cursor| {
        let root = &visit.app.config.base;
        format!("{root}/console/items?q={}&cursor={}", segment(&q), segment(&cursor))
    });
    let rows = items.iter().map(|item| Row::of(&visit, &places, item)).collect();
    shown(&visit, &places, (q, String::new()), rows, next.unwrap_or_default())
}

fn shown(
    visit: &Visit,
    places: &Places,
    (q, state): (String, String),
    rows: Vec<Row>,
    next: String,
) -> Result<Response, Fault> {
    let frame = visit.frame_at(visit.t.items, Section::Items, places);
    if visit.wants_part {
        return page(&ItemsPart { frame, rows, next });
    }
    let states = ["low", "out", "oversold"].map(|state| (state, visit.t.state(state)));
    page(&ItemsPage { frame, q, state, states, may_add: visit.session.person.is_manager, rows, next })
}

/// Lists the levels in a state.
async fn short(visit: &Visit, places: &Places, wanted: &Wanted) -> Result<Response, Fault> {
    let cursor = if wanted.cursor.is_empty() { String::new() } else { format!("&cursor={}", segment(&wanted.cursor)) };
    let path = format!("/v1/stock?state={}&limit={PAGE}{cursor}", wanted.state);
    let found: LevelPage = visit.api.get(&path).await?;
    let rows = found.levels.iter().map(|level| Row::of_level(visit, places, level)).collect();
    let next = found.next_cursor.map(|cursor| {
        format!("{}/console/items?state={}&cursor={}", visit.app.config.base, wanted.state, segment(&cursor))
    });
    shown(visit, places, (String::new(), wanted.state.clone()), rows, next.unwrap_or_default())
}

/// Puts the item with this SKU or barcode first.
async fn by_code(visit: &Visit, code: &str, items: &mut Vec<Item>) -> Result<(), Fault> {
    let code = segment(code);
    let by_sku = visit.api.find::<Item>(&format!("/v1/items/{code}")).await?;
    let by_barcode: ItemPage = visit.api.get(&format!("/v1/items?barcode={code}&limit=1")).await?;
    for item in by_sku.into_iter().chain(by_barcode.items) {
        items.retain(|other| other.item_id != item.item_id);
        items.insert(0, item);
    }
    Ok(())
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
            state: state.to_owned(),
            state_text: if item.archived { visit.t.archived } else { visit.t.state(state) },
        }
    }
}
