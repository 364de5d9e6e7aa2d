//! Predicts the outcome of a command from its place in the queue.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::scenario::{MENDED_NOTE, PANIC_NOTE, REFUSED_NOTE};
use super::compare::effects;
use super::level::{Alert, Change, Entry, Item, Level, Occurrence, PLANNING, Planning};
use super::money::Price;
use super::read::{Command, Outcomes, Place, Stored, thousandths};

const DAY_MS: i64 = 86_400_000;
const MAX_AGE_MS: i64 = 30 * DAY_MS;
const LATE_COUNT_MS: i64 = 3 * DAY_MS;
const CLOCK_SKEW_MS: i64 = 5 * 60_000;

/// The rejections in their documented order of precedence.
const PRECEDENCE: [&str; 14] = [
    "unknown_item",
    "item_exists",
    "item_archived",
    "unknown_location",
    "location_closed",
    "barcode_taken",
    "decimals_in_use",
    "unknown_command",
    "not_reversible",
    "fractional_quantity",
    "occurred_at_out_of_range",
    "count_too_late",
    "precondition_failed",
    "insufficient_stock",
];

/// The predicted outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Applied with these entries and alerts.
    Applied {
        entries: Vec<Entry>,
        alerts: Vec<Alert>,
    },
    Rejected(&'static str),
    /// Set aside with this body.
    Dead(String),
}

pub(super) type Rejudged = BTreeMap<(String, String, String), Option<Alert>>;

pub(super) type Decided = BTreeMap<(String, Uuid), (Verdict, Option<Command>)>;

pub(super) struct Predictor<'a> {
    pub(super) stored: &'a Outcomes,
    pub(super) refused_until_ms: u64,
    /// The item that could not be read: from, until.
    pub(super) damaged: Option<&'a (String, u64, u64)>,
    /// When the location `late` was registered.
    pub(super) late_ms: u64,
    pub(super) items: BTreeMap<String, Item>,
    pub(super) levels: BTreeMap<(String, String), Level>,
    pub(super) barcodes: Vec<Hold>,
    pub(super) taken: Vec<(String, Vec<String>, u64, u64)>,
    pub(super) rejudged: Rejudged,
    /// Items that are judged in the order of their decisions, because the queue set some of their messages aside.
    pub(super) by_decision: BTreeSet<String>,
}

/// An item holds a barcode for this time.
#[derive(Clone)]
pub(super) struct Hold {
    pub(super) item: String,
    pub(super) barcode: String,
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

impl Predictor<'_> {
    pub(super) fn decide(&mut self, place: &Place) -> Verdict {
        let command = match &place.command {
            Ok(command) => command,
            Err(body) => return Verdict::Dead(body.clone()),
        };
        let is_set_aside = match command.text("note") {
            Some(REFUSED_NOTE) => self.is_refused(place),
            Some(PANIC_NOTE) => true,
            Some(MENDED_NOTE) => place.retry == 0,
            _ => false,
        };
        if is_set_aside || self.is_parked(place) {
            let message = json!({"v": 1, "item_id": place.item, "commands": [command.envelope]});
            return Verdict::Dead(message.to_string());
        }
        if command.resubmits.as_ref().is_some_and(|old| self.is_final(old, place)) {
            return Verdict::Rejected("precondition_failed");
        }
        let refusals = self.refusals(place, command);
        match PRECEDENCE.into_iter().find(|code| refusals.contains(code)) {
            Some("barcode_taken") => {
                let (from, until) = (place.received_ms, self.written_ms(place));
                self.taken.push((place.item.clone(), barcodes(command).unwrap_or_default(), from, until));
                Verdict::Rejected("barcode_taken")
            }
            Some(code) => Verdict::Rejected(code),
            None => self.apply(place, command),
        }
    }

    /// Returns the outcome that was stored for this place.
    fn stored(&self, place: &Place) -> Option<&Stored> {
        let of_id = self.stored.get(&(place.item.clone(), place.id))?;
        of_id.iter().find(|stored| !stored.is_mark && stored.retry() == place.retry).or(of_id.first())
    }

    /// Returns whether a command can no longer be replaced: it took effect, was discarded, or was already replaced.
    fn is_final(&self, old: &(String, Uuid), place: &Place) -> bool {
        let decided = self.stored(place).map_or(u64::MAX, |stored| stored.transaction);
        let of_old = self.stored.get(old).map(Vec::as_slice).unwrap_or_default();
        of_old.iter().rfind(|before| before.transaction < decided).is_none_or(|before| {
            let other = before.resubmitted_as.as_ref().is_some_and(|by| *by != (place.item.clone(), place.id));
            before.is("applied") || before.discarded || other
        })
    }

    /// Returns whether the store refused this command. A worker that received it during the refusal may set it aside
    /// later.
    fn is_refused(&self, place: &Place) -> bool {
        let set_aside = self.stored(place).is_some_and(|stored| stored.is("dead_lettered"));
        self.written_ms(place) < self.refused_until_ms || (set_aside && place.received_ms <= self.refused_until_ms)
    }

    /// Returns whether this command was set aside because its item could not be read for long. While it can't be read,
    /// nothing else can happen to it.
    fn is_parked(&self, place: &Place) -> bool {
        let Some((_, from, until)) = self.damaged.filter(|(item, ..)| *item == place.item) else {
            return false;
        };
        self.stored(place)
            .is_some_and(|stored| stored.is("dead_lettered") && stored.at_ms >= *from && place.received_ms < *until)
    }

    fn written_ms(&self, place: &Place) -> u64 {
        self.stored(place).map_or(u64::MAX, |stored| stored.at_ms)
    }

    /// Returns whether the stored rejection has this code. It is asked only if two orders are both right.
    fn was_refused_for(&self, place: &Place, code: &str) -> bool {
        self.stored(place).is_some_and(|stored| stored.record["rejection"]["code"] == code)
    }

    /// Returns whether a location is registered. Registration is not ordered by the queue, so during it both answers
    /// are right.
    fn is_registered(&self, location: &str, place: &Place) -> bool {
        match location {
            "mars" => false,
            "late" if place.received_ms >= self.late_ms => true,
            "late" if self.written_ms(place) <= self.late_ms => false,
            "late" => !self.was_refused_for(place, "unknown_location"),
            _ => true,
        }
    }

    /// Returns all rejections that apply to a command, unordered.
    fn refusals(&self, place: &Place, command: &Command) -> Vec<&'static str> {
        let mut found = Vec::new();
        let item = self.items.get(&place.item);
        let kind = command.kind();
        if barcodes(command).is_some() && self.was_refused_for(place, "barcode_taken") {
            found.push("barcode_taken");
        }
        match item {
            None if kind != "register_item" => return vec!["unknown_item"],
            Some(_) if kind == "register_item" => found.push("item_exists"),
            _ => {}
        }
        let now_decimals = item.map_or(0, |item| item.decimals);
        let decimals = command.body["decimals"].as_u64().map_or(now_decimals, |decimals| decimals as u32);
        let amount = ["quantity", "counted", "low_stock_threshold"].into_iter().find_map(|name| command.amount(name));
        if amount.is_some_and(|amount| needs_more(amount, decimals)) {
            found.push("fractional_quantity");
        }
        if packs(command).into_iter().flatten().any(|(_, quantity)| needs_more(quantity, decimals)) {
            found.push("fractional_quantity");
        }
        if ORDERED.iter().filter_map(|name| command.amount(name)).any(|amount| needs_more(amount, decimals)) {
            found.push("fractional_quantity");
        }
        let Some(item) = item else {
            return found;
        };
        if kind == "update_item" && decimals < now_decimals && self.uses_more(&place.item, item, command, decimals) {
            found.push("decimals_in_use");
        }
        if kind == "reverse" {
            found.extend(self.irreversible(place, command));
            return found;
        }
        let locations = ["location_id", "from_location_id", "to_location_id"];
        let locations: Vec<&str> = locations.into_iter().filter_map(|name| command.text(name)).collect();
        if locations.iter().any(|location| !self.is_registered(location, place)) {
            found.push("unknown_location");
        }
        let legs = legs(command);
        if !legs.is_empty() {
            self.refusals_of_movement(place, command, item, &legs, &mut found);
        }
        found
    }

    /// Returns what a reversal may have read of the command that it takes back: what was stored when its outcome was
    /// written. An item with messages that were set aside may be decided beside, from anything since the receive.
    fn taken_back(&self, place: &Place, command: &Command) -> Vec<Option<&Stored>> {
        let target = command.text("reverses").and_then(|id| id.parse().ok()).unwrap_or_default();
        let of_target = self.stored.get(&(place.item.clone(), target)).map(Vec::as_slice).unwrap_or_default();
        let written = self.stored(place).map_or(u64::MAX, |stored| stored.transaction);
        let before = of_target.partition_point(|version| version.transaction < written);
        let last = |count: usize| count.checked_sub(1).map(|last| &of_target[last]);
        if !self.by_decision.contains(&place.item) {
            return vec![last(before)];
        }
        let received = of_target.partition_point(|version| version.at_ms < place.received_ms).min(before);
        (received..=before).rev().map(last).collect()
    }

    /// Returns why a command can't be taken back.
    fn irreversible(&self, place: &Place, command: &Command) -> Option<&'static str> {
        let why = |target: Option<&Stored>| match target {
            None => Some("unknown_command"),
            Some(target) => {
                let kind = target.record["command"]["type"].as_str().unwrap_or_default();
                let moves = ["receive", "sell", "return", "adjust", "transfer"].contains(&kind);
                let by_other = target.reversed_by.is_some_and(|by| by != place.id);
                (!target.is("applied") || !moves || by_other).then_some("not_reversible")
            }
        };
        let reads: Vec<_> = self.taken_back(place, command).into_iter().map(why).collect();
        let as_stored = reads.iter().find(|why| why.is_some_and(|why| self.was_refused_for(place, why)));
        as_stored.or(reads.first()).copied().flatten()
    }

    fn refusals_of_movement(
        &self,
        place: &Place,
        command: &Command,
        item: &Item,
        legs: &[(String, &'static str, Change)],
        found: &mut Vec<&'static str>,
    ) {
        let when = occurrence(place, command);
        if legs.iter().any(|(location, ..)| location == "shut") {
            found.push("location_closed");
        }
        if item.archived_at.is_some_and(|archived| !when.explicit || when.occurred > archived || archived > when.latest)
        {
            found.push("item_archived");
        }
        let age = command.first_accepted.min(command.accepted) - when.occurred;
        if age > MAX_AGE_MS {
            found.push("occurred_at_out_of_range");
        }
        if age > LATE_COUNT_MS && command.kind() == "count" {
            found.push("count_too_late");
        }
        let (first, _, ask) = &legs[0];
        let level = self.levels.get(&(place.item.clone(), first.clone()));
        let level = level.cloned().unwrap_or_else(|| Level::new(first, item));
        if command.amount("expected_on_hand").is_some_and(|expected| expected != level.on_hand) {
            found.push("precondition_failed");
        }
        let rejects = match command.kind() {
            "sell" => command.text("on_shortage").map_or(item.rejects, |policy| policy == "reject"),
            "transfer" => item.rejects,
            _ => false,
        };
        let (after, late) = level.try_out(*ask, when);
        if rejects && !late && after < 0 {
            found.push("insufficient_stock");
        }
    }

    fn uses_more(&self, item_id: &str, item: &Item, command: &Command, decimals: u32) -> bool {
        let kept_default = item.threshold.filter(|_| command.body.get("low_stock_threshold").is_none());
        let levels = self.levels.iter().filter(|((of, _), _)| of == item_id).map(|(_, level)| level);
        let amounts = levels.flat_map(|level| [Some(level.on_hand), level.own_threshold]);
        let kept_packs = if packs(command).is_some() { &[][..] } else { &item.packs };
        let kept_packs = kept_packs.iter().map(|(_, quantity)| Some(*quantity));
        let kept = |(name, _): &(&&str, &Value)| command.body.get(**name).is_none();
        let planning = item.planning.iter().filter(kept).chain(item.overrides.values().flatten());
        let planned =
            planning.filter(|(name, _)| ORDERED.contains(*name)).map(|(_, value)| value.as_str().map(thousandths));
        amounts
            .chain([kept_default])
            .chain(kept_packs)
            .chain(planned)
            .flatten()
            .any(|amount| needs_more(amount, decimals))
    }

    fn apply(&mut self, place: &Place, command: &Command) -> Verdict {
        let when = occurrence(place, command);
        let (mut entries, mut alerts) = (Vec::new(), Vec::new());
        let target =
            self.taken_back(place, command).into_iter().flatten().next().filter(|_| command.kind() == "reverse");
        for old in target.map(effects).unwrap_or_default().into_iter().rev() {
            let item = &self.items[&place.item];
            let level = self.levels.entry((place.item.clone(), old.location.clone()));
            let level = level.or_insert_with(|| Level::new(&old.location, item));
            let (entry, alert) = level.take_back(item, &place.id.to_string(), &old, when.latest);
            entries.push(entry);
            alerts.extend(alert);
        }
        let mut price = command.money("unit_cost").filter(|_| command.kind() == "receive").map(Price::Unit);
        for (location, kind, ask) in legs(command) {
            let item = &self.items[&place.item];
            let level = self.levels.entry((place.item.clone(), location.clone()));
            let level = level.or_insert_with(|| Level::new(&location, item));
            // A transfer carries the cost that the goods have at the giving side, even where a count has seen them leave.
            let mut giving = level.book;
            let (entry, alert) = level.apply(item, (kind, &place.id.to_string()), (ask, price), when);
            if let ("transfer_out", Change::By(delta)) = (kind, ask) {
                let (cost, _) = giving.post(delta, None, item.unit_cost);
                price = cost.zip(giving.average).map(|(cost, unit)| Price::All(-cost, unit));
            }
            entries.push(entry);
            alerts.extend(alert);
        }
        match command.kind() {
            "register_item" => {
                self.items.insert(place.item.clone(), Item::default());
                self.change(place, command);
            }
            "update_item" => self.change(place, command),
            "set_threshold" => match command.text("location_id") {
                None => self.set_default(place, command.amount("low_stock_threshold")),
                Some(location) => {
                    let item = &self.items[&place.item];
                    let level = self.levels.entry((place.item.clone(), location.to_owned()));
                    let level = level.or_insert_with(|| Level::new(location, item));
                    level.own_threshold = command.amount("low_stock_threshold");
                    alerts.extend(level.look(item));
                }
            },
            "set_planning" => {
                let item = self.items.get_mut(&place.item).unwrap();
                let location = command.text("location_id").unwrap().to_owned();
                let own = item.overrides.entry(location.clone()).or_default();
                plan(own, command);
                if own.is_empty() {
                    item.overrides.remove(&location);
                }
            }
            "archive_item" => {
                let item = self.items.get_mut(&place.item).unwrap();
                item.archived_at.get_or_insert(command.accepted);
            }
            "restore_item" => {
                let item = self.items.get_mut(&place.item).unwrap();
                item.restored += u32::from(item.archived_at.take().is_some());
            }
            _ => {}
        }
        Verdict::Applied { entries, alerts }
    }

    /// Changes catalogue fields. A change of the default threshold re-judges every level.
    fn change(&mut self, place: &Place, command: &Command) {
        let at_ms = self.written_ms(place);
        let item = self.items.get_mut(&place.item).unwrap();
        if let Some(decimals) = command.body["decimals"].as_u64() {
            item.decimals = decimals as u32;
        }
        if command.body.get("unit_cost").is_some() {
            item.unit_cost = command.money("unit_cost");
        }
        plan(&mut item.planning, command);
        if let Some(policy) = command.text("shortage_policy") {
            item.rejects = policy == "reject";
        }
        if let Some(barcodes) = barcodes(command) {
            for hold in &mut self.barcodes {
                let gives_up = hold.item == place.item && hold.until_ms == u64::MAX;
                if gives_up && !barcodes.contains(&hold.barcode) {
                    hold.until_ms = at_ms;
                }
            }
            let held = |barcode: &String| item.packs.iter().any(|(code, _)| code == barcode);
            for barcode in barcodes.iter().filter(|barcode| !held(barcode)) {
                let (item, barcode) = (place.item.clone(), barcode.clone());
                self.barcodes.push(Hold { item, barcode, from_ms: at_ms, until_ms: u64::MAX });
            }
            item.packs = packs(command).unwrap_or_default();
        }
        if command.body.get("low_stock_threshold").is_some() {
            self.set_default(place, command.amount("low_stock_threshold"));
        }
    }

    fn set_default(&mut self, place: &Place, threshold: Option<i128>) {
        let item = self.items.get_mut(&place.item).unwrap();
        if std::mem::replace(&mut item.threshold, threshold) == threshold {
            return;
        }
        item.thresholds += 1;
        // The empty location says that this command re-judges.
        self.rejudged.insert((place.item.clone(), place.id.to_string(), String::new()), None);
        let levels = self.levels.keys().filter(|(of, _)| *of == place.item);
        let locations: Vec<String> = levels.map(|(_, location)| location.clone()).collect();
        for location in locations {
            // Items in the order of their decisions are re-judged where the mark was written.
            let in_order = !self.by_decision.contains(&place.item);
            let raised = in_order.then(|| self.look_at(&place.item, &location)).flatten();
            self.rejudged.insert((place.item.clone(), place.id.to_string(), location), raised);
        }
    }

    /// Re-judges a level and returns the alert that this raises.
    pub(super) fn look_at(&mut self, item_id: &str, location: &str) -> Option<Alert> {
        let item = self.items.get(item_id)?;
        self.levels.get_mut(&(item_id.to_owned(), location.to_owned()))?.look(item)
    }
}

/// A retry was accepted long before its place in the queue, so it says nothing about the clocks of others.
fn occurrence(place: &Place, command: &Command) -> Occurrence {
    let (occurred, explicit, ahead) = command.occurred();
    let latest = if place.retry > 0 { i64::MAX } else { command.accepted + CLOCK_SKEW_MS };
    Occurrence { occurred, explicit, ahead, latest }
}

fn barcodes(command: &Command) -> Option<Vec<String>> {
    packs(command).map(|packs| packs.into_iter().map(|(code, _)| code).collect())
}

/// Returns the barcodes of a command with the quantity of each, in thousandths. Leading zeros of a GTIN do not count.
fn packs(command: &Command) -> Option<Vec<(String, i128)>> {
    let codes = command.body.get("barcodes")?.as_array()?;
    let pack = |code: &serde_json::Value| match code.as_str() {
        Some(code) => (significant(code), 1_000),
        None => (significant(code["code"].as_str().unwrap()), thousandths(code["quantity"].as_str().unwrap())),
    };
    Some(codes.iter().map(pack).collect())
}

/// Returns a code without the leading zeros of a GTIN. The texts of the simulation are shorter than one.
pub(super) fn significant(code: &str) -> String {
    if code.len() < 8 { code.to_owned() } else { code.trim_start_matches('0').to_owned() }
}

/// The quantities of a planning.
const ORDERED: [&str; 2] = ["order_multiple", "order_minimum"];

/// Sets the fields that a command names, and clears those that are null.
fn plan(planning: &mut Planning, command: &Command) {
    for name in PLANNING {
        match command.body.get(name) {
            None => {}
            Some(Value::Null) => drop(planning.remove(name)),
            Some(value) => drop(planning.insert(name, value.clone())),
        }
    }
}

fn needs_more(amount: i128, decimals: u32) -> bool {
    amount % 10_i128.pow(3 - decimals) != 0
}

/// Returns the legs of a movement, the giving side first.
fn legs(command: &Command) -> Vec<(String, &'static str, Change)> {
    let at = |name: &str| command.text(name).unwrap_or("main").to_owned();
    let by = |sign: i128| Change::By(sign * command.amount("quantity").unwrap());
    match command.kind() {
        "receive" => vec![(at("location_id"), "receive", by(1))],
        "sell" => vec![(at("location_id"), "sell", by(-1))],
        "return" => vec![(at("location_id"), "return", by(1))],
        "adjust" => vec![(at("location_id"), "adjust", by(1))],
        "count" => vec![(at("location_id"), "count", Change::Count(command.amount("counted").unwrap()))],
        "transfer" => {
            vec![(at("from_location_id"), "transfer_out", by(-1)), (at("to_location_id"), "transfer_in", by(1))]
        }
        _ => Vec::new(),
    }
}
