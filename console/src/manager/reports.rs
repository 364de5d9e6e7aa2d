//! Reports: a form, a table, a chart where it says more, and the whole as CSV.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, Query};
use axum::response::Response;
use serde::Deserialize;
use stockline_core::domain::analytics::{Group, ReportName};

use super::report_cell::{is_number, written};
use super::report_chart;
use crate::api::{ReportPage as Answer, segment};
use crate::fault::Fault;
use crate::page::{Frame, Section, page};
use crate::texts::{Texts, fill};
use crate::visit::{Places, Visit};

/// Rows of a page.
const ROWS: usize = 100;
/// The periods that are offered: the API's word.
const LASTS: [&str; 4] = ["7d", "28d", "91d", "365d"];

/// What a report is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    pub(crate) location: String,
    pub(crate) category: String,
    pub(crate) supplier: String,
    pub(crate) last: String,
    /// Days; the last one is part of the period.
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) group: String,
    pub(crate) sort: String,
    pub(crate) days: String,
    pub(crate) lead: String,
    pub(crate) review: String,
    pub(crate) service: String,
    pub(crate) cursor: String,
}

#[derive(Template)]
#[template(path = "manager/reports.html")]
struct ReportsPage {
    frame: Frame,
    reports: Vec<(&'static str, &'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "manager/report.html")]
struct ReportPage {
    frame: Frame,
    report: &'static str,
    how: &'static str,
    wanted: Wanted,
    lasts: [(&'static str, &'static str); 4],
    groups: Vec<(String, String)>,
    places: Vec<(String, String)>,
    has_period: bool,
    shown: Option<Shown>,
    /// Whether this installation keeps no reports.
    is_not_kept: bool,
    wrong: String,
    csv: String,
}

/// A report that was made.
#[derive(Debug)]
struct Shown {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    sums: Vec<String>,
    has_sums: bool,
    definition: String,
    of: String,
    left_out: Vec<String>,
    count: String,
    chart: String,
    next: String,
}

#[derive(Debug)]
struct Column {
    text: String,
    is_number: bool,
    /// The address that sorts by it.
    sort: String,
    /// `ascending`, `descending`, or empty.
    sorted: &'static str,
}

/// A cell as it is shown.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    is_number: bool,
    link: String,
}

/// Lists the reports.
pub(crate) async fn list(visit: Visit) -> Result<Response, Fault> {
    let places = visit.places().await?;
    let reports = ReportName::ALL.map(|report| {
        let (name, how) = visit.t.report(report);
        (report.as_str(), name, how)
    });
    let frame = visit.frame_at(visit.t.reports, Section::Reports, &places);
    page(&ReportsPage { frame, reports: reports.into() })
}

/// Shows a report.
pub(crate) async fn report(
    visit: Visit,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Fault> {
    let report = ReportName::from_word(&name).ok_or(Fault::NotFound)?;
    let places = visit.places().await?;
    let (title, how) = visit.t.report(report);
    let (mut is_not_kept, mut wrong) = (false, String::new());
    let shown = match visit.api.get::<Answer>(&path(report, &wanted, ROWS)).await {
        Ok(answer) => Some(Shown::of(&visit, &places, report, &wanted, &answer)),
        Err(Fault::Problem(problem)) if problem.code == "list_not_kept" => {
            is_not_kept = true;
            None
        }
        Err(Fault::Problem(problem)) if problem.status == 400 => {
            wrong = problem.in_words();
            None
        }
        Err(fault) => return Err(fault),
    };
    let t = visit.t;
    page(&ReportPage {
        frame: visit.frame_at(title, Section::Reports, &places),
        report: report.as_str(),
        how,
        lasts: [
            (LASTS[0], t.last_7_days),
            (LASTS[1], t.last_28_days),
            (LASTS[2], t.last_91_days),
            (LASTS[3], t.last_365_days),
        ],
        groups: groups(t, report),
        places: places.pairs(),
        has_period: !matches!(report, ReportName::Reorder | ReportName::DeadStock),
        csv: format!("{}/console/reports/{name}/csv?{}", visit.app.config.base, wanted.query("")),
        wanted: Wanted { last: wanted.last_or_usual(report), ..wanted },
        shown,
        is_not_kept,
        wrong,
    })
}

/// Returns the groups to choose from; empty if there is no choice.
fn groups(t: &'static Texts, report: ReportName) -> Vec<(String, String)> {
    let named = |groups: &[Group]| {
        let words: Vec<&str> = groups.iter().map(|group| group.words().0).collect();
        let texts: Vec<&str> = groups.iter().map(|group| t.field(group.words().1)).collect();
        (words.join(","), texts.join(", "))
    };
    if report.needs_item() || report.groups().len() < 2 {
        return Vec::new();
    }
    let several = Some(report.usual_groups()).filter(|usual| usual.len() > 1).map(named);
    several.into_iter().chain(report.groups().iter().map(|group| named(&[*group]))).collect()
}

/// Returns the path of the API.
pub(crate) fn path(report: ReportName, wanted: &Wanted, rows: usize) -> String {
    let mut path = format!("/v1/analytics/{}?limit={rows}", report.as_str());
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    };
    add("location_id", &wanted.location);
    add("category", wanted.category.trim());
    add("supplier", wanted.supplier.trim());
    add("group", &wanted.group);
    if wanted.from.is_empty() {
        add("last", &wanted.last);
    } else {
        add("from", &wanted.from);
        add("to", &next_day(&wanted.to));
    }
    match report {
        ReportName::DeadStock => add("days", &wanted.days),
        ReportName::Reorder => {
            add("lead_time_days", &wanted.lead);
            add("review_days", &wanted.review);
            add("service_level", &wanted.service);
        }
        _ => {}
    }
    add("sort", wanted.sort_of(report));
    add("cursor", &wanted.cursor);
    path
}

/// Returns the day behind a day; what is no day is left to the API to refuse.
fn next_day(day: &str) -> String {
    let next = day.parse::<jiff::civil::Date>().ok().and_then(|day| day.tomorrow().ok());
    next.map_or_else(|| day.to_owned(), |day| day.to_string())
}

impl Wanted {
    /// Returns the column to sort by: the chosen one, else the one that says most.
    fn sort_of(&self, report: ReportName) -> &str {
        let is_of_time = match self.group.as_str() {
            "" => report.usual_groups().iter().any(|group| group.is_time()),
            group => ["day", "week", "month"].contains(&group),
        };
        match report {
            _ if !self.sort.is_empty() => &self.sort,
            _ if is_of_time => "",
            ReportName::Sales => "-net",
            ReportName::Velocity => "-per_day_in_stock",
            ReportName::Cover => "cover_days",
            ReportName::Reorder => "order_by",
            ReportName::LostSales => "-lost_units",
            ReportName::SellThrough => "-rate",
            ReportName::DeadStock | ReportName::Value => "-value",
            ReportName::Turnover => "-turnover",
            ReportName::Shrinkage => "total",
            ReportName::Abc => "",
        }
    }

    fn last_or_usual(&self, report: ReportName) -> String {
        match self.last.as_str() {
            "" => format!("{}d", report.usual_days()),
            last => last.to_owned(),
        }
    }

    /// Returns the query of the same report, sorted by a column, from its first page.
    pub(crate) fn query(&self, sort: &str) -> String {
        let sort = if sort.is_empty() { &self.sort } else { sort };
        let pairs = [
            ("location", self.location.as_str()),
            ("category", &self.category),
            ("supplier", &self.supplier),
            ("last", &self.last),
            ("from", &self.from),
            ("to", &self.to),
            ("group", &self.group),
            ("days", &self.days),
            ("lead", &self.lead),
            ("review", &self.review),
            ("service", &self.service),
            ("sort", sort),
        ];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| format!("{name}={}", segment(value))).collect::<Vec<_>>().join("&")
    }
}

impl Shown {
    fn of(visit: &Visit, places: &Places, report: ReportName, wanted: &Wanted, answer: &Answer) -> Self {
        let (t, locale) = (visit.t, visit.locale);
        let here = format!("{}/console/reports/{}", visit.app.config.base, report.as_str());
        let sort = wanted.sort_of(report);
        let columns = answer.columns.iter().map(|name| {
            let (ascending, descending) = (sort == name, sort.strip_prefix('-') == Some(name.as_str()));
            let is_number = is_number(name);
            let to = if descending || (!is_number && !ascending) { name.clone() } else { format!("-{name}") };
            Column {
                text: t.field(name).to_owned(),
                is_number,
                sort: format!("{here}?{}", wanted.query(&to)),
                sorted: match (ascending, descending) {
                    (true, _) => "ascending",
                    (_, true) => "descending",
                    _ => "",
                },
            }
        });
        let day = |day: &str| locale.day(&format!("{day}T12:00:00Z"), "UTC");
        let until = |to: &str| to.parse::<jiff::civil::Date>().ok().and_then(|day| day.yesterday().ok());
        let last = until(&answer.period.to).map_or_else(|| answer.period.to.clone(), |day| day.to_string());
        let sums =
            answer.columns.iter().map(|name| answer.totals.get(name).map_or(String::new(), |sum| locale.number(sum)));
        let next =
            answer.next_cursor.as_ref().map(|cursor| format!("{here}?{}&cursor={}", wanted.query(""), segment(cursor)));
        Self {
            columns: columns.collect(),
            rows: answer.rows.iter().map(|row| row_of(visit, places, &answer.columns, row)).collect(),
            sums: sums.collect(),
            has_sums: !answer.totals.is_empty(),
            definition: answer.definition.clone(),
            of: fill(
                t.report_of,
                &[
                    &day(&answer.period.from),
                    &day(&last),
                    &answer.time_zone,
                    &locale.moment(&answer.as_of, places.zone()),
                ],
            ),
            left_out: answer
                .excluded
                .iter()
                .map(|out| fill(t.report_left_out, &[&out.what, &locale.number(&out.count)]))
                .collect(),
            count: fill(t.report_rows, &[&locale.number(&answer.row_count.to_string())]),
            chart: report_chart::of(visit, places, report, sort, answer),
            next: next.unwrap_or_default(),
        }
    }
}

/// Returns the cells of a row as people read them.
pub(crate) fn row_of(
    visit: &Visit,
    places: &Places,
    columns: &[String],
    row: &HashMap<String, Option<String>>,
) -> Vec<Cell> {
    let cell = |name: &String| {
        let text = row.get(name).and_then(Option::as_deref).unwrap_or_default();
        let link = match name.as_str() {
            "item_id" if !text.is_empty() => format!("{}/console/items/{}", visit.app.config.base, segment(text)),
            _ => String::new(),
        };
        Cell { text: written(visit, places, name, text), is_number: is_number(name), link }
    };
    columns.iter().map(cell).collect()
}
