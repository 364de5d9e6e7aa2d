//! The value of stock against a second implementation, in fractions, and against what must hold of any sequence.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use stockline_core::domain::{
    Basis, Entry, EntryKind, FoldLimits, ItemId, Level, LoadRequest, LocationSettings, Money, Quantity, Rejection,
    Rules, Slot, Valuation, fold,
};
use stockline_core::ports::CommitOutcome;
use stockline_core::testing::{Stock, at, id, item_id, place, queued};

/// A fraction; the divisor is above zero.
#[derive(Debug, Clone, Copy)]
struct Ratio(i128, i128);

impl Ratio {
    /// Returns the nearest whole number, of two equally near ones the even one.
    fn nearest(self) -> i128 {
        let below = self.0.div_euclid(self.1);
        [below, below + 1].into_iter().min_by_key(|n| ((self.0 - n * self.1).abs() * 2, n.rem_euclid(2))).unwrap()
    }

    fn times(self, factor: i128) -> Self {
        Self(self.0 * factor, self.1)
    }
}

/// What a level holds, in thousandths of a unit and ten-thousandths of money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Book {
    units: i128,
    value: i128,
    average: Option<i128>,
}

/// Where a movement's cost comes from: per unit, or for all, with the unit's average.
#[derive(Debug, Clone, Copy)]
enum Price {
    PerUnit(i128),
    Whole(i128, i128),
}

/// The cost of a movement, signed, and the revaluation.
type Cost = (Option<i128>, i128);

impl Book {
    fn post(&mut self, delta: i128, own: Option<Price>, catalogue: Option<i128>) -> Cost {
        let first = if self.average.is_none() { catalogue } else { None };
        let price = own.or(first.map(Price::PerUnit));
        let units = self.units + delta;
        let before = *self;
        self.units = units;
        if delta == 0 || (price.is_none() && before.average.is_none()) {
            return (None, 0);
        }
        let per_unit = |price: i128, units: i128| Ratio(price * units, 1_000).nearest();
        if delta > 0 {
            let (cost, unit) = match price {
                None => (per_unit(before.average.unwrap(), delta), None),
                Some(Price::PerUnit(unit)) => (per_unit(unit, delta), Some(unit)),
                Some(Price::Whole(cost, unit)) => (cost, Some(unit)),
            };
            if before.average.is_some() && before.units > 0 {
                self.value = before.value + cost;
                if unit.is_some() {
                    self.average = Some(Ratio(self.value, units).times(1_000).nearest());
                }
            } else {
                self.value = Ratio(cost, delta).times(units).nearest();
                self.average = unit.or(before.average);
            }
            return (Some(cost), self.value - before.value - cost);
        }
        let Some(Price::PerUnit(first)) = price else {
            let (taken, value) = self.take(before.value, before.units, -delta);
            self.value = value;
            return (Some(-taken), 0);
        };
        self.average = Some(first);
        let found = per_unit(first, before.units);
        let (taken, value) = self.take(found, before.units, -delta);
        self.value = value;
        (Some(-taken), found)
    }

    /// Posts the opposite of an entry that moved at a cost.
    fn post_back(&mut self, delta: i128, cost: Option<i128>, catalogue: Option<i128>) -> Cost {
        let (Some(cost), Some(average), false) = (cost.map(i128::abs), self.average, delta == 0) else {
            return self.post(delta, None, catalogue);
        };
        let before = *self;
        self.units += delta;
        if delta > 0 && before.units <= 0 {
            self.value = Ratio(cost, delta).times(self.units).nearest();
        } else {
            self.value += cost * delta.signum();
            if self.units > 0 && self.value >= 0 {
                self.average = Some(Ratio(self.value, self.units).times(1_000).nearest());
            } else {
                // Nothing is worth less than nothing.
                self.value = Ratio(average * self.units, 1_000).nearest();
            }
        }
        let cost = cost * delta.signum();
        (Some(cost), self.value - before.value - cost)
    }

    fn take(&self, value: i128, units: i128, taken: i128) -> (i128, i128) {
        let there = taken.min(units.max(0));
        let from_stock = if there == 0 { 0 } else { Ratio(value, units).times(there).nearest() };
        let below_zero = Ratio(self.average.unwrap() * (taken - there), 1_000).nearest();
        let cost = from_stock + below_zero;
        (cost, value - cost)
    }
}

/// What a till, a shop or a lorry does.
#[derive(Debug, Clone)]
enum Deed {
    Receive(&'static str, i64, Option<i64>),
    Sell(&'static str, i64),
    Return(&'static str, i64),
    Adjust(&'static str, i64),
    Count(&'static str, i64),
    Move(&'static str, &'static str, i64),
    Catalogue(Option<i64>),
    /// Takes back a command before it.
    Reverse(prop::sample::Index),
}

fn deed() -> impl Strategy<Value = Deed> {
    let shop = || prop_oneof![3 => Just("main"), 2 => Just("shop")];
    let units = || prop_oneof![5 => (1..=9_i64).prop_map(|n| n * 1_000), 3 => 1..9_999_i64, 1 => Just(1)];
    let cost = || prop_oneof![6 => 1..30_000_i64, 1 => Just(0), 1 => Just(3_333), 1 => Just(1)];
    prop_oneof![
        4 => (shop(), units(), weighted(0.7, cost())).prop_map(|(at, n, cost)| Deed::Receive(at, n, cost)),
        6 => (shop(), units()).prop_map(|(at, n)| Deed::Sell(at, n)),
        2 => (shop(), units()).prop_map(|(at, n)| Deed::Return(at, n)),
        2 => (shop(), units(), any::<bool>()).prop_map(|(at, n, less)| Deed::Adjust(at, if less { -n } else { n })),
        3 => (shop(), prop_oneof![Just(0), units()]).prop_map(|(at, n)| Deed::Count(at, n)),
        3 => (any::<bool>(), units()).prop_map(|(there, n)| {
            if there { Deed::Move("main", "shop", n) } else { Deed::Move("shop", "main", n) }
        }),
        1 => weighted(0.7, cost()).prop_map(Deed::Catalogue),
        4 => any::<prop::sample::Index>().prop_map(Deed::Reverse),
    ]
}

fn text(raw: i64, places: u32) -> String {
    let scale = 10_i64.pow(places);
    let sign = if raw < 0 { "-" } else { "" };
    format!("{sign}{}.{:0width$}", raw.abs() / scale, raw.abs() % scale, width = places as usize)
}

impl Deed {
    /// Returns the type of the command and its fields.
    fn command(&self, n: usize) -> (&'static str, String) {
        let one = |at: &str, units: i64| format!(r#","location_id":"{at}","quantity":"{}""#, text(units, 3));
        let money = |name: &str, cost: Option<i64>| {
            cost.map(|cost| format!(r#","{name}":"{}""#, text(cost, 4))).unwrap_or_default()
        };
        match *self {
            Self::Reverse(target) => ("reverse", format!(r#","reverses":"{}""#, id(target_of(target, n)))),
            Self::Receive(at, units, cost) => ("receive", one(at, units) + &money("unit_cost", cost)),
            Self::Sell(at, units) => ("sell", one(at, units) + &money("amount", Some(units))),
            Self::Return(at, units) => ("return", one(at, units)),
            Self::Adjust(at, units) => ("adjust", one(at, units) + r#","reason":"correction""#),
            Self::Count(at, units) => ("count", format!(r#","location_id":"{at}","counted":"{}""#, text(units, 3))),
            Self::Move(from, to, units) => (
                "transfer",
                format!(r#","from_location_id":"{from}","to_location_id":"{to}","quantity":"{}""#, text(units, 3)),
            ),
            Self::Catalogue(cost) => {
                ("update_item", cost.map_or(r#","unit_cost":null"#.to_owned(), |cost| money("unit_cost", Some(cost))))
            }
        }
    }
}

/// Returns the number of the command that the n-th one takes back. The first one takes back one that does not exist.
fn target_of(target: prop::sample::Index, n: usize) -> u128 {
    if n == 0 { 999 } else { target.index(n) as u128 + 1 }
}

fn item() -> ItemId {
    item_id("cola")
}

/// A stock with an item and two locations.
fn stock(decimals: u8) -> Stock {
    let mut stock = Stock::default();
    let shop = LocationSettings { location_id: place("shop"), ..LocationSettings::main() };
    stock.locations.insert(place("shop"), shop);
    let fields = format!(r#","name":"Cola","decimals":{decimals}"#);
    settle(&mut stock, vec![Slot::Command(Box::new(queued(id(0), "register_item", "cola", &fields, at(0))))], 100);
    stock
}

/// Settles slots in folds of at most `max` actions, with short tails.
fn settle(stock: &mut Stock, mut slots: Vec<Slot>, max: usize) {
    let limits = FoldLimits { max_actions: max, max_tail_bytes: 200, ..FoldLimits::default() };
    while !slots.is_empty() {
        let loaded = stock.load(&LoadRequest::for_slots(item(), &slots, &Rules::default()), 1_000);
        let fold = fold(&loaded, &item(), &slots, &BTreeMap::new(), at(0), &Rules::default(), &limits);
        assert_eq!(stock.commit(&fold.commit), CommitOutcome::Committed);
        slots.drain(..fold.taken);
    }
}

fn level(stock: &Stock, at: &str) -> Level {
    stock.levels.get(&(item(), place(at))).cloned().unwrap_or_else(|| Level::new(place(at), 0))
}

fn entries_of(stock: &Stock, n: u128) -> Vec<(&'static str, Entry)> {
    let at = |at: &'static str| stock.ledger(&item(), &place(at)).into_iter().map(move |entry| (at, entry));
    let mut found: Vec<_> = ["main", "shop"].into_iter().flat_map(at).filter(|(_, e)| e.command_id == id(n)).collect();
    found.sort_by_key(|(_, entry)| entry.kind);
    found
}

fn raw(money: Money) -> i128 {
    money.raw().into()
}

/// Checks what must hold of a ledger, whatever happened.
fn holds(stock: &Stock, at: &str) {
    let (level, ledger) = (level(stock, at), stock.ledger(&item(), &place(at)));
    let sum: i128 = ledger.iter().map(|e| e.cost.map_or(0, raw) + raw(e.revaluation)).sum();
    assert_eq!(sum, raw(level.value), "the costs in, less the costs out, are the value");
    let mut replayed = Valuation::default();
    for entry in &ledger {
        replayed = replayed.replay(entry).unwrap();
        assert_eq!(replayed.on_hand, entry.after);
        let (units, value) = (entry.after.raw().signum(), replayed.value.raw().signum());
        assert!(value == units || value == 0, "the value has the sign of the balance, and nothing has none: {entry:?}");
        assert!(!entry.delta.is_zero() || (entry.cost.is_none() && entry.revaluation.is_zero()));
    }
    assert_eq!(replayed, level.valuation());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_costs_in_less_those_out_are_the_value_of_any_sequence(
        deeds in vec((deed(), weighted(0.3, 0..40_i64)), 1..60),
        max_actions in 3..40_usize,
    ) {
        let mut stock = stock(3);
        let slot = |(n, (deed, ago)): (usize, &(Deed, Option<i64>))| {
            let (kind, mut fields) = deed.command(n);
            let now = at(n as i64 * 10);
            if !matches!(kind, "update_item" | "reverse") && let Some(ago) = ago {
                fields += &format!(r#","occurred_at":"{}""#, now.plus_millis(-ago));
            }
            Slot::Command(Box::new(queued(id(n as u128 + 1), kind, "cola", &fields, now)))
        };
        settle(&mut stock, deeds.iter().enumerate().map(slot).collect(), max_actions);

        let mut books: BTreeMap<&str, Book> = BTreeMap::new();
        let mut catalogue = None;
        for (n, (deed, _)) in deeds.iter().enumerate() {
            if let Deed::Catalogue(cost) = deed {
                catalogue = cost.map(i128::from);
            }
            let mut carried = None;
            for (place, entry) in entries_of(&stock, n as u128 + 1) {
                let book = books.entry(place).or_default();
                let own = match deed {
                    Deed::Receive(_, _, Some(cost)) => Some(Price::PerUnit((*cost).into())),
                    Deed::Move(..) if entry.kind == EntryKind::TransferIn => carried,
                    _ => None,
                };
                if entry.kind == EntryKind::TransferOut {
                    let mut giving = *book;
                    let (cost, _) = giving.post(-i128::from(entry.quantity.raw()), None, catalogue);
                    carried = cost.zip(giving.average).map(|(cost, unit)| Price::Whole(-cost, unit));
                }
                let delta = entry.delta.raw().into();
                let expected = match deed {
                    Deed::Reverse(target) => {
                        let of_target = entries_of(&stock, target_of(*target, n));
                        let (_, first) = of_target.into_iter().find(|(at, _)| *at == place).unwrap();
                        prop_assert_eq!(first.amount.and_then(Money::checked_neg), entry.amount);
                        prop_assert!(entry.late || first.delta.checked_neg() == Some(entry.delta));
                        book.post_back(delta, first.cost.map(raw), catalogue)
                    }
                    _ => book.post(delta, own, catalogue),
                };
                prop_assert_eq!((entry.cost.map(raw), raw(entry.revaluation)), expected, "{:?} {:?}", deed, entry);
            }
        }
        for place in ["main", "shop"] {
            holds(&stock, place);
            let level = level(&stock, place);
            let book = books.get(place).copied().unwrap_or_default();
            let found = (i128::from(level.on_hand.raw()), raw(level.value), level.average_cost.map(raw));
            prop_assert_eq!(found, (book.units, book.value, book.average));
        }
    }

    #[test]
    fn an_average_of_whole_units_stays_between_the_costs_that_came_in(
        deeds in vec((1..60_i64, weighted(0.5, 5_000..9_000_i64)), 1..60),
    ) {
        let mut stock = Valuation::default();
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for (units, cost) in deeds {
            let (delta, basis) = match cost {
                Some(cost) => {
                    (least, most) = (least.min(cost), most.max(cost));
                    (units, Basis::UnitCost(Money::from_raw(cost)))
                }
                None => (-units, Basis::Average),
            };
            stock = stock.moved(Quantity::from_units(delta).unwrap(), basis).unwrap().after;
            if let Some(average) = stock.average_cost {
                prop_assert!((least..=most).contains(&average.raw()), "{stock:?}");
                let exact = i128::from(average.raw()) * i128::from(stock.on_hand.raw());
                let units = i128::from(stock.on_hand.raw()).abs() / 1_000;
                prop_assert!((raw(stock.value) * 1_000 - exact).abs() <= 1_000 * (units + 60), "{stock:?}");
            }
        }
    }
}

/// Runs commands one by one, and returns what each entry says: location, delta, cost, revaluation, and then the value
/// and the average of its level.
fn told(commands: &[(&str, &str)]) -> Vec<String> {
    let mut stock = stock(3);
    let mut told = Vec::new();
    for ((kind, fields), n) in commands.iter().zip(1..) {
        settle(&mut stock, vec![Slot::Command(Box::new(queued(id(n), kind, "cola", fields, at(n as i64 * 10))))], 100);
        for (place, entry) in entries_of(&stock, n) {
            let level = level(&stock, place);
            let text = |money: Option<Money>| money.map_or("?".to_owned(), |money| money.to_string());
            let (cost, average) = (text(entry.cost), text(level.average_cost));
            let revalued =
                Some(entry.revaluation).filter(|r| !r.is_zero()).map(|r| format!(" ({r})")).unwrap_or_default();
            told.push(format!("{place} {}: {cost}{revalued} = {} @{average}", entry.delta, level.value));
        }
    }
    told
}

#[test]
fn the_worked_example_of_the_architecture_holds() {
    let commands = [
        ("receive", r#","quantity":10,"unit_cost":"0.40""#),
        ("receive", r#","quantity":5,"unit_cost":"0.46""#),
        ("sell", r#","quantity":2,"amount":"1.98""#),
        ("receive", r#","quantity":1"#),
        ("transfer", r#","from_location_id":"main","to_location_id":"shop","quantity":4"#),
        ("count", r#","counted":9"#),
        ("sell", r#","quantity":12,"amount":"11.88""#),
        ("receive", r#","quantity":10,"unit_cost":"0.50""#),
        ("sell", r#","quantity":7"#),
    ];
    let expected = [
        "main 10: 4 = 4 @0.4",
        "main 5: 2.3 = 6.3 @0.42",
        "main -2: -0.84 = 5.46 @0.42",
        "main 1: 0.42 = 5.88 @0.42",
        "main -4: -1.68 = 4.2 @0.42",
        "shop 4: 1.68 = 1.68 @0.42",
        "main -1: -0.42 = 3.78 @0.42",
        "main -12: -5.04 = -1.26 @0.42",
        "main 10: 5 (-0.24) = 3.5 @0.5",
        "main -7: -3.5 = 0 @0.5",
    ];
    assert_eq!(told(&commands), expected);
}

#[test]
fn a_reversal_moves_at_the_cost_that_the_movement_moved_at() {
    let back = |n: u128| format!(r#","reverses":"{}""#, id(n));
    let (sale, delivery, transfer) = (back(3), back(2), back(5));
    let commands = [
        ("receive", r#","quantity":10,"unit_cost":"1""#),
        ("receive", r#","quantity":10,"unit_cost":"2""#),
        ("sell", r#","quantity":4,"amount":"9.96""#),
        ("receive", r#","quantity":4,"unit_cost":"3""#),
        ("transfer", r#","from_location_id":"main","to_location_id":"shop","quantity":5"#),
        ("reverse", &sale),
        ("reverse", &delivery),
        ("reverse", &transfer),
    ];
    let expected = [
        "main 10: 10 = 10 @1",
        "main 10: 20 = 30 @1.5",
        "main -4: -6 = 24 @1.5",
        "main 4: 12 = 36 @1.8",
        "main -5: -9 = 27 @1.8",
        "shop 5: 9 = 9 @1.8",
        "main 4: 6 = 33 @1.7368",
        "main -10: -20 = 13 @1.4444",
        "main 5: 9 = 22 @1.5714",
        "shop -5: -9 = 0 @1.8",
    ];
    assert_eq!(told(&commands), expected);
}

/// A delivery at a cost ten times too high, of which some was sold before it is taken back: what is left is not worth less
/// than nothing.
#[test]
fn a_reversal_leaves_no_stock_below_zero_worth() {
    let delivery = format!(r#","reverses":"{}""#, id(1));
    let commands = [
        ("receive", r#","quantity":10,"unit_cost":"100""#),
        ("sell", r#","quantity":5"#),
        ("receive", r#","quantity":10,"unit_cost":"1""#),
        ("reverse", delivery.as_str()),
    ];
    let expected = [
        "main 10: 1000 = 1000 @100",
        "main -5: -500 = 500 @100",
        "main 10: 10 = 510 @34",
        "main -10: -1000 (660) = 170 @34",
    ];
    assert_eq!(told(&commands), expected);
}

#[test]
fn a_cost_that_is_not_known_is_not_zero() {
    let commands = [
        ("receive", r#","quantity":4"#),
        ("sell", r#","quantity":1"#),
        ("receive", r#","quantity":2,"unit_cost":"0.50""#),
        ("receive", r#","quantity":5,"unit_cost":"0""#),
    ];
    let expected = ["main 4: ? = 0 @?", "main -1: ? = 0 @?", "main 2: 1 (1.5) = 2.5 @0.5", "main 5: 0 = 2.5 @0.25"];
    assert_eq!(told(&commands), expected);
}

#[test]
fn a_level_without_an_average_takes_the_catalogues_cost_and_one_with_an_average_does_not() {
    let commands = [
        ("count", r#","counted":3"#),
        ("update_item", r#","unit_cost":"2""#),
        ("sell", r#","quantity":1"#),
        ("update_item", r#","unit_cost":"9""#),
        ("receive", r#","quantity":2"#),
        ("transfer", r#","from_location_id":"shop","to_location_id":"main","quantity":1"#),
    ];
    let expected = [
        "main 3: ? = 0 @?",
        "main -1: -2 (6) = 4 @2",
        "main 2: 4 = 8 @2",
        "shop -1: -9 = -9 @9",
        "main 1: 9 = 17 @3.4",
    ];
    assert_eq!(told(&commands), expected);
}

#[test]
fn the_last_unit_takes_what_rounding_has_left() {
    let thirds = [
        ("receive", r#","quantity":"0.999","unit_cost":"0.0001""#),
        ("receive", r#","quantity":"2.001","unit_cost":"0.4999""#),
        ("sell", r#","quantity":1"#),
        ("sell", r#","quantity":1"#),
        ("sell", r#","quantity":1"#),
    ];
    let expected = [
        "main 0.999: 0.0001 = 0.0001 @0.0001",
        "main 2.001: 1.0003 = 1.0004 @0.3335",
        "main -1: -0.3335 = 0.6669 @0.3335",
        "main -1: -0.3334 = 0.3335 @0.3335",
        "main -1: -0.3335 = 0 @0.3335",
    ];
    assert_eq!(told(&thirds), expected);
}

#[test]
fn what_a_count_has_seen_moves_no_cost_and_a_late_leg_still_carries_one() {
    let commands = [
        ("receive", r#","quantity":6,"unit_cost":"1""#),
        ("count", r#","counted":6"#),
        ("sell", r#","quantity":2,"amount":"3","occurred_at":"2026-01-31T08:15:00.015Z""#),
        (
            "transfer",
            r#","from_location_id":"main","to_location_id":"shop","quantity":3,"occurred_at":"2026-01-31T08:15:00.016Z""#,
        ),
    ];
    let expected = ["main 6: 6 = 6 @1", "main 0: ? = 6 @1", "main 0: ? = 6 @1", "main 0: ? = 6 @1", "shop 3: 3 = 3 @1"];
    assert_eq!(told(&commands), expected);
}

#[test]
fn a_value_beyond_the_range_is_refused_and_takes_nothing() {
    let mut stock = stock(3);
    let most = r#","quantity":"9999999.999","unit_cost":"9999999999.9999""#;
    settle(&mut stock, vec![Slot::Command(Box::new(queued(id(1), "receive", "cola", most, at(1))))], 100);
    let key = stockline_core::domain::CommandKey { item_id: item(), command_id: id(1) };
    let rejection: Rejection = stock.records[&key].outcome.rejection.clone().unwrap();
    assert_eq!(rejection.code.as_str(), "quantity_overflow");
    assert!(rejection.detail.contains("value of the stock at main"), "{}", rejection.detail);
    assert!(!stock.levels.contains_key(&(item(), place("main"))));
}
