//! The export of day totals: a row for each level and local day that has movements.

use std::collections::BTreeMap;
use std::sync::Arc;

use stockline_core::domain::analytics::{Calendar, DayTotals, Figure, LocalDay};
use stockline_core::domain::{Item, LocationId, Reason};
use stockline_core::ports::{DaysFilter, Page, PageRequest, Queries, StoreError};

use super::{Line, Row};
use crate::view::Viewer;

/// The levels whose days are read at once.
const LEVELS_AT_ONCE: usize = 500;
/// Between the number of a filter and the cursor of its page.
const MARK: char = '|';

/// A day of a level.
#[derive(Debug)]
pub(crate) struct DayRow {
    item: Arc<Item>,
    location_id: LocationId,
    day: DayTotals,
    /// The part of the day at or below zero that is past, in milliseconds.
    out_ms: i64,
}

/// The columns behind those that say which day it is.
const UNITS: [(&str, Figure); 16] = [
    ("sold", Figure::Sold),
    ("returned", Figure::Returned),
    ("received", Figure::Received),
    ("transferred_in", Figure::TransferredIn),
    ("transferred_out", Figure::TransferredOut),
    ("counted", Figure::Counted),
    ("late", Figure::Late),
    ("adjusted_damaged", Figure::Adjusted(Reason::Damaged)),
    ("adjusted_expired", Figure::Adjusted(Reason::Expired)),
    ("adjusted_theft", Figure::Adjusted(Reason::Theft)),
    ("adjusted_found", Figure::Adjusted(Reason::Found)),
    ("adjusted_correction", Figure::Adjusted(Reason::Correction)),
    ("adjusted_sample", Figure::Adjusted(Reason::Sample)),
    ("adjusted_other", Figure::Adjusted(Reason::Other)),
    ("unpriced", Figure::Unpriced),
    ("uncosted", Figure::Uncosted),
];
const MONEY: [(&str, Figure); 13] = [
    ("sold_amount", Figure::SoldAmount),
    ("returned_amount", Figure::ReturnedAmount),
    ("sold_cost", Figure::SoldCost),
    ("returned_cost", Figure::ReturnedCost),
    ("counted_cost", Figure::CountedCost),
    ("adjusted_cost_damaged", Figure::AdjustedCost(Reason::Damaged)),
    ("adjusted_cost_expired", Figure::AdjustedCost(Reason::Expired)),
    ("adjusted_cost_theft", Figure::AdjustedCost(Reason::Theft)),
    ("adjusted_cost_found", Figure::AdjustedCost(Reason::Found)),
    ("adjusted_cost_correction", Figure::AdjustedCost(Reason::Correction)),
    ("adjusted_cost_sample", Figure::AdjustedCost(Reason::Sample)),
    ("adjusted_cost_other", Figure::AdjustedCost(Reason::Other)),
    ("value_change", Figure::Value),
];
/// Those that say which day it is, and its end.
const DAY: [&str; 7] = ["day", "location_id", "item_id", "category", "supplier", "closing", "out_of_stock_ms"];
const HEADINGS: [&str; DAY.len() + UNITS.len() + MONEY.len()] = {
    let mut all = [""; DAY.len() + UNITS.len() + MONEY.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < DAY.len() {
            DAY[at]
        } else if at < DAY.len() + UNITS.len() {
            UNITS[at - DAY.len()].0
        } else {
            MONEY[at - DAY.len() - UNITS.len()].0
        };
        at += 1;
    }
    all
};

impl Row for DayRow {
    const LIST: &'static str = "days";
    const HEADINGS: &'static [&'static str] = &HEADINGS;

    fn is_seen(&self, viewer: &Viewer) -> bool {
        viewer.sees(&self.location_id)
    }

    fn cells(&self, _: &Viewer, line: &mut Line<'_>) {
        line.plain(self.day.day);
        line.text(self.location_id.as_str());
        line.text(self.item.item_id.as_str());
        line.optional_text(self.item.catalogue.category.as_deref());
        line.optional_text(self.item.supplier_at(&self.location_id));
        line.plain(self.day.closing);
        line.plain(self.out_ms);
        UNITS.iter().for_each(|(_, figure)| line.plain(self.day.totals.units(*figure)));
        MONEY.iter().for_each(|(_, figure)| line.plain(self.day.totals.money(*figure)));
    }

    fn json(&self, _: &Viewer, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let totals = &self.day.totals;
        let text = |value: &dyn std::fmt::Display| serde_json::Value::from(value.to_string());
        let day = [
            text(&self.day.day),
            text(&self.location_id),
            text(&self.item.item_id),
            self.item.catalogue.category.as_deref().into(),
            self.item.supplier_at(&self.location_id).into(),
            text(&self.day.closing),
            self.out_ms.into(),
        ];
        let units = UNITS.iter().map(|(_, figure)| text(&totals.units(*figure)));
        let money = MONEY.iter().map(|(_, figure)| text(&totals.money(*figure)));
        let cells = HEADINGS.iter().copied().zip(day.into_iter().chain(units).chain(money));
        serde_json::to_writer(out, &cells.collect::<BTreeMap<_, _>>())
    }
}

/// What an export of days reads.
#[derive(Debug)]
pub(crate) struct DaySource {
    pub(crate) queries: Arc<dyn Queries>,
    /// One after the other.
    pub(crate) filters: Vec<DaysFilter>,
    /// The locations that the caller sees.
    pub(crate) calendars: BTreeMap<LocationId, Calendar>,
    /// The first day; `None` for all.
    pub(crate) from: Option<LocalDay>,
    /// The first day behind the period.
    pub(crate) to: Option<LocalDay>,
}

impl DaySource {
    /// Reads the days of some levels. Nothing is left out silently: a level that can't be read ends the export.
    pub(crate) async fn page(&self, cursor: Option<&str>) -> Result<Page<DayRow>, StoreError> {
        let (at, inner) = match cursor {
            None => (0, ""),
            Some(cursor) => {
                let (at, inner) = cursor.split_once(MARK).ok_or(StoreError::Cursor)?;
                (at.parse::<usize>().map_err(|_| StoreError::Cursor)?, inner)
            }
        };
        let Some(filter) = self.filters.get(at) else {
            return Ok(Page { entries: Vec::new(), next_cursor: None });
        };
        let inner = (!inner.is_empty()).then_some(inner);
        let page = self.queries.level_days(filter, PageRequest::new(inner, LEVELS_AT_ONCE)).await?;
        let page = page.ok_or_else(|| StoreError::Unavailable("this store has no days".into()))?;
        if page.unreadable > 0 {
            let why = format!("{} levels can't be read; run the audit", page.unreadable);
            return Err(StoreError::Unreadable(why));
        }
        let next = page.next_cursor.map(|cursor| format!("{at}{MARK}{cursor}"));
        let next_cursor = next.or_else(|| (at + 1 < self.filters.len()).then(|| format!("{}{MARK}", at + 1)));
        let mut entries = Vec::new();
        for level in page.entries {
            let Some(calendar) = self.calendars.get(&level.level.location_id) else {
                continue;
            };
            let is_asked =
                |day: &DayTotals| self.from.is_none_or(|from| day.day >= from) && self.to.is_none_or(|to| day.day < to);
            entries.extend(level.days.iter().filter(is_asked).map(|day| DayRow {
                item: Arc::clone(&level.item),
                location_id: level.level.location_id.clone(),
                out_ms: calendar.past_out_ms(&day),
                day,
            }));
        }
        Ok(Page { entries, next_cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runbook_has_all_columns_for_athena() {
        let runbook = include_str!("../../../deploy/README.md");
        let (_, columns) = runbook.split_once("CREATE EXTERNAL TABLE days (").unwrap();
        let (columns, _) = columns.split_once(')').unwrap();
        let names = columns.split(',').map(|column| column.split_whitespace().next().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), HEADINGS);
    }
}
