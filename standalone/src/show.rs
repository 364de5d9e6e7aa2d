//! What is in stock, what became of commands: tables for people, `--json` for programs.

use clap::{Args, ValueEnum};
use serde_json::Value;
use stockline_core::domain::{CommandId, ItemId, LocationId, Timestamp};

use crate::cli::{ClientArgs, time};
use crate::client::{Client, Request};
use crate::exit;
use crate::submit::{self, Kind};
use crate::table::{Align, Table, Tone};

/// Entries of one page (the API's limit).
const PAGE: usize = 1_000;

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
    pub(crate) limit: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
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
pub(crate) struct AlertsArgs {
    /// Only there
    #[arg(long = "location", value_name = "LOCATION")]
    location_id: Option<LocationId>,
    #[command(flatten)]
    list: ListArgs,
}

/// A field as text; empty where it is absent.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reads a list page by page, up to `limit` entries.
pub(crate) async fn list(client: &Client, request: Request, key: &str, limit: usize) -> anyhow::Result<Vec<Value>> {
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
pub(crate) fn print(entries: &[Value], args: &ListArgs, table: impl FnOnce(&[Value]) -> Table) -> anyhow::Result<u8> {
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
