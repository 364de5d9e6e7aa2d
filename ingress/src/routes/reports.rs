//! Makes reports: reads the levels with their days, and adds them up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use stockline_core::domain::analytics::{
    Calendar, Cell, Excluded, LocalDay, LocalDays, Question, Report, ReportBuilder, Stocked,
};
use stockline_core::domain::{LocationId, LocationSettings, Timestamp};
use stockline_core::ports::{DaysFilter, DaysPage, LevelWithDays, PageRequest};

use super::read::Read;
use crate::access::Caller;
use crate::problem::{Problem, codes};
use crate::view::Viewer;

/// The levels that are read at once. A page of them is added up on a thread that may block.
const LEVELS_AT_ONCE: usize = 500;
/// The locations that are read side by side, where each read is a call to another machine. It is half of the lists that are
/// read at once, so a report leaves turns to others.
const LOCATIONS_AT_ONCE: usize = 4;
/// The most rows that a report is made of; each takes about a kilobyte until the report is answered. It is also the most
/// rows of all kept reports together.
const REPORT_ROWS_MAX: usize = 200_000;
/// How long a report is kept where its reads are paid for.
const REPORTS_KEPT_MS: i64 = 5 * 60 * 1_000;

/// A report, and when it was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) report: Report,
    pub(crate) as_of: Timestamp,
    asked: String,
}

/// Reports that were made a short time ago, oldest first.
#[derive(Debug, Default)]
pub(crate) struct KeptReports(Mutex<VecDeque<Arc<Made>>>);

impl KeptReports {
    /// Returns what was made for the same question at most five minutes ago. A clock that went back forgets it.
    fn find(&self, asked: &str, now: Timestamp) -> Option<Arc<Made>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|made| (0..REPORTS_KEPT_MS).contains(&now.millis_since(made.as_of)));
        kept.iter().find(|made| made.asked == asked).cloned()
    }

    /// Keeps a report, and forgets the oldest ones if there are too many rows.
    fn keep(&self, made: Arc<Made>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(made);
        let rows = |kept: &VecDeque<Arc<Made>>| kept.iter().map(|made| made.report.rows.len()).sum::<usize>();
        while rows(&kept) > REPORT_ROWS_MAX {
            kept.pop_front();
        }
    }
}

/// The locations of a report.
#[derive(Debug)]
pub(crate) struct Places {
    location_id: Option<LocationId>,
    /// All that the caller sees.
    pub(crate) known: BTreeMap<LocationId, LocationSettings>,
    as_of: Timestamp,
}

impl Places {
    pub(crate) async fn of(
        read: &Read,
        viewer: &Viewer,
        location_id: Option<LocationId>,
        as_of: Timestamp,
    ) -> Result<Self, Problem> {
        let all = read.app.queries.locations().await?;
        let seen = all.into_iter().filter(|settings| viewer.sees(&settings.location_id));
        let known = seen.map(|settings| (settings.location_id.clone(), settings)).collect();
        Ok(Self { location_id, known, as_of })
    }

    fn asked(&self) -> impl Iterator<Item = &LocationSettings> {
        let only = self.location_id.as_ref();
        self.known.values().filter(move |settings| only.is_none_or(|only| *only == settings.location_id))
    }

    fn zones(&self) -> BTreeSet<&str> {
        self.asked().map(|settings| settings.time_zone.as_str()).collect()
    }

    pub(crate) fn time_zones(&self) -> String {
        self.zones().into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Returns the earliest of the present days, so that days before it are over everywhere.
    pub(crate) fn today(&self) -> LocalDay {
        let days = self.zones().into_iter().map(|zone| LocalDays::of_zone(zone).day(self.as_of)).min();
        days.unwrap_or_else(|| LocalDays::of_zone("UTC").day(self.as_of))
    }

    /// Returns what is to be read: everything at once, or location by location.
    pub(super) fn filters(&self, since: Option<Timestamp>, one_by_one: bool) -> Vec<DaysFilter> {
        let time_zones = self.known.iter().map(|(id, settings)| (id.clone(), settings.time_zone.clone()));
        let time_zones = Arc::new(time_zones.collect());
        let filter = |location_id| DaysFilter { location_id, time_zones: Arc::clone(&time_zones), since };
        match one_by_one {
            true => self.asked().map(|settings| filter(Some(settings.location_id.clone()))).collect(),
            false => vec![filter(self.location_id.clone())],
        }
    }

    pub(super) fn calendars(&self) -> BTreeMap<LocationId, (Calendar, bool)> {
        let calendars = self.known.values().map(|settings| {
            let days = LocalDays::of_zone(&settings.time_zone);
            (settings.location_id.clone(), (Calendar { days, as_of: self.as_of }, settings.closed))
        });
        calendars.collect()
    }
}

/// Makes a report, or returns the one that is kept.
pub(crate) async fn made(
    caller: &Caller,
    read: &Read,
    question: Question,
    places: &Places,
    sort: Option<&str>,
) -> Result<Arc<Made>, Problem> {
    let app = &read.app;
    let (as_of, is_kept) = (question.as_of, app.queries.pays_for_days());
    // The same question of callers who see the same locations with the same settings.
    let asked = Question { as_of: Timestamp::EPOCH, ..question.clone() };
    let asked = format!("{asked:?} {:?} {:?} {sort:?}", places.location_id, places.known);
    if let Some(made) = is_kept.then(|| app.kept_reports.find(&asked, as_of)).flatten() {
        return Ok(made);
    }
    let mut report = added_up(caller, read, question, places).await?;
    sorted(&mut report, sort)?;
    let made = Arc::new(Made { report, as_of, asked });
    if is_kept {
        app.kept_reports.keep(Arc::clone(&made));
    }
    Ok(made)
}

/// Reads the levels page by page, in the caller's turn for each, and adds them up.
async fn added_up(caller: &Caller, read: &Read, question: Question, places: &Places) -> Result<Report, Problem> {
    let one_by_one = read.app.queries.pays_for_days();
    let filters = places.filters(question.since(), one_by_one);
    let calendars = Arc::new(places.calendars());
    let (mut builder, mut unreadable) = (ReportBuilder::new(question), 0);
    let each: Vec<_> = filters.into_iter().map(|filter| pages(caller, read, filter).boxed()).collect();
    let mut pages = stream::iter(each).flatten_unordered(LOCATIONS_AT_ONCE);
    let mut next = pages.try_next().await?;
    while let Some(page) = next {
        unreadable += page.unreadable;
        let calendars = Arc::clone(&calendars);
        // The next page is read while this one is added up.
        let adding = apart(move || added(builder, &page.entries, &calendars));
        let (with_page, following) = tokio::join!(adding, pages.try_next());
        (builder, next) = (with_page?, following?);
        if builder.rows() > REPORT_ROWS_MAX {
            let detail = format!(
                "the report has more than {REPORT_ROWS_MAX} rows; name a location or a category, or group it otherwise"
            );
            return Err(Problem::new(codes::INVALID_PARAMETER, detail));
        }
    }
    let mut report = apart(move || builder.finish()).await?;
    if unreadable > 0 {
        let count = Cell::Whole(i64::try_from(unreadable).unwrap_or(i64::MAX));
        report.excluded.push(Excluded { what: "levels that can't be read; run the audit", count });
    }
    Ok(report)
}

/// Which page of the days of a location is read next.
enum Next {
    First,
    Behind(String),
    End,
}

/// Reads the pages of one filter, one after the other.
fn pages<'a>(
    caller: &'a Caller,
    read: &'a Read,
    filter: DaysFilter,
) -> impl stream::Stream<Item = Result<DaysPage, Problem>> + 'a {
    stream::try_unfold((filter, Next::First), move |(filter, next)| async move {
        let cursor = match &next {
            Next::First => None,
            Next::Behind(cursor) => Some(cursor.as_str()),
            Next::End => return Ok(None),
        };
        let _turn = read.list_turn(caller).await?;
        let page = read.app.queries.level_days(&filter, PageRequest::new(cursor, LEVELS_AT_ONCE)).await?;
        let page = page.ok_or_else(|| {
            Problem::new(codes::LIST_NOT_KEPT, "this installation has no reports: its store has no days")
        })?;
        let next = page.next_cursor.clone().map_or(Next::End, Next::Behind);
        Ok(Some((page, (filter, next))))
    })
}

fn added(
    mut builder: ReportBuilder,
    levels: &[LevelWithDays],
    calendars: &BTreeMap<LocationId, (Calendar, bool)>,
) -> ReportBuilder {
    for LevelWithDays { item, level, days } in levels {
        // A location that the caller does not see has no calendar here.
        if let Some((calendar, closed)) = calendars.get(&level.location_id) {
            builder.add(&Stocked { item, level, days, closed: *closed }, calendar);
        }
    }
    builder
}

/// Runs what takes long on a thread that may block.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a report failed");
        Problem::new(codes::INTERNAL_ERROR, "the report failed because of a fault of the server, which was logged")
    })
}

fn sorted(report: &mut Report, sort: Option<&str>) -> Result<(), Problem> {
    let Some(sort) = sort else { return Ok(()) };
    let (column, descending) = sort.strip_prefix('-').map_or((sort, false), |column| (column, true));
    if report.sort(column, descending) {
        return Ok(());
    }
    let detail = format!("the report has no column {column} to sort by; it has {}", report.columns.join(", "));
    Err(Problem::new(codes::INVALID_PARAMETER, detail))
}
