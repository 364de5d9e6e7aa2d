//! What one process remembers of what it accepted lately.

use std::collections::HashMap;
use std::sync::Arc;

use stockline_core::domain::{Command, LocationId, Timestamp};
use stockline_core::ports::{LastSent, Lately, LatestMoves, Movement, SENDER_USED_MS, Sender};
use stockline_core::testing::{MemoryStore, Shop, at, id, item_id, place, queued};

fn command(kind: &str, item: &str, fields: &str) -> Command {
    queued(id(1), kind, item, fields, at(0)).command
}

fn sold(item: &str, location: &str, device: &str) -> Command {
    let device = if device.is_empty() { String::new() } else { format!(r#","device_id":"{device}""#) };
    command("sell", item, &format!(r#","location_id":"{location}","quantity":"1"{device}"#))
}

fn all(_: &LocationId) -> bool {
    true
}

fn noted(requests: &[(&[Command], &str, Timestamp)]) -> Lately {
    let lately = Lately::default();
    for (commands, by, now) in requests {
        lately.note(commands, &Arc::from(*by), *now);
    }
    lately
}

#[test]
fn a_sender_is_the_device_or_else_the_holder_of_the_token_and_the_last_time_counts() {
    let first = [sold("cola", "main", "till-1"), sold("cola", "main", "")];
    let lately = noted(&[(&first, "anna", at(5)), (&[sold("tea", "store-2", "till-1")], "anna", at(9))]);
    let expected = [(Sender::Device("till-1".into()), at(9)), (Sender::Subject("anna".into()), at(5))];
    assert_eq!(lately.senders(all), HashMap::from(expected));
    let here = lately.senders(|location| *location == place("main"));
    assert_eq!(here[&Sender::Device("till-1".into())], at(5), "what was sent elsewhere is not seen");
}

#[test]
fn the_items_of_the_latest_movements_are_counted_where_they_moved() {
    let change = command("update_item", "cola", r#","name":"Cola""#);
    let moved = command("transfer", "cola", r#","from_location_id":"main","to_location_id":"store-2","quantity":"1""#);
    let lately = noted(&[
        (&[sold("cola", "main", ""), change, moved], "anna", at(5)),
        (&[sold("tea", "store-2", "")], "anna", at(9)),
    ]);
    let by_item = HashMap::from([(item_id("cola"), 2), (item_id("tea"), 1)]);
    assert_eq!(lately.moves(all), LatestMoves { movements: 3, since: Some(at(5)), by_item });
    let there = lately.moves(|location| *location == place("store-2"));
    assert_eq!((there.movements, there.since), (1, Some(at(9))));
    assert_eq!(Lately::default().moves(all), LatestMoves::default());
}

#[test]
fn however_much_is_sent_the_memory_is_bounded_and_keeps_the_latest() {
    let lately = Lately::default();
    for n in 0..30_000 {
        let commands = [sold(&format!("item-{n}"), "main", &format!("device-{n}"))];
        lately.note(&commands, &Arc::from("anna"), at(n));
    }
    let (senders, moves) = (lately.senders(all), lately.moves(all));
    assert!((5_000..=10_000).contains(&senders.len()), "{}", senders.len());
    assert_eq!(senders[&Sender::Device("device-29999".into())], at(29_999));
    assert_eq!((moves.movements, moves.since), (1_000, Some(at(29_000))));
}

#[tokio::test]
async fn a_start_recalls_what_was_recorded_before() {
    let mut shop = Shop::over(MemoryStore::default());
    for item in ["cola", "tea"] {
        shop.register(item, "").await;
    }
    let records = [shop.receive("cola", "main", 5, at(5)).await, shop.receive("tea", "main", 5, at(9)).await];
    let moved = |record: &stockline_core::domain::Record| {
        Movement::of_effect(&record.outcome, &record.outcome.effects[0]).unwrap()
    };
    let lately = noted(&[(&[sold("tea", "main", "")], "anna", at(20))]);
    lately.recall(records.iter().rev().map(moved).collect());
    let moves = lately.moves(all);
    assert_eq!((moves.movements, moves.since), (3, Some(at(5))));
    assert_eq!(moves.by_item, HashMap::from([(item_id("cola"), 1), (item_id("tea"), 2)]));
    let by = Sender::Subject(records[1].outcome.submitted_by.clone());
    assert_eq!(lately.senders(all)[&by], at(9));
}

#[test]
fn what_is_kept_over_a_restart_is_every_sender_in_use_and_never_a_time_to_come() {
    let before = noted(&[
        (&[sold("cola", "main", "till-1")], "anna", at(5)),
        (&[sold("cola", "store-2", "till-1"), sold("tea", "main", "")], "anna", at(9)),
    ]);
    let (last_day, a_week_later) = (at(9).plus_millis(SENDER_USED_MS), at(5).plus_millis(SENDER_USED_MS + 1));
    assert_eq!((before.last_sent(at(9)).len(), before.last_sent(a_week_later).len()), (3, 2));
    assert!(before.last_sent(last_day.plus_millis(1)).is_empty(), "they are out of use");
    let text = serde_json::to_string(&before.last_sent(at(9))).unwrap();
    let after = noted(&[(&[sold("cola", "main", "till-1")], "anna", at(7))]);
    let last_sent: Vec<LastSent> = serde_json::from_str(&text).unwrap();
    after.resume(last_sent.clone(), at(9));
    assert_eq!(after.senders(all), before.senders(all));
    assert_eq!(after.senders(|location| *location == place("main"))[&Sender::Device("till-1".into())], at(7));
    let wrong = Lately::default();
    wrong.resume(last_sent, at(8));
    assert_eq!(wrong.senders(all), HashMap::from([(Sender::Device("till-1".into()), at(5))]));
    assert_eq!(wrong.moves(all), LatestMoves::default(), "items are not kept");
}
