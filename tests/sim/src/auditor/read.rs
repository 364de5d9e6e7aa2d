//! Reads messages and rows as plain JSON.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use stockline_core::domain::{CommandKey, Record};
use stockline_core::testing::record_json;
use uuid::Uuid;

use super::super::expression::Row;
use super::super::queue::Sent;
use super::super::table::{Key, Table, Written};

/// The place of a command in the queue.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) item: String,
    pub(crate) id: Uuid,
    /// The command, or the body if it is not a command.
    pub(crate) command: Result<Command, String>,
    /// When a worker first received it.
    pub(crate) received_ms: u64,
    /// The number of this retry of a dead letter.
    pub(crate) retry: u64,
}

impl Place {
    /// Returns whether this record decided this place.
    pub(crate) fn is_of(&self, record: &Value) -> bool {
        match &self.command {
            Ok(command) => {
                let accepted = record["accepted_at"].as_str().map(millis);
                record["command"] == command.body && accepted == Some(command.accepted)
            }
            Err(_) => record["command"].is_null(),
        }
    }
}

/// A queued command.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) body: Value,
    pub(crate) accepted: i64,
    pub(crate) by: String,
    /// The command with the data that the ingress added.
    pub(crate) envelope: Value,
    /// The command that it replaces.
    pub(crate) resubmits: Option<(String, Uuid)>,
    /// When the first command of this chain of resubmissions was accepted; its age counts from then.
    pub(crate) first_accepted: i64,
}

impl Command {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    /// Returns an amount in thousandths.
    pub(crate) fn amount(&self, name: &str) -> Option<i128> {
        self.text(name).map(thousandths)
    }

    /// Returns money in ten-thousandths.
    pub(crate) fn money(&self, name: &str) -> Option<i128> {
        self.text(name).map(ten_thousandths)
    }

    /// Returns when it occurred, whether the command said so in the past, and whether that time lay in the future.
    pub(crate) fn occurred(&self) -> (i64, bool, bool) {
        let Some(claimed) = self.text("occurred_at").map(millis) else {
            return (self.accepted, false, false);
        };
        let error = self.text("sent_at").map_or(0, |sent| self.accepted - millis(sent));
        let right = claimed + error;
        (right.min(self.accepted), right <= self.accepted, right > self.accepted)
    }
}

/// Parses `-1.25` as -1250.
pub(crate) fn thousandths(text: &str) -> i128 {
    parts(text, 3)
}

/// Parses `-1.25` as -12500.
pub(crate) fn ten_thousandths(text: &str) -> i128 {
    parts(text, 4)
}

fn parts(text: &str, places: usize) -> i128 {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let value: i128 = format!("{whole}{part:0<places$}").parse().unwrap();
    if negative { -value } else { value }
}

/// Parses `2026-01-01T00:00:00.000Z` as milliseconds since 1970.
pub(crate) fn millis(text: &str) -> i64 {
    text.parse::<stockline_core::domain::Timestamp>().unwrap().as_millis()
}

/// Returns the places of a message, in order.
pub(crate) fn places(sent: &Sent) -> Vec<Place> {
    let message: Option<Value> = serde_json::from_str(&sent.body).ok();
    let commands = message.as_ref().and_then(|message| message["commands"].as_array());
    let received_ms = sent.received_ms.unwrap_or(u64::MAX);
    let made = |index: usize| Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("m{}/{index}", sent.id).as_bytes());
    let place = |id, command| Place { item: sent.group.to_string(), id, command, received_ms, retry: 0 };
    let Some(commands) = commands else {
        return vec![place(made(0), Err(sent.body.to_string()))];
    };
    let read = |(index, envelope): (usize, &Value)| {
        let body = &envelope["command"];
        let id = body["command_id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| made(index));
        if body.get("type").is_none() {
            return place(id, Err(envelope.to_string()));
        }
        let accepted = millis(envelope["accepted_at"].as_str().unwrap());
        let by = envelope["by"].as_str().unwrap().to_owned();
        let resubmits = envelope.get("resubmits").map(reference);
        let first_accepted =
            envelope.get("first_accepted_at").map_or(accepted, |first| millis(first.as_str().unwrap()));
        let command =
            Command { body: body.clone(), accepted, by, envelope: envelope.clone(), resubmits, first_accepted };
        Place { retry: envelope["retry"].as_u64().unwrap_or_default(), ..place(id, Ok(command)) }
    };
    commands.iter().enumerate().map(read).collect()
}

/// Returns a JSON attribute of a row.
pub(crate) fn json(row: &Row, name: &str) -> Value {
    row.get(name).and_then(|value| value.as_s().ok()).map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

/// Returns the outcome in a row, in the JSON of the first version; `null` if there is none.
pub(crate) fn record(row: &Row) -> Value {
    record_of(row).as_ref().map_or(Value::Null, record_json)
}

/// Returns the outcome in a row.
pub(crate) fn record_of(row: &Row) -> Option<Record> {
    let bytes = match row.get("record")? {
        AttributeValue::B(bytes) => bytes.as_ref(),
        other => other.as_s().unwrap().as_bytes(),
    };
    let (item, id) = row["pk"].as_s().unwrap().strip_prefix("CMD#")?.rsplit_once('#')?;
    let key = CommandKey { item_id: id_of(item).parse().unwrap(), command_id: id.parse().unwrap() };
    Some(Record::from_bytes(bytes, Some(key)).unwrap())
}

/// Returns an item and the id of one of its commands from their JSON.
fn reference(of: &Value) -> (String, Uuid) {
    (of["item_id"].as_str().unwrap().to_owned(), of["command_id"].as_str().unwrap().parse().unwrap())
}

/// One written version of an outcome: decided, or marked.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) record: Value,
    pub(crate) at_ms: u64,
    pub(crate) transaction: u64,
    pub(crate) discarded: bool,
    pub(crate) resubmitted_as: Option<(String, Uuid)>,
    /// The command that took it back.
    pub(crate) reversed_by: Option<Uuid>,
    /// Whether it is the earlier decision with a mark.
    pub(crate) is_mark: bool,
}

impl Stored {
    fn of(written: &Written, before: Option<&Self>) -> Self {
        let row = written.row.as_ref();
        let record = row.map_or(Value::Null, |row| record(row));
        let resubmitted_as = row.map(|row| json(row, "resubmitted_as")).filter(|by| !by.is_null());
        let discarded = row.is_some_and(|row| row.contains_key("discarded_at"));
        let reversed_by = row.and_then(|row| row.get("reversed_by")?.as_s().ok()?.parse().ok());
        let marks = discarded || resubmitted_as.is_some() || reversed_by.is_some();
        let is_mark = before.is_some_and(|before| before.record == record) && marks;
        Self {
            record,
            at_ms: written.at_ms,
            transaction: written.transaction,
            discarded,
            resubmitted_as: resubmitted_as.as_ref().map(reference),
            reversed_by,
            is_mark,
        }
    }

    pub(crate) fn is(&self, status: &str) -> bool {
        self.record["status"] == status
    }

    pub(crate) fn retry(&self) -> u64 {
        self.record["retry"].as_u64().unwrap_or_default()
    }

    /// Returns whether this version may replace the earlier one (P2, P7).
    fn may_follow(&self, before: &Self) -> bool {
        let is_open = before.is("dead_lettered") && !before.discarded && before.resubmitted_as.is_none();
        match self.is_mark {
            true if self.reversed_by.is_some() => before.is("applied") && before.reversed_by.is_none(),
            true if self.discarded => is_open,
            true => {
                let other = before.resubmitted_as.is_some() && before.resubmitted_as != self.resubmitted_as;
                !before.is("applied") && !before.discarded && !other
            }
            false => is_open && self.retry() > before.retry(),
        }
    }
}

/// All stored versions of each outcome, by item and id.
pub(crate) type Outcomes = BTreeMap<(String, Uuid), Vec<Stored>>;

/// Returns all outcomes, and a fault for each that replaced a final one.
pub(crate) fn outcomes(table: &Table) -> (Outcomes, Vec<String>) {
    let (mut found, mut twice) = (Outcomes::new(), Vec::new());
    for written in table.log.iter().filter(|written| written.key.1 == "CMD") {
        let mut parts = written.key.0.splitn(3, '#').skip(1);
        let (item, id): (_, Uuid) = (id_of(parts.next().unwrap()), parts.next().unwrap().parse().unwrap());
        let of_id = found.entry((item.clone(), id)).or_default();
        let stored = Stored::of(written, of_id.last());
        if of_id.last().is_some_and(|before| !stored.may_follow(before)) {
            twice.push(format!("P7: the final outcome of {item} {id} was overwritten"));
            continue;
        }
        of_id.push(stored);
    }
    (found, twice)
}

/// Reads an id from a key, in which separators are escaped.
pub(crate) fn id_of(part: &str) -> String {
    part.replace("%23", "#").replace("%3A", ":").replace("%25", "%")
}

/// Writes an id into a key that has other parts behind it.
pub(crate) fn in_key(id: &str) -> String {
    id.replace('%', "%25").replace('#', "%23").replace(':', "%3A")
}

/// Returns the key of a row.
pub(crate) fn key(pk: String, sk: &str) -> Key {
    (pk, sk.to_owned())
}
