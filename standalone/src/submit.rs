//! `submit`: one command from flags, and its outcome.

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use stockline_core::domain::{CommandId, CommandKind, ItemId, LocationId, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cli::{ClientArgs, time};
use crate::client::{Answer, Client, Request};
use crate::duration::Span;
use crate::exit::{self, Unavailable};

/// `Prefer: wait` of one request, in seconds.
const WAIT_S: u64 = 20;
/// How long to try to reach the server: a person waits.
const REACH: Duration = Duration::from_secs(10);
/// The pause between polls where the server would not wait.
const POLL: Duration = Duration::from_millis(200);

/// The types of command, as clap lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) CommandKind);

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Kind; 11] = {
            let mut kinds = [Kind(CommandKind::Sell); 11];
            let mut index = 0;
            while index < kinds.len() {
                kinds[index] = Kind(CommandKind::ALL[index]);
                index += 1;
            }
            kinds
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

/// Options of `submit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline submit register_item --item cola --name \"Cola 0.33 l\" --threshold 12
  stockline submit receive --item cola --quantity 100
  stockline submit sell --item cola --quantity 2 --location store-12 --reference receipt-4711
  stockline submit adjust --item cola --quantity=-1 --reason damaged
  stockline submit transfer --item cola --quantity 10 --from main --to store-12
  stockline submit set_threshold --item cola --threshold none

Exit code 1: the command was rejected. The same --id again takes effect once.")]
pub(crate) struct SubmitArgs {
    /// What to do
    #[arg(value_name = "TYPE")]
    kind: Kind,
    /// The item (a SKU)
    #[arg(long = "item", visible_alias = "item-id", value_name = "ITEM")]
    item_id: ItemId,
    /// The command's id, a UUID; the same again is the same command [default: a new one]
    #[arg(long = "id", visible_alias = "command-id", value_name = "UUID")]
    command_id: Option<CommandId>,
    /// Where [default: main]
    #[arg(long = "location", visible_alias = "location-id", value_name = "LOCATION")]
    location_id: Option<LocationId>,
    /// How much; negative only to adjust (--quantity=-1)
    #[arg(long, allow_hyphen_values = true)]
    quantity: Option<String>,
    /// count: what is on the shelf
    #[arg(long)]
    counted: Option<String>,
    /// transfer: the giving side
    #[arg(long = "from", value_name = "LOCATION")]
    from_location_id: Option<LocationId>,
    /// transfer: the receiving side
    #[arg(long = "to", value_name = "LOCATION")]
    to_location_id: Option<LocationId>,
    /// adjust: damaged, expired, theft, found, correction, sample or other
    #[arg(long)]
    reason: Option<String>,
    /// sell: allow or reject, whatever the item's policy
    #[arg(long)]
    on_shortage: Option<String>,
    /// When it happened, with an offset: 2026-01-31T09:15:00+01:00 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    occurred_at: Option<Timestamp>,
    /// Refuse it unless this is the balance
    #[arg(long, value_name = "QUANTITY", allow_hyphen_values = true)]
    expected_on_hand: Option<String>,
    /// Free text
    #[arg(long)]
    note: Option<String>,
    /// A receipt, an order, a document's address
    #[arg(long)]
    reference: Option<String>,
    /// The till, as a code
    #[arg(long = "device", visible_alias = "device-id", value_name = "CODE")]
    device_id: Option<String>,
    /// Who was at the till, as a code
    #[arg(long, value_name = "CODE")]
    operator: Option<String>,
    /// Catalogue: what people call it
    #[arg(long)]
    name: Option<String>,
    /// Catalogue: what one is [default: piece]
    #[arg(long)]
    unit: Option<String>,
    /// Catalogue: decimal places of quantities, 0 to 3
    #[arg(long)]
    decimals: Option<u8>,
    /// Catalogue: a barcode; may be given several times
    #[arg(long = "barcode", value_name = "CODE")]
    barcodes: Vec<String>,
    /// Catalogue: a free grouping
    #[arg(long)]
    category: Option<String>,
    /// Catalogue, set_threshold: alert below this; `none` clears it
    #[arg(long = "threshold", visible_alias = "low-stock-threshold", value_name = "QUANTITY|none")]
    low_stock_threshold: Option<String>,
    /// Catalogue: allow or reject sales of what is not there
    #[arg(long)]
    shortage_policy: Option<String>,
    /// Catalogue, receive: what one costs
    #[arg(long)]
    unit_cost: Option<String>,
    /// How long to wait for the outcome
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    timeout: Span,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// A fresh command id: by time, so that the store's keys stay in order.
#[expect(clippy::disallowed_methods, reason = "the command line is the client that makes the id")]
fn fresh_id() -> CommandId {
    CommandId(Uuid::now_v7())
}

impl SubmitArgs {
    fn command(&self) -> Value {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        let text = |value: &Option<String>| value.clone().map(Value::String);
        let id = |value: &Option<LocationId>| value.as_ref().map(|id| Value::from(id.as_str()));
        set("type", Some(self.kind.0.as_str().into()));
        set("command_id", Some(self.command_id.unwrap_or_else(fresh_id).to_string().into()));
        set("item_id", Some(self.item_id.as_str().into()));
        set("location_id", id(&self.location_id));
        set("from_location_id", id(&self.from_location_id));
        set("to_location_id", id(&self.to_location_id));
        set("occurred_at", self.occurred_at.map(|time| time.to_string().into()));
        set("decimals", self.decimals.map(Value::from));
        set("barcodes", (!self.barcodes.is_empty()).then(|| json!(self.barcodes)));
        let threshold = self.low_stock_threshold.as_deref();
        set("low_stock_threshold", threshold.map(|text| if text == "none" { Value::Null } else { text.into() }));
        for (name, value) in [
            ("quantity", &self.quantity),
            ("counted", &self.counted),
            ("reason", &self.reason),
            ("on_shortage", &self.on_shortage),
            ("expected_on_hand", &self.expected_on_hand),
            ("note", &self.note),
            ("reference", &self.reference),
            ("device_id", &self.device_id),
            ("operator", &self.operator),
            ("name", &self.name),
            ("unit", &self.unit),
            ("category", &self.category),
            ("shortage_policy", &self.shortage_policy),
            ("unit_cost", &self.unit_cost),
        ] {
            set(name, text(value));
        }
        Value::Object(fields)
    }
}

/// Submits one command and tells what became of it.
pub(crate) async fn submit(args: &SubmitArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.client)?;
    let command = args.command();
    let body = serde_json::to_vec(&command)?;
    let give_up = Instant::now() + args.timeout.0;
    let wait_s = WAIT_S.min(args.timeout.seconds());
    let request = Request::post("/v1/commands", body).wait(wait_s);
    let answer = client.send_until(&request, REACH.min(args.timeout.0)).await?;
    let outcome = settled(&client, answer, give_up).await.with_context(|| {
        let id = command["command_id"].as_str().unwrap_or_default();
        format!("command {id} of {} was accepted, and its outcome is not known yet", args.item_id)
    })?;
    tell(&outcome, args.json)
}

/// The outcome that an accepted command comes to, waiting for it as long as is allowed.
pub(crate) async fn settled(client: &Client, accepted: Answer, give_up: Instant) -> anyhow::Result<Value> {
    let address = accepted.location.clone().or_else(|| accepted.body["status_url"].as_str().map(str::to_owned));
    let mut answer = accepted;
    loop {
        let is_queued = answer.status == StatusCode::ACCEPTED || answer.body["status"] == "queued";
        if !is_queued {
            return Ok(answer.body);
        }
        let left = give_up.saturating_duration_since(Instant::now());
        let address = address.as_deref().context("the server did not say where the outcome will be")?;
        if left.is_zero() {
            return Err(Unavailable("still queued; ask again later: stockline status shows it".into()).into());
        }
        let asked = Instant::now();
        let request = Request::get(address).wait(WAIT_S.min(left.as_secs()));
        answer = client.send_until(&request, left).await?;
        if asked.elapsed() < POLL {
            tokio::time::sleep(POLL.min(left)).await;
        }
    }
}

/// Prints an outcome; the exit code says whether it was applied.
pub(crate) fn tell(outcome: &Value, as_json: bool) -> anyhow::Result<u8> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(outcome)?);
    } else {
        print!("{}", readable(outcome));
    }
    Ok(match outcome["status"].as_str() {
        Some("applied") => exit::OK,
        Some("queued") => exit::UNAVAILABLE,
        _ => exit::FOUND,
    })
}

/// An outcome in a few lines.
pub(crate) fn readable(outcome: &Value) -> String {
    let text = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
    let kind = outcome["type"].as_str().or_else(|| outcome["command"]["type"].as_str()).unwrap_or("command");
    let mut lines = format!("{}  {kind} {}  ({})\n", text("status"), text("item_id"), text("command_id"));
    for movement in outcome["effects"].as_array().into_iter().flatten() {
        let field = |name: &str| movement[name].as_str().unwrap_or_default().to_owned();
        let delta = field("delta");
        let sign = if delta.starts_with('-') { "" } else { "+" };
        let late = if movement["late"] == true { "  late: the last count had seen it" } else { "" };
        let ahead = if movement["clock_ahead"] == true { "  clock ahead" } else { "" };
        lines.push_str(&format!(
            "  {}: {sign}{delta} → {} on hand  (seq {}){late}{ahead}\n",
            field("location_id"),
            field("after"),
            movement["seq"]
        ));
    }
    if let Some(rejection) = outcome.get("rejection").filter(|rejection| rejection.is_object()) {
        let part = |name: &str| rejection[name].as_str().unwrap_or_default().to_owned();
        lines.push_str(&format!("  {}: {}\n", part("code"), part("detail")));
    }
    if let Some(reason) = outcome["dead_letter"]["reason"].as_str() {
        lines.push_str(&format!("  set aside: {reason}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn command(words: &[&str]) -> Value {
        let words = ["stockline", "submit"].iter().chain(words);
        let Command::Submit(args) = Cli::try_parse_from(words).unwrap().command else { panic!("not submit") };
        args.command()
    }

    #[test]
    fn flags_become_the_command_that_the_domain_reads() {
        use stockline_core::domain::{Json, ParseContext, parse_command};
        let cases: [&[&str]; 6] = [
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
            ],
            &["adjust", "--item", "cola", "--quantity=-1", "--reason", "damaged", "--note", "fell"],
            &["count", "--item", "cola", "--counted", "7", "--occurred-at", "2026-01-31T09:15:00+01:00"],
            &["transfer", "--item", "cola", "--quantity", "1", "--from", "main", "--to", "a"],
            &["set_threshold", "--item", "cola", "--threshold", "none"],
            &["sell", "--item", "cola", "--quantity", "0.5", "--on-shortage", "reject", "--expected-on-hand", "3"],
        ];
        for words in cases {
            let text = command(words).to_string();
            let json: Json<'_> = serde_json::from_str(&text).unwrap();
            assert!(parse_command(&json, &ParseContext::stored()).is_ok(), "{text}");
        }
        assert_eq!(command(cases[4])["low_stock_threshold"], Value::Null);
        assert_eq!(command(cases[2])["occurred_at"], "2026-01-31T08:15:00.000Z");
    }

    #[test]
    fn an_outcome_reads_in_a_few_lines() {
        let outcome = json!({"command_id": "c", "item_id": "cola", "type": "sell", "status": "applied",
            "effects": [{"location_id": "main", "seq": 2, "delta": "-2", "after": "98", "late": false}]});
        assert_eq!(readable(&outcome), "applied  sell cola  (c)\n  main: -2 → 98 on hand  (seq 2)\n");
        let refused = json!({"command_id": "c", "item_id": "cola", "type": "sell", "status": "rejected",
            "rejection": {"code": "insufficient_stock", "detail": "only 1 is there"}});
        assert!(readable(&refused).contains("insufficient_stock: only 1 is there"));
    }
}
