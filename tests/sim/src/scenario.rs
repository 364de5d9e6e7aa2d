//! What a seed stands for: plain data, so that a failing run can be made smaller.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::{Fault, Kind, Step};
use super::rng::Rng;

/// At least so many commands a run.
pub const COMMANDS_MIN: usize = 200;
/// At least so many faults a run.
pub const FAULTS_MIN: usize = 7;

/// A command that a till means to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) item: String,
    pub(crate) id: Uuid,
    /// All but the times.
    pub(crate) body: Value,
    /// It happened so long before it is sent, by the till's clock; negative: after.
    pub(crate) occurred_ago_ms: Option<i64>,
    /// It says what the till's clock shows.
    pub(crate) says_sent: bool,
}

/// Lines that are sent together, and again until they are accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub(crate) till: usize,
    /// After the till's last request.
    pub(crate) after_ms: u64,
    pub(crate) lines: Vec<Line>,
    /// Sent again later, though it was accepted.
    pub(crate) again: Option<Again>,
}

/// A request that comes once more.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Again {
    pub(crate) after_ms: u64,
    /// With another body under the same ids.
    pub(crate) changed: bool,
    /// Not soon, but when weeks have passed.
    pub(crate) weeks_later: bool,
}

/// A message that no ingress wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Poison {
    pub(crate) at_ms: u64,
    pub(crate) item: String,
    pub(crate) body: String,
}

/// All of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    pub(crate) workers: usize,
    pub(crate) ingresses: usize,
    pub(crate) receivers: usize,
    pub(crate) tills: usize,
    pub(crate) tail_bytes: usize,
    pub(crate) visibility_ms: u64,
    /// What tills send.
    pub requests: Vec<Request>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    pub(crate) poisons: Vec<Poison>,
    /// Steps that fail, from when, until when.
    pub(crate) outages: Vec<(Vec<Step>, u64, u64)>,
    /// A worker is replaced by a deployment: when, which.
    pub(crate) deploys: Vec<(u64, usize)>,
    /// A clock jumps: when, whose (workers, then ingresses), to which error.
    pub(crate) skews: Vec<(u64, usize, i64)>,
    /// When the location `late` is registered.
    pub(crate) late_location_ms: u64,
    /// Weeks pass, and old commands come again.
    pub(crate) weeks: bool,
    /// Received more often than this, a message is moved to the dead letter queue.
    pub(crate) receives_max: u32,
    /// An item of which the store takes nothing, from when, until when: its partition is over its rate of writes.
    pub(crate) busy: Option<(String, u64, u64)>,
}

/// As it is deployed: no fault may use it up.
pub(crate) const RECEIVES_MAX: u32 = 1_000;

/// So that the queue sets messages aside.
const RECEIVES_FEW: u32 = 2;

/// The store takes no outcome of a command with this note, unless it is set aside.
pub(crate) const REFUSED_NOTE: &str = "what no store takes";

const LOCATIONS: [&str; 6] = ["main", "main", "main", "a", "a", "b"];

impl Scenario {
    /// Commands that the store refuses, whatever they come to.
    pub(crate) fn refused(&self) -> u64 {
        let lines = self.requests.iter().flat_map(|request| &request.lines);
        lines.filter(|line| line.body["note"] == REFUSED_NOTE).count() as u64
    }

    /// Of this seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 1);
        let items: Vec<String> = ["cola", "tea", "oil-2", "Rice", "cola-x"][..3 + rng.below(3) as usize]
            .iter()
            .map(|item| (*item).to_owned())
            .collect();
        let tills = rng.between(4, 8) as usize;
        let mut writer = Writer { rng, seed, items, made: 0 };
        let requests = writer.requests(tills);
        let Writer { mut rng, items, .. } = writer;
        let faults = (0..rng.between(FAULTS_MIN as u64, 16)).map(|_| fault(&mut rng)).collect();
        let workers = rng.between(2, 3) as usize;
        let busy = busy(&mut rng, &items);
        let weeks = requests.iter().any(|request| request.again.is_some_and(|again| again.weeks_later));
        Self {
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
        }
    }
}

fn fault(rng: &mut Rng) -> Fault {
    const STEPS: [Step; 23] = [
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
    let store = vec![Step::LoadLevels, Step::LoadItem, Step::History, Step::LoadAll, Step::Commit, Step::Rejudge];
    let topic = vec![Step::Publish];
    let steps = match rng.below(4) {
        0 => topic,
        1 => vec![Step::Commit, Step::Rejudge],
        2 => [store, topic].concat(),
        _ => store,
    };
    let from = rng.between(2_000, 15_000);
    vec![(steps, from, from + rng.between(20 * 60_000, 3 * 3_600_000))]
}

fn busy(rng: &mut Rng, items: &[String]) -> Option<(String, u64, u64)> {
    let from = rng.between(1_000, 15_000);
    rng.percent(8).then(|| (rng.pick(items).clone(), from, from + rng.between(60_000, 20 * 60_000)))
}

fn skews(rng: &mut Rng, clocks: usize) -> Vec<(u64, usize, i64)> {
    let mut skew = |_| {
        let error = i64::try_from(rng.below(240_000)).unwrap() - 120_000;
        (rng.below(30_000), rng.below(clocks as u64) as usize, error)
    };
    (0..4).map(&mut skew).collect()
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

struct Writer {
    rng: Rng,
    seed: u64,
    items: Vec<String>,
    made: u64,
}

impl Writer {
    fn requests(&mut self, tills: usize) -> Vec<Request> {
        let mut requests = vec![self.registration()];
        let mut lines = 0;
        let wanted = COMMANDS_MIN + self.rng.below(40) as usize;
        while lines < wanted {
            let request = self.request(tills);
            lines += request.lines.len();
            requests.push(request);
        }
        requests
    }

    /// The manager's first request.
    fn registration(&mut self) -> Request {
        let mut lines = Vec::new();
        for item in self.items.clone() {
            let body = self.catalogue("register_item");
            lines.push(self.line(&item, body));
            let quantity = self.rng.between(5, 40).to_string();
            lines.push(self.line(&item, json!({"type": "receive", "location_id": "main", "quantity": quantity})));
        }
        Request { till: 0, after_ms: 0, lines, again: None }
    }

    fn request(&mut self, tills: usize) -> Request {
        let count = if self.rng.percent(60) { 1 } else { self.rng.between(2, 8) };
        let hot = self.items[0].clone();
        let one_item = self.rng.percent(50).then(|| self.rng.pick(&self.items).clone());
        let mut lines = Vec::new();
        for _ in 0..count {
            let item = match &one_item {
                Some(item) => item.clone(),
                None if self.rng.percent(40) => hot.clone(),
                None => self.rng.pick(&self.items).clone(),
            };
            let body = self.command();
            lines.push(self.line(&item, body));
        }
        let again = self.rng.percent(12).then(|| Again {
            after_ms: self.rng.between(1, 20_000),
            changed: self.rng.percent(40),
            weeks_later: self.rng.percent(6),
        });
        let till = self.rng.below(tills as u64) as usize;
        let after_ms = if self.rng.percent(50) { self.rng.below(20) } else { self.rng.below(3_000) };
        Request { till, after_ms, lines, again }
    }

    fn line(&mut self, item: &str, mut body: Value) -> Line {
        self.made += 1;
        let id = Uuid::from_u128(u128::from(self.seed) << 64 | u128::from(self.made));
        body["command_id"] = json!(id);
        body["item_id"] = json!(item);
        let kind = body["type"].as_str().unwrap_or_default();
        let moves = ["receive", "sell", "return", "adjust", "count", "transfer"].contains(&kind);
        let tells = moves && self.rng.percent(if kind == "count" { 50 } else { 20 });
        let occurred_ago_ms = tells.then(|| self.age());
        Line { item: item.to_owned(), id, body, occurred_ago_ms, says_sent: self.rng.percent(30) }
    }

    fn age(&mut self) -> i64 {
        const DAY_MS: u64 = 86_400_000;
        let ago = match self.rng.below(20) {
            0 => return -i64::try_from(self.rng.below(600_000)).unwrap(),
            1 => self.rng.between(2 * DAY_MS, 4 * DAY_MS),
            2 => self.rng.between(29 * DAY_MS, 31 * DAY_MS),
            _ => self.rng.below(20_000),
        };
        i64::try_from(ago).unwrap()
    }

    fn quantity(&mut self) -> String {
        match self.rng.below(12) {
            0 => "0.5".into(),
            1 => "0.125".into(),
            2 => self.rng.between(10, 60).to_string(),
            _ => self.rng.between(1, 6).to_string(),
        }
    }

    fn place(&mut self) -> &'static str {
        match self.rng.below(25) {
            0 => "mars",
            1 => "shut",
            2 | 3 => "late",
            _ => self.rng.pick::<&str>(&LOCATIONS),
        }
    }

    fn threshold(&mut self) -> Value {
        if self.rng.percent(15) { Value::Null } else { json!(self.rng.below(15).to_string()) }
    }

    fn catalogue(&mut self, kind: &str) -> Value {
        let policy = *self.rng.pick(&["allow", "reject"]);
        let mut body = json!({"type": kind, "name": "An item", "shortage_policy": policy,
            "decimals": *self.rng.pick(&[0, 1, 3, 3]), "low_stock_threshold": self.threshold()});
        if self.rng.percent(50) {
            let count = self.rng.below(3);
            let codes: Vec<_> = (0..count).map(|n| format!("40063{}", n * 7 + self.rng.below(5))).collect();
            body["barcodes"] = json!(codes);
        }
        body
    }

    fn command(&mut self) -> Value {
        let location = self.place();
        let quantity = self.quantity();
        let mut body = match self.rng.below(100) {
            0..45 => {
                let mut body = json!({"type": "sell", "location_id": location, "quantity": quantity});
                match self.rng.below(4) {
                    0 => body["on_shortage"] = json!("allow"),
                    1 => body["on_shortage"] = json!("reject"),
                    _ => {}
                }
                body
            }
            45..59 => json!({"type": "receive", "location_id": location, "quantity": quantity}),
            59..63 => json!({"type": "return", "location_id": location, "quantity": quantity}),
            63..69 => {
                let sign = if self.rng.percent(50) { "-" } else { "" };
                json!({"type": "adjust", "location_id": location, "quantity": format!("{sign}{quantity}"),
                    "reason": "correction"})
            }
            69..77 => {
                json!({"type": "count", "location_id": location, "counted": self.rng.below(30).to_string()})
            }
            77..84 => {
                let to = if location == "main" { "a" } else { "main" };
                json!({"type": "transfer", "from_location_id": location, "to_location_id": to, "quantity": quantity})
            }
            84..89 => {
                json!({"type": "set_threshold", "location_id": location, "low_stock_threshold": self.threshold()})
            }
            89..93 => json!({"type": "set_threshold", "low_stock_threshold": self.threshold()}),
            93..97 => self.update(),
            97 => json!({"type": "archive_item"}),
            98 => json!({"type": "restore_item"}),
            _ => self.catalogue("register_item"),
        };
        let precondition = body.get("quantity").is_some() && self.rng.percent(4);
        if precondition {
            body["expected_on_hand"] = json!(self.rng.below(12).to_string());
        }
        if body.get("quantity").is_some() && self.rng.percent(1) {
            body["note"] = json!(REFUSED_NOTE);
        }
        body
    }

    fn update(&mut self) -> Value {
        let full = self.catalogue("update_item");
        let mut body = json!({"type": "update_item"});
        for field in ["shortage_policy", "decimals", "low_stock_threshold", "barcodes", "name"] {
            if self.rng.percent(40) && full.get(field).is_some() {
                body[field] = full[field].clone();
            }
        }
        if body.as_object().unwrap().len() == 1 {
            body["shortage_policy"] = full["shortage_policy"].clone();
        }
        body
    }
}
