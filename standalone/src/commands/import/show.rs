//! Shows people what a file would do, and what became of it.

use serde_json::Value;
use stockline_service::output;

use crate::client::lists::text;

/// The most faults and lines that are shown; the result file has all faults.
const SHOWN: usize = 20;

fn entries<'a>(body: &'a Value, name: &str) -> &'a [Value] {
    body[name].as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Shows what was found in the file, its faults, and what it would change.
pub(super) fn plan(body: &Value, applies: bool) -> anyhow::Result<()> {
    output::line(about_file(body))?;
    let columns = entries(body, "columns").iter();
    let columns: Vec<String> = columns.map(|column| named(&text(column, "column"), &text(column, "field"))).collect();
    output::line(format_args!("columns: {}", columns.join(", ")))?;
    let left_out: Vec<&str> = entries(body, "left_out").iter().filter_map(Value::as_str).collect();
    if !left_out.is_empty() {
        output::line(format_args!("left out: {}", left_out.join(", ")))?;
    }
    for remark in entries(&body["file"], "remarks").iter().filter_map(Value::as_str) {
        output::line(format_args!("note: {remark}"))?;
    }
    output::line(totals(&body["totals"]))?;
    faults(body)?;
    if !applies {
        lines(body)?;
    }
    Ok(())
}

fn about_file(body: &Value) -> String {
    let file = &body["file"];
    let mut about = format!("{}: {}", text(file, "name"), text(file, "format").to_uppercase());
    let mut add = |words: String| {
        if !words.is_empty() {
            about.push_str(", ");
            about.push_str(&words);
        }
    };
    add(text(file, "encoding"));
    let delimiter = text(file, "delimiter");
    add(if delimiter.is_empty() { delimiter } else { format!("{delimiter} between columns") });
    let sheet = text(file, "sheet");
    add(if sheet.is_empty() { sheet } else { format!("sheet {sheet}") });
    let system = text(file, "system");
    add(if system.is_empty() { system } else { format!("an export of {system}") });
    about
}

fn named(column: &str, field: &str) -> String {
    if column == field { column.to_owned() } else { format!("{column} → {field}") }
}

fn totals(totals: &Value) -> String {
    let parts: Vec<String> = [
        ("create", "new"),
        ("change", "to change"),
        ("leave", "left as they are"),
        ("skip", "left out"),
        ("faulty", "with faults"),
    ]
    .into_iter()
    .filter(|(name, _)| number(&totals[*name]) > 0)
    .map(|(name, word)| format!("{} {word}", totals[name]))
    .collect();
    format!("{} lines: {}", totals["lines"], if parts.is_empty() { "nothing to do".into() } else { parts.join(", ") })
}

fn faults(body: &Value) -> anyhow::Result<()> {
    for fault in entries(body, "faults").iter().take(SHOWN) {
        let (column, value) = (text(fault, "column"), text(fault, "value"));
        let column = if column.is_empty() { column } else { format!(", column {column}") };
        let value = if value.is_empty() { value } else { format!("{value:?} ") };
        output::line(format_args!(
            "line {}{column}: {value}{} [{}]",
            fault["line"],
            text(fault, "detail"),
            text(fault, "code")
        ))?;
        output::line(format_args!("    → {}", text(fault, "remedy")))?;
    }
    more(number(&body["faults_total"]), "faults")
}

fn lines(body: &Value) -> anyhow::Result<()> {
    let lines = entries(body, "lines");
    for line in lines.iter().take(SHOWN) {
        let changes: Vec<String> = entries(line, "changes").iter().map(change).collect();
        let note = text(line, "note");
        let what = if changes.is_empty() { note } else { changes.join("; ") };
        let effect = text(line, "effect");
        let word = match effect.as_str() {
            "create" => "new",
            "skip" => "left out",
            other => other,
        };
        output::line(format_args!("line {}: {word} {} {what}", line["line"], text(line, "subject")))?;
    }
    let all = ["create", "change", "skip"].iter().map(|name| number(&body["totals"][*name])).sum();
    more(all, "lines")
}

fn change(change: &Value) -> String {
    let place = text(change, "location_id");
    let place = if place.is_empty() { place } else { format!(" at {place}") };
    let value = |name: &str| match &change[name] {
        Value::Null => "nothing".to_owned(),
        value => value.as_str().unwrap_or_default().to_owned(),
    };
    format!("{}{place} {} → {}", text(change, "field"), value("from"), value("to"))
}

fn more(all: u64, what: &str) -> anyhow::Result<()> {
    if all > SHOWN as u64 {
        output::line(format_args!("… and {} more {what}", all - SHOWN as u64))?;
    }
    Ok(())
}

/// Shows what became of the import.
pub(super) fn result(body: &Value) -> anyhow::Result<()> {
    let progress = &body["progress"];
    let mut parts = vec![format!("{} applied", progress["applied"])];
    for (name, word) in [("already_applied", "applied before"), ("refused", "refused")] {
        if number(&progress[name]) > 0 {
            parts.push(format!("{} {word}", progress[name]));
        }
    }
    output::line(format_args!("{} of {} steps: {}", progress["done"], progress["steps"], parts.join(", ")))?;
    let refused = entries(body, "refused");
    for step in refused.iter().take(SHOWN) {
        output::line(format_args!("line {}: {} [{}]", step["line"], text(step, "detail"), text(step, "code")))?;
    }
    more(number(&progress["refused"]), "refused steps")
}
