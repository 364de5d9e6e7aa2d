//! Draws a scenario from a seed.

use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::{Fault, Kind, Step};
use super::rng::Rng;
use super::scenario::{Act, Line, Operation, Poison, RECEIVES_MAX, Scenario};
use super::writer::Writer;

/// The minimum number of faults of a run.
const FAULTS_MIN: usize = 7;

/// A low limit, with which the queue sets messages aside.
const RECEIVES_FEW: u32 = 2;

/// An item that no other till sells.
const NEW_ITEM: &str = "salt";

impl Scenario {
    /// Draws the scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 1);
        let items: Vec<String> = ["cola", "Öl #2", "tea", "Rice", "cola:a/1%"][..3 + rng.below(3) as usize]
            .iter()
            .map(|item| (*item).to_owned())
            .collect();
        let tills = rng.between(4, 8) as usize;
        let mut writer = Writer::new(rng, seed, items, 0);
        let requests = writer.requests(tills);
        let Writer { mut rng, items, .. } = writer;
        let faults = (0..rng.between(FAULTS_MIN as u64, 20)).map(|_| fault(&mut rng)).collect();
        let workers = rng.between(2, 3) as usize;
        let busy = busy(&mut rng, &items);
        let mut operations = operations(&mut rng);
        operations.extend(corrections(&mut Rng::new(seed, 3), &items));
        let weeks = requests.iter().any(|request| request.again.is_some_and(|again| again.weeks_later));
        let mut scenario = Self {
            seed,
            workers,
            ingresses: 2,
            receivers: rng.between(1, 2) as usize,
            tills,
            tail_bytes: *rng.pick(&[150, 300, 640]),
            visibility_ms: *rng.pick(&[5_000, 30_000]),
            requests,
            faults,
            poisons: (0..rng.between(0, 2)).map(|n| poison(&mut rng, &items, seed, n)).collect(),
            outages: outages(&mut rng),
            deploys: (0..rng.below(3)).map(|_| (rng.between(2_000, 40_000), rng.below(2) as usize)).collect(),
            skews: skews(&mut rng, workers + 2),
            late_location_ms: rng.between(3_000, 30_000),
            weeks,
            receives_max: if rng.percent(40) { RECEIVES_FEW } else { RECEIVES_MAX },
            busy,
            damaged: None,
            capped: capped(&mut Rng::new(seed, 7)),
            operations,
            refused_until_ms: rng.between(8_000, 60_000),
        };
        scenario.damage_an_item(Rng::new(seed, 8));
        scenario.add_first_movements(Rng::new(seed, 4));
        scenario.skews.extend(clock_steps(&mut Rng::new(seed, 5), workers + 2));
        scenario.add_money(&mut Rng::new(seed, 6));
        scenario.add_reversals(&mut Rng::new(seed, 7));
        scenario.add_plannings(&mut Rng::new(seed, 9));
        scenario
    }

    /// Adds reversals of earlier commands, of which some are taken back twice.
    fn add_reversals(&mut self, rng: &mut Rng) {
        let mut earlier: Vec<(String, Uuid)> = Vec::new();
        let mut made = 0_u64;
        for request in &mut self.requests {
            if rng.percent(14) && !earlier.is_empty() {
                for _ in 0..rng.between(1, 2) {
                    let recent = &earlier[earlier.len().saturating_sub(12)..];
                    let (item, target) = rng.pick(recent).clone();
                    made += 1;
                    let id = Uuid::from_u128(u128::from(self.seed) << 64 | u128::from(700_000 + made));
                    let body = json!({"type": "reverse", "command_id": id, "item_id": item, "reverses": target});
                    request.lines.push(Line { item, id, body, occurred_ago_ms: None, says_sent: rng.percent(30) });
                }
            }
            earlier.extend(request.lines.iter().map(|line| (line.item.clone(), line.id)));
        }
    }

    /// Adds fields by which items are ordered to commands of the catalogue, and commands that set them for a location.
    fn add_plannings(&mut self, rng: &mut Rng) {
        let mut made = 0_u64;
        for request in &mut self.requests {
            for line in &mut request.lines {
                let changes = line.body["type"] == "update_item";
                if (changes || line.body["type"] == "register_item") && rng.percent(40) {
                    plan(rng, changes, &mut line.body);
                }
            }
            if let Some(item) = request.lines.first().map(|line| line.item.clone())
                && rng.percent(8)
            {
                made += 1;
                let id = Uuid::from_u128(u128::from(self.seed) << 64 | u128::from(800_000 + made));
                let at = *rng.pick(&["main", "a", "b", "late", "mars"]);
                let mut body = json!({"type": "set_planning", "command_id": id, "item_id": item, "location_id": at});
                plan(rng, true, &mut body);
                request.lines.push(Line { item, id, body, occurred_ago_ms: None, says_sent: rng.percent(30) });
            }
        }
    }

    /// Adds costs and amounts to commands.
    fn add_money(&mut self, rng: &mut Rng) {
        for line in self.requests.iter_mut().flat_map(|request| &mut request.lines) {
            let (field, percent) = match line.body["type"].as_str().unwrap_or_default() {
                "receive" => ("unit_cost", 60),
                "register_item" | "update_item" => ("unit_cost", 30),
                "sell" | "return" => ("amount", 50),
                _ => continue,
            };
            if rng.percent(percent) {
                let (whole, part) = (rng.below(4), rng.below(10_000));
                line.body[field] = json!(format!("{whole}.{part:04}"));
            }
        }
    }

    /// In a fifth of the runs an item can't be read for so long that its commands are set aside. With few receives the queue
    /// would set its messages aside before that.
    fn damage_an_item(&mut self, mut rng: Rng) {
        if self.receives_max == RECEIVES_FEW || !rng.percent(35) {
            return;
        }
        let from_ms = rng.between(2_000, 20_000);
        self.damaged = Some(("cola".to_owned(), from_ms, from_ms + rng.between(10 * 60_000, 3 * 3_600_000)));
    }

    /// Adds a new item if the queue sets messages aside. Its partition is over its rate until about the time at which
    /// its first movements are set aside. So these are decided beside the later changes of its threshold.
    fn add_first_movements(&mut self, mut rng: Rng) {
        if self.receives_max != RECEIVES_FEW || self.busy.is_some() {
            return;
        }
        let from_ms = rng.between(2_000, 20_000);
        let until_ms = from_ms + rng.between(1_200, 2_400);
        self.busy = Some((NEW_ITEM.to_owned(), from_ms, until_ms));
        let mut writer = Writer::new(rng, self.seed, vec![NEW_ITEM.to_owned()], 500_000);
        self.requests.extend(writer.first_movements(self.tills, from_ms));
        self.tills += 1;
    }
}

/// Sets a field by which an item is ordered, or clears it; sometimes two.
fn plan(rng: &mut Rng, clears: bool, body: &mut Value) {
    for _ in 0..rng.between(1, 2) {
        let (field, value) = match rng.below(5) {
            0 => ("supplier", json!(rng.pick::<&str>(&["Ltd", "Next Door"]))),
            1 => ("lead_time_days", json!(rng.below(30))),
            2 => ("order_multiple", json!(rng.pick::<&str>(&["6", "0.5", "2.125"]))),
            3 => ("order_minimum", json!(rng.pick::<&str>(&["0", "24", "1.5"]))),
            _ => ("service_level", json!(rng.pick::<&str>(&["90", "97.5"]))),
        };
        body[field] = if clears && rng.percent(30) { Value::Null } else { value };
    }
}

fn fault(rng: &mut Rng) -> Fault {
    const STEPS: [Step; 33] = [
        Step::Commit,
        Step::Commit,
        Step::Commit,
        Step::Commit,
        Step::Commit,
        Step::Commit,
        Step::Send,
        Step::Send,
        Step::Receive,
        Step::Receive,
        Step::LoadLevels,
        Step::LoadLevels,
        Step::LoadItem,
        Step::LoadItem,
        Step::History,
        Step::LoadAll,
        Step::Rejudge,
        Step::Rejudge,
        Step::Publish,
        Step::Publish,
        Step::Publish,
        Step::Ack,
        Step::Visibility,
        Step::Find,
        Step::Discard,
        Step::Location,
        Step::Claim,
        Step::Claim,
        Step::Mail,
        Step::Mail,
        Step::Mark,
        Step::Mark,
        Step::Reply,
    ];
    loop {
        let (step, kind) = (*rng.pick(&STEPS), *rng.pick(&Kind::ALL));
        if kind.can_meet(step) {
            return Fault { from_ms: rng.below(30_000), step, kind };
        }
    }
}

fn outages(rng: &mut Rng) -> Vec<(Vec<Step>, u64, u64)> {
    if !rng.percent(8) {
        return Vec::new();
    }
    let mut store = vec![Step::LoadLevels, Step::LoadItem, Step::History, Step::LoadAll, Step::Commit, Step::Rejudge];
    store.extend([Step::Find, Step::Discard, Step::Location, Step::Claim, Step::Mark]);
    let topic = vec![Step::Publish];
    let steps = match rng.below(5) {
        0 => topic,
        1 => vec![Step::Commit, Step::Rejudge],
        2 => [store, topic].concat(),
        3 => vec![Step::Mail],
        _ => store,
    };
    let from = rng.between(2_000, 15_000);
    vec![(steps, from, from + rng.between(20 * 60_000, 3 * 3_600_000))]
}

fn operations(rng: &mut Rng) -> Vec<Operation> {
    let mut one = |_| {
        let act = *rng.pick(&[Act::Retry, Act::Discard, Act::Resubmit, Act::Retry, Act::Resubmit]);
        Operation { at_ms: rng.between(4_000, 90_000), act, nth: rng.below(1_000) as usize, item: None, location: None }
    };
    (0..6).map(&mut one).collect()
}

/// In two of three runs, operators resubmit commands under another item, some also at another location. Two people do
/// so at once, and mostly choose different items.
fn corrections(rng: &mut Rng, items: &[String]) -> Vec<Operation> {
    let mut operations = Vec::new();
    if rng.percent(35) {
        return operations;
    }
    for _ in 0..3 {
        let (at_ms, nth) = (rng.between(4_000, 60_000), rng.below(1_000) as usize);
        let mut one = || {
            // Only a resubmission names this item.
            let item = if rng.percent(8) { "mint".to_owned() } else { rng.pick(items).clone() };
            let location = rng.percent(40).then(|| (*rng.pick(&["main", "a", "b", "late", "shut"])).to_owned());
            Operation { at_ms, act: Act::Resubmit, nth, item: Some(item), location }
        };
        operations.extend([one(), one()]);
    }
    operations
}

fn busy(rng: &mut Rng, items: &[String]) -> Option<(String, u64, u64)> {
    let from = rng.between(1_000, 15_000);
    rng.percent(8).then(|| (rng.pick(items).clone(), from, from + rng.between(60_000, 20 * 60_000)))
}

/// In a sixth of the runs the table takes less than the load for a while.
fn capped(rng: &mut Rng) -> Option<(u64, u64, u64)> {
    let from = rng.between(1_000, 15_000);
    rng.percent(16).then(|| (from, from + rng.between(60_000, 20 * 60_000), rng.between(4, 12)))
}

fn skews(rng: &mut Rng, clocks: usize) -> Vec<(u64, usize, i64)> {
    let mut skew = |_| {
        let error = i64::try_from(rng.below(240_000)).unwrap() - 120_000;
        (rng.below(30_000), rng.below(clocks as u64) as usize, error)
    };
    (0..4).map(&mut skew).collect()
}

/// In a third of the runs, clocks step further than right clocks differ: for a while, or twice.
fn clock_steps(rng: &mut Rng, clocks: usize) -> Vec<(u64, usize, i64)> {
    const STEPS_MS: [i64; 6] = [6 * 60_000, 30 * 60_000, 3_600_000, 86_400_000, 10 * 86_400_000, 365 * 86_400_000];
    if !rng.percent(33) {
        return Vec::new();
    }
    let mut steps = Vec::new();
    for _ in 0..rng.between(1, 3) {
        let whose = rng.below(clocks as u64) as usize;
        let (from_ms, then_ms) = (rng.below(20_000), rng.between(500, 15_000));
        let sign = if rng.percent(60) { 1 } else { -1 };
        let then = if rng.percent(70) { 0 } else { -sign * *rng.pick(&STEPS_MS) };
        steps.extend([(from_ms, whose, sign * *rng.pick(&STEPS_MS)), (from_ms + then_ms, whose, then)]);
    }
    steps
}

fn poison(rng: &mut Rng, items: &[String], seed: u64, n: u64) -> Poison {
    let item = rng.pick(items).clone();
    let id = Uuid::from_u128(u128::from(seed) << 64 | u128::from(900_000 + n));
    let body = match rng.below(3) {
        0 => "no message at all".to_owned(),
        1 => json!({"v": 1, "item_id": item, "commands": [{"nothing": "known"}, {"command": {"command_id": id}}]})
            .to_string(),
        _ => json!({"v": 1, "item_id": item, "commands": [17]}).to_string(),
    };
    Poison { at_ms: rng.between(1_000, 25_000), item, body }
}
