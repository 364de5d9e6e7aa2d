//! `stock`, `status`, `history` and `alerts`: tables for people, `--json` for programs.

use serde_json::Value;
use stockline_core::domain::{ItemId, LocationId};
use stockline_service::output;

use crate::args::{AlertsArgs, HistoryArgs, StateFilter, StatusArgs, StockArgs};
use crate::client::lists::{self, text};
use crate::client::{Client, Request, outcome};
use crate::table::{Align, Table, Tone};
use crate::when::Times;

/// Runs `stockline stock`.
pub(crate) async fn stock(args: &StockArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let times = Times::of(args.list.utc);
    let limit = args.list.limit as usize;
    let mut levels = match &args.item_id {
        Some(item_id) => levels_of(&client, args, item_id, &times).await?,
        None => {
            let request = Request::get("/v1/stock")
                .query("location_id", args.location_id.as_ref())
                .query("state", (!args.states.is_empty()).then(|| states(&args.states)));
            lists::read(&client, request, "levels", limit).await?
        }
    };
    if let (Some(location_id), Some(_)) = (&args.location_id, &args.item_id) {
        levels.retain(|level| level["location_id"] == location_id.as_str());
        if levels.is_empty() {
            check_location(&client, location_id).await?;
        }
    }
    let nothing = if args.states.is_empty() { "no stock to show" } else { "no stock in these states" };
    lists::print(&levels, &args.list, nothing, |levels| {
        let columns = [
            ("ITEM", Align::Id),
            ("NAME", Align::Flexible(8)),
            ("LOCATION", Align::Flexible(8)),
            ("ON HAND", Align::Right),
            ("THRESHOLD", Align::Right),
            ("STATE", Align::Left),
            ("COUNTED", Align::Left),
        ];
        let mut table = Table::new(&columns).sparse(&["THRESHOLD", "STATE", "COUNTED"]);
        for level in levels {
            let own = ["item_id", "item_name", "location_id", "on_hand", "low_stock_threshold", "state"];
            table.row(own.map(|name| text(level, name)).into_iter().chain([times.day_of(&text(level, "counted_at"))]));
            table.toned("STATE", Tone::of_word(&text(level, "state")));
        }
        table
    })
}

/// Reads the levels of one item, with its id and name in each, as they are or as they were at a time.
async fn levels_of(client: &Client, args: &StockArgs, item_id: &ItemId, times: &Times) -> anyhow::Result<Vec<Value>> {
    let item = Request::get(format!("/v1/items/{}", item_id.in_path()));
    let mut item = client.send(&item).await?.body;
    let mut levels = item["levels"].take();
    if let Some(when) = args.as_of {
        // The end of a day is the begin of the next one, whose movements do not belong to it.
        let (begin, end) = (times.begin(when), times.end(when));
        let at = if begin == end { end } else { end.plus_millis(-1) };
        let request = Request::get(format!("/v1/items/{}/stock", item_id.in_path())).query("as_of", Some(at));
        levels = client.send(&request).await?.body["levels"].take();
    }
    let mut levels = if let Value::Array(levels) = levels { levels } else { Vec::new() };
    for level in &mut levels {
        level["item_id"] = item_id.as_str().into();
        level["item_name"] = item["name"].clone();
    }
    Ok(levels)
}

/// Fails if the location is not registered: an empty table would hide a typing error.
async fn check_location(client: &Client, location_id: &LocationId) -> anyhow::Result<()> {
    client.send(&Request::get(format!("/v1/locations/{}", location_id.in_path()))).await.map(drop)
}

/// Returns the value of the API's parameter.
fn states(states: &[StateFilter]) -> String {
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",")
}

/// Runs `stockline status`.
pub(crate) async fn status(args: &StatusArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let path = format!("/v1/items/{}/commands/{}", args.item_id.in_path(), args.command_id);
    let outcome = client.send(&Request::get(path).query("receipt", args.receipt.as_ref())).await?.body;
    outcome::print(&outcome, args.json)
}

/// Runs `stockline history`.
pub(crate) async fn history(args: &HistoryArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let times = Times::of(args.list.utc);
    let request = Request::get(format!("/v1/items/{}/movements", args.item_id.in_path()))
        .query("location_id", args.location_id.as_ref())
        .query("from", args.from.map(|when| times.begin(when)))
        .query("to", args.to.map(|when| times.end(when)))
        .query("type", args.kind.map(|kind| kind.0.as_str()));
    let movements = lists::read(&client, request, "movements", args.list.limit as usize).await?;
    if !args.list.json {
        let item = client.send(&Request::get(format!("/v1/items/{}", args.item_id.in_path()))).await?.body;
        output::line(format_args!("{}  {}", args.item_id, text(&item, "name")))?;
    }
    lists::print(&movements, &args.list, "no such movements", |movements| movements_table(movements, &times, args.ids))
}

fn movements_table(movements: &[Value], times: &Times, ids: bool) -> Table {
    let mut table = Table::new(&[
        ("RECORDED", Align::Left),
        ("LOCATION", Align::Flexible(8)),
        ("SEQ", Align::Right),
        ("TYPE", Align::Left),
        ("DELTA", Align::Right),
        ("AFTER", Align::Right),
        ("BY", Align::Flexible(6)),
    ]);
    for movement in movements {
        let names = ["location_id", "seq", "type", "delta", "after", "submitted_by"];
        let recorded = times.second(&text(movement, "recorded_at"));
        table.row([recorded].into_iter().chain(names.map(|name| text(movement, name))));
        let id = ids.then(|| format!("id {}", text(movement, "command_id")));
        table.remark(&id.into_iter().chain(remarks(movement, times)).collect::<Vec<_>>().join("; "));
    }
    table
}

/// Returns what else there is to say about a movement: who and where, when it occurred if that was earlier, and why.
fn remarks(movement: &Value, times: &Times) -> Vec<String> {
    let named = |label: &str, name: &str| {
        let value = text(movement, name);
        (!value.is_empty()).then(|| format!("{label}{value}"))
    };
    let flag = |name: &str, words: &str| (movement[name] == true).then(|| words.to_owned());
    let [quantity, delta, kind] = ["quantity", "delta", "type"].map(|name| text(movement, name));
    let verb = if kind == "count" { "counted" } else { "submitted" };
    let [occurred, recorded] = ["occurred_at", "recorded_at"].map(|name| times.minute(&text(movement, name)));
    [
        named("takes back ", "reverses"),
        named("taken back by ", "reversed_by"),
        (quantity != delta.trim_start_matches('-')).then(|| format!("{verb} {quantity}")),
        named("amount ", "amount"),
        named("cost ", "cost"),
        named("revalued by ", "revaluation"),
        named("operator ", "operator"),
        named("device ", "device_id"),
        (occurred != recorded).then(|| format!("occurred {occurred}")),
        flag("late", "late: a later count had included it, the stock did not change"),
        flag("clock_ahead", "its time was in the future: the time of its acceptance was taken"),
        named("with ", "counterpart_location_id"),
        named("", "reason"),
        named("", "reference"),
        named("", "note"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Runs `stockline alerts`.
pub(crate) async fn alerts(args: &AlertsArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.list.client)?;
    let times = Times::of(args.list.utc);
    let request = Request::get("/v1/alerts").query("location_id", args.location_id.as_ref());
    let alerts = lists::read(&client, request, "alerts", args.list.limit as usize).await?;
    lists::print(&alerts, &args.list, "no alerts", |alerts| {
        let columns = [
            ("RAISED", Align::Left),
            ("KIND", Align::Left),
            ("ITEM", Align::Id),
            ("NAME", Align::Flexible(8)),
            ("LOCATION", Align::Flexible(8)),
            ("ON HAND", Align::Right),
            ("MAILED", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for alert in alerts {
            let names = ["kind", "item_id", "item_name", "location_id", "on_hand"];
            let raised = times.minute(&text(alert, "raised_at"));
            let mailed = mailed(&alert["mail"]);
            table.row([raised].into_iter().chain(names.map(|name| text(alert, name))).chain([mailed]));
            table.toned("KIND", Tone::of_word(&text(alert, "kind")));
        }
        table
    })
}

/// Says whom an alert's mail has reached.
fn mailed(mail: &Value) -> String {
    let count = |name: &str| mail[name].as_u64();
    let of_all = || {
        let [delivered, waiting, refused] = ["delivered", "waiting", "refused"].map(&count);
        let all = delivered? + waiting.unwrap_or(0) + refused.unwrap_or(0);
        Some(format!("{} of {all}", delivered?))
    };
    match mail["status"].as_str() {
        Some("sent") => "yes".to_owned(),
        Some("partly_sent") => of_all().unwrap_or_else(|| "to some".to_owned()),
        Some("partly_refused") => format!("{}: refused", of_all().unwrap_or_else(|| "to some".to_owned())),
        Some("no_recipient") => "to nobody".to_owned(),
        _ => "not yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::when::UtcArg;

    #[test]
    fn a_movement_names_operator_and_device_and_fits_its_line() {
        let movement = json!({"location_id": "store-12", "seq": 1_234, "type": "transfer", "quantity": "1234.5", "delta": "-1234.5",
            "after": "-99999.5", "submitted_by": "till-3-of-the-corner", "operator": "7", "device_id": "till-3",
            "recorded_at": "2026-01-31T08:15:00.000Z", "occurred_at": "2026-01-30T08:15:00.000Z", "late": true,
            "note": "a\u{1b}[2Jb", "reference": "receipt-4711", "amount": "3.98", "cost": "-0.82",
            "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b",
            "reversed_by": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6c"});
        let text = movements_table(&[movement], &Times::of(UtcArg { utc: true }), true).render(false);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for part in [
            "2026-01-31T08:15:00Z",
            "operator 7",
            "device till-3",
            "occurred 2026-01-30T08:15Z",
            "late",
            "receipt-4711",
            "amount 3.98; cost -0.82",
            "id 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b",
            "taken back by 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6c",
        ] {
            assert!(text.replace("\n    ", " ").contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
