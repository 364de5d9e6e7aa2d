//! `stock`, `status`, `history` and `alerts`: tables for people, `--json` for programs.

use serde_json::Value;

use crate::args::{AlertsArgs, HistoryArgs, StateFilter, StatusArgs, StockArgs};
use crate::client::lists::{self, text};
use crate::client::{Client, Request, outcome};
use crate::table::{Align, Table, Tone};

/// Runs `stockline stock`.
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
                .query("state", (!args.states.is_empty()).then(|| states(&args.states)));
            Value::Array(lists::read(&client, request, "levels", limit).await?)
        }
    };
    let mut levels = if let Value::Array(levels) = levels { levels } else { Vec::new() };
    if let Some(location_id) = &args.location_id {
        levels.retain(|level| level["location_id"] == location_id.as_str());
    }
    lists::print(&levels, &args.list, |levels| {
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

/// Returns the value of the API's parameter.
fn states(states: &[StateFilter]) -> String {
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",")
}

/// Runs `stockline status`.
pub(crate) async fn status(args: &StatusArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let path = format!("/v1/items/{}/commands/{}", args.item_id, args.command_id);
    let outcome = client.send(&Request::get(path).query("receipt", args.receipt.as_ref())).await?.body;
    outcome::print(&outcome, args.json)
}

/// Runs `stockline history`.
pub(crate) async fn history(args: &HistoryArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let request = Request::get(format!("/v1/items/{}/movements", args.item_id))
        .query("location_id", args.location_id.as_ref())
        .query("from", args.from)
        .query("to", args.to)
        .query("type", args.kind.map(|kind| kind.0.as_str()));
    let movements = lists::read(&client, request, "movements", args.list.limit as usize).await?;
    lists::print(&movements, &args.list, |movements| {
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

/// Runs `stockline alerts`.
pub(crate) async fn alerts(args: &AlertsArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let request = Request::get("/v1/alerts").query("location_id", args.location_id.as_ref());
    let alerts = lists::read(&client, request, "alerts", args.list.limit as usize).await?;
    lists::print(&alerts, &args.list, |alerts| {
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
