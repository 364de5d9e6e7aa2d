//! Money: what stock is worth, what moved at which cost, and what customers paid.

use stockline_core::domain::{FoldLimits, Level, Money};
use stockline_core::ports::{Movement, MovementFilter, PageRequest};

use super::{Bounds, Shop, at, item_id, place};

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

async fn level(shop: &Shop, location: &str) -> Level {
    shop.levels("cola").await.into_iter().find(|level| level.location_id == place(location)).unwrap()
}

/// Returns all movements of `cola`, newest first.
pub(super) async fn movements(shop: &Shop) -> Vec<Movement> {
    let (queries, filter) = (&shop.ports().queries, MovementFilter::default());
    queries.movements(&item_id("cola"), &filter, PageRequest::first(1_000)).await.unwrap().entries
}

pub async fn costs_and_amounts_are_kept_in_levels_entries_and_outcomes(mut shop: Shop) {
    // Short tails, so that some entries are in chunks.
    shop.limits = FoldLimits { max_tail_bytes: 150, ..FoldLimits::default() };
    shop.open_location("north").await;
    shop.register("cola", "").await;
    let commands = [
        ("receive", r#","quantity":3,"unit_cost":"0.3333""#),
        ("sell", r#","quantity":5,"amount":"4.95""#),
        ("receive", r#","quantity":6,"unit_cost":"0.5""#),
        ("transfer", r#","from_location_id":"main","to_location_id":"north","quantity":1"#),
        ("return", r#","quantity":1,"amount":"0.99""#),
        ("receive", r#","quantity":1"#),
    ];
    let mut outcomes = Vec::new();
    for ((kind, fields), millis) in commands.into_iter().zip(1..) {
        outcomes.push(shop.run(kind, "cola", fields, at(millis)).await);
    }
    let shop = shop.reopened(Bounds::default()).await;
    let main = level(&shop, "main").await;
    assert_eq!((main.value, main.average_cost), (money("2.5"), Some(money("0.5"))));
    let north = level(&shop, "north").await;
    assert_eq!((north.value, north.average_cost), (money("0.5"), Some(money("0.5"))));
    assert!(main.tail.len() < 6, "some entries left the tail");

    let listed = movements(&shop).await;
    let at_main: Vec<_> = listed.iter().rev().filter(|movement| movement.location_id == place("main")).collect();
    let told = at_main.iter().map(|m| (m.entry.cost.unwrap(), m.entry.revaluation, m.entry.amount));
    let expected = [
        ("0.9999", "0", None),
        ("-1.6665", "0", Some("4.95")),
        ("3", "-0.3334", None),
        ("-0.5", "0", None),
        ("0.5", "0", Some("0.99")),
        ("0.5", "0", None),
    ];
    let expected = expected.map(|(cost, revalued, amount)| (money(cost), money(revalued), amount.map(money)));
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let sum = at_main.iter().try_fold(Money::ZERO, |sum, movement| {
        sum.checked_add(movement.entry.cost.unwrap_or_default())?.checked_add(movement.entry.revaluation)
    });
    assert_eq!(sum, Some(main.value));

    for record in outcomes {
        let stored = shop.record("cola", record.outcome.command_id).await.unwrap();
        for effect in &stored.outcome.effects {
            let movement = Movement::of_effect(&stored.outcome, effect).unwrap();
            assert!(listed.contains(&movement), "outcome and ledger say the same: {movement:?}");
        }
        assert_eq!(stored, record);
    }
    shop.audit().await;
}

/// A level whose tail has just gone into a chunk keeps its value, and a count keeps its place.
pub async fn a_level_without_a_tail_keeps_its_value(mut shop: Shop) {
    shop.limits = FoldLimits { max_tail_bytes: 0, ..FoldLimits::default() };
    shop.register("cola", r#","unit_cost":"0.41""#).await;
    shop.run("count", "cola", r#","counted":3"#, at(1)).await;
    let shop = shop.reopened(Bounds::default()).await;
    let level = level(&shop, "main").await;
    assert!(level.tail.is_empty());
    assert_eq!((level.value, level.average_cost, level.counted_seq), (money("1.23"), Some(money("0.41")), 1));
    shop.receive("cola", "main", 1, at(2)).await;
    assert_eq!(self::level(&shop, "main").await.value, money("1.64"));
    shop.audit().await;
}
