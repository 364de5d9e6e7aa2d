use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::PATIENCE;

/// What the tills remember together: what was accepted, and what they were told of it.
#[derive(Debug, Default)]
pub struct Memory {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    accepted: BTreeMap<String, Accepted>,
    replays: usize,
    unanswered: usize,
    faults: Vec<String>,
}

#[derive(Debug)]
struct Accepted {
    command: Value,
    receipt: Option<String>,
    outcome: Option<Value>,
}

impl Accepted {
    fn asked(&self) -> Value {
        let (item_id, command_id) = (&self.command["item_id"], &self.command["command_id"]);
        json!({"item_id": item_id, "command_id": command_id, "receipt": self.receipt})
    }
}

impl Memory {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Waits until this many commands are accepted.
    pub(super) async fn have_accepted(&self, min: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.len() < min {
            assert!(Instant::now() < deadline, "of {min} commands only {} are accepted", self.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A 202 came for it, with its status address; again for a replay.
    pub(super) fn accepted(&self, command: &Value, status_url: &str) {
        let receipt = status_url.split_once("receipt=").map(|(_, receipt)| receipt.to_owned());
        self.remember(command, receipt);
    }

    fn remember(&self, command: &Value, receipt: Option<String>) {
        let mut known = self.known();
        let id = command["command_id"].as_str().unwrap_or_default().to_owned();
        let replay = known.accepted.contains_key(&id);
        known.replays += usize::from(replay);
        known.accepted.entry(id).or_insert_with(|| Accepted { command: command.clone(), receipt, outcome: None });
    }

    /// It was waited for, and this is its outcome.
    pub(super) fn settled(&self, command: &Value, outcome: &Value) {
        self.remember(command, None);
        let id = &command["command_id"];
        self.told(&json!({"command_id": id, "status": outcome["status"], "outcome": outcome}));
    }

    /// No answer came, or one that says to send it again.
    pub(super) fn unanswered(&self) {
        self.known().unanswered += 1;
    }

    /// A line of an answer to a status request.
    pub(super) fn told(&self, line: &Value) {
        let mut guard = self.known();
        let known = &mut *guard;
        let Some(accepted) = known.accepted.get_mut(line["command_id"].as_str().unwrap_or_default()) else { return };
        match (&accepted.outcome, line["status"].as_str().unwrap_or_default()) {
            (None, "queued") => {}
            (None, "applied" | "rejected") => accepted.outcome = Some(line["outcome"].clone()),
            (Some(before), "applied" | "rejected") if *before == line["outcome"] => {}
            (before, _) => known.faults.push(format!("P1, P7: an accepted command is told {line}, before {before:?}")),
        }
    }

    /// Something that must not be.
    pub fn fault(&self, fault: String) {
        self.known().faults.push(fault);
    }

    /// What must not be and was.
    pub fn faults(&self) -> Vec<String> {
        self.known().faults.clone()
    }

    /// How many commands were accepted, each once.
    pub fn len(&self) -> usize {
        self.known().accepted.len()
    }

    /// Was nothing accepted yet?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a command was accepted that had been before.
    pub fn replays(&self) -> usize {
        self.known().replays
    }

    /// How many requests had no answer, or were told to come again.
    pub fn sent_again(&self) -> usize {
        self.known().unanswered
    }

    pub(super) fn unsettled(&self) -> Vec<Value> {
        self.known().accepted.values().filter(|a| a.outcome.is_none()).map(Accepted::asked).collect()
    }

    pub(super) fn all(&self) -> Vec<Value> {
        self.known().accepted.values().map(Accepted::asked).collect()
    }

    pub(super) fn is_open(&self, id: &str) -> bool {
        self.known().accepted.get(id).is_some_and(|accepted| accepted.outcome.is_none())
    }

    /// Every command with its outcome, in no order that matters.
    pub(super) fn outcomes(&self) -> Vec<(Value, Value)> {
        let known = self.known();
        known.accepted.values().filter_map(|a| Some((a.command.clone(), a.outcome.clone()?))).collect()
    }
}
