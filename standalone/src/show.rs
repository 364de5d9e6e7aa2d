//! What is in stock, what became of commands: tables for people, `--json` for programs.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use stockline_common::domain::{CommandId, ItemId, LocationId, Timestamp};
use tokio::time::Instant;

use crate::cli::{ClientArgs, LocationsCommand, time};
use crate::client::{Client, Request};
use crate::exit::{self, Usage};
use crate::submit::{self, Kind};
use crate::table::{Align, Table, Tone};

/// Entries of one page (the API's limit).
const PAGE: usize = 1_000;
/// How long a resubmission's outcome is waited for.
const RESUBMIT_PATIENCE: Duration = Duration::from_secs(30);

/// A level's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Below its threshold
    Low,
    /// Nothing there
    Out,
    /// Below zero
    Oversold,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Out => "out",
            Self::Oversold => "oversold",
        }
    }
}

/// How lists are shown.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline stock
  stockline stock cola
  stockline stock --location store-12 --state low
  stockline stock cola --as-of 2026-01-31T00:00:00Z")]
pub(crate) struct StockArgs {
    /// Only this item
    #[arg(value_name = "ITEM")]
    item_id: Option<ItemId>,
    /// Only there
    #[arg(long = "location", value_name = "LOCATION")]
    location_id: Option<LocationId>,
    /// Only levels in this state
    #[arg(long, value_enum, conflicts_with = "item_id")]
    state: Option<State>,
    /// As it was then
    #[arg(long, value_name = "TIME", value_parser = time, requires = "item_id")]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The command's item
    item_id: ItemId,
    /// The command's id
    command_id: CommandId,
    /// The receipt from its status_url: tells a queued command from an unknown one
    #[arg(long)]
    receipt: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The item
    item_id: ItemId,
    /// Only there
    #[arg(long = "location", value_name = "LOCATION")]
    location_id: Option<LocationId>,
    /// Recorded at or after
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Recorded before
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Only of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<Kind>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline refused
  stockline refused --code insufficient_stock --since 2026-01-31T00:00:00Z
  stockline refused --code insufficient_stock --resubmit --on-shortage allow
  stockline refused --id 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b --resubmit --to-item cola-0.5")]
pub(crate) struct RefusedArgs {
    /// Those that were set aside (dead_lettered) instead of those that were rejected
    #[arg(long)]
    dead_lettered: bool,
    /// Only with this code
    #[arg(long)]
    code: Option<String>,
    /// Only there
    #[arg(long = "location", value_name = "LOCATION")]
    location_id: Option<LocationId>,
    /// Settled at or after
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only these commands; may be given several times
    #[arg(long = "id", value_name = "UUID")]
    ids: Vec<CommandId>,
    /// Send all that are listed again, under new ids that name the old ones
    #[arg(long)]
    resubmit: bool,
    /// Resubmit for this item
    #[arg(long, value_name = "ITEM", requires = "resubmit")]
    to_item: Option<ItemId>,
    /// Resubmit for this location
    #[arg(long, value_name = "LOCATION", requires = "resubmit")]
    to_location: Option<LocationId>,
    /// Resubmit with this: allow or reject
    #[arg(long, value_name = "POLICY", requires = "resubmit")]
    on_shortage: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AlertsArgs {
    /// Only there
    #[arg(long = "location", value_name = "LOCATION")]
    location_id: Option<LocationId>,
    #[command(flatten)]
    list: ListArgs,
}

/// A field as text; empty where it is absent.
fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reads a list page by page, up to `limit` entries.
async fn list(client: &Client, request: Request, key: &str, limit: usize) -> anyhow::Result<Vec<Value>> {
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

/// Prints entries as JSON or as a table; says so where there may be more.
fn print(entries: &[Value], args: &ListArgs, table: impl FnOnce(&[Value]) -> Table) -> anyhow::Result<u8> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(entries)?);
        return Ok(exit::OK);
    }
    let table = table(entries);
    table.print();
    if table.len() >= args.limit as usize {
        eprintln!("the first {}; more with --limit", table.len());
    }
    Ok(exit::OK)
}

/// `stockline stock`
pub(crate) async fn stock(args: &StockArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let limit = args.list.limit as usize;
    let levels = match (&args.item_id, args.as_of) {
        (Some(item_id), Some(at)) => {
            let request = Request::get(format!("/v1/items/{item_id}/stock")).query("as_of", Some(at));
            client.send(&request).await?.body["levels"].take()
        }
        (Some(item_id), None) => {
            let mut item = client.send(&Request::get(format!("/v1/items/{item_id}"))).await?.body;
            item["levels"].take()
        }
        (None, _) => {
            let request = Request::get("/v1/stock")
                .query("location_id", args.location_id.as_ref())
                .query("state", args.state.map(State::as_str));
            Value::Array(list(&client, request, "levels", limit).await?)
        }
    };
    let mut levels = if let Value::Array(levels) = levels { levels } else { Vec::new() };
    if let Some(location_id) = &args.location_id {
        levels.retain(|level| level["location_id"] == location_id.as_str());
    }
    print(&levels, &args.list, |levels| {
        let mut table = Table::new(&[
            ("ITEM", Align::Left),
            ("LOCATION", Align::Left),
            ("ON HAND", Align::Right),
            ("THRESHOLD", Align::Right),
            ("STATE", Align::Left),
            ("SEQ", Align::Right),
            ("COUNTED", Align::Left),
        ]);
        for level in levels {
            let item = args.item_id.as_ref().map_or_else(|| text(level, "item_id"), ToString::to_string);
            let own = ["location_id", "on_hand", "low_stock_threshold", "state", "seq", "counted_at"];
            table.row(std::iter::once(item).chain(own.map(|name| text(level, name))));
            table.toned(4, Tone::of_word(&text(level, "state")));
        }
        table
    })
}

/// `stockline status`
pub(crate) async fn status(args: &StatusArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let path = format!("/v1/items/{}/commands/{}", args.item_id, args.command_id);
    let outcome = client.send(&Request::get(path).query("receipt", args.receipt.as_ref())).await?.body;
    submit::tell(&outcome, args.json)
}

/// `stockline history`
pub(crate) async fn history(args: &HistoryArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let request = Request::get(format!("/v1/items/{}/movements", args.item_id))
        .query("location_id", args.location_id.as_ref())
        .query("from", args.from)
        .query("to", args.to)
        .query("type", args.kind.map(|kind| kind.0.as_str()));
    let movements = list(&client, request, "movements", args.list.limit as usize).await?;
    print(&movements, &args.list, |movements| {
        let mut table = Table::new(&[
            ("RECORDED", Align::Left),
            ("LOCATION", Align::Left),
            ("SEQ", Align::Right),
            ("TYPE", Align::Left),
            ("QUANTITY", Align::Right),
            ("DELTA", Align::Right),
            ("AFTER", Align::Right),
            ("BY", Align::Left),
            ("OCCURRED", Align::Left),
            ("REMARKS", Align::Left),
        ]);
        for movement in movements {
            let names = [
                "recorded_at",
                "location_id",
                "seq",
                "type",
                "quantity",
                "delta",
                "after",
                "submitted_by",
                "occurred_at",
            ];
            let remarks: Vec<String> = ["late", "clock_ahead"]
                .into_iter()
                .filter(|flag| movement[*flag] == true)
                .map(|flag| flag.replace('_', " "))
                .chain(["reason", "reference", "note"].map(|name| text(movement, name)))
                .filter(|remark| !remark.is_empty())
                .collect();
            table.row(names.map(|name| text(movement, name)).into_iter().chain([remarks.join("; ")]));
        }
        table
    })
}

/// `stockline refused`
pub(crate) async fn refused(args: &RefusedArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let request = Request::get("/v1/commands")
        .query("status", Some(if args.dead_lettered { "dead_lettered" } else { "rejected" }))
        .query("code", args.code.as_ref())
        .query("location_id", args.location_id.as_ref())
        .query("since", args.since);
    let mut commands = list(&client, request, "commands", args.list.limit as usize).await?;
    if !args.ids.is_empty() {
        let ids: Vec<String> = args.ids.iter().map(ToString::to_string).collect();
        commands.retain(|command| ids.contains(&text(command, "command_id")));
    }
    if args.resubmit {
        return resubmit(&client, args, &commands).await;
    }
    print(&commands, &args.list, refused_table)
}

/// Refused commands as a table.
pub(crate) fn refused_table(commands: &[Value]) -> Table {
    let names = ["SETTLED", "ITEM", "LOCATION", "TYPE", "QUANTITY", "CODE", "DETAIL", "BY", "ID"];
    let mut table = Table::new(&names.map(|name| (name, if name == "QUANTITY" { Align::Right } else { Align::Left })));
    for outcome in commands {
        let command = &outcome["command"];
        let first = |names: [&str; 2]| {
            let value = text(command, names[0]);
            if value.is_empty() { text(command, names[1]) } else { value }
        };
        let kind = if outcome["type"].is_string() { text(outcome, "type") } else { text(command, "type") };
        let (code, detail) = match outcome["rejection"]["code"].as_str() {
            Some(code) => (code.to_owned(), text(&outcome["rejection"], "detail")),
            None => ("dead_lettered".to_owned(), text(&outcome["dead_letter"], "reason")),
        };
        table.row([
            text(outcome, "settled_at"),
            text(outcome, "item_id"),
            first(["location_id", "from_location_id"]),
            kind,
            first(["quantity", "counted"]),
            code,
            detail,
            text(outcome, "submitted_by"),
            text(outcome, "command_id"),
        ]);
    }
    table
}

/// Sends refused commands again, one after the other, and tells what became of each.
async fn resubmit(client: &Client, args: &RefusedArgs, commands: &[Value]) -> anyhow::Result<u8> {
    if commands.is_empty() {
        return Err(Usage("nothing is listed that could be resubmitted".into()).into());
    }
    let mut corrections = json!({});
    for (name, value) in [
        ("item_id", args.to_item.as_ref().map(ToString::to_string)),
        ("location_id", args.to_location.as_ref().map(ToString::to_string)),
        ("on_shortage", args.on_shortage.clone()),
    ] {
        if let Some(value) = value {
            corrections[name] = value.into();
        }
    }
    let body = serde_json::to_vec(&corrections)?;
    let mut code = exit::OK;
    let mut outcomes = Vec::new();
    for command in commands {
        let path = format!("/v1/items/{}/commands/{}/resubmit", text(command, "item_id"), text(command, "command_id"));
        let accepted = client.send_until(&Request::post(path, body.clone()), RESUBMIT_PATIENCE).await?;
        let outcome = submit::settled(client, accepted, Instant::now() + RESUBMIT_PATIENCE).await?;
        if outcome["status"] != "applied" {
            code = exit::FOUND;
        }
        if args.list.json {
            outcomes.push(outcome);
        } else {
            print!("{}", submit::readable(&outcome));
        }
    }
    if args.list.json {
        println!("{}", serde_json::to_string_pretty(&outcomes)?);
    }
    Ok(code)
}

/// `stockline alerts`
pub(crate) async fn alerts(args: &AlertsArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let request = Request::get("/v1/alerts").query("location_id", args.location_id.as_ref());
    let alerts = list(&client, request, "alerts", args.list.limit as usize).await?;
    print(&alerts, &args.list, |alerts| {
        let columns = ["RAISED", "KIND", "ITEM", "LOCATION", "ON HAND", "THRESHOLD", "MAILED", "ID"];
        let right = ["ON HAND", "THRESHOLD"];
        let mut table =
            Table::new(&columns.map(|name| (name, if right.contains(&name) { Align::Right } else { Align::Left })));
        for alert in alerts {
            let names = [
                "raised_at",
                "kind",
                "item_id",
                "location_id",
                "on_hand",
                "low_stock_threshold",
                "sent_at",
                "alert_id",
            ];
            table.row(names.map(|name| text(alert, name))).toned(1, Tone::of_word(&text(alert, "kind")));
        }
        table
    })
}

/// `stockline locations`
pub(crate) async fn locations(command: &LocationsCommand) -> anyhow::Result<u8> {
    match command {
        LocationsCommand::List { json, client } => {
            let client = Client::new(client)?;
            let locations = list(&client, Request::get("/v1/locations"), "locations", usize::MAX).await?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&locations)?);
                return Ok(exit::OK);
            }
            let columns = ["LOCATION", "NAME", "TIME ZONE", "ALERTS TO", "CLOSED"].map(|name| (name, Align::Left));
            let mut table = Table::new(&columns);
            for location in &locations {
                let emails: Vec<_> =
                    location["alert_emails"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let [id, name, zone] = ["location_id", "name", "time_zone"].map(|name| text(location, name));
                let closed = if location["closed"] == true { "closed" } else { "" };
                table.row([id, name, zone, emails.join(","), closed.to_owned()]);
            }
            table.print();
        }
        LocationsCommand::Put { location_ids, name, time_zone, alert_emails, closed, client } => {
            let client = Client::new(client)?;
            for location_id in location_ids {
                let settings = json!({
                    "name": name.as_deref().unwrap_or(location_id.as_str()),
                    "time_zone": time_zone,
                    "alert_emails": alert_emails,
                    "closed": closed,
                });
                let request = Request::put(format!("/v1/locations/{location_id}"), serde_json::to_vec(&settings)?);
                client.send_until(&request, RESUBMIT_PATIENCE).await?;
            }
            println!("{} location(s) put", location_ids.len());
        }
    }
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_sale_shows_what_a_person_needs() {
        let outcome = json!({"command_id": "c-1", "item_id": "cola", "status": "rejected", "submitted_by": "till-3",
            "settled_at": "2026-01-31T08:15:00.000Z", "type": "sell",
            "command": {"type": "sell", "location_id": "main", "quantity": "2"},
            "rejection": {"code": "insufficient_stock", "detail": "1 is available"}});
        let table = refused_table(&[outcome]).render(false);
        let row = table.lines().nth(1).unwrap();
        for part in ["cola", "main", "sell", "2", "insufficient_stock", "1 is available", "till-3", "c-1"] {
            assert!(row.contains(part), "{part}: {row}");
        }
    }
}
