//! Lists of the API: reads them page by page and prints them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use stockline_core::domain::path_segment;
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

/// The most items whose names are looked up for a list of commands, and how many at once.
const NAMES_MAX: usize = 200;
const NAMES_AT_ONCE: usize = 8;

/// Returns the names of the items that commands are about, as far as they are registered and can be read.
pub(crate) async fn names(client: &Client, commands: &[Value]) -> BTreeMap<String, String> {
    let items: BTreeSet<String> = commands.iter().map(|command| text(command, "item_id")).take(NAMES_MAX).collect();
    let name = async |item: String| {
        let found = client.send(&Request::get(format!("/v1/items/{}", path_segment(&item)))).await.ok()?;
        Some((item, text(&found.body, "name")))
    };
    stream::iter(items.into_iter().map(name)).buffered(NAMES_AT_ONCE).filter_map(async |found| found).collect().await
}

/// Prints entries as JSON or as a table, and notes when there may be more. Where there are none, it says so with `none`.
pub(crate) fn print(
    entries: &[Value],
    args: &ListArgs,
    none: &str,
    table: impl FnOnce(&[Value]) -> Table,
) -> anyhow::Result<u8> {
    if args.json {
        output::json(entries)?;
        return Ok(exit::OK);
    }
    if entries.is_empty() {
        output::line(none)?;
        return Ok(exit::OK);
    }
    let table = table(entries);
    table.print()?;
    if table.len() >= args.limit as usize {
        output::note(format_args!("only the first {}; --limit shows more", table.len()));
    }
    Ok(exit::OK)
}
