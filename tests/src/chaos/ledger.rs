use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::memory::Memory;
use super::plan::THRESHOLD_UNITS;
use crate::aws::decimal;

/// Thousandths of a unit.
const UNIT: i64 = 1_000;

/// The alert state of a balance, ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Normal,
    Low,
    Out,
    Oversold,
}

impl State {
    const fn of(on_hand: i64) -> Self {
        match on_hand {
            ..0 => Self::Oversold,
            0 => Self::Out,
            _ if on_hand < THRESHOLD_UNITS * UNIT => Self::Low,
            _ => Self::Normal,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Out => "out",
            Self::Oversold => "oversold",
        }
    }
}

/// A ledger entry from an outcome, with the command that made it.
#[derive(Debug)]
struct Entry<'a> {
    command: &'a Value,
    effect: &'a Value,
}

/// The expected state, computed from the outcomes of all accepted commands.
#[derive(Debug, Default)]
pub struct Reckoned {
    /// `(on_hand in thousandths, seq)` by item and location.
    levels: BTreeMap<(String, String), (i64, u64)>,
    /// `(alert id, kind, seq)`
    alerts: BTreeSet<(String, String, u64)>,
    /// The contradictions in the outcomes.
    pub faults: Vec<String>,
    /// The number of applied commands.
    pub applied: usize,
    /// The number of refused commands.
    pub rejected: usize,
    /// The units of all applied sales.
    pub sold_units: i64,
}

/// Computes the expected state independently of the product: it applies the entries in order of `seq` without gaps,
/// each with the delta of its command, and raises an alert at every crossing of a threshold.
pub fn reckon(memory: &Memory) -> Reckoned {
    let outcomes = memory.outcomes();
    let mut reckoned = Reckoned::default();
    let mut ledgers: BTreeMap<(String, String), Vec<Entry<'_>>> = BTreeMap::new();
    for (command, outcome) in &outcomes {
        if outcome["status"] == "rejected" {
            reckoned.rejected += 1;
            reckoned.refused(command, outcome);
            continue;
        }
        reckoned.applied += 1;
        if command["type"] == "sell" {
            reckoned.sold_units += decimal(&command["quantity"]) / UNIT;
        }
        for effect in outcome["effects"].as_array().into_iter().flatten() {
            let key = (text(&command["item_id"]), text(&effect["location_id"]));
            ledgers.entry(key).or_default().push(Entry { command, effect });
        }
    }
    for ((item_id, place), mut entries) in ledgers {
        entries.sort_by_key(|entry| entry.effect["seq"].as_u64());
        reckoned.ledger(&item_id, &place, &entries);
    }
    reckoned
}

impl Reckoned {
    fn ledger(&mut self, item_id: &str, place: &str, entries: &[Entry<'_>]) {
        let (mut on_hand, mut state, mut alerted) = (0, State::Out, BTreeSet::new());
        let mut alerts = 0;
        for (seq, entry) in (1_u64..).zip(entries) {
            let expected = (seq, on_hand, on_hand + delta(entry.command, place, on_hand));
            let effect = entry.effect;
            let found = (effect["seq"].as_u64().unwrap_or(0), decimal(&effect["before"]), decimal(&effect["after"]));
            if found != expected {
                let command = entry.command;
                self.faults.push(format!(
                    "P2, P4: {item_id} at {place}: (seq, before, after) {found:?}, reckoned {expected:?} for {command}"
                ));
                return;
            }
            on_hand = expected.2;
            if entry.command["on_shortage"] == "reject" && on_hand < 0 {
                self.faults.push(format!("P5: {item_id} at {place} is oversold by {}", entry.command));
            }
            let was = std::mem::replace(&mut state, State::of(on_hand));
            if state == State::Normal {
                alerted.clear();
            }
            if state > was && alerted.insert(state.word()) {
                alerts += 1;
                self.alerts.insert((format!("{item_id}:{place}:{alerts}"), state.word().to_owned(), seq));
            }
        }
        self.levels.insert((item_id.to_owned(), place.to_owned()), (on_hand, entries.len() as u64));
    }

    /// Notes a fault unless a shortage refused the command. The tills send nothing else that could be refused.
    fn refused(&mut self, command: &Value, outcome: &Value) {
        let shortage = outcome["rejection"]["code"] == "insufficient_stock" && command["on_shortage"] == "reject";
        if !shortage {
            self.faults.push(format!("refused without reason: {outcome}"));
        }
    }

    /// Returns how many alerts were raised.
    pub fn alerts(&self) -> usize {
        self.alerts.len()
    }

    /// Returns the ids of the alerts.
    pub fn alert_ids(&self) -> BTreeSet<String> {
        self.alerts.iter().map(|(id, _, _)| id.clone()).collect()
    }

    pub(super) fn by_item(&self) -> BTreeMap<&str, BTreeMap<&str, (i64, u64)>> {
        let mut items: BTreeMap<&str, BTreeMap<&str, (i64, u64)>> = BTreeMap::new();
        for ((item_id, place), level) in &self.levels {
            items.entry(item_id).or_default().insert(place, *level);
        }
        items
    }

    /// Returns the differences between the alert history and the expected alerts, in words.
    pub(super) fn missing_alerts(&self, shown: &[Value]) -> Vec<String> {
        let sent: BTreeSet<(String, String, u64)> = shown
            .iter()
            .filter(|alert| alert["sent_at"].is_string())
            .map(|alert| (text(&alert["alert_id"]), text(&alert["kind"]), alert["seq"].as_u64().unwrap_or(0)))
            .collect();
        let lost = self.alerts.difference(&sent).map(|alert| format!("P6: not mailed: {alert:?}"));
        let made_up = sent.difference(&self.alerts).map(|alert| format!("P6: mailed without a crossing: {alert:?}"));
        lost.chain(made_up).collect()
    }
}

/// Returns by how much a command moves a level with this `on_hand`.
fn delta(command: &Value, place: &str, on_hand: i64) -> i64 {
    match command["type"].as_str().unwrap_or_default() {
        "sell" => -decimal(&command["quantity"]),
        "receive" | "return" => decimal(&command["quantity"]),
        "count" => decimal(&command["counted"]) - on_hand,
        "transfer" if command["from_location_id"] == place => -decimal(&command["quantity"]),
        "transfer" => decimal(&command["quantity"]),
        other => panic!("the tills send no {other}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
