//! What to order: a list to print, and the first lines of it for Today.

use std::collections::HashMap;

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use stockline_core::domain::analytics::ReportName;

use super::report_cell::written;
use super::reports::{Wanted, path};
use crate::api::{ReportPage, segment};
use crate::fault::Fault;
use crate::page::{Frame, Section, page};
use crate::visit::{Places, Visit};

/// Lines of the list, and of Today.
const LINES: usize = 500;
const LINES_TODAY: usize = 8;

#[derive(Template)]
#[template(path = "manager/orders.html")]
struct OrdersPage {
    frame: Frame,
    wanted: Wanted,
    places: Vec<(String, String)>,
    lines: Vec<Line>,
    is_not_kept: bool,
    is_more: bool,
    wrong: String,
    csv: String,
}

#[derive(Template)]
#[template(path = "manager/orders_part.html")]
struct OrdersPart {
    frame: Frame,
    lines: Vec<Line>,
}

/// An item to order for a location.
#[derive(Debug)]
struct Line {
    path: String,
    item_id: String,
    name: String,
    place: String,
    supplier: String,
    on_hand: String,
    order: String,
    unit: String,
    order_by: String,
}

impl Line {
    fn of(visit: &Visit, places: &Places, row: &HashMap<String, Option<String>>) -> Self {
        let text = |column: &str| {
            let text = row.get(column).and_then(Option::as_deref).unwrap_or_default();
            written(visit, places, column, text)
        };
        let item_id = text("item_id");
        Self {
            path: format!("{}/console/items/{}", visit.app.config.base, segment(&item_id)),
            item_id,
            name: text("name"),
            place: text("location_id"),
            supplier: text("supplier"),
            on_hand: text("on_hand"),
            order: text("order"),
            unit: text("unit"),
            order_by: text("order_by"),
        }
    }
}

/// Returns the lines, and whether there are more; `None` where no reports are kept.
async fn lines(
    visit: &Visit,
    places: &Places,
    wanted: &Wanted,
    most: usize,
) -> Result<Option<(Vec<Line>, bool)>, Fault> {
    match visit.api.get::<ReportPage>(&path(ReportName::Reorder, wanted, most)).await {
        Ok(report) => {
            let lines = report.rows.iter().map(|row| Line::of(visit, places, row)).collect();
            Ok(Some((lines, report.next_cursor.is_some())))
        }
        Err(Fault::Problem(problem)) if problem.code == "list_not_kept" => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Shows the list.
pub(crate) async fn list(visit: Visit, Query(wanted): Query<Wanted>) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let (found, wrong) = match lines(&visit, &places, &wanted, LINES).await {
        Ok(found) => (found, String::new()),
        Err(Fault::Problem(problem)) if problem.status == 400 => (Some((Vec::new(), false)), problem.in_words()),
        Err(fault) => return Err(fault),
    };
    let is_not_kept = found.is_none();
    let (lines, is_more) = found.unwrap_or_default();
    page(&OrdersPage {
        frame: visit.frame_at(visit.t.order_what, Section::Reports, &places),
        csv: format!("{}/console/reports/reorder/csv?{}", visit.app.config.base, wanted.query("")),
        places: places.pairs(),
        lines,
        is_not_kept,
        is_more,
        wrong,
        wanted,
    })
}

/// Shows what to order first, as a part of Today.
pub(crate) async fn first(visit: Visit) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let found = lines(&visit, &places, &Wanted::default(), LINES_TODAY).await?;
    let lines = found.map(|(lines, _)| lines).unwrap_or_default();
    page(&OrdersPart { frame: visit.frame_at(visit.t.today, Section::Today, &places), lines })
}
