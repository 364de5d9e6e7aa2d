//! The chart of a report: its time, or its greatest rows.

use std::collections::HashMap;

use stockline_core::domain::analytics::ReportName;

use super::report_cell::written;
use crate::api::ReportPage;
use crate::chart::{self, Ends};
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// The most rows that a chart ranks.
const RANKED: usize = 10;

/// Draws a report; empty where a chart would say no more than the table.
pub(super) fn of(visit: &Visit, places: &Places, report: ReportName, sort: &str, answer: &ReportPage) -> String {
    let number = |row: &HashMap<String, Option<String>>, column: &str| {
        row.get(column).and_then(Option::as_deref).and_then(|text| text.parse::<f64>().ok())
    };
    let text = |row: &HashMap<String, Option<String>>, column: &str| {
        let text = row.get(column).and_then(Option::as_deref).unwrap_or_default();
        written(visit, places, column, text)
    };
    let first = answer.columns.first().map(String::as_str).unwrap_or_default();
    let is_whole = answer.next_cursor.is_none() && answer.rows.len() == answer.row_count;
    if ["day", "week", "month"].contains(&first) {
        let column = match report {
            ReportName::Sales => "net",
            _ => "total",
        };
        if !sort.is_empty()
            || !is_whole
            || answer.rows.len() < 2
            || answer.columns.iter().any(|name| name == "location_id")
        {
            return String::new();
        }
        let values: Vec<f64> = answer.rows.iter().map(|row| number(row, column).unwrap_or(0.0)).collect();
        let end = |row: Option<&HashMap<String, Option<String>>>| row.map_or(String::new(), |row| text(row, first));
        let (from, to) = (end(answer.rows.first()), end(answer.rows.last()));
        return chart::bars(&values, &Ends { from: &from, to: &to }, visit.t.field(column));
    }
    let column = sort.trim_start_matches('-');
    let ranks = match report {
        ReportName::Sales
        | ReportName::Velocity
        | ReportName::LostSales
        | ReportName::Value
        | ReportName::DeadStock => sort.starts_with('-'),
        ReportName::Shrinkage => column == "total",
        _ => false,
    };
    let named = ["name", "category", "supplier", "location_id"]
        .into_iter()
        .find(|name| answer.columns.iter().any(|own| own == name));
    let (true, Some(named)) = (ranks, named) else { return String::new() };
    let rows = answer.rows.iter().take(RANKED).filter_map(|row| {
        let value = number(row, column).filter(|value| *value != 0.0)?;
        Some((text(row, named), value.abs(), text(row, column)))
    });
    let rows: Vec<(String, f64, String)> = rows.collect();
    if rows.len() < 2 {
        return String::new();
    }
    chart::ranks(&rows, &fill(visit.t.report_top, &[visit.t.field(column)]))
}
