//! Finds what was scanned or typed.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use crate::api::{Item, ItemPage, Scan, segment};
use crate::fault::Fault;
use crate::form::Form;
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
    Several(Choices),
    /// Nothing, in words.
    Nothing(String),
}

/// Items to choose from.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    pub(crate) all: Vec<Choice>,
    /// What searches on where the search was cut, as [`Wanted::further`] has it; empty if it was not.
    pub(crate) further: String,
    /// Says how far the search has come that was cut; empty if it was not.
    pub(crate) cut: String,
}

/// What is searched.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    code: String,
    /// A search that goes on: the cursor of the list, a space, and the code. Empty for a new search.
    #[serde(default)]
    further: String,
}

/// What was found, as a part of the station's page.
#[derive(Template)]
#[template(path = "staff/found.html")]
pub(crate) struct FoundPart {
    pub(crate) t: &'static Texts,
    pub(crate) line: Option<Line>,
    pub(crate) choices: Choices,
    /// Says that nothing is known as this; empty if something was found.
    pub(crate) unknown: String,
}

/// An item to choose.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) item_id: String,
    pub(crate) name: String,
    /// What is here, in words.
    pub(crate) stock: String,
}

impl Choices {
    /// Whether there is something to press.
    pub(crate) fn is_shown(&self) -> bool {
        !self.all.is_empty() || !self.further.is_empty()
    }
}

impl Wanted {
    /// A new search.
    pub(crate) fn of_code(code: &str) -> Self {
        Self { code: code.to_owned(), further: String::new() }
    }

    /// What a posted form searches.
    pub(crate) fn of_form(form: &Form) -> Self {
        Self { code: form.text("code").to_owned(), further: form.text("further").to_owned() }
    }

    /// Returns the code, and the cursor where the search goes on; empty for a new search.
    fn parts(&self) -> (String, &str) {
        let (cursor, code) = self.further.split_once(' ').unwrap_or(("", &self.code));
        (code.trim().chars().filter(|c| !c.is_control()).take(CODE_CHARS_MAX).collect(), cursor)
    }
}

/// Finds a code: as a barcode (of a piece, a pack or a scale), as a SKU, and then as a part of a name.
pub(crate) async fn find(visit: &Visit, places: &Places, wanted: &Wanted) -> Result<Found, Fault> {
    let (code, cursor) = wanted.parts();
    if cursor.is_empty() && !code.is_empty() {
        if let Some(scan) = visit.api.find::<Scan>(&format!("/v1/barcodes/{}", segment(&code))).await? {
            return Ok(Found::Item(Box::new(scan.item), scan.quantity.unwrap_or_else(|| "1".to_owned())));
        }
        if let Some(item) = visit.api.find::<Item>(&format!("/v1/items/{}", segment(&code))).await? {
            return Ok(Found::Item(Box::new(item), "1".to_owned()));
        }
    }
    let named = by_name(visit, places, &code, cursor).await?;
    if named.is_shown() {
        return Ok(Found::Several(named));
    }
    let text = if cursor.is_empty() { visit.t.unknown_code } else { visit.t.search_no_more };
    Ok(Found::Nothing(fill(text, &[&code])))
}

async fn by_name(visit: &Visit, places: &Places, text: &str, cursor: &str) -> Result<Choices, Fault> {
    if text.is_empty() {
        return Ok(Choices::default());
    }
    let (filters, row) = (format!("&name={}", segment(text)), |item: &Item| Choice::of(visit, places, item));
    let found = visit.api.gather::<ItemPage, _>("/v1/items", &filters, cursor, CHOICES_MAX, row).await?;
    let further = found.next.filter(|_| found.is_cut).map(|cursor| format!("{cursor} {text}"));
    Ok(Choices { all: found.rows, further: further.unwrap_or_default(), cut: visit.cut_text(found.is_cut) })
}

impl FoundPart {
    fn of(visit: &Visit, places: &Places, found: Found) -> Self {
        let mut part = Self { t: visit.t, line: None, choices: Choices::default(), unknown: String::new() };
        match found {
            Found::Item(item, step) => part.line = Some(Line::of(visit, places, &item, &step)),
            Found::Several(choices) => part.choices = choices,
            Found::Nothing(text) => part.unknown = text,
        }
        part
    }
}

impl Choice {
    fn of(visit: &Visit, places: &Places, item: &Item) -> Self {
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
    let found = find(&visit, &places, &wanted).await?;
    page(&FoundPart::of(&visit, &places, found))
}

/// Answers the script, while a name is typed, with the items to choose from.
pub(crate) async fn suggest(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let (code, _) = wanted.parts();
    let named = by_name(&visit, &places, &code, "").await?;
    page(&FoundPart::of(&visit, &places, Found::Several(named)))
}
