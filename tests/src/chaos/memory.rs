use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::PATIENCE;

/// The shared memory of the tills: the accepted commands and the outcomes that the API returned.
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

    /// Notes a 202 with its status address, also for a replay.
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

    /// Notes the outcome of a command that a till waited for.
    pub(super) fn settled(&self, command: &Value, outcome: &Value) {
        self.remember(command, None);
        let id = &command["command_id"];
        self.note(&json!({"command_id": id, "status": outcome["status"], "outcome": outcome}));
    }

    /// Notes a request without an answer, or with an answer that asks to retry.
    pub(super) fn unanswered(&self) {
        self.known().unanswered += 1;
    }

    /// Notes a line of the answer to a status request.
    pub(super) fn note(&self, line: &Value) {
        let mut guard = self.known();
        let known = &mut *guard;
        let Some(accepted) = known.accepted.get_mut(line["command_id"].as_str().unwrap_or_default()) else { return };
        match (&accepted.outcome, line["status"].as_str().unwrap_or_default()) {
            (None, "queued") => {}
            (None, "applied" | "rejected") => accepted.outcome = Some(line["outcome"].clone()),
            (Some(before), "applied" | "rejected") if *before == line["outcome"] => {}
            (before, _) => {
                known.faults.push(format!("P1, P7: an accepted command is shown as {line}, before {before:?}"))
            }
        }
    }

    /// Notes a fault.
    pub fn fault(&self, fault: String) {
        self.known().faults.push(fault);
    }

    /// Returns the faults.
    pub fn faults(&self) -> Vec<String> {
        self.known().faults.clone()
    }

    /// Returns how many commands were accepted, each counted once.
    pub fn len(&self) -> usize {
        self.known().accepted.len()
    }

    /// Reports whether no command was accepted yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how often a command was accepted again.
    pub fn replays(&self) -> usize {
        self.known().replays
    }

    /// Returns how many requests had no answer, or an answer that asked to retry.
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

    /// Returns every command with its outcome, in any order.
    pub(super) fn outcomes(&self) -> Vec<(Value, Value)> {
        let known = self.known();
        known.accepted.values().filter_map(|a| Some((a.command.clone(), a.outcome.clone()?))).collect()
    }
}
