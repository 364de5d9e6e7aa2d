//! Outcomes of commands: waits for them and shows them.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::StatusCode;
use serde_json::Value;
use stockline_service::output;
use tokio::time::Instant;

use super::{Answer, Client, Request};
use crate::exit::{self, Unavailable};
use crate::problem::told;

/// The longest `Prefer: wait` of one request, in seconds.
pub(crate) const WAIT_S: u64 = 20;
/// The pause between polls of a server that does not wait.
const POLL: Duration = Duration::from_millis(200);

/// Waits until `deadline` for the outcome of an accepted command.
pub(crate) async fn settled(client: &Client, accepted: Answer, deadline: Instant) -> anyhow::Result<Value> {
    let address = accepted.location.clone().or_else(|| accepted.body["status_url"].as_str().map(str::to_owned));
    let mut answer = accepted;
    loop {
        let is_queued = answer.status == StatusCode::ACCEPTED || answer.body["status"] == "queued";
        if !is_queued {
            return Ok(answer.body);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let address = address.as_deref().context("the server sent no address for the outcome")?;
        if left.is_zero() {
            return Err(Unavailable("it is still queued: ask again later with stockline status".into()).into());
        }
        let asked = Instant::now();
        let request = Request::get(address).wait(WAIT_S.min(left.as_secs()));
        answer = client.send_until(&request, left).await?;
        if asked.elapsed() < POLL {
            tokio::time::sleep(POLL.min(left)).await;
        }
    }
}

/// Prints an outcome and returns the exit code for it.
pub(crate) fn print(outcome: &Value, as_json: bool) -> anyhow::Result<u8> {
    if as_json {
        output::json(outcome)?;
    } else {
        output::print(readable(outcome))?;
    }
    Ok(match outcome["status"].as_str() {
        Some("applied") => exit::OK,
        Some("queued") => exit::UNAVAILABLE,
        _ => exit::FOUND,
    })
}

/// Describes an outcome in a few lines.
pub(crate) fn readable(outcome: &Value) -> String {
    let text = |name: &str| outcome[name].as_str().unwrap_or_default().to_owned();
    let kind = outcome["type"].as_str().or_else(|| outcome["command"]["type"].as_str()).unwrap_or("command");
    let mut lines = format!("{}  {kind} {}  ({})\n", text("status"), text("item_id"), text("command_id"));
    for movement in outcome["effects"].as_array().into_iter().flatten() {
        let field = |name: &str| movement[name].as_str().unwrap_or_default().to_owned();
        let delta = field("delta");
        let sign = if delta.starts_with('-') { "" } else { "+" };
        lines.push_str(&format!(
            "  {}: {sign}{delta} → {} on hand  (seq {})\n",
            field("location_id"),
            field("after"),
            movement["seq"]
        ));
    }
    if let Some(by) = outcome["reversed_by"].as_str() {
        lines.push_str(&format!("  taken back by command {by}\n"));
    }
    for remark in outcome["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        lines.push_str(&format!("  {remark}\n"));
    }
    if let Some(rejection) = outcome.get("rejection").filter(|rejection| rejection.is_object()) {
        let part = |name: &str| rejection[name].as_str().unwrap_or_default().to_owned();
        lines.push_str(&format!("  {}: {}\n", part("code"), told(&part("detail"))));
    }
    if let Some(reason) = outcome["dead_letter"]["reason"].as_str() {
        lines.push_str(&format!("  set aside: {reason}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outcome_reads_in_a_few_lines() {
        let outcome = json!({"command_id": "c", "item_id": "cola", "type": "sell", "status": "applied",
            "effects": [{"location_id": "main", "seq": 2, "delta": "-2", "after": "98", "late": false}]});
        assert_eq!(readable(&outcome), "applied  sell cola  (c)\n  main: -2 → 98 on hand  (seq 2)\n");
        let refused = json!({"command_id": "c", "item_id": "cola", "type": "sell", "status": "rejected",
            "rejection": {"code": "insufficient_stock", "detail": "only 1 is available"}});
        assert!(readable(&refused).contains("insufficient_stock: only 1 is available"));
    }
}
