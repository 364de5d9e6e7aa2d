//! A script of commands in one line, so that a claim is one line.
//!
//! Commands are separated by `|` and accepted ten seconds apart, the first at [`T0`]; the item is registered before.
//! A command is its word and its number (`sell 3`, `count 8`, `move 2`, `reverse 3` for the third command, `low 5` for a threshold of a location,
//! `default 5` for the item's, `multiple 6` for the order multiple of a location, `none` clears; `register`, `update`, `archive`, `restore`, `barcodes A,B`), and then
//! `at:shop` `from:main` `to:shop` for places (main unless said), `@-30s` for `occurred_at` and `sent:-2s` for
//! `sent_at`, both against the moment of acceptance, `expect:4`, `on:reject`, `policy:reject`, `dec:0`, `low:5`,
//! `id:7`, `retry:1`, `dead`; `skew:-10s` moves the moment of acceptance, as another ingress's clock would.

use std::collections::BTreeSet;

use stockline_core::domain::{Effect, Outcome, Slot, Status, Timestamp};

use super::spec::{Act, Spec, T0, command_id, item_id};
use super::worker::Worker;

pub const STEP_MS: i64 = 10_000;

fn thousandths(text: &str) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let part: i64 = format!("{part:0<3}").parse().unwrap();
    whole.parse::<i64>().unwrap() * 1000 + sign * part
}

fn maybe(text: &str) -> Option<i64> {
    (text != "none").then(|| thousandths(text))
}

fn duration_ms(text: &str) -> i64 {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match &text[at..] {
        "ms" | "" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        other => panic!("unit {other}"),
    };
    text[..at].parse::<i64>().unwrap() * unit
}

fn place(name: &str) -> &'static str {
    ["main", "shop", "closed", "mars"].into_iter().find(|place| *place == name).unwrap()
}

struct Words<'a>(Vec<&'a str>);

impl Words<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix(':'))
    }

    fn place(&self, key: &str) -> &'static str {
        self.get(key).map_or("main", place)
    }

    fn reject(&self, key: &str) -> Option<bool> {
        self.get(key).map(|word| word == "reject")
    }

    fn act(&self) -> Act {
        let number = || thousandths(self.0[1]);
        let at = self.place("at");
        match self.0[0] {
            "register" => Act::Register {
                decimals: self.get("dec").map_or(3, |dec| dec.parse().unwrap()),
                threshold: self.get("low").and_then(maybe),
                reject: self.reject("policy").unwrap_or_default(),
            },
            "update" => Act::Update {
                decimals: self.get("dec").map(|dec| dec.parse().unwrap()),
                threshold: self.get("low").map(maybe),
                reject: self.reject("policy"),
            },
            "barcodes" => {
                let known = ["A", "B", "C", "D"];
                Act::Barcodes(known.into_iter().filter(|code| self.0[1].split(',').any(|c| c == *code)).collect())
            }
            "archive" => Act::Archive,
            "restore" => Act::Restore,
            "low" => Act::Threshold { at: Some(at), value: maybe(self.0[1]) },
            "default" => Act::Threshold { at: None, value: maybe(self.0[1]) },
            "multiple" => Act::Multiple { at, value: maybe(self.0[1]) },
            "receive" => Act::Receive { at, quantity: number() },
            "sell" => Act::Sell { at, quantity: number(), reject: self.reject("on") },
            "return" => Act::Return { at, quantity: number() },
            "adjust" => Act::Adjust { at, quantity: number() },
            "count" => Act::Count { at, counted: number() },
            "reverse" => Act::Reverse(self.0[1].parse().unwrap()),
            "move" => Act::Transfer { from: self.place("from"), to: self.place("to"), quantity: number() },
            other => panic!("command {other}"),
        }
    }
}

/// Reads a script. Commands without an id get the ids 1, 2, 3 … by place.
pub fn read(script: &str) -> Vec<Spec> {
    let commands = script.split('|').map(str::trim).filter(|text| !text.is_empty());
    let spec = |(index, text): (usize, &str)| {
        let words = Words(text.split_whitespace().collect());
        let accepted = T0 + index as i64 * STEP_MS + words.get("skew").map_or(0, duration_ms);
        let after = |text: &str| accepted + duration_ms(text);
        Spec {
            id: words.get("id").map_or(index as u32 + 1, |id| id.parse().unwrap()),
            act: words.act(),
            accepted,
            occurred: words.0.iter().find_map(|word| word.strip_prefix('@')).map(after),
            sent: words.get("sent").map(after),
            expect: words.get("expect").map(thousandths),
            retry: words.get("retry").map_or(0, |n| n.parse().unwrap()),
            dead: words.0.contains(&"dead"),
        }
    };
    commands.enumerate().map(spec).collect()
}

fn effect(effect: &Effect) -> String {
    let sign = if effect.delta.is_negative() { "" } else { "+" };
    let moved = if effect.late { "late".to_owned() } else { format!("{sign}{}", effect.delta) };
    let ahead = if effect.clock_ahead { " ahead" } else { "" };
    format!("{} {moved} ={}{ahead}", effect.location_id, effect.after)
}

/// Describes an outcome: `main -3 =5`, `main late =5`, `main +1 =1 ahead`, `ok`, `insufficient_stock` or `dead`.
pub fn show(outcome: &Outcome) -> String {
    match outcome.status {
        Status::Rejected => outcome.rejection.as_ref().unwrap().code.as_str().to_owned(),
        Status::DeadLettered => "dead".into(),
        Status::Applied if outcome.effects.is_empty() => "ok".into(),
        Status::Applied => outcome.effects.iter().map(effect).collect::<Vec<_>>().join(", "),
    }
}

pub fn slots(specs: &[Spec]) -> Vec<Slot> {
    specs.iter().map(Spec::slot).collect()
}

/// Makes a worker whose store has the item with 3 decimals and the policy `allow`, unless the script registers it.
pub fn world(script: &str) -> Worker {
    let mut worker = Worker::new(Timestamp::from_millis(T0));
    if !script.contains("register") {
        let register = Spec { id: 0, ..read("register").remove(0) };
        worker.run(&item_id(), &[Spec { accepted: T0 - STEP_MS, ..register }.slot()]);
    }
    worker
}

/// Runs a script whole, cut at every command, with a chunk at every commit, and delivered twice, and checks that all
/// results are equal.
pub fn run(script: &str) -> Worker {
    run_with(script, |_| {})
}

pub fn run_with(script: &str, set_up: impl Fn(&mut Worker)) -> Worker {
    let specs = read(script);
    let slots = slots(&specs);
    let mut whole = world(script);
    set_up(&mut whole);
    whole.run(&item_id(), &slots);
    let mut cut = world(script);
    set_up(&mut cut);
    for slot in &slots {
        cut.run(&item_id(), std::slice::from_ref(slot));
    }
    let mut chunked = world(script);
    set_up(&mut chunked);
    chunked.limits.max_tail_bytes = 0;
    for pair in slots.chunks(2) {
        chunked.run(&item_id(), pair);
    }
    let mut twice = whole.clone();
    twice.run(&item_id(), &slots);
    for other in [&cut, &chunked, &twice] {
        assert_eq!(shows(&specs, other), shows(&specs, &whole), "{script}");
        assert_eq!(alerts(other), alerts(&whole), "{script}");
        for place in ["main", "shop"] {
            assert_eq!(other.store.ledger(&item_id(), place), whole.store.ledger(&item_id(), place), "{script}");
        }
    }
    whole
}

fn shows(specs: &[Spec], worker: &Worker) -> Vec<String> {
    specs.iter().map(|spec| show(&worker.store.record(&item_id(), command_id(spec.id)).unwrap().outcome)).collect()
}

/// Describes the outcome of the last command.
pub fn last(script: &str, worker: &Worker) -> String {
    shows(&read(script), worker).pop().unwrap()
}

/// Lists every alert once, as `low main 4` or `opening low main 4`, in the order of their numbers, main first.
pub fn alerts(worker: &Worker) -> Vec<String> {
    let once: BTreeSet<_> =
        worker.published.iter().map(|a| (a.location_id.clone(), a.alert_no, show_alert(a))).collect();
    let ids: BTreeSet<_> = once.iter().map(|(location, number, _)| (location.clone(), *number)).collect();
    assert_eq!(ids.len(), once.len(), "an alert id names one alert");
    once.into_iter().map(|(_, _, text)| text).collect()
}

fn show_alert(alert: &stockline_core::domain::Alert) -> String {
    let opening = if alert.opening { "opening " } else { "" };
    format!("{opening}{} {} {}", alert.kind.as_str(), alert.location_id, alert.on_hand)
}

/// Checks rows of a claim, a script and the outcome of its last command.
pub fn holds(rows: &[(&str, &str, &str)]) {
    for (claim, script, expected) in rows {
        assert_eq!(last(script, &run(script)), *expected, "{claim}: {script}");
    }
}

/// Checks rows of a claim, a script and all of its alerts.
pub fn raises(rows: &[(&str, &str, &str)]) {
    for (claim, script, expected) in rows {
        assert_eq!(alerts(&run(script)).join(", "), *expected, "{claim}: {script}");
    }
}
