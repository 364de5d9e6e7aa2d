//! The station: a field that takes scans, and the slip of what was scanned.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use serde::Deserialize;

use super::line::Line;
use super::lookup::{Choices, Found, Wanted, find};
use crate::fault::Fault;
use crate::page::{Frame, Section, page};
use crate::visit::{Places, Visit};

/// What became of a line.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) text: String,
    /// What is here now, or why the stock did not change.
    pub(crate) detail: String,
    pub(crate) is_good: bool,
}

/// The slip, which is a form.
#[derive(Debug)]
pub(crate) struct Slip {
    pub(crate) lines: Vec<Line>,
    pub(crate) done: Vec<Done>,
    /// What is wrong with the whole; empty if nothing is.
    pub(crate) wrong: &'static str,
    pub(crate) unknown: String,
    pub(crate) choices: Choices,
    /// The location at which everything on the slip happens.
    pub(crate) at: String,
    /// The other locations.
    pub(crate) targets: Vec<(String, String)>,
    pub(crate) target: String,
    pub(crate) may_count: bool,
}

impl Slip {
    /// Makes an empty slip.
    pub(crate) fn empty(visit: &Visit, places: &Places) -> Self {
        let here = places.here_id();
        let others = places.all.iter().filter(|place| place.location_id != here && !place.closed);
        Self {
            lines: Vec::new(),
            done: Vec::new(),
            wrong: if here.is_empty() { visit.t.no_place } else { "" },
            unknown: String::new(),
            choices: Choices::default(),
            at: here.to_owned(),
            targets: others.map(|place| (place.location_id.clone(), place.name.clone())).collect(),
            target: String::new(),
            may_count: visit.may_count(),
        }
    }

    /// Adds what was scanned or typed. A second scan of an item adds to its line; the newest line is the first.
    pub(crate) async fn add(&mut self, visit: &Visit, places: &Places, wanted: &Wanted) -> Result<(), Fault> {
        match find(visit, places, wanted).await? {
            Found::Item(item, step) => {
                let line = match self.lines.iter().position(|line| line.item_id == item.item_id) {
                    Some(at) => {
                        let mut line = self.lines.remove(at);
                        line.quantity = sum(visit, &line.quantity, &step);
                        line
                    }
                    None => Line::of(visit, places, &item, &step),
                };
                self.lines.insert(0, line);
            }
            Found::Several(choices) => self.choices = choices,
            Found::Nothing(text) => self.unknown = text,
        }
        Ok(())
    }
}

/// Adds to a typed quantity; leaves it alone if it is not a number.
fn sum(visit: &Visit, typed: &str, step: &str) -> String {
    use stockline_core::domain::Quantity;
    let parsed = |text: &str| text.parse::<Quantity>().ok();
    let total = parsed(&visit.locale.typed(typed)).zip(parsed(step)).and_then(|(a, b)| a.checked_add(b));
    total.map_or_else(|| typed.to_owned(), |total| visit.locale.number(&total.to_string()))
}

/// The station's page.
#[derive(Template)]
#[template(path = "staff/station.html")]
pub(crate) struct StationPage {
    pub(crate) frame: Frame,
    pub(crate) slip: Slip,
}

/// The slip alone, for the script.
#[derive(Template)]
#[template(path = "staff/slip.html")]
pub(crate) struct SlipPart {
    pub(crate) frame: Frame,
    pub(crate) slip: Slip,
}

/// The parameters of the station.
#[derive(Debug, Deserialize)]
pub(crate) struct Start {
    /// What is on the slip to begin with.
    #[serde(default)]
    code: String,
}

/// Shows the station.
pub(crate) async fn home(visit: Visit, Query(start): Query<Start>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let mut slip = Slip::empty(&visit, &places);
    if !start.code.is_empty() {
        slip.add(&visit, &places, &Wanted::of_code(&start.code)).await?;
    }
    shown(&visit, &places, slip)
}

/// Shows a slip, alone or with the page around it.
pub(crate) fn shown(visit: &Visit, places: &Places, slip: Slip) -> Result<Response, Fault> {
    let frame = visit.frame_at(visit.t.scan, Section::Scan, places);
    if visit.wants_part { page(&SlipPart { frame, slip }) } else { page(&StationPage { frame, slip }) }
}
