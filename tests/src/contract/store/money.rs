//! Money: what stock is worth, what moved at which cost, and what customers paid.

use std::sync::Arc;

use stockline_core::domain::{CommandId, CommandKind, FoldLimits, Level, Money, Quantity, Reversal, Slot, Status};
use stockline_core::ports::{CommitOutcome, Movement, MovementFilter, PageRequest};

use super::{Bounds, Shop, at, id, item_id, place, reading};

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

/// Returns a slot that takes a command of `cola` back.
fn reversal(shop: &Shop, reverses: CommandId, millis: i64) -> Slot {
    shop.slot("reverse", "cola", &format!(r#","reverses":"{reverses}""#), at(millis))
}

/// Registers `cola`, receives 10 and moves 4 to `north`. Returns the id of the transfer.
async fn moved(shop: &Shop) -> CommandId {
    shop.open_location("north").await;
    shop.register("cola", "").await;
    shop.run("receive", "cola", r#","quantity":10,"unit_cost":"0.5""#, at(1)).await;
    let legs = r#","from_location_id":"main","to_location_id":"north","quantity":4"#;
    shop.run("transfer", "cola", legs, at(2)).await.outcome.command_id
}

pub async fn a_movement_is_taken_back_once_and_both_of_the_pair_say_so(mut shop: Shop) {
    shop.limits = FoldLimits { max_tail_bytes: 150, ..FoldLimits::default() };
    let transfer = moved(&shop).await;
    for millis in 3..9 {
        shop.settle("cola", vec![shop.sale("cola", 1, at(millis))], at(millis)).await;
    }
    // Two reversals in one receive: the second one meets what the first has written.
    let slots = vec![reversal(&shop, transfer, 10), shop.sale("cola", 1, at(10)), reversal(&shop, transfer, 10)];
    let records = shop.settle("cola", slots, at(10)).await;
    let statuses: Vec<_> = records.iter().map(|record| record.outcome.status).collect();
    assert_eq!(statuses, [Status::Applied, Status::Applied, Status::Rejected]);
    let by = records[0].outcome.command_id;

    let shop = shop.reopened(Bounds::default()).await;
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 3, 10), ("north".into(), 0, 2)]);
    assert_eq!(shop.record("cola", transfer).await.unwrap().outcome.reversed_by, Some(by));
    for limit in [1, 3, 1_000] {
        let listed = reading::movements(&shop, &MovementFilter::default(), limit).await;
        let told: Vec<_> = listed.iter().map(|m| (m.entry.command_id, m.entry.reverses, m.reversed_by)).collect();
        assert_eq!(told.iter().filter(|told| told.2 == Some(by)).count(), 2, "both legs, in pages of {limit}");
        assert_eq!(told.iter().filter(|told| told.2.is_some()).count(), 2);
        assert_eq!(told.iter().filter(|told| **told == (by, Some(transfer), None)).count(), 2);
        for movement in &listed {
            let record = shop.record("cola", movement.entry.command_id).await.unwrap();
            let of = |effect| Movement::of_effect(&record.outcome, effect).unwrap();
            assert!(record.outcome.effects.iter().map(of).any(|other| other == *movement), "{movement:?}");
        }
    }
    let of_kind = MovementFilter { kind: Some(CommandKind::Reverse), ..MovementFilter::default() };
    assert_eq!(reading::movements(&shop, &of_kind, 10).await.len(), 2);
    if let Some(page) = shop.ports().queries.all_movements(&of_kind, PageRequest::first(10)).await.unwrap() {
        assert_eq!(page.entries.len(), 2);
    }
    shop.audit().await;
}

pub async fn a_reversal_is_written_only_while_no_other_took_the_movement_back(shop: Shop) {
    let transfer = moved(&shop).await;
    let slots = [reversal(&shop, transfer, 3), reversal(&shop, transfer, 3)];
    let first = shop.fold("cola", &slots[..1], at(3)).await.commit;
    let mut second = shop.fold("cola", &slots[1..], at(3)).await.commit;
    assert_eq!(shop.commit(first).await, CommitOutcome::Committed);
    // The versions of the levels alone refuse it, and so does the mark alone.
    assert_eq!(shop.commit(second.clone()).await, CommitOutcome::Conflict);
    second.levels.clear();
    second.reversed.iter_mut().for_each(|reversal| reversal.entries.clear());
    assert_eq!(shop.commit(second).await, CommitOutcome::Conflict);
    assert_eq!(shop.record("cola", slots[1].command_id()).await, None);
    shop.audit().await;
}

pub async fn a_reversal_of_what_took_no_effect_is_a_conflict(shop: Shop) {
    moved(&shop).await;
    let refused = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(3)).await.outcome.command_id;
    for command_id in [refused, id(999)] {
        let slot = shop.sale("cola", 1, at(4));
        let mut commit = shop.fold("cola", std::slice::from_ref(&slot), at(4)).await.commit;
        commit.reversed = vec![Reversal { command_id, reversed_by: slot.command_id(), entries: Vec::new() }];
        assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
        assert_eq!(shop.record("cola", slot.command_id()).await, None);
    }
    assert_eq!(shop.record("cola", refused).await.unwrap().outcome.reversed_by, None);
}

pub async fn of_many_reversals_of_one_movement_one_is_applied(shop: Shop) {
    let transfer = moved(&shop).await;
    let shop = Arc::new(shop);
    let take_back = |n: i64| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let slot = reversal(&shop, transfer, 3 + n);
            loop {
                let commit = shop.fold("cola", std::slice::from_ref(&slot), at(3 + n)).await.commit;
                let status = commit.records[0].outcome.status;
                match shop.commit(commit).await {
                    CommitOutcome::Committed => return status,
                    CommitOutcome::Conflict => {}
                    other => panic!("{other:?}"),
                }
            }
        })
    };
    let mut applied = 0;
    for reversal in (0..12).map(take_back).collect::<Vec<_>>() {
        applied += usize::from(reversal.await.unwrap() == Status::Applied);
    }
    assert_eq!(applied, 1);
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 10, 3), ("north".into(), 0, 2)]);
    assert_eq!(level(&shop, "main").await.value, money("5"));
    assert_eq!(level(&shop, "north").await.on_hand, Quantity::ZERO);
    shop.audit().await;
}
