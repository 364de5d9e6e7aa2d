//! Reports: levels with their days go in, one by one; rows come out.

mod abc;
mod cell;
mod gather;
mod names;
mod order;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use cell::Cell;
pub use gather::Stocked;
use gather::{Gathered, Key};
pub use names::{Group, ReportName};
pub use order::OrderTerms;

use super::{Calendar, Demand, LocalDays, MEAN_WEEKS, Period, dispersion};
use crate::domain::{LocationId, Timestamp};

/// The days that a forecast looks back, with one more where the day is another one than in UTC.
const DEMAND_DAYS: i32 = MEAN_WEEKS as i32 * 7 + 1;

/// What a report is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The report.
    pub report: ReportName,
    /// The period.
    pub period: Period,
    /// What the rows stand for; all of [`ReportName::groups`], one span of time at most.
    pub groups: Vec<Group>,
    /// Only items of this category.
    pub category: Option<String>,
    /// Only levels that this supplier delivers to.
    pub supplier: Option<String>,
    /// Only items whose id begins with this text.
    pub item_prefix: Option<String>,
    /// Only this item.
    pub item_id: Option<String>,
    /// The moment of the report.
    pub as_of: Timestamp,
    /// Dead stock: the days without a sale.
    pub dead_days: i32,
    /// Reorder: the terms of all orders.
    pub terms: OrderTerms,
    /// Reorder: whether to show the arithmetic, for items that need no order too.
    pub explain: bool,
}

impl Question {
    /// Returns the moment from which the days must be whole, in every time zone; `None` if all days are needed.
    pub fn since(&self) -> Option<Timestamp> {
        let utc = LocalDays::of_zone("UTC");
        let first = match self.report {
            // The last sale may be of any day.
            ReportName::DeadStock => return None,
            report if report.forecasts() => self.period.from.min(utc.day(self.as_of).plus(-DEMAND_DAYS)),
            _ => self.period.from,
        };
        // No zone is more than 14 hours ahead of UTC.
        Some(utc.begin(first.plus(-1)))
    }
}

/// What a report left out, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excluded {
    /// What it is, for people.
    pub what: &'static str,
    /// How much.
    pub count: Cell,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The names of the columns.
    pub columns: Vec<&'static str>,
    /// The rows, each with a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// The sums of the columns that can be added up, over all rows; nothing elsewhere.
    pub totals: Vec<Cell>,
    /// What was left out.
    pub excluded: Vec<Excluded>,
}

/// Makes a report of levels, in any order.
#[derive(Debug)]
pub struct ReportBuilder {
    question: Question,
    groups: BTreeMap<Key, Gathered>,
    /// The demand of every level of a location, whichever items are asked for: an order must not depend on the filter.
    pools: BTreeMap<LocationId, Vec<Demand>>,
    archived: usize,
    closed: usize,
}

impl ReportBuilder {
    /// Begins a report.
    pub fn new(question: Question) -> Self {
        Self { question, groups: BTreeMap::new(), pools: BTreeMap::new(), archived: 0, closed: 0 }
    }

    /// Adds a level.
    pub fn add(&mut self, stocked: &Stocked<'_>, calendar: &Calendar) {
        let question = &self.question;
        let location_id = &stocked.level.location_id;
        let weeks = question.report.forecasts().then(|| super::demand_weeks(stocked.days, calendar));
        if let Some(demand) = weeks.as_ref().and_then(super::DemandWeeks::demand) {
            self.pools.entry(location_id.clone()).or_default().push(demand);
        }
        if !stocked.is_asked_for(question) || stocked.days.begins_at().is_none() {
            return;
        }
        if question.report.skips_archived() && stocked.item.is_archived() {
            self.archived += 1;
            return;
        }
        if question.report.forecasts() && stocked.closed {
            self.closed += 1;
            return;
        }
        gather::gather(&mut self.groups, question, stocked, calendar, weeks);
    }

    /// Returns the number of rows so far, of which some may be left out.
    pub fn rows(&self) -> usize {
        self.groups.len()
    }

    /// Ends the report. Its rows are in order of their groups; a report that ranks has its own order.
    pub fn finish(self) -> Report {
        let pools: BTreeMap<LocationId, f64> =
            self.pools.into_iter().map(|(location_id, demands)| (location_id, dispersion(&demands))).collect();
        let mut excluded = vec![
            Excluded { what: "levels of archived items", count: Cell::Whole(count(self.archived)) },
            Excluded { what: "levels of closed locations", count: Cell::Whole(count(self.closed)) },
        ];
        let table = rows::table(&self.question, &self.groups, &pools);
        excluded.extend(table.excluded);
        excluded
            .retain(|left_out| !matches!(left_out.count, Cell::Whole(0)) && left_out.count != Cell::Units(NO_UNITS));
        let totals = totals(&table.rows, &table.adds_up);
        Report { columns: table.columns, rows: table.rows, totals, excluded }
    }
}

const NO_UNITS: crate::domain::Quantity = crate::domain::Quantity::ZERO;

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

/// Adds up the columns that can be. A column in which a value is not known has no sum.
fn totals(rows: &[Vec<Cell>], adds_up: &[bool]) -> Vec<Cell> {
    let sum = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).cloned().reduce(|sum, cell| match (sum, cell) {
            (Cell::Units(a), Cell::Units(b)) => a.checked_add(b).map_or(Cell::Nothing, Cell::Units),
            (Cell::Number(a), Cell::Number(b)) => Cell::number(a.checked_add(b)),
            _ => Cell::Nothing,
        })
    };
    let cells = adds_up.iter().enumerate();
    cells.map(|(column, adds)| adds.then(|| sum(column)).flatten().unwrap_or(Cell::Nothing)).collect()
}

impl Report {
    /// Sorts the rows by a column; those in which it is nothing come last. Returns whether there is such a column.
    pub fn sort(&mut self, column: &str, descending: bool) -> bool {
        let Some(at) = self.columns.iter().position(|name| *name == column) else {
            return false;
        };
        self.rows.sort_by(|a, b| match (a.get(at), b.get(at)) {
            (Some(a), Some(b)) if a.is_nothing() != b.is_nothing() => a.is_nothing().cmp(&b.is_nothing()),
            (Some(a), Some(b)) if descending => b.order(a),
            (Some(a), Some(b)) => a.order(b),
            _ => std::cmp::Ordering::Equal,
        });
        true
    }
}
