//! `report`: a table for people with the definition of its figures, `--json` for programs, `--csv` for spreadsheets.

use serde_json::Value;
use stockline_core::domain::analytics::LocalDay;
use stockline_service::output;

use crate::args::ReportArgs;
use crate::client::lists::text;
use crate::client::{Client, Request};
use crate::exit;
use crate::table::{Align, Table};

/// The most rows of one page (the API's limit), and of a table or JSON that names none.
const PAGE: usize = 1_000;
const USUAL_ROWS: usize = 100;
/// The longest bar, in columns.
const BAR_COLUMNS: usize = 16;
/// The eighths of a bar's last column.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Runs `stockline report`.
pub(crate) async fn report(args: &ReportArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let most = args.limit.map_or(if args.csv { usize::MAX } else { USUAL_ROWS }, |limit| limit as usize);
    let report = whole(&client, &request(args), most).await?;
    if args.json {
        output::json(&report)?;
    } else if args.csv {
        output::styled(&csv(&report)?)?;
    } else {
        print(args, &report)?;
    }
    Ok(exit::OK)
}

fn request(args: &ReportArgs) -> Request {
    let groups = (!args.groups.is_empty()).then(|| args.groups.join(","));
    // People name the last day, the API takes the one behind it.
    let to = args.to.map(|to| to.plus(1));
    Request::get(format!("/v1/analytics/{}", args.name))
        .query("location_id", args.location_id.as_ref())
        .query("category", args.category.as_ref())
        .query("supplier", args.supplier.as_ref())
        .query("item_id", args.item_id.as_ref())
        .query("item_prefix", args.item_prefix.as_ref())
        .query("from", args.from)
        .query("to", to)
        .query("last", args.last.as_ref())
        .query("week", args.week.as_ref())
        .query("month", args.month.as_ref())
        .query("group", groups)
        .query("sort", args.sort.as_ref())
        .query("days", args.days)
        .query("lead_time_days", args.lead_time_days)
        .query("review_days", args.review_days)
        .query("service_level", args.service_level.as_ref())
        .query("explain", args.explain.then_some(true))
}

/// Reads a report page by page, and returns it with the rows of all pages, at most so many.
async fn whole(client: &Client, request: &Request, most: usize) -> anyhow::Result<Value> {
    let mut report: Option<Value> = None;
    loop {
        let cursor = report.as_ref().and_then(|report| report["next_cursor"].as_str().map(str::to_owned));
        let have = report.as_ref().map_or(0, |report| rows(report).len());
        if report.is_some() && (cursor.is_none() || have >= most) {
            return Ok(report.unwrap_or_default());
        }
        let limit = most.saturating_sub(have).min(PAGE);
        let page = client.send(&request.clone().query("limit", Some(limit)).query("cursor", cursor)).await?.body;
        report = Some(match report {
            None => page,
            Some(mut report) => {
                if let Value::Array(all) = &mut report["rows"] {
                    all.extend(rows(&page).iter().cloned());
                }
                report["next_cursor"] = page["next_cursor"].clone();
                report
            }
        });
    }
}

fn rows(report: &Value) -> &[Value] {
    report["rows"].as_array().map_or(&[], Vec::as_slice)
}

fn columns(report: &Value) -> Vec<&str> {
    report["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn csv(report: &Value) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let columns = columns(report);
    writer.write_record(&columns)?;
    for row in rows(report) {
        writer.write_record(columns.iter().map(|name| unlike_a_formula(name, text(row, name))))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// The columns that people have named: all others are numbers and days.
const NAMED: [&str; 6] = ["item_id", "name", "category", "location_id", "supplier", "unit"];

/// A spreadsheet would take a text that begins like a formula for one, so a space stands before it.
fn unlike_a_formula(column: &str, text: String) -> String {
    let is_formula = NAMED.contains(&column) && text.starts_with(['=', '+', '-', '@', '\t']);
    if is_formula { format!(" {text}") } else { text }
}

fn print(args: &ReportArgs, report: &Value) -> anyhow::Result<()> {
    let period = &report["period"];
    let to = text(period, "to");
    let last = to.parse::<LocalDay>().map_or(to, |to| to.plus(-1).to_string());
    let (from, zone) = (text(period, "from"), text(report, "time_zone"));
    output::line(format_args!("{}, {from} to {last} ({zone})", args.name))?;
    if rows(report).is_empty() {
        output::line("nothing to show")?;
    } else {
        table(report).print()?;
    }
    let (shown, all) = (rows(report).len() as u64, report["row_count"].as_u64().unwrap_or(0));
    if shown < all {
        output::note(format_args!("only the first {shown} of {all}; --limit shows more"));
    }
    for excluded in report["excluded"].as_array().into_iter().flatten() {
        output::note(format_args!("left out: {} {}", text(excluded, "count"), text(excluded, "what")));
    }
    output::note(text(report, "definition"));
    Ok(())
}

/// Makes the table, with the sums in its last line, and a bar beside the sales of each span of time.
fn table(report: &Value) -> Table {
    let columns = columns(report);
    let heading = |name: &str| name.replace('_', " ").to_uppercase();
    let align = |name: &&str| match *name {
        "item_id" => Align::Id,
        "name" | "category" | "location_id" | "supplier" => Align::Flexible(8),
        "unit" => Align::Flexible(6),
        "day" | "week" | "month" | "class" | "xyz" => Align::Left,
        _ => Align::Right,
    };
    let mut headings: Vec<(String, Align)> = columns.iter().map(|name| (heading(name), align(name))).collect();
    let bars = Bars::of(report, &columns);
    if bars.is_some() {
        headings.push((String::new(), Align::Left));
    }
    let may_be_empty = |name: &&&str| **name == "supplier" || !NAMED.contains(*name);
    let figures: Vec<String> = columns.iter().filter(may_be_empty).map(|name| heading(name)).collect();
    let mut table = Table::of(headings).sparse_columns(figures);
    for row in rows(report) {
        let bar = bars.as_ref().map(|bars| bars.bar(row));
        table.row(columns.iter().map(|name| text(row, name)).chain(bar));
    }
    let totals = &report["totals"];
    if rows(report).len() > 1 && totals.as_object().is_some_and(|totals| !totals.is_empty()) {
        let sum = |(at, name): (usize, &&str)| if at == 0 { "total".to_owned() } else { text(totals, name) };
        table.row(columns.iter().enumerate().map(sum));
    }
    table
}

/// Bars of a column, the greatest of which is the longest.
struct Bars {
    column: String,
    most: f64,
}

impl Bars {
    fn of(report: &Value, columns: &[&str]) -> Option<Self> {
        let by_time = columns.iter().any(|name| ["day", "week", "month"].contains(name));
        let column = columns.iter().find(|name| ["net", "total"].contains(*name)).filter(|_| by_time)?;
        let most = rows(report).iter().map(|row| number(row, column)).fold(0.0, f64::max);
        (most > 0.0).then(|| Self { column: (*column).to_owned(), most })
    }

    fn bar(&self, row: &Value) -> String {
        let eighths = (number(row, &self.column).max(0.0) / self.most * (BAR_COLUMNS * 8) as f64).round() as usize;
        let last = (eighths % 8).checked_sub(1).and_then(|eighth| EIGHTHS.get(eighth));
        "█".repeat(eighths / 8).chars().chain(last.copied()).collect()
    }
}

fn number(row: &Value, column: &str) -> f64 {
    text(row, column).parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sales() -> Value {
        json!({"columns": ["day", "net", "amount"], "totals": {"net": "6"}, "rows": [
            {"day": "2026-01-01", "net": "4", "amount": null}, {"day": "2026-01-02", "net": "2", "amount": null},
        ]})
    }

    #[test]
    fn a_table_has_bars_and_sums_and_no_column_without_a_value() {
        let text = table(&sales()).render(false);
        assert_eq!(
            text,
            "DAY         NET\n2026-01-01    4  ████████████████\n2026-01-02    2  ████████\ntotal         6\n"
        );
    }

    #[test]
    fn csv_has_a_line_of_headings_and_no_formula() {
        assert_eq!(csv(&sales()).unwrap(), "day,net,amount\r\n2026-01-01,4,\r\n2026-01-02,2,\r\n");
        let named = json!({"columns": ["name", "net"], "rows": [{"name": "=1+1", "net": "-2"}]});
        assert_eq!(csv(&named).unwrap(), "name,net\r\n =1+1,-2\r\n");
    }
}
