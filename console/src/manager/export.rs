//! Exports: whole lists as files.

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use serde::Deserialize;

use crate::api::segment;
use crate::fault::Fault;
use crate::page::{Frame, Section, page};
use crate::visit::Visit;

/// What is exported: the name in our address, the path of the API, and whether it can be of one location and of a time.
const LISTS: [(&str, &str, bool, bool); 7] = [
    ("items", "/v1/items", false, false),
    ("stock", "/v1/stock", true, false),
    ("movements", "/v1/movements", true, true),
    ("alerts", "/v1/alerts", true, false),
    ("refused", "/v1/commands?status=rejected", false, false),
    ("set-aside", "/v1/commands?status=dead_lettered", false, false),
    ("changes", "/v1/commands?status=applied", false, false),
];

#[derive(Template)]
#[template(path = "manager/export.html")]
struct ExportPage {
    frame: Frame,
    lists: Vec<List>,
    places: Vec<(String, String)>,
}

/// A list that can be exported.
#[derive(Debug)]
struct List {
    name: &'static str,
    text: &'static str,
    by_location: bool,
    by_time: bool,
}

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    form: String,
    #[serde(default)]
    location: String,
    /// Days, in the time zone of the location where the person works.
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

/// Shows the lists.
pub(crate) async fn lists(visit: Visit) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let lists = LISTS.map(|(name, _, by_location, by_time)| List {
        name,
        text: visit.t.export_list(name),
        by_location,
        by_time,
    });
    page(&ExportPage {
        frame: visit.frame_at(visit.t.export, Section::Exchange, &places),
        lists: lists.into(),
        places: places.pairs(),
    })
}

/// Returns a list as a file, while it is read.
pub(crate) async fn list(
    visit: Visit,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let found = LISTS.into_iter().find(|(list, ..)| *list == name).ok_or(Fault::NotFound)?;
    let (_, path, by_location, by_time) = found;
    let mut query = Vec::new();
    if by_location && !wanted.location.is_empty() {
        query.push(format!("location_id={}", segment(&wanted.location)));
    }
    let zone = places.named(&wanted.location).map_or(places.zone(), |place| &place.time_zone);
    for (field, day, is_end) in [("from", &wanted.from, false), ("to", &wanted.to, true)] {
        if by_time && !day.is_empty() {
            let at = midnight(day, zone, is_end).ok_or(Fault::BadForm)?;
            query.push(format!("{field}={}", segment(&at)));
        }
    }
    let path = match (query.is_empty(), path.contains('?')) {
        (true, _) => path.to_owned(),
        (false, true) => format!("{path}&{}", query.join("&")),
        (false, false) => format!("{path}?{}", query.join("&")),
    };
    let kind = if wanted.form == "ndjson" { "application/x-ndjson" } else { "text/csv" };
    visit.api.file(&path, kind).await
}

/// Returns the beginning of a day in a time zone (RFC 3339), or the beginning of the next day.
fn midnight(day: &str, zone: &str, of_next: bool) -> Option<String> {
    let day: jiff::civil::Date = day.parse().ok()?;
    let day = if of_next { day.tomorrow().ok()? } else { day };
    Some(day.in_tz(zone).ok()?.timestamp().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_at_local_midnight() {
        let of = |day, of_next| midnight(day, "Europe/Berlin", of_next);
        assert_eq!(of("2026-03-29", false).as_deref(), Some("2026-03-28T23:00:00Z"));
        assert_eq!(of("2026-03-29", true).as_deref(), Some("2026-03-29T22:00:00Z"), "a day of 23 hours");
        assert_eq!((of("soon", false), midnight("2026-01-01", "Nowhere", false)), (None, None));
    }
}
