//! The demo shop: 200 products, two locations and 90 days of plausible sales, all made from a seed.

use fastrand::Rng;
use serde_json::{Value, json};
use stockline_core::domain::Timestamp;
use uuid::Uuid;

/// The days of sales before today.
pub(crate) const DAYS: i64 = 90;
const DAY_MS: i64 = 24 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;
/// Names the commands of the demo, so that loading it again changes nothing.
const NAMESPACE: Uuid = Uuid::from_u128(0x7b0c_53a1_90d2_4e6f_8a44_d3a0_5707_0c11);

/// The locations: id and name. The first one exists in every shop.
pub(crate) const PLACES: [(&str, &str); 2] = [("main", "High Street"), ("harbour", "Harbour store")];

/// The kinds of products of a category, and the sales of one of them on an average day.
struct Category {
    name: &'static str,
    unit: &'static str,
    kinds: [&'static str; 8],
    sorts: [&'static str; 5],
    a_day: f64,
}

const CATEGORIES: [Category; 5] = [
    Category {
        name: "Drinks",
        unit: "bottle",
        kinds: [
            "Cola",
            "Lemonade",
            "Apple juice",
            "Orange juice",
            "Iced tea",
            "Mineral water",
            "Ginger beer",
            "Oat drink",
        ],
        sorts: ["0.33 l", "0.5 l", "1 l", "sugar-free 0.5 l", "six-pack"],
        a_day: 4.0,
    },
    Category {
        name: "Bakery",
        unit: "piece",
        kinds: ["Rye bread", "Baguette", "Croissant", "Seeded roll", "Cinnamon bun", "Scone", "Focaccia", "Bagel"],
        sorts: ["plain", "wholegrain", "with seeds", "large", "gluten-free"],
        a_day: 3.0,
    },
    Category {
        name: "Pantry",
        unit: "pack",
        kinds: ["Flour", "Rice", "Spaghetti", "Red lentils", "Muesli", "Sugar", "Chickpeas", "Couscous"],
        sorts: ["500 g", "1 kg", "organic 500 g", "organic 1 kg", "2 kg"],
        a_day: 1.2,
    },
    Category {
        name: "Household",
        unit: "piece",
        kinds: ["Dish soap", "Sponge", "Candle", "Light bulb", "Battery", "Matches", "Bin bags", "Clothes peg"],
        sorts: ["small", "large", "twin pack", "family pack", "refill"],
        a_day: 0.5,
    },
    Category {
        name: "Stationery",
        unit: "piece",
        kinds: ["Notebook", "Pencil", "Pen", "Eraser", "Envelope", "Marker", "Folder", "Sticky notes"],
        sorts: ["blue", "red", "black", "green", "assorted"],
        a_day: 0.7,
    },
];

/// Returns the settings of each location.
pub(crate) fn places() -> impl Iterator<Item = (&'static str, Value)> {
    PLACES.into_iter().map(|(id, name)| (id, json!({"name": name, "time_zone": "Europe/London"})))
}

/// Returns every command of the shop, in the order in which it is to be queued, as of `now`.
pub(crate) fn commands(seed: u64, now: Timestamp) -> Vec<Value> {
    let mut rng = Rng::with_seed(seed);
    let mut made = Made { seed, count: 0, commands: Vec::new() };
    let mut lines = Vec::new();
    for (at, category) in CATEGORIES.iter().enumerate() {
        for kind in category.kinds {
            for sort in category.sorts {
                lines.push(Line::register(&mut made, &mut rng, category, (at, kind, sort)));
            }
        }
    }
    let first = now.plus_millis(-DAYS * DAY_MS);
    for line in &mut lines {
        for (place, (id, _)) in PLACES.iter().enumerate() {
            let quantity = (line.a_day[place] * 14.0).ceil().max(4.0);
            line.receive(&mut made, place, id, quantity, first);
        }
    }
    for day in 1..=DAYS {
        let opening = first.plus_millis(day * DAY_MS - 10 * HOUR_MS);
        for line in &mut lines {
            for (place, (id, _)) in PLACES.iter().enumerate() {
                line.trade(&mut made, &mut rng, (place, id), (day, opening), now);
            }
        }
    }
    made.commands
}

/// The commands that are made.
struct Made {
    seed: u64,
    count: u64,
    commands: Vec<Value>,
}

impl Made {
    fn add(&mut self, mut command: Value) {
        self.count += 1;
        let name = format!("demo {} {}", self.seed, self.count);
        command["command_id"] = Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string().into();
        self.commands.push(command);
    }
}

/// A product, and what the shop has of it at each location.
struct Line {
    item_id: String,
    a_day: [f64; PLACES.len()],
    on_hand: [f64; PLACES.len()],
    /// Whether its supplier forgets it now and then.
    is_forgotten: bool,
}

impl Line {
    fn register(made: &mut Made, rng: &mut Rng, category: &Category, (at, kind, sort): (usize, &str, &str)) -> Self {
        let number = made.count + 1;
        let word: String = kind.chars().filter(char::is_ascii_alphanumeric).take(4).collect();
        let item_id = format!("{}-{number:03}", word.to_uppercase());
        let a_day = category.a_day * (0.3 + 1.4 * rng.f64());
        let threshold = (a_day * 4.0).ceil().max(2.0);
        made.add(json!({
            "type": "register_item", "item_id": item_id, "name": format!("{kind} {sort}"), "unit": category.unit,
            "category": category.name, "low_stock_threshold": threshold.to_string(),
            "barcodes": [barcode(at as u64 * 1_000 + number)],
            "unit_cost": format!("{}.{:02}", 1 + rng.u32(0..6), rng.u32(0..100)),
        }));
        let is_forgotten = rng.f64() < 0.06;
        Self { item_id, a_day: [a_day, a_day * 0.6], on_hand: [0.0; PLACES.len()], is_forgotten }
    }

    fn receive(&mut self, made: &mut Made, place: usize, id: &str, quantity: f64, at: Timestamp) {
        self.on_hand[place] += quantity;
        made.add(json!({
            "type": "receive", "item_id": self.item_id, "location_id": id, "quantity": quantity.to_string(),
            "occurred_at": at.to_string(), "reference": format!("delivery {}", at.day_in_zone("UTC")),
        }));
    }

    /// A day: perhaps a delivery in the morning, and the day's sales.
    fn trade(
        &mut self,
        made: &mut Made,
        rng: &mut Rng,
        (place, id): (usize, &str),
        (day, opening): (i64, Timestamp),
        now: Timestamp,
    ) {
        let mean = self.a_day[place] * weekday(day);
        let is_low = self.on_hand[place] < self.a_day[place] * 5.0;
        if is_low && day % 3 == (place as i64) && !(self.is_forgotten && day > DAYS - 20) {
            let quantity = (self.a_day[place] * 14.0).ceil().max(4.0);
            self.receive(made, place, id, quantity, opening.plus_millis(-HOUR_MS));
        }
        let sold = poisson(rng, mean).min(self.on_hand[place].max(0.0));
        // What the day sells is sold at two tills, morning and afternoon.
        let morning = (sold * rng.f64()).floor();
        for (quantity, hour, till) in [(morning, 2, "till-1"), (sold - morning, 6, "till-2")] {
            let at = opening.plus_millis(hour * HOUR_MS + rng.i64(0..3 * HOUR_MS));
            if quantity > 0.0 && at < now {
                self.on_hand[place] -= quantity;
                made.add(json!({
                    "type": "sell", "item_id": self.item_id, "location_id": id, "quantity": quantity.to_string(),
                    "occurred_at": at.to_string(), "device_id": till, "on_shortage": "allow",
                }));
            }
        }
    }
}

/// Shops sell more at the end of the week.
fn weekday(day: i64) -> f64 {
    [0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7][usize::try_from(day.rem_euclid(7)).unwrap_or_default()]
}

/// Draws from the Poisson distribution (Knuth's method, for small means).
fn poisson(rng: &mut Rng, mean: f64) -> f64 {
    let (limit, mut product, mut count) = ((-mean).exp(), rng.f64(), 0.0);
    while product > limit && count < 200.0 {
        product *= rng.f64();
        count += 1.0;
    }
    count
}

/// Makes an EAN-13 of the range that shops may use for themselves.
fn barcode(number: u64) -> String {
    let digits = format!("20{number:010}");
    let sum: u32 =
        digits.bytes().enumerate().map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 0 { 1 } else { 3 }).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_seed_makes_the_same_shop_and_another_one_another() {
        let shop = commands(7, now());
        assert_eq!(shop, commands(7, now()));
        assert_ne!(shop, commands(8, now()));
        let of = |kind: &str| shop.iter().filter(|command| command["type"] == kind).count();
        assert_eq!(of("register_item"), 200);
        assert!(of("sell") > 10_000 && of("receive") > 1_000, "{} sales, {} deliveries", of("sell"), of("receive"));
        let ids: BTreeSet<_> = shop.iter().map(|command| command["command_id"].to_string()).collect();
        assert_eq!(ids.len(), shop.len(), "each command has its own id");
        assert!(
            shop.iter().all(|command| command["occurred_at"]
                .as_str()
                .is_none_or(|at| at.parse::<Timestamp>().unwrap() < now()))
        );
    }

    #[test]
    fn a_barcode_has_its_check_digit() {
        assert_eq!(barcode(0), "2000000000008");
        assert_eq!(barcode(123_456), "2000001234563");
    }
}
