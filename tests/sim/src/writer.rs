//! Draws the requests of the tills from a seed.

use serde_json::{Value, json};
use uuid::Uuid;

use super::rng::Rng;
use super::scenario::{Again, COMMANDS_MIN, Line, MENDED_NOTE, PANIC_NOTE, REFUSED_NOTE, Request};

const LOCATIONS: [&str; 6] = ["main", "main", "main", "a", "a", "b"];

/// The changes of a new item's default threshold (9 at first) after its first movements of 5 each. If a change from or
/// to 2 misses a level, the next change raises one alert too many or too few.
const CHANGES: [&str; 6] = ["2", "9", "12", "2", "9", "12"];

pub(crate) struct Writer {
    pub(crate) rng: Rng,
    seed: u64,
    pub(crate) items: Vec<String>,
    made: u64,
}

impl Writer {
    /// Starts with the command id after `made`.
    pub(crate) const fn new(rng: Rng, seed: u64, items: Vec<String>, made: u64) -> Self {
        Self { rng, seed, items, made }
    }

    pub(crate) fn requests(&mut self, tills: usize) -> Vec<Request> {
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

    /// Returns the manager's first request.
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

    /// Returns a new item, its first movements a second later, and then changes of its default threshold.
    pub(crate) fn first_movements(&mut self, till: usize, from_ms: u64) -> Vec<Request> {
        let item = self.items[0].clone();
        let registration = json!({"type": "register_item", "name": "An item", "shortage_policy": "allow", "decimals": 0,
            "low_stock_threshold": "9"});
        let receive = |location: &str| json!({"type": "receive", "location_id": location, "quantity": "5"});
        let mut sent = vec![(from_ms - 1_000, vec![registration]), (1_000, ["main", "a", "b"].map(receive).to_vec())];
        for threshold in CHANGES {
            sent.push((self.rng.below(800), vec![json!({"type": "set_threshold", "low_stock_threshold": threshold})]));
        }
        let request = |(after_ms, bodies): (u64, Vec<Value>)| {
            let lines = bodies.into_iter().map(|body| self.line(&item, body)).collect();
            Request { till, after_ms, lines, again: None }
        };
        sent.into_iter().map(request).collect()
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
            let codes: Vec<_> = (0..count).map(|n| self.barcode(n)).collect();
            body["barcodes"] = json!(codes);
        }
        body
    }

    /// Makes the nth barcode of an item: a text, or a GTIN in one of its spellings; sometimes of a pack.
    fn barcode(&mut self, n: u64) -> Value {
        const GTINS: [[&str; 3]; 3] = [
            ["036000291452", "0036000291452", "00036000291452"],
            ["96385074", "000096385074", "00000096385074"],
            ["4006381333931", "04006381333931", "4006381333931"],
        ];
        let code = match self.rng.below(3) {
            0 => (*self.rng.pick(&GTINS[n as usize % GTINS.len()])).to_owned(),
            _ => format!("40063{}", n * 7 + self.rng.below(5)),
        };
        match self.rng.below(4) {
            0 => json!({"code": code, "quantity": self.rng.pick::<&str>(&["12", "0.5", "2.125"])}),
            _ => json!(code),
        }
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
        if body.get("quantity").is_some() {
            match self.rng.below(100) {
                0 => body["note"] = json!(REFUSED_NOTE),
                1 => body["note"] = json!(PANIC_NOTE),
                2 => body["note"] = json!(MENDED_NOTE),
                _ => {}
            }
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
