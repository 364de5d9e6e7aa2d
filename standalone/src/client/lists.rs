//! Lists of the API: reads them page by page and prints them.

use serde_json::Value;
use stockline_service::output;

use super::{Client, Request};
use crate::args::ListArgs;
use crate::exit;
use crate::table::Table;

/// The most entries of one page (the API's limit).
const PAGE: usize = 1_000;

/// Returns a field as text, or an empty text if it is absent.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reads a list page by page, up to `limit` entries.
pub(crate) async fn read(client: &Client, request: Request, key: &str, limit: usize) -> anyhow::Result<Vec<Value>> {
    let mut entries: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let left = limit - entries.len();
        let page = request.clone().query("limit", Some(left.min(PAGE))).query("cursor", cursor.take());
        let mut body = client.send(&page).await?.body;
        if let Value::Array(page) = body[key].take() {
            entries.extend(page);
        }
        cursor = body["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || entries.len() >= limit {
            entries.truncate(limit);
            return Ok(entries);
        }
    }
}

/// Prints entries as JSON or as a table, and notes when there may be more.
pub(crate) fn print(entries: &[Value], args: &ListArgs, table: impl FnOnce(&[Value]) -> Table) -> anyhow::Result<u8> {
    if args.json {
        output::line(serde_json::to_string_pretty(entries)?)?;
        return Ok(exit::OK);
    }
    let table = table(entries);
    table.print()?;
    if table.len() >= args.limit as usize {
        output::note(format_args!("only the first {}; --limit shows more", table.len()));
    }
    Ok(exit::OK)
}
