//! Finds what was scanned or typed.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use crate::api::{Item, ItemPage, Scan, segment};
use crate::fault::Fault;
use crate::page::page;
use crate::staff::line::Line;
use crate::texts::{Texts, fill};
use crate::visit::{Places, Visit};

/// The longest code that is looked up, in characters: longer than any barcode.
const CODE_CHARS_MAX: usize = 128;
/// The most items to choose from.
const CHOICES_MAX: usize = 8;

/// What a code means.
#[derive(Debug)]
pub(crate) enum Found {
    /// An item, and the quantity that one scan of the code means.
    Item(Box<Item>, String),
    /// Items whose name contains the text.
    Several(Vec<Item>),
    /// Nothing.
    Nothing,
}

/// The parameters of a search.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    code: String,
}

/// What was found, as a part of the station's page.
#[derive(Template)]
#[template(path = "staff/found.html")]
pub(crate) struct FoundPart {
    pub(crate) t: &'static Texts,
    pub(crate) line: Option<Line>,
    pub(crate) choices: Vec<Choice>,
    /// What nothing is known as; empty if something was found.
    pub(crate) unknown: String,
    /// Whether choices are links, for a page without the script.
    pub(crate) code: String,
}

/// An item to choose.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) item_id: String,
    pub(crate) name: String,
    /// What is here, in words.
    pub(crate) stock: String,
}

/// Finds a code: as a barcode (of a piece, a pack or a scale), as a SKU, and then as a part of a name.
pub(crate) async fn find(visit: &Visit, code: &str) -> Result<Found, Fault> {
    let code: String = code.trim().chars().filter(|c| !c.is_control()).take(CODE_CHARS_MAX).collect();
    if code.is_empty() {
        return Ok(Found::Nothing);
    }
    if let Some(scan) = visit.api.find::<Scan>(&format!("/v1/barcodes/{}", segment(&code))).await? {
        return Ok(Found::Item(Box::new(scan.item), scan.quantity.unwrap_or_else(|| "1".to_owned())));
    }
    if let Some(item) = visit.api.find::<Item>(&format!("/v1/items/{}", segment(&code))).await? {
        return Ok(Found::Item(Box::new(item), "1".to_owned()));
    }
    let named = by_name(visit, &code).await?;
    Ok(if named.is_empty() { Found::Nothing } else { Found::Several(named) })
}

async fn by_name(visit: &Visit, text: &str) -> Result<Vec<Item>, Fault> {
    let path = format!("/v1/items?name={}&limit={CHOICES_MAX}", segment(text));
    Ok(visit.api.get::<ItemPage>(&path).await?.items)
}

impl FoundPart {
    fn of(visit: &Visit, places: &Places, code: &str, found: Found) -> Self {
        let mut part =
            Self { t: visit.t, line: None, choices: Vec::new(), unknown: String::new(), code: code.to_owned() };
        match found {
            Found::Item(item, step) => part.line = Some(Line::of(visit, places, &item, &step)),
            Found::Several(items) => part.choices = items.iter().map(|item| Choice::of(visit, places, item)).collect(),
            Found::Nothing => part.unknown = fill(visit.t.unknown_code, &[code.trim()]),
        }
        part
    }
}

impl Choice {
    pub(crate) fn of(visit: &Visit, places: &Places, item: &Item) -> Self {
        let here = item.levels.iter().find(|level| level.location_id == places.here_id());
        let stock = here.map_or(visit.t.no_stock_here.to_owned(), |level| {
            fill(visit.t.here, &[&visit.locale.number(&level.on_hand), &item.unit])
        });
        Self { item_id: item.item_id.clone(), name: item.name.clone(), stock }
    }
}

/// Answers the script with what a code means.
pub(crate) async fn lookup(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let found = find(&visit, &wanted.code).await?;
    page(&FoundPart::of(&visit, &places, &wanted.code, found))
}

/// Answers the script, while a name is typed, with the items to choose from.
pub(crate) async fn suggest(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let code = wanted.code.trim();
    let items = if code.is_empty() { Vec::new() } else { by_name(&visit, code).await? };
    page(&FoundPart::of(&visit, &places, code, Found::Several(items)))
}
