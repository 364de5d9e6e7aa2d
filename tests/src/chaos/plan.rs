use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

/// The locations. Each has its own alerts.
const LOCATIONS: [&str; 2] = ["main", "back"];
/// The default threshold of each item, in units.
pub(super) const THRESHOLD_UNITS: i64 = 30;
/// The opening stock of each level, in units.
const OPENED_WITH_UNITS: u32 = 60;
/// The longest pause of a till. The pauses keep the queue short, because a growing queue would test nothing more.
const PAUSE_MAX_MS: u64 = 40;
/// The commands of one batch.
const BATCH_MAX: usize = 20;

/// Returns the names of the items.
pub fn items(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("good-{number}")).collect()
}

/// Returns the commands that open the shop, in order: each item is registered and received at each location.
pub(super) fn opening(seed: u64, items: &[String]) -> Vec<Value> {
    let mut plan = Plan::new(seed, usize::MAX, items);
    let mut commands = Vec::new();
    for item_id in items {
        let threshold = THRESHOLD_UNITS.to_string();
        let register = json!({"type": "register_item", "name": item_id, "low_stock_threshold": threshold});
        commands.push(plan.of(item_id, register));
        for place in LOCATIONS {
            let quantity = OPENED_WITH_UNITS.to_string();
            commands.push(plan.of(item_id, json!({"type": "receive", "location_id": place, "quantity": quantity})));
        }
    }
    commands
}

/// The next step of a till.
#[derive(Debug, Clone)]
pub(super) enum Errand {
    /// One command.
    One(Value),
    /// One command, and a wait for its outcome.
    Waited(Value),
    /// Several commands in one request.
    Batch(Vec<Value>),
}

/// The commands of one till, from a seed.
#[derive(Debug)]
pub(super) struct Plan {
    dice: Rng,
    items: Vec<String>,
    sent: Vec<Value>,
}

impl Plan {
    /// Returns the plan of this till.
    pub(super) fn new(seed: u64, till: usize, items: &[String]) -> Self {
        let dice = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ till as u64);
        Self { dice, items: items.to_vec(), sent: Vec::new() }
    }

    pub(super) fn next(&mut self) -> Errand {
        let errand = match self.dice.u32(0..100) {
            0..55 => Errand::One(self.command()),
            55..65 => Errand::Waited(self.command()),
            65..85 => {
                let count = self.dice.usize(2..=BATCH_MAX);
                Errand::Batch((0..count).map(|_| self.command()).collect())
            }
            // The till sends any of its earlier commands again.
            _ => match self.dice.choice(&self.sent) {
                Some(command) => return Errand::One(command.clone()),
                None => Errand::One(self.command()),
            },
        };
        match &errand {
            Errand::One(command) | Errand::Waited(command) => self.sent.push(command.clone()),
            Errand::Batch(commands) => self.sent.extend(commands.iter().cloned()),
        }
        errand
    }

    /// Returns the pause before the next errand.
    pub(super) fn pause(&mut self) -> Duration {
        Duration::from_millis(self.dice.u64(..PAUSE_MAX_MS))
    }

    /// Draws a command. Most are sales, so that levels fall below their thresholds; deliveries bring them back.
    fn command(&mut self) -> Value {
        let item_id = self.items[self.dice.usize(..self.items.len())].clone();
        let from = self.dice.usize(..LOCATIONS.len());
        let (place, other) = (LOCATIONS[from], LOCATIONS[1 - from]);
        let units = |count: u32| count.to_string();
        let command = match self.dice.u32(0..100) {
            0..60 => {
                let on_shortage = if self.dice.bool() { "allow" } else { "reject" };
                let quantity = units(self.dice.u32(1..=6));
                json!({"type": "sell", "location_id": place, "quantity": quantity, "on_shortage": on_shortage})
            }
            60..80 => {
                let quantity = units(self.dice.u32(2..=10));
                json!({"type": "transfer", "from_location_id": place, "to_location_id": other, "quantity": quantity})
            }
            80..88 => json!({"type": "receive", "location_id": place, "quantity": units(self.dice.u32(10..=60))}),
            88..94 => json!({"type": "return", "location_id": place, "quantity": units(self.dice.u32(1..=3))}),
            _ => json!({"type": "count", "location_id": place, "counted": units(self.dice.u32(0..=60))}),
        };
        self.of(&item_id, command)
    }

    fn of(&mut self, item_id: &str, mut command: Value) -> Value {
        let id = uuid::Builder::from_random_bytes(self.dice.u128(..).to_be_bytes()).into_uuid();
        command["command_id"] = json!(id);
        command["item_id"] = json!(item_id);
        command
    }
}
