//! Counting: a list to walk, and the entries that were taken from it.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use super::entry::{Entry, Verdict, taken};
use crate::api::{Item, ItemPage, segment};
use crate::fault::Fault;
use crate::form::Form;
use crate::page::{Frame, Section, page};
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// Items of a part of the shop. A list is made of one part; a larger shop goes from part to part, or counts by category.
const PART: usize = 500;
/// The most reads for a part: a page of items with very many levels is short.
const READS_MAX: usize = 4;
/// Rows of a list.
const ROWS_MAX: usize = 100;

/// What is counted.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    category: String,
    /// Whether the list hides what is on hand by the books.
    #[serde(default)]
    blind: String,
    /// Where the part of the shop begins; empty for the first one.
    #[serde(default)]
    cursor: String,
}

/// Items, the cursor of the next part of the shop, and categories with their names for people.
type StockedHere = (Vec<Item>, Option<String>, Vec<(String, String)>);

/// A row of the list.
#[derive(Debug)]
pub(crate) struct Row {
    item_id: String,
    name: String,
    unit: String,
    /// By the books; empty on a blind list.
    on_hand: String,
    counted_at: String,
    /// The last count that this list knows, as the API writes its time.
    seen: String,
    command_id: String,
    codes: String,
    typed: String,
    label: String,
    verdict: Option<Verdict>,
}

#[derive(Template)]
#[template(path = "staff/count.html")]
struct CountPage {
    frame: Frame,
    at: String,
    category: String,
    categories: Vec<(String, String)>,
    is_blind: bool,
    rows: Vec<Row>,
    /// What the list is of, and when it was made: the paper does not have the rest of the page.
    on_paper: String,
    /// How many items are beyond the list, in words; empty if there are none.
    beyond: String,
    /// The address of the next part of the shop; empty at the end.
    next: String,
    action: String,
}

#[derive(Template)]
#[template(path = "staff/count_verdicts.html")]
struct VerdictsPart {
    verdicts: Vec<Verdict>,
    t: &'static crate::texts::Texts,
}

/// Shows the list: what was never counted first, then what was counted longest ago.
pub(crate) async fn list(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    shown(&visit, &places, &wanted, Vec::new()).await
}

/// Takes entries of the list. Each is submitted once, however often it arrives.
pub(crate) async fn take(visit: Visit, Query(wanted): Query<Wanted>, form: Form) -> Result<Response, Fault> {
    let mut places = visit.places().await?;
    places.be_at(form.text("at"))?;
    let mut verdicts = Vec::new();
    for entry in Entry::all_of(&form) {
        verdicts.push((entry.clone(), taken(&visit, &places, entry).await?));
    }
    if visit.wants_part {
        let verdicts = verdicts.into_iter().map(|(_, verdict)| verdict).collect();
        return page(&VerdictsPart { verdicts, t: visit.t });
    }
    shown(&visit, &places, &wanted, verdicts).await
}

async fn shown(
    visit: &Visit,
    places: &Places,
    wanted: &Wanted,
    mut verdicts: Vec<(Entry, Verdict)>,
) -> Result<Response, Fault> {
    let (items, next, categories) = stocked_here(visit, places, wanted).await?;
    let mut chosen: Vec<&Item> = items.iter().collect();
    let counted_at = |item: &Item| level_here(item, places).and_then(|level| level.counted_at.clone());
    chosen.sort_by_cached_key(|item| (counted_at(item), item.name.clone()));
    let beyond = chosen.len().saturating_sub(ROWS_MAX);
    let is_blind = wanted.blind != "no";
    let rows = chosen.into_iter().take(ROWS_MAX).map(|item| {
        let at = verdicts.iter().position(|(entry, _)| entry.item_id == item.item_id);
        Row::of(visit, places, item, is_blind, at.map(|at| verdicts.swap_remove(at)))
    });
    let rows = rows.collect();
    let path = |cursor: &str| {
        format!(
            "{}/console/count?category={}&blind={}&cursor={}",
            visit.app.config.base,
            segment(&wanted.category),
            if is_blind { "yes" } else { "no" },
            segment(cursor)
        )
    };
    page(&CountPage {
        frame: visit.frame_at(visit.t.count_list, Section::Count, places),
        at: places.here_id().to_owned(),
        category: wanted.category.clone(),
        categories,
        is_blind,
        rows,
        on_paper: on_paper(visit, places, &wanted.category),
        beyond: match beyond {
            0 => String::new(),
            _ => fill(visit.t.count_beyond, &[&visit.locale.number(&beyond.to_string())]),
        },
        next: next.map_or(String::new(), |next| path(&next)),
        action: path(&wanted.cursor),
    })
}

fn on_paper(visit: &Visit, places: &Places, category: &str) -> String {
    let what = if category.is_empty() { visit.t.count_longest } else { category };
    let when = visit.locale.moment(&visit.app.config.clock.now().to_string(), places.zone());
    format!("{} · {what} · {when}", places.name(places.here_id()))
}

/// Reads the items to count that have a level here, the cursor of the next part, and the categories to choose from.
async fn stocked_here(visit: &Visit, places: &Places, wanted: &Wanted) -> Result<StockedHere, Fault> {
    let category = wanted.category.as_str();
    let from = if category.is_empty() { wanted.cursor.as_str() } else { "" };
    let (mut items, mut next) = part(visit, places, "", from).await?;
    let mut categories = categories_of(&items);
    if !category.is_empty() {
        if next.is_some() {
            (items, next) = part(visit, places, category, &wanted.cursor).await?;
            categories.extend(categories_of(&items));
        }
        items.retain(|item| item.category.as_deref() == Some(category));
    }
    let named = |(category, count): (String, usize)| {
        let text = format!("{category} ({count})");
        (category, text)
    };
    Ok((items, next, categories.into_iter().map(named).collect()))
}

fn categories_of(items: &[Item]) -> BTreeMap<String, usize> {
    let mut categories = BTreeMap::new();
    for category in items.iter().filter_map(|item| item.category.as_ref()) {
        *categories.entry(category.clone()).or_default() += 1;
    }
    categories
}

/// Reads a part of the shop, or of a category, and the cursor of the next part.
async fn part(
    visit: &Visit,
    places: &Places,
    category: &str,
    from: &str,
) -> Result<(Vec<Item>, Option<String>), Fault> {
    let with = |name: &str, value: &str| match value {
        "" => String::new(),
        _ => format!("&{name}={}", segment(value)),
    };
    let (mut items, mut cursor, mut left) = (Vec::new(), Some(from.to_owned()), PART);
    for _ in 0..READS_MAX {
        let Some(from) = cursor.take_if(|_| left > 0) else { break };
        let (category, from) = (with("category", category), with("cursor", &from));
        let page: ItemPage = visit.api.get(&format!("/v1/items?limit={left}{category}{from}")).await?;
        left = left.saturating_sub(page.items.len());
        items.extend(page.items.into_iter().filter(|item| level_here(item, places).is_some()));
        cursor = page.next_cursor;
    }
    Ok((items, cursor))
}

fn level_here<'a>(item: &'a Item, places: &Places) -> Option<&'a crate::api::Level> {
    item.levels.iter().find(|level| level.location_id == places.here_id())
}

impl Row {
    fn of(visit: &Visit, places: &Places, item: &Item, is_blind: bool, taken: Option<(Entry, Verdict)>) -> Self {
        let level = level_here(item, places);
        let counted_at = level.and_then(|level| level.counted_at.clone());
        let (entry, verdict) = taken.unzip();
        // What is not done yet keeps its number and what was typed.
        let open = entry.filter(|_| verdict.as_ref().is_some_and(|verdict| !verdict.is_done()));
        let on_hand = level.filter(|_| !is_blind).map(|level| visit.locale.number(&level.on_hand));
        Self {
            item_id: item.item_id.clone(),
            name: item.name.clone(),
            unit: item.unit.clone(),
            on_hand: on_hand.unwrap_or_default(),
            counted_at: counted_at
                .as_deref()
                .map_or(visit.t.never.to_owned(), |at| visit.locale.moment(at, places.zone())),
            codes: item.barcodes.iter().map(|barcode| barcode.code.as_str()).collect::<Vec<_>>().join(" "),
            label: fill(visit.t.counted_of, &[&item.name]),
            typed: open.as_ref().map_or(String::new(), |entry| entry.counted.clone()),
            command_id: open.map_or_else(|| visit.new_id(), |entry| entry.command_id),
            seen: counted_at.unwrap_or_default(),
            verdict,
        }
    }
}
