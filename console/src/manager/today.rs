//! Today: what needs a person, in one look.

use askama::Template;
use axum::response::Response;

use super::tills;
use crate::api::{Alert, AlertPage, CommandPage, ItemPage, Level, LevelPage, segment};
use crate::fault::Fault;
use crate::page::{Frame, Section, page};
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// Levels that are read. A longer list is told as "more than".
const LEVELS: usize = 200;
/// Refused commands that are read. More are told as "more than".
const COMMANDS: usize = 100;
/// Rows of a list on this page.
const ROWS: usize = 12;

/// A figure, and where it leads.
#[derive(Debug)]
struct Figure {
    count: String,
    text: &'static str,
    state: &'static str,
    path: String,
}

/// An item that is short at a location.
#[derive(Debug)]
struct Short {
    path: String,
    name: String,
    place: String,
    on_hand: String,
    /// How many are missing up to the threshold; empty if none is set.
    missing: String,
    state: String,
    state_text: &'static str,
}

#[derive(Debug)]
struct Told {
    path: String,
    text: String,
    when: String,
    mailed: String,
    is_mailed: bool,
    state: String,
    state_text: &'static str,
}

#[derive(Template)]
#[template(path = "manager/today.html")]
struct TodayPage {
    frame: Frame,
    figures: Vec<Figure>,
    shorts: Vec<Short>,
    alerts: Vec<Told>,
    /// The tills that fell silent.
    silent: Vec<String>,
    is_new: bool,
    is_well: bool,
}

/// Shows the page.
pub(crate) async fn today(visit: Visit) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let short: LevelPage = visit.api.get(&format!("/v1/stock?state=low,out,oversold&limit={LEVELS}")).await?;
    let refused = visit.api.gather::<CommandPage, _>("/v1/commands", "&status=rejected", "", COMMANDS, |_| ()).await?;
    let aside: CommandPage = visit.api.get("/v1/commands?status=dead_lettered&limit=100").await?;
    let alerts: AlertPage = visit.api.get("/v1/alerts?limit=50").await?;
    let items: ItemPage = visit.api.get("/v1/items?limit=1").await?;
    let unsent = alerts.alerts.iter().filter(|alert| alert.sent_at.is_none()).count();
    let (t, root) = (visit.t, visit.app.config.base.clone());
    let of_state = |state: &str| short.levels.iter().filter(|level| level.state == state).count();
    let count = |count: usize, is_more: bool| {
        let number = visit.locale.number(&count.to_string());
        if is_more { fill(t.more_than, &[&number]) } else { number }
    };
    let more = short.next_cursor.is_some();
    let figure = |count: String, text, state, path: &str| Figure { count, text, state, path: format!("{root}{path}") };
    let figures = vec![
        figure(count(of_state("oversold"), false), t.level_oversold, "oversold", "/console/items?state=oversold"),
        figure(count(of_state("out"), more), t.level_out, "out", "/console/items?state=out"),
        figure(count(of_state("low"), more), t.level_low, "low", "/console/items?state=low"),
        figure(count(refused.rows.len(), refused.next.is_some()), t.refused_open, "refused", "/console/refused"),
        figure(count(aside.commands.len(), false), t.set_aside, "refused", "/console/refused"),
        figure(count(unsent, false), t.mails_waiting, "refused", "/console/today"),
    ];
    let figures: Vec<Figure> = figures.into_iter().filter(|figure| figure.count != "0").collect();
    let mut levels: Vec<&Level> = short.levels.iter().collect();
    let weight = |level: &Level| match level.state.as_str() {
        "oversold" => 0,
        "out" => 1,
        _ => 2,
    };
    levels.sort_by_key(|level| weight(level));
    page(&TodayPage {
        frame: visit.frame_at(t.today, Section::Today, &places),
        is_well: figures.is_empty(),
        is_new: items.items.is_empty() && items.next_cursor.is_none(),
        figures,
        shorts: levels.into_iter().take(ROWS).map(|level| Short::of(&visit, &places, level)).collect(),
        alerts: alerts.alerts.iter().take(ROWS).map(|alert| Told::of(&visit, &places, alert)).collect(),
        silent: tills::silent(&visit, &places).await?,
    })
}

fn item_path(visit: &Visit, item_id: &str) -> String {
    format!("{}/console/items/{}", visit.app.config.base, segment(item_id))
}

impl Short {
    fn of(visit: &Visit, places: &Places, level: &Level) -> Self {
        use stockline_core::domain::Quantity;
        let parsed = |text: &str| text.parse::<Quantity>().ok();
        let threshold = level.low_stock_threshold.as_deref().and_then(parsed);
        let missing = threshold.zip(parsed(&level.on_hand)).and_then(|(threshold, there)| threshold.checked_sub(there));
        Self {
            path: item_path(visit, &level.item_id),
            name: level.item_name.clone().unwrap_or_else(|| level.item_id.clone()),
            place: places.name(&level.location_id).to_owned(),
            on_hand: visit.locale.number(&level.on_hand),
            missing: missing
                .filter(|missing| missing.is_positive())
                .map_or(String::new(), |missing| visit.locale.number(&missing.to_string())),
            state: level.state.clone(),
            state_text: visit.t.state(&level.state),
        }
    }
}

impl Told {
    fn of(visit: &Visit, places: &Places, alert: &Alert) -> Self {
        let zone = places.named(&alert.location_id).map_or("UTC", |place| &place.time_zone);
        let on_hand = visit.locale.number(&alert.on_hand);
        Self {
            path: item_path(visit, &alert.item_id),
            text: format!("{} · {}: {on_hand} {}", alert.item_name, places.name(&alert.location_id), alert.unit),
            when: visit.locale.moment(&alert.raised_at, zone),
            mailed: alert
                .sent_at
                .as_deref()
                .map_or(visit.t.not_mailed.to_owned(), |at| fill(visit.t.mailed, &[&visit.locale.moment(at, zone)])),
            is_mailed: alert.sent_at.is_some(),
            state: alert.kind.clone(),
            state_text: visit.t.state(&alert.kind),
        }
    }
}
