//! Compares stored records with predictions.

use serde_json::{Value, json};
use uuid::Uuid;

use super::level::{Alert, Entry, Level};
use super::predictor::Verdict;
use super::read::{Command, Stored, millis, ten_thousandths, thousandths};

/// Returns the differences between a stored outcome and a verdict.
pub(crate) fn outcome_faults(record: &Value, verdict: &Verdict, id: Uuid) -> Vec<String> {
    let found = record["rejection"]["code"].as_str().or(record["status"].as_str()).unwrap_or_default();
    let list = |name: &str| record[name].as_array().cloned().unwrap_or_default();
    let mut faults = Vec::new();
    match verdict {
        Verdict::Applied { .. } if found != "applied" => faults.push(format!("it must be applied, and is {found}")),
        Verdict::Applied { entries, alerts, .. } => {
            let effects = effects_of(record, id);
            if effects != *entries {
                faults.push(format!("its effects must be {entries:?}, and are {effects:?}"));
            }
            if list("effects").iter().any(|effect| effect["recorded_at"] != record["settled_at"]) {
                faults.push(format!("its effects must share one time, and are {}", record["effects"]));
            }
            let raised: Vec<Alert> = list("alerts").iter().map(alert).collect();
            if raised != *alerts {
                faults.push(format!("its alerts must be {alerts:?}, and are {raised:?}"));
            }
        }
        Verdict::Rejected(code) if found != *code => faults.push(format!("it must be refused {code}, and is {found}")),
        Verdict::Dead(body) => {
            let kept = record["dead_letter"]["body"].as_str().unwrap_or_default();
            let read = |text: &str| serde_json::from_str::<Value>(text).ok();
            if found != "dead_lettered" || (kept != body && read(kept) != read(body)) {
                faults.push(format!("it must be set aside as {body}, and is {found} as {kept}"));
            }
        }
        Verdict::Rejected(_) => {}
    }
    faults
}

/// Returns the stored effects of a command.
pub(super) fn effects(stored: &Stored) -> Vec<Entry> {
    let id = stored.record["command_id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
    effects_of(&stored.record, id)
}

fn effects_of(record: &Value, id: Uuid) -> Vec<Entry> {
    record["effects"].as_array().into_iter().flatten().map(|effect| entry(effect, id)).collect()
}

pub(super) fn as_submitted(record: &Value, command: &Command, tell: &mut impl FnMut(String)) {
    let accepted = record["accepted_at"].as_str().map(millis);
    let settled = record["settled_at"].as_str().map(millis);
    if record["command"] != command.body || record["submitted_by"] != command.by.as_str() {
        tell(format!("it is not as the first of its id was submitted: {}", record["command"]));
    }
    if record["first_accepted_at"] != command.envelope["first_accepted_at"] {
        tell(format!("it says that it was first accepted at {}", record["first_accepted_at"]));
    }
    if record["resubmits"] != command.envelope["resubmits"] {
        tell(format!("it must replace {}, and says {}", command.envelope["resubmits"], record["resubmits"]));
    }
    if accepted != Some(command.accepted) || settled < accepted {
        tell(format!("accepted {accepted:?} and settled {settled:?} are not right"));
    }
}

fn entry(effect: &Value, id: Uuid) -> Entry {
    let kinds = ["receive", "sell", "return", "adjust", "count", "transfer_out", "transfer_in"];
    Entry {
        location: effect["location_id"].as_str().unwrap().to_owned(),
        seq: effect["seq"].as_u64().unwrap(),
        kind: kinds.into_iter().find(|kind| effect["kind"] == *kind).unwrap_or("unknown"),
        id: id.to_string(),
        delta: thousandths(effect["delta"].as_str().unwrap()),
        after: thousandths(effect["after"].as_str().unwrap()),
        occurred: millis(effect["occurred_at"].as_str().unwrap()),
        late: effect["late"] == true,
        ahead: effect["clock_ahead"] == true,
        cost: (effect["cost"].as_str().map(ten_thousandths), effect["revaluation"].as_str().map_or(0, ten_thousandths)),
    }
}

/// Reads an alert as it is stored and published.
pub(crate) fn alert(alert: &Value) -> Alert {
    let kinds = ["low", "out", "oversold"];
    Alert {
        location: alert["location_id"].as_str().unwrap().to_owned(),
        number: alert["alert_no"].as_u64().unwrap(),
        kind: kinds.into_iter().find(|kind| alert["kind"] == *kind).unwrap_or("unknown"),
        on_hand: thousandths(alert["on_hand"].as_str().unwrap()),
        threshold: alert["low_stock_threshold"].as_str().map(thousandths),
        seq: alert["seq"].as_u64().unwrap(),
        opening: alert["opening"] == true,
    }
}

/// Returns the comparable parts of a predicted level and of its row.
pub(crate) fn level_pair(level: &Level, found: &Value) -> (Value, Value) {
    let on_hand = found["on_hand"].as_str().map(thousandths);
    let counted_at = found["counted_at"].as_str().map(millis);
    let value = found["value"].as_str().map_or(0, ten_thousandths);
    let average = found["average_cost"].as_str().map(ten_thousandths);
    let counted_seq = found["counted_seq"].as_u64().unwrap_or_default();
    let counted = (counted_at, counted_seq);
    let is = json!([on_hand, found["seq"], found["alert_no"], found["state"], counted, value, average]);
    let (seq, state, book) = (level.entries.len(), level.state(), level.book);
    let counted = (level.counted_at, level.counted_seq);
    (json!([level.on_hand, seq, level.alerts, state, counted, book.value, book.average]), is)
}
