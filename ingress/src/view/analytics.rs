use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use stockline_core::domain::Timestamp;
use stockline_core::domain::analytics::{Cell, Excluded, LocalDay, Period};
use utoipa::ToSchema;

use super::words::ReportWord;

/// A report: a page of its rows, and what its figures mean.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportAnswer)]
pub(crate) struct ReportView<'a> {
    /// The report.
    #[schema(value_type = ReportWord)]
    pub(crate) report: &'static str,
    /// What the figures mean.
    pub(crate) definition: &'static str,
    /// The period.
    pub(crate) period: PeriodView,
    /// The IANA time zone of the days; of several locations, all zones with commas between.
    #[schema(example = "Europe/Berlin")]
    pub(crate) time_zone: String,
    /// The moment of the report.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) as_of: Timestamp,
    /// What was left out, and how much.
    pub(crate) excluded: Vec<ExcludedView>,
    /// The names of the columns, in their order.
    #[schema(value_type = Vec<String>)]
    pub(crate) columns: &'a [&'static str],
    /// The sums over all rows of the report, of the columns that add up and of which every value is known.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub(crate) totals: CellsView<'a>,
    /// All rows of the report, those of other pages too.
    pub(crate) row_count: usize,
    /// The rows by the names of the columns. Numbers are decimal texts; null is not known, or not defined.
    #[schema(value_type = Vec<std::collections::HashMap<String, Option<String>>>)]
    pub(crate) rows: Vec<CellsView<'a>>,
    /// The cursor of the next page; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
}

/// Local days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportPeriod)]
pub(crate) struct PeriodView {
    /// The first day.
    #[schema(value_type = String, format = Date)]
    from: String,
    /// The first day behind the period.
    #[schema(value_type = String, format = Date)]
    to: String,
}

impl From<Period> for PeriodView {
    fn from(period: Period) -> Self {
        let text = |day: LocalDay| day.to_string();
        Self { from: text(period.from), to: text(period.to) }
    }
}

/// What a report left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportExcluded)]
pub(crate) struct ExcludedView {
    /// What it is, and what that does to the figures.
    what: &'static str,
    /// How much.
    #[schema(example = "12")]
    count: String,
}

impl From<Excluded> for ExcludedView {
    fn from(excluded: Excluded) -> Self {
        Self { what: excluded.what, count: excluded.count.to_string() }
    }
}

/// Cells by the names of their columns.
#[derive(Debug)]
pub(crate) struct CellsView<'a> {
    pub(crate) columns: &'a [&'static str],
    pub(crate) cells: &'a [Cell],
    /// Whether to leave out those without a value.
    pub(crate) only_known: bool,
}

impl Serialize for CellsView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, cell) in self.columns.iter().zip(self.cells) {
            match cell {
                Cell::Nothing if self.only_known => {}
                Cell::Nothing => map.serialize_entry(name, &())?,
                cell => map.serialize_entry(name, &format_args!("{cell}"))?,
            }
        }
        map.end()
    }
}

/// Returns rows as CSV (RFC 4180), with a line of headings.
pub(crate) fn csv(columns: &[&'static str], rows: &[Vec<Cell>]) -> String {
    let mut text = columns.join(",");
    text.push_str("\r\n");
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            field(&mut text, &cell.to_string(), matches!(cell, Cell::Text(_)));
        }
        text.push_str("\r\n");
    }
    text
}

/// Adds a field. A spreadsheet would take a text that begins like a formula for one, so a space stands before it.
fn field(out: &mut String, value: &str, is_text: bool) {
    let is_formula = is_text && value.starts_with(['=', '+', '-', '@', '\t']);
    let lead = if is_formula { " " } else { "" };
    if is_formula || value.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(lead);
        out.push_str(&value.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_where_it_must_be_and_is_never_a_formula() {
        let text = |text: &str| Cell::Text(text.into());
        let rows = [vec![text("a,\"b\"\n"), Cell::Nothing], vec![text("=1+1"), Cell::Whole(-2)]];
        assert_eq!(csv(&["name", "n"], &rows), "name,n\r\n\"a,\"\"b\"\"\n\",\r\n\" =1+1\",-2\r\n");
    }
}
