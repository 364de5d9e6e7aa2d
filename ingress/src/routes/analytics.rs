use std::sync::Arc;

use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, LINK, VARY};
use axum::response::Response;
use stockline_core::domain::analytics::{
    Cell, Group, LocalDay, LocalDays, OrderTerms, PeriodWords, Question, Report, ReportName,
};
use stockline_core::domain::{
    ItemId, LocationId, MAX_LEAD_TIME_DAYS, MAX_SERVICE_LEVEL, MIN_SERVICE_LEVEL, Percent, Timestamp,
};
use stockline_core::ports::cursor;

use super::path::InPath;
use super::read::{Read, narrowed, no_location};
use super::reports::{self, Places};
use crate::access::Caller;
use crate::answer;
use crate::exports::{self, DaySource, Form, Pages};
use crate::params::{Paging, Params};
use crate::problem::{Problem, codes};
use crate::view::values::DAYS_MAX;
use crate::view::{CellsView, ReportView, csv};

const REPORT: &str = "report";

const PARAMETERS: [&str; 19] = [
    "location_id",
    "category",
    "supplier",
    "item_id",
    "item_prefix",
    "from",
    "to",
    "last",
    "week",
    "month",
    "group",
    "sort",
    "days",
    "lead_time_days",
    "review_days",
    "service_level",
    "explain",
    "cursor",
    "limit",
];

/// Returns a report: figures by local days, with their definition, period, time zone, moment, and what they leave out.
///
/// A period is `from` and `to`, or `last`, or `week`, or `month`; `to` is the first day behind it. `last` ends before today,
/// so that it has whole days only. Days begin at midnight in the time zone of the location. The pages of a report are made
/// of what has happened when they are asked for: rows may move between them while stock moves. With `Accept: text/csv` the
/// answer is CSV, and `Link` leads to its next page. Managers only; a manager of some locations sees those.
///
/// On AWS a report is kept for five minutes: `as_of` says when it was made.
#[utoipa::path(
    get,
    operation_id = "get_report",
    path = "/v1/analytics/{report}",
    tag = "Analytics",
    params(
        ("report" = String, Path, description = "The report", example = "sales"),
        ("location_id" = Option<String>, Query, description = "Only this location", example = "shop-1"),
        ("category" = Option<String>, Query, description = "Only items of this category", example = "drinks"),
        ("supplier" = Option<String>, Query, description = "Only levels that this supplier delivers to: the location's own, else the item's", example = "Drinks Ltd"),
        ("item_id" = Option<String>, Query, description = "Only this item", example = "cola-033"),
        ("item_prefix" = Option<String>, Query, description = "Only items whose id begins with this text", example = "cola"),
        ("from" = Option<String>, Query, description = "The first day of the period", format = Date),
        ("to" = Option<String>, Query, description = "The first day behind the period; tomorrow if it is missing", format = Date),
        ("last" = Option<String>, Query, description = "The last whole days or weeks of seven days", example = "28d"),
        ("week" = Option<String>, Query, description = "An ISO week", example = "2026-W05"),
        ("month" = Option<String>, Query, description = "A month", example = "2026-01"),
        ("group" = Option<Vec<String>>, Query, description = "What the rows stand for; repeat the parameter, or put commas between", example = json!(["day", "location"])),
        ("sort" = Option<String>, Query, description = "The column to sort by; with `-` before it, greatest first", example = "-net"),
        ("days" = Option<u64>, Query, description = "`dead-stock`: days without a sale; 90 by default"),
        ("lead_time_days" = Option<u64>, Query, description = "`reorder`: days from an order to its goods, of all items; by default the location's, else the item's, else 7"),
        ("review_days" = Option<u64>, Query, description = "`reorder`: days from one order to the next; 7 by default"),
        ("service_level" = Option<String>, Query, description = "`reorder`: the probability in percent that the stock lasts, 50 to 99.9, of all items; by default the location's, else the item's, else 95", example = "97.5"),
        ("explain" = Option<bool>, Query, description = "`reorder`: `true` shows the arithmetic of each row, where each of its terms comes from (`asked`, `location`, `item`, `default`), and levels that need no order"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u64>, Query, description = "Rows of a page, 1 to 1,000; 100 by default"),
    ),
    responses(
        (status = 200, description = "A page of the report", body = ReportView<'static>),
        (status = 400, description = "`invalid_parameter`, `cursor_invalid`, `invalid_id`"),
        (status = 403, description = "`forbidden`, `forbidden_location`"),
        (status = 404, description = "`location_not_found`"),
    ),
)]
pub(crate) async fn report(caller: Caller, InPath(name): InPath<String>, read: Read) -> Result<Response, Problem> {
    caller.may_read_analytics()?;
    let report = ReportName::from_word(&name).ok_or_else(|| {
        let names = ReportName::ALL.map(ReportName::as_str).join(", ");
        Problem::new(codes::INVALID_ID, format!("there is no report {name}; the reports are {names}"))
    })?;
    let as_of = read.app.clock.now();
    let mut params = read.params(&PARAMETERS);
    let location_id = params.parsed::<LocationId>("location_id");
    let viewer = caller.viewer();
    let places = Places::of(&read, &viewer, narrowed(&caller, location_id.clone())?, as_of).await?;
    let sort = params.text("sort");
    let question = question(report, &mut params, places.today(), as_of);
    let paging = read.paging(params)?;
    if let Some(asked) = location_id.filter(|asked| !places.known.contains_key(asked)) {
        return Err(no_location(&asked));
    }
    let first_row = cursor::decode::<usize>(REPORT, paging.cursor.as_deref())
        .map_err(|_| Problem::new(codes::CURSOR_INVALID, "the cursor is not one of a report"))?;
    let room = read.room_for_list(&paging).await?;
    let _report = read.app.reports.acquire().await;
    let (period, time_zone) = (question.period, places.time_zones());
    let made = reports::made(&caller, &read, question, &places, sort.as_deref()).await?;
    let (report_made, as_of) = (&made.report, made.as_of);
    let page = Page::of(report_made, first_row.unwrap_or(0), &paging);
    if wants_csv(&read) {
        return page.csv(room, &read, report_made);
    }
    let cells = |cells| CellsView { columns: &report_made.columns, cells, only_known: false };
    let view = ReportView {
        report: report.as_str(),
        definition: report.definition(),
        period: period.into(),
        time_zone,
        as_of,
        excluded: report_made.excluded.iter().cloned().map(Into::into).collect(),
        columns: &report_made.columns,
        totals: CellsView { cells: &report_made.totals, only_known: true, ..cells(&[]) },
        row_count: report_made.rows.len(),
        rows: page.rows.iter().map(|row| cells(row)).collect(),
        next_cursor: page.next_cursor.clone(),
    };
    vary_by_type(read.answer_in(room, &view))
}

/// Reads the parameters that say what the report is to show.
fn question(report: ReportName, params: &mut Params, today: LocalDay, as_of: Timestamp) -> Question {
    let [from, to, last, week, month] = ["from", "to", "last", "week", "month"].map(|name| params.text(name));
    let words = PeriodWords {
        from: from.as_deref(),
        to: to.as_deref(),
        last: last.as_deref(),
        week: week.as_deref(),
        month: month.as_deref(),
    };
    let period = words.on(today, report.usual_days());
    let groups = params.words("group", &Group::ALL.map(|group| (group.words().0, group)));
    let question = Question {
        report,
        period: period.clone().unwrap_or(stockline_core::domain::analytics::Period { from: today, to: today }),
        groups: if groups.is_empty() { report.usual_groups().to_vec() } else { groups },
        category: params.text("category"),
        supplier: params.text("supplier"),
        item_prefix: params.text("item_prefix"),
        item_id: params.parsed::<ItemId>("item_id").map(|item_id| item_id.to_string()),
        as_of,
        dead_days: params.whole("days", 1..=DAYS_MAX).unwrap_or(90).into(),
        terms: OrderTerms {
            lead_time_days: params.whole("lead_time_days", 0..=MAX_LEAD_TIME_DAYS),
            review_days: params.whole("review_days", 1..=DAYS_MAX).unwrap_or(OrderTerms::default().review_days),
            service_level: service_level(params),
        },
        explain: params.flag("explain"),
    };
    if let Err((name, detail)) = period {
        params.refuse(name, detail);
    }
    check_groups(&question, params);
    question
}

/// Refuses groups that the report can't have.
fn check_groups(question: &Question, params: &mut Params) {
    let (report, groups) = (question.report, &question.groups);
    let may = report.groups();
    let words = |groups: &[Group]| groups.iter().map(|group| group.words().0).collect::<Vec<_>>().join(", ");
    if let Some(other) = groups.iter().find(|group| !may.contains(group)) {
        params.refuse("group", format!("may not be {}; {} has {}", other.words().0, report.as_str(), words(may)));
    } else if groups.iter().filter(|group| group.is_time()).count() > 1 {
        params.refuse("group", "names more than one of day, week and month");
    } else if (1..groups.len()).any(|at| groups[..at].contains(&groups[at])) {
        params.refuse("group", "names a group twice");
    } else if report.needs_item() && groups.len() < may.len() {
        params.refuse("group", format!("must be {} for {}", words(may), report.as_str()));
    }
}

/// Reads a service level in percent.
fn service_level(params: &mut Params) -> Option<Percent> {
    let text = params.text("service_level")?;
    let level = text.parse().ok().filter(|level| (MIN_SERVICE_LEVEL..=MAX_SERVICE_LEVEL).contains(level));
    if level.is_none() {
        let detail = format!("must be from {MIN_SERVICE_LEVEL} to {MAX_SERVICE_LEVEL} percent, with at most 1 decimal");
        params.refuse("service_level", detail);
    }
    level
}

/// Exports the day totals of all levels, which reports are made of: a row for each level and local day that has movements.
///
/// A day is one of the location's time zone. A movement that comes late is in the row of its own day. Between two rows of a
/// level the balance is the `closing` of the earlier one. `closing` and `out_of_stock_ms` are as the movements make them in
/// order of their time. Each level is as of a moment of its own. The answer is CSV, or lines of JSON with
/// `Accept: application/x-ndjson`. Managers only; a manager of some locations gets those.
#[utoipa::path(
    get,
    operation_id = "export_days",
    path = "/v1/analytics/days",
    tag = "Analytics",
    params(
        ("location_id" = Option<String>, Query, description = "Only this location", example = "shop-1"),
        ("from" = Option<String>, Query, description = "The first day", format = Date),
        ("to" = Option<String>, Query, description = "The first day that is left out", format = Date),
    ),
    responses(
        (status = 200, description = "All rows", content_type = "text/csv", body = String),
        (status = 400, description = "`invalid_parameter`"),
        (status = 403, description = "`forbidden`, `forbidden_location`"),
        (status = 404, description = "`location_not_found`"),
    ),
)]
pub(crate) async fn days(caller: Caller, read: Read) -> Result<Response, Problem> {
    caller.may_read_analytics()?;
    let mut params = read.params(&["location_id", "from", "to"]);
    let form = Form::asked(&read.headers).unwrap_or(Form::Csv);
    let location_id = params.parsed::<LocationId>("location_id");
    let (from, to) = (params.parsed::<LocalDay>("from"), params.parsed::<LocalDay>("to"));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        params.refuse("to", "must be behind from");
    }
    params.finish()?;
    read.check_registered(location_id.as_ref()).await?;
    let viewer = caller.viewer();
    let places = Places::of(&read, &viewer, narrowed(&caller, location_id)?, read.app.clock.now()).await?;
    // No zone is more than 14 hours ahead of UTC.
    let since = from.map(|from| LocalDays::of_zone("UTC").begin(from.plus(-1)));
    let queries = Arc::clone(&read.app.queries);
    let source = Arc::new(DaySource {
        filters: places.filters(since, queries.pays_for_days()),
        queries,
        calendars: places.calendars().into_iter().map(|(id, (calendar, _))| (id, calendar)).collect(),
        from,
        to,
    });
    let pages: Pages<_> = Box::new(move |_, cursor| {
        let source = Arc::clone(&source);
        Box::pin(async move { source.page(cursor.as_deref()).await })
    });
    exports::answer_live(&read.app, viewer, form, pages).await
}

/// The rows of one page.
struct Page<'a> {
    rows: &'a [Vec<Cell>],
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    fn of(report: &'a Report, first: usize, paging: &Paging) -> Self {
        let rows = report.rows.get(first..).unwrap_or(&[]);
        let rows = rows.get(..paging.limit).unwrap_or(rows);
        let next = first + rows.len();
        let next_cursor = (next < report.rows.len()).then(|| cursor::encode(REPORT, &next)).flatten();
        Self { rows, next_cursor }
    }

    fn csv(self, room: crate::answer_budget::Room, read: &Read, report: &Report) -> Result<Response, Problem> {
        let text = csv(&report.columns, self.rows);
        let mut response = answer::read_text_in(room, &read.headers, text, "text/csv; charset=utf-8; header=present")?;
        if let Some(next) = self.next_cursor {
            let link = HeaderValue::from_str(&format!("<{}>; rel=\"next\"", read.with_cursor(&next)));
            response.headers_mut().extend(link.ok().map(|link| (LINK, link)));
        }
        vary_by_type(Ok(response))
    }
}

fn wants_csv(read: &Read) -> bool {
    let accept = read.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/csv"))
}

/// A cache must not take the CSV for the JSON.
fn vary_by_type(response: Result<Response, Problem>) -> Result<Response, Problem> {
    response.map(|mut response| {
        response.headers_mut().insert(VARY, HeaderValue::from_static("authorization, accept"));
        response
    })
}
