//! One item: its stock, and what moved it.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use serde::Deserialize;
use stockline_core::domain::Timestamp;

use super::item_fields::{Fields, PlanningFields};
use crate::api::{Item, Level, Movement, MovementPage, Planning, segment};
use crate::chart::{self, Ends};
use crate::fault::Fault;
use crate::page::{Frame, Section, page};
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// Movements that the page shows.
const MOVEMENTS: usize = 50;
/// Days that the charts show.
const DAYS: i64 = 30;
const DAY_MS: i64 = 24 * 3_600_000;

/// The stock at a location.
#[derive(Debug)]
struct At {
    id: String,
    place: String,
    on_hand: String,
    threshold: String,
    /// The threshold as it is typed; empty for none.
    typed: String,
    label: String,
    command_id: String,
    state: String,
    state_text: &'static str,
    counted: String,
    average_cost: String,
    value: String,
}

/// A movement.
#[derive(Debug)]
struct Moved {
    when: String,
    kind: &'static str,
    place: String,
    delta: String,
    after: String,
    by: String,
    /// Reason, note and reference.
    why: String,
    is_in: bool,
    /// The command, to reverse it, and the id of the command that does it.
    command_id: String,
    reverse_id: String,
    reverse_label: String,
    can_reverse: bool,
}

/// What became of a change.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) is_good: bool,
}

/// A day's sales at the location.
#[derive(Debug)]
struct Day {
    day: String,
    sold: String,
    stock: String,
}

/// The charts of the location where the person works, and their table.
#[derive(Debug, Default)]
struct Charts {
    stock: String,
    sold: String,
    days: Vec<Day>,
    stock_title: String,
    sold_title: String,
}

/// What a location has instead of the item's planning, in a form.
#[derive(Debug)]
struct Plan {
    id: String,
    place: String,
    command_id: String,
    fields: PlanningFields,
}

#[derive(Template)]
#[template(path = "manager/item.html")]
struct ItemPage {
    frame: Frame,
    told: Option<Told>,
    fields: Fields,
    command_ids: [String; 2],
    charts: Charts,
    may_manage: bool,
    item_id: String,
    unit: String,
    on_hand: String,
    category: String,
    supplier: String,
    plans: Vec<Plan>,
    codes: String,
    archived: bool,
    scan: String,
    /// The name and the amount of what it costs and is worth; empty for Staff.
    costs: Vec<(&'static str, String)>,
    levels: Vec<At>,
    movements: Vec<Moved>,
    /// The address of earlier movements; empty if these are the first.
    earlier: String,
}

/// Which movements are shown.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    /// Where the movements begin; empty for the newest.
    #[serde(default)]
    cursor: String,
}

/// Shows an item.
pub(crate) async fn item(
    visit: Visit,
    Path(item_id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Fault> {
    page_of(&visit, &item_id, &wanted, None).await
}

/// Shows an item after a change, with what became of it.
pub(crate) async fn shown(visit: &Visit, item_id: &str, told: Option<Told>) -> Result<Response, Fault> {
    page_of(visit, item_id, &Wanted::default(), told).await
}

async fn page_of(visit: &Visit, item_id: &str, wanted: &Wanted, told: Option<Told>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let path = format!("/v1/items/{}", segment(item_id));
    let item: Item = visit.api.get(&path).await?;
    let (list, row) = (format!("{path}/movements"), |movement: &Movement| Moved::of(visit, &places, movement));
    let moved = visit.api.gather::<MovementPage, _>(&list, "", &wanted.cursor, MOVEMENTS, row).await?;
    let address = format!("{}/console/items/{}", visit.app.config.base, segment(&item.item_id));
    let charts = charts(visit, &places, &path, &item).await?;
    let none = || visit.t.none_set.to_owned();
    page(&ItemPage {
        frame: visit.frame_at(&item.name, Section::Items, &places),
        on_hand: visit.locale.number(&item.on_hand),
        category: item.category.clone().unwrap_or_else(none),
        supplier: item.planning.supplier.clone().unwrap_or_else(none),
        plans: plans(visit, &places, &item),
        codes: Some(item.codes().join(", ")).filter(|codes| !codes.is_empty()).unwrap_or_else(none),
        archived: item.archived,
        charts,
        told,
        may_manage: visit.session.person.is_manager,
        command_ids: [visit.new_id(), visit.new_id()],
        fields: Fields::of(visit, &item),
        scan: format!("{}/console?code={}", visit.app.config.base, segment(&item.item_id)),
        levels: item.levels.iter().map(|level| At::of(visit, &places, level)).collect(),
        movements: moved.rows,
        earlier: moved.next.map_or(String::new(), |cursor| format!("{address}?cursor={}", segment(&cursor))),
        costs: costs(visit, &item),
        unit: item.unit,
        item_id: item.item_id,
    })
}

fn amount(visit: &Visit, amount: Option<&String>) -> String {
    amount.map_or(visit.t.none_set.to_owned(), |amount| visit.locale.number(amount))
}

fn costs(visit: &Visit, item: &Item) -> Vec<(&'static str, String)> {
    if !visit.session.person.is_manager {
        return Vec::new();
    }
    let fields = &visit.t.fields;
    [
        (fields.unit_cost, &item.unit_cost),
        (fields.average_cost, &item.worth.average_cost),
        (fields.value, &item.worth.value),
    ]
    .map(|(name, known)| (name, amount(visit, known.as_ref())))
    .into()
}

impl At {
    fn of(visit: &Visit, places: &Places, level: &Level) -> Self {
        let t = visit.t;
        let threshold = level.low_stock_threshold.as_deref();
        let place = places.name(&level.location_id).to_owned();
        Self {
            id: level.location_id.clone(),
            label: format!("{} {}", t.threshold, fill(t.at_place, &[&place])),
            typed: threshold.map_or(String::new(), |threshold| visit.locale.number(threshold)),
            command_id: visit.new_id(),
            place,
            on_hand: visit.locale.number(&level.on_hand),
            threshold: threshold.map_or(t.none_set.to_owned(), |threshold| visit.locale.number(threshold)),
            state: level.state.clone(),
            state_text: t.state(&level.state),
            average_cost: amount(visit, level.worth.average_cost.as_ref()),
            value: amount(visit, level.worth.value.as_ref()),
            counted: level
                .counted_at
                .as_deref()
                .map_or(t.never.to_owned(), |at| visit.locale.moment(at, zone(places, &level.location_id))),
        }
    }
}

/// Returns a form for each location that has the item, or a planning of its own for it.
fn plans(visit: &Visit, places: &Places, item: &Item) -> Vec<Plan> {
    let none = Planning::default();
    let own: BTreeMap<&str, &Planning> =
        item.overrides.iter().map(|own| (own.location_id.as_str(), &own.planning)).collect();
    let all: BTreeSet<&str> =
        own.keys().copied().chain(item.levels.iter().map(|level| level.location_id.as_str())).collect();
    let plan = |id: &str| Plan {
        id: id.to_owned(),
        place: places.name(id).to_owned(),
        command_id: visit.new_id(),
        fields: PlanningFields::of(visit, own.get(id).unwrap_or(&&none)),
    };
    all.into_iter().map(plan).collect()
}

/// Draws the last days at the location where the person works, as far as one page of movements reaches back.
async fn charts(visit: &Visit, places: &Places, path: &str, item: &Item) -> Result<Charts, Fault> {
    let here = places.here_id();
    if !item.levels.iter().any(|level| level.location_id == here) {
        return Ok(Charts::default());
    }
    let now = visit.app.config.clock.now();
    let from = now.plus_millis(-DAYS * DAY_MS);
    let path = format!("{path}/movements?location_id={}&from={from}&limit=1000", segment(here));
    let page: MovementPage = visit.api.get(&path).await?;
    // A page that ends early has the newest part of the time.
    let movements: Vec<&Movement> = page.movements.iter().rev().collect();
    let number = |text: &str| text.parse::<f64>().unwrap_or_default();
    let at = |time: &str| {
        time.parse::<Timestamp>().map_or(0.0, |time| time.millis_since(from) as f64 / (DAYS * DAY_MS) as f64)
    };
    // What was recorded lately may have occurred before: it only says where the line begins.
    let (earlier, movements): (Vec<&Movement>, Vec<&Movement>) =
        movements.into_iter().partition(|movement| at(&movement.occurred_at) < 0.0);
    let before = earlier.last().map(|movement| number(&movement.after));
    let first = movements.first().map(|movement| (at(&movement.occurred_at), number(&movement.before)));
    let mut points = match (before, first) {
        (None, None) => return Ok(Charts::default()),
        (Some(before), _) => vec![(0.0, before)],
        (None, Some((at, before))) => vec![(if page.next_cursor.is_some() { at } else { 0.0 }, before)],
    };
    // A movement that arrived late lies at its own time, but the line never runs backwards.
    let mut latest = 0.0;
    for movement in &movements {
        latest = at(&movement.occurred_at).max(latest);
        points.push((latest, number(&movement.after)));
    }
    let day_of = |time: Timestamp| time.day_in_zone(places.zone());
    let mut days: Vec<(String, f64, String)> =
        (0..DAYS).map(|day| (day_of(from.plus_millis((day + 1) * DAY_MS)), 0.0, String::new())).collect();
    for movement in &movements {
        let Ok(time) = movement.occurred_at.parse::<Timestamp>() else { continue };
        let Some(day) = days.iter_mut().find(|(day, ..)| *day == day_of(time)) else { continue };
        match movement.kind.as_str() {
            "sell" => day.1 += number(&movement.quantity),
            "return" => day.1 -= number(&movement.quantity),
            _ => {}
        }
        day.2.clone_from(&movement.after);
    }
    let place = places.name(here);
    let (stock_title, sold_title) = (fill(visit.t.chart_stock, &[place]), fill(visit.t.chart_sold, &[place]));
    let (start, end) = (
        visit.locale.day(&from.plus_millis(DAY_MS).to_string(), places.zone()),
        visit.locale.day(&now.to_string(), places.zone()),
    );
    let ends = Ends { from: &start, to: &end };
    let sold: Vec<f64> = days.iter().map(|(_, sold, _)| *sold).collect();
    Ok(Charts {
        stock: chart::steps(&points, &ends, &stock_title),
        sold: chart::bars(&sold, &ends, &sold_title),
        stock_title,
        sold_title,
        days: days
            .into_iter()
            .rev()
            .filter(|(_, _, stock)| !stock.is_empty())
            .map(|(day, sold, stock)| Day {
                day,
                sold: visit.locale.number(&rounded(sold)),
                stock: visit.locale.number(&stock),
            })
            .collect(),
    })
}

/// Writes a sum of thousandths without the noise of floating point.
fn rounded(sum: f64) -> String {
    ((sum * 1_000.0).round() / 1_000.0).to_string()
}

/// Returns the time zone of a location.
fn zone<'a>(places: &'a Places, id: &str) -> &'a str {
    places.named(id).map_or("UTC", |place| &place.time_zone)
}

impl Moved {
    fn of(visit: &Visit, places: &Places, movement: &Movement) -> Self {
        let why = [&movement.reason, &movement.note, &movement.reference];
        let why: Vec<&str> = why.into_iter().flatten().map(String::as_str).collect();
        let by = movement.operator.as_ref().map_or_else(
            || movement.submitted_by.clone(),
            |operator| format!("{} ({operator})", movement.submitted_by),
        );
        Self {
            when: visit.locale.moment(&movement.occurred_at, zone(places, &movement.location_id)),
            kind: visit.t.kind(&movement.kind),
            place: places.name(&movement.location_id).to_owned(),
            delta: visit.locale.change(&movement.delta),
            after: visit.locale.number(&movement.after),
            by,
            why: why.join(" · "),
            is_in: !movement.delta.starts_with('-'),
            command_id: movement.command_id.clone(),
            reverse_id: visit.new_id(),
            reverse_label: fill(
                visit.t.reverse_of,
                &[visit.t.kind(&movement.kind), &visit.locale.number(&movement.quantity)],
            ),
            can_reverse: visit.session.person.is_manager
                && movement.kind != "reverse"
                && movement.reversed_by.is_none(),
        }
    }
}
