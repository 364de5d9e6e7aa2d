//! `submit`: sends one command, made from options, and shows its outcome.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use stockline_core::domain::{CommandId, LocationId};
use tokio::time::Instant;
use uuid::Uuid;

use crate::args::{OutcomeArgs, ReverseArgs, SubmitArgs};
use crate::client::{Client, Request, outcome};

/// How long to retry while the server is unreachable: a person waits.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// Runs `stockline submit`.
pub(crate) async fn submit(args: &SubmitArgs) -> anyhow::Result<u8> {
    send(&command(args), &args.wait).await
}

/// Runs `stockline reverse`.
pub(crate) async fn reverse(args: &ReverseArgs) -> anyhow::Result<u8> {
    send(&reversal(args), &args.wait).await
}

/// Sends a command and prints its outcome.
async fn send(command: &Value, wait: &OutcomeArgs) -> anyhow::Result<u8> {
    let client = Client::new(&wait.client)?;
    let body = serde_json::to_vec(command)?;
    let deadline = Instant::now() + wait.timeout.0;
    let wait_s = outcome::WAIT_S.min(wait.timeout.seconds());
    let request = Request::post("/v1/commands", body).wait(wait_s);
    let answer = client.send_until(&request, CONNECT_PATIENCE.min(wait.timeout.0)).await?;
    let outcome = outcome::settled(&client, answer, deadline).await.with_context(|| {
        let text = |name: &str| command[name].as_str().unwrap_or_default();
        format!("command {} of {} was accepted; its outcome is not known yet", text("command_id"), text("item_id"))
    })?;
    outcome::print(&outcome, wait.json)
}

/// Makes a command id. It begins with the time, so that the store's keys stay in order.
#[expect(clippy::disallowed_methods, reason = "the command line is the client that makes the id")]
pub(super) fn fresh_id() -> CommandId {
    CommandId(Uuid::now_v7())
}

/// Builds the command as JSON.
fn command(args: &SubmitArgs) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let id = |value: &Option<LocationId>| value.as_ref().map(|id| Value::from(id.as_str()));
    set("type", Some(args.kind.0.as_str().into()));
    set("command_id", Some(args.command_id.unwrap_or_else(fresh_id).to_string().into()));
    set("item_id", Some(args.item_id.as_str().into()));
    set("location_id", id(&args.location_id));
    set("from_location_id", id(&args.from_location_id));
    set("to_location_id", id(&args.to_location_id));
    set("occurred_at", args.occurred_at.map(|time| time.to_string().into()));
    set("reverses", args.reverses.map(|id| id.to_string().into()));
    set("decimals", args.decimals.map(Value::from));
    let packs = args.packs.chunks_exact(2).map(|pack| json!({"code": pack[0], "quantity": pack[1]}));
    let barcodes: Vec<Value> = args.barcodes.iter().map(|code| json!(code)).chain(packs).collect();
    set("barcodes", (!barcodes.is_empty()).then(|| json!(barcodes)));
    for (name, value) in [
        ("low_stock_threshold", &args.low_stock_threshold),
        ("supplier", &args.supplier),
        ("order_multiple", &args.order_multiple),
        ("order_minimum", &args.order_minimum),
        ("service_level", &args.service_level),
    ] {
        set(name, value.as_deref().map(|text| if text == "none" { Value::Null } else { text.into() }));
    }
    // The API refuses what is no number, and names it.
    let days = |text: &str| text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from);
    let lead_time = args.lead_time_days.as_deref();
    set("lead_time_days", lead_time.map(|text| if text == "none" { Value::Null } else { days(text) }));
    for (name, value) in [
        ("quantity", &args.quantity),
        ("counted", &args.counted),
        ("reason", &args.reason),
        ("on_shortage", &args.on_shortage),
        ("expected_on_hand", &args.expected_on_hand),
        ("note", &args.note),
        ("reference", &args.reference),
        ("device_id", &args.device_id),
        ("operator", &args.operator),
        ("name", &args.name),
        ("unit", &args.unit),
        ("category", &args.category),
        ("shortage_policy", &args.shortage_policy),
        ("unit_cost", &args.unit_cost),
        ("amount", &args.amount),
    ] {
        set(name, text(value));
    }
    Value::Object(fields)
}

/// Builds a reversal as JSON.
fn reversal(args: &ReverseArgs) -> Value {
    let mut command = json!({
        "type": "reverse",
        "command_id": args.command_id.unwrap_or_else(fresh_id).to_string(),
        "item_id": args.item_id.as_str(),
        "reverses": args.reverses.to_string(),
    });
    for (name, value) in [("note", &args.note), ("operator", &args.operator)] {
        if let Some(value) = value {
            command[name] = value.as_str().into();
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn parsed(words: &[&str]) -> Value {
        let words = ["stockline", "submit"].iter().chain(words);
        let Command::Submit(args) = Cli::try_parse_from(words).unwrap().command else { panic!("not submit") };
        command(&args)
    }

    #[test]
    fn flags_become_the_command_that_the_domain_reads() {
        use stockline_core::domain::{Json, ParseContext, parse_command};
        let cases: [&[&str]; 11] = [
            &[
                "register_item",
                "--item",
                "cola",
                "--name",
                "Cola",
                "--decimals",
                "0",
                "--barcode",
                "1",
                "--barcode",
                "2",
                "--pack",
                "3",
                "12",
            ],
            &["adjust", "--item", "cola", "--quantity=-1", "--reason", "damaged", "--note", "fell"],
            &["count", "--item", "cola", "--counted", "7", "--occurred-at", "2026-01-31T09:15:00+01:00"],
            &["transfer", "--item", "cola", "--quantity", "1", "--from", "main", "--to", "a"],
            &["set_threshold", "--item", "cola", "--threshold", "none"],
            &["sell", "--item", "cola", "--quantity", "0.5", "--on-shortage", "reject", "--expected-on-hand", "3"],
            &["sell", "--item", "cola", "--quantity", "2", "--amount", "3.98"],
            &["receive", "--item", "cola", "--quantity", "24", "--unit-cost", "0.41"],
            &["reverse", "--item", "cola", "--reverses", "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b"],
            &[
                "set_planning",
                "--item",
                "cola",
                "--location",
                "a",
                "--supplier",
                "Drinks Ltd",
                "--lead-time",
                "3",
                "--order-multiple",
                "12",
                "--order-minimum",
                "24",
                "--service-level",
                "97.5",
            ],
            &[
                "update_item",
                "--item",
                "cola",
                "--supplier",
                "none",
                "--lead-time",
                "none",
                "--order-multiple",
                "none",
                "--order-minimum",
                "none",
                "--service-level",
                "none",
            ],
        ];
        for words in cases {
            let text = parsed(words).to_string();
            let json: Json<'_> = serde_json::from_str(&text).unwrap();
            assert!(parse_command(&json, &ParseContext::stored()).is_ok(), "{text}");
        }
        let planned = json!({"supplier": "Drinks Ltd", "lead_time_days": 3, "order_multiple": "12", "order_minimum": "24",
            "service_level": "97.5"});
        for (name, value) in planned.as_object().unwrap() {
            assert_eq!((&parsed(cases[9])[name], &parsed(cases[10])[name]), (value, &Value::Null), "{name}");
            assert!(parsed(cases[10]).as_object().unwrap().contains_key(name), "null clears {name}");
        }
        let pack = json!({"code": "3", "quantity": "12"});
        assert_eq!(parsed(cases[0])["barcodes"], json!(["1", "2", pack]));
        assert_eq!((&parsed(cases[6])["amount"], &parsed(cases[7])["unit_cost"]), (&json!("3.98"), &json!("0.41")));
        let words = "stockline reverse cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b --note twice";
        let Command::Reverse(args) = Cli::try_parse_from(words.split(' ')).unwrap().command else {
            panic!("not reverse")
        };
        let text = reversal(&args).to_string();
        let command =
            parse_command(&serde_json::from_str::<Json<'_>>(&text).unwrap(), &ParseContext::stored()).unwrap();
        assert_eq!(command.action.reverses(), Some(args.reverses));
        assert_eq!(command.details.note.as_deref(), Some("twice"));
        assert_eq!(parsed(cases[4])["low_stock_threshold"], Value::Null);
        assert_eq!(parsed(cases[2])["occurred_at"], "2026-01-31T08:15:00.000Z");
    }
}
