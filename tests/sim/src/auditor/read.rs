//! Messages and rows, read as plain JSON.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::super::expression::Row;
use super::super::queue::Sent;
use super::super::table::{Key, Table};

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) item: String,
    pub(crate) id: Uuid,
    /// Where what came is no command: the body.
    pub(crate) command: Result<Command, String>,
    /// When a worker first had it in hand.
    pub(crate) received_ms: u64,
}

impl Place {
    /// Was it this place that was decided so?
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

/// A command as it waits in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) body: Value,
    pub(crate) accepted: i64,
    pub(crate) by: String,
    /// The command with what the ingress knew of it.
    pub(crate) envelope: Value,
}

impl Command {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    /// Thousandths.
    pub(crate) fn amount(&self, name: &str) -> Option<i128> {
        self.text(name).map(thousandths)
    }

    /// When it happened, whether it says so itself, and whether it said so of the future.
    pub(crate) fn occurred(&self) -> (i64, bool, bool) {
        let Some(claimed) = self.text("occurred_at").map(millis) else {
            return (self.accepted, false, false);
        };
        let error = self.text("sent_at").map_or(0, |sent| self.accepted - millis(sent));
        let right = claimed + error;
        (right.min(self.accepted), true, right > self.accepted)
    }
}

/// `-1.25` as -1250.
pub(crate) fn thousandths(text: &str) -> i128 {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let value = whole.parse::<i128>().unwrap() * 1_000 + format!("{part:0<3}").parse::<i128>().unwrap();
    if negative { -value } else { value }
}

/// `2026-01-01T00:00:00.000Z` as milliseconds since 1970.
pub(crate) fn millis(text: &str) -> i64 {
    text.parse::<stockline_common::domain::Timestamp>().unwrap().as_millis()
}

/// The places of a message, in order.
pub(crate) fn places(sent: &Sent) -> Vec<Place> {
    let message: Option<Value> = serde_json::from_str(&sent.body).ok();
    let commands = message.as_ref().and_then(|message| message["commands"].as_array());
    let received_ms = sent.received_ms.unwrap_or(u64::MAX);
    let made = |index: usize| Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("m{}/{index}", sent.id).as_bytes());
    let place = |id, command| Place { item: sent.group.to_string(), id, command, received_ms };
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
        place(id, Ok(Command { body: body.clone(), accepted, by, envelope: envelope.clone() }))
    };
    commands.iter().enumerate().map(read).collect()
}

/// A JSON attribute of a row.
pub(crate) fn json(row: &Row, name: &str) -> Value {
    row.get(name).and_then(|value| value.as_s().ok()).map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

/// An outcome as stored, and when it was first written.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) record: Value,
    pub(crate) at_ms: u64,
}

/// All outcomes, by item and id; and those that were written more than once.
pub(crate) fn outcomes(table: &Table) -> (BTreeMap<(String, Uuid), Stored>, Vec<String>) {
    let (mut found, mut twice) = (BTreeMap::new(), Vec::new());
    for written in table.log.iter().filter(|written| written.key.1 == "CMD") {
        let mut parts = written.key.0.splitn(3, '#').skip(1);
        let (item, id) = (parts.next().unwrap().to_owned(), parts.next().unwrap().parse().unwrap());
        let record = written.row.as_ref().map_or(Value::Null, |row| json(row, "record"));
        if found.contains_key(&(item.clone(), id)) {
            twice.push(format!("P7: the outcome of {item} {id} was written again"));
            continue;
        }
        found.insert((item, id), Stored { record, at_ms: written.at_ms });
    }
    (found, twice)
}

/// A row's key.
pub(crate) fn key(pk: String, sk: &str) -> Key {
    (pk, sk.to_owned())
}
