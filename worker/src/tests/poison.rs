use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::{DEAD_BODY_MAX_BYTES, Status, encode_message, seal};
use stockline_core::ports::StoreError;
use uuid::Uuid;

use super::{noted, receive, register, sell, stocked};
use crate::testing::{Plan, World, item};
use crate::unpack::item_of_group;
use crate::{Condition, Parking, dead_letters};

/// The largest row of DynamoDB, in bytes: its documented 400 KB.
const DYNAMODB_ITEM_BYTES: usize = 400 * 1024;

fn statuses(world: &World, item_id: &str, ids: impl IntoIterator<Item = u128>) -> Vec<Status> {
    ids.into_iter().map(|n| world.record(item_id, n).unwrap().outcome.status).collect()
}

#[tokio::test(start_paused = true)]
async fn garbage_is_dead_lettered_in_its_place_and_its_neighbours_are_applied() {
    let world = World::new();
    stocked(&world, "cola");
    let good = encode_message(&item("cola"), &[sell(3, "cola", "main", 1), sell(4, "cola", "main", 1)]);
    let own_id = Uuid::from_u128(3);
    let body = good.replacen(r#""type":"sell""#, r#""type":"swallow""#, 1);
    world.queue.put("cola", &body);
    world.queue.put("cola", "{\"v\":1");
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "9");
    let dead = world.record("cola", own_id.as_u128()).unwrap();
    assert_eq!(dead.outcome.status, Status::DeadLettered);
    assert!(dead.outcome.dead_letter.unwrap().body.contains("swallow"), "the body is kept");
    let made_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"message-3/0").as_u128();
    assert_eq!(world.record("cola", made_id).unwrap().outcome.status, Status::DeadLettered);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_no_item_is_kept_under_a_made_item() {
    for group in ["", "..", " a", "a\tb", &"x".repeat(128)] {
        let world = World::new();
        let body = encode_message(&item("cola"), &[sell(3, "cola", "main", 1)]);
        world.queue.put(group, &body);
        world.work().await;
        let made = item_of_group(group);
        assert!(made.as_str().starts_with("not-an-item-"), "{made}");
        assert_eq!(statuses(&world, made.as_str(), [3]), [Status::DeadLettered]);
    }
    assert_eq!(item_of_group("cola"), item("cola"));
}

#[tokio::test(start_paused = true)]
async fn the_one_command_that_panics_is_found_by_halving() {
    for poison in 3..=40 {
        let world = World::with(|world| world.explosive = true);
        stocked(&world, "cola");
        let commands: Vec<_> = (3..=40)
            .map(
                |n| if n == poison { noted(sell(n, "cola", "main", 1), "explode") } else { sell(n, "cola", "main", 1) },
            )
            .collect();
        world.send(&commands);
        world.work().await;
        world.check().await;
        let expected: Vec<_> =
            (3..=40).map(|n| if n == poison { Status::DeadLettered } else { Status::Applied }).collect();
        assert_eq!(statuses(&world, "cola", 3..=40), expected);
        assert!(world.record("cola", poison).unwrap().outcome.dead_letter.unwrap().reason.contains("panicked"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_decoding_panics_is_dead_lettered_whole_and_its_group_continues() {
    let world = World::with(|world| world.explosive = true);
    stocked(&world, "cola");
    world.send(&[sell(3, "cola", "main", 1)]);
    let bad = encode_message(&item("cola"), &[noted(sell(4, "cola", "main", 1), "shatter")]);
    world.queue.put("cola", &bad);
    world.send(&[sell(5, "cola", "main", 1)]);
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "8");
    let records = &world.store.stock().records;
    let dead: Vec<_> = records.values().filter(|r| r.outcome.status == Status::DeadLettered).collect();
    let [record] = dead[..] else { panic!("{dead:?}") };
    assert_eq!(record.outcome.command_id.0, Uuid::new_v5(&Uuid::NAMESPACE_OID, b"message-3/0"));
    let letter = record.outcome.dead_letter.as_ref().unwrap();
    assert!(letter.reason.contains("panicked") && letter.body == bad, "{letter:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_too_large_to_keep_is_cut_and_says_so() {
    let world = World::new();
    stocked(&world, "cola");
    let cola = item("cola");
    let huge = "\u{1}ä".repeat(1_000_000 / 3);
    let by = encode_message(&cola, &[sell(3, "cola", "main", 1)]).replace("till-1", &"x".repeat(1_000_000));
    let kind = encode_message(&cola, &[sell(4, "cola", "main", 1)])
        .replace(r#""sell""#, &format!("{:?}", "y".repeat(1_000_000)));
    for body in [&huge, &by, &kind] {
        world.queue.put("cola", body);
    }
    world.send(&[sell(5, "cola", "main", 1)]);
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "9", "only what could be read took effect");
    let stock = world.store.stock();
    let dead: Vec<_> = stock.records.values().filter(|r| r.outcome.status == Status::DeadLettered).collect();
    assert_eq!(dead.len(), 3);
    for record in dead {
        let letter = record.outcome.dead_letter.as_ref().unwrap();
        assert!(letter.body.len() > DEAD_BODY_MAX_BYTES - 4 && letter.body.len() <= DEAD_BODY_MAX_BYTES);
        assert!(letter.reason.contains(" bytes and is cut"), "{}", letter.reason);
        let stored = record.to_bytes().unwrap().len();
        assert!(stored < DYNAMODB_ITEM_BYTES * 98 / 100, "{stored}, with the attributes beside it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_the_store_refuses_alone_is_dead_lettered_and_can_be_read() {
    let world = World::new();
    stocked(&world, "cola");
    world.faults().refused_note = Some("huge".into());
    let commands: Vec<_> = (3..=40)
        .map(|n| if n % 11 == 0 { noted(sell(n, "cola", "main", 1), "huge") } else { sell(n, "cola", "main", 1) })
        .collect();
    world.send(&commands);
    world.work().await;
    world.check().await;
    let expected: Vec<_> = (3..=40).map(|n| if n % 11 == 0 { Status::DeadLettered } else { Status::Applied }).collect();
    assert_eq!(statuses(&world, "cola", 3..=40), expected);
    let letter = world.record("cola", 11).unwrap().outcome.dead_letter.unwrap();
    assert!(letter.reason.contains("the row is invalid"), "{}", letter.reason);
    assert!(letter.body.contains("huge"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_message_is_acknowledged() {
    let world = World::new();
    world.queue.put("cola", r#"{"v":1,"item_id":"cola","commands":[]}"#);
    world.work().await;
    assert_eq!(world.store.stock().records.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_later_version_is_returned_and_stops_the_worker_but_not_its_round() {
    // With more permits a receive in flight could still return one more message.
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    let newer = encode_message(&item("cola"), &[sell(3, "cola", "main", 1)]).replacen(r#""v":1"#, r#""v":2"#, 1);
    let newer = seal(newer);
    world.queue.put("cola", &newer);
    world.send(&[sell(4, "cola", "main", 1)]);
    world.send(&[register(1, "tea")]);
    let runner = world.start(&Arc::new(Plan::default()));
    let mut condition = runner.health.subscribe();
    condition.wait_for(|c| *c == Condition::NewerMessages(2)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.queue.receives(), [1, 1], "both are returned, and never received again");
    assert_eq!(world.on_hand("cola", "main"), "10");
    assert!(world.record("tea", 1).is_some());
    assert!(world.record("cola", 4).is_none(), "the message behind it must wait");
    assert!(!runner.health.is_ready());
    runner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stock_of_a_later_version_is_left_alone_and_its_commands_wait_for_a_later_worker() {
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    world.work().await;
    world.faults().load = Some((item("cola"), StoreError::Newer("a tail of version 9".into())));
    world.send(&[sell(3, "cola", "main", 1)]);
    world.send(&[register(1, "tea")]);
    let runner = world.start(&Arc::new(Plan::default()));
    runner.health.subscribe().wait_for(|condition| *condition == Condition::NewerStore).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.queue.receives(), [1], "it is returned, and never received again");
    assert!(world.record("cola", 3).is_none(), "it is not dead-lettered");
    assert!(world.record("tea", 1).is_some(), "its neighbour is applied");
    assert!(!runner.health.is_ready());
    runner.stop().await;
    world.faults().load = None;
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "9");
}

/// Tells the sold quantities of `cola`, in the order of the ledger.
fn sold(world: &World) -> Vec<String> {
    let ledger = world.store.stock().ledger(&item("cola"), &"main".parse().unwrap());
    ledger.iter().skip(1).map(|entry| entry.quantity.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_commands_of_an_item_that_cant_be_read_are_set_aside_in_the_end_and_retried_in_their_order() {
    let world = World::with(|world| {
        world.config.parking = Some(Parking { receives: 6, ..Parking::default() });
        world.config.permits = 1;
    });
    stocked(&world, "cola");
    world.work().await;
    world.faults().load = Some((item("cola"), StoreError::Unreadable("a level that breaks off".into())));
    for n in 3..=7 {
        world.send(&[sell(n, "cola", "main", u32::try_from(n).unwrap() - 2)]);
    }
    // What was applied before the damage and comes again stays applied.
    world.queue.put_commands(&[receive(2, "cola", "main", 10)]);
    stocked(&world, "tea");
    let runner = world.start(&Arc::new(Plan::default()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.on_hand("tea", "main"), "10");
    assert!(world.record("cola", 3).is_none(), "it is tried again for a while");
    world.drained().await;
    assert!(!runner.health.items_set_aside().is_empty(), "the item is still named");
    runner.stop().await;
    assert!(statuses(&world, "cola", 3..=7).iter().all(|status| *status == Status::DeadLettered));
    assert_eq!(world.record("cola", 2).unwrap().outcome.status, Status::Applied);
    let letter = world.record("cola", 3).unwrap().outcome.dead_letter.unwrap();
    assert!(letter.reason.contains("can't be read") && letter.reason.contains("breaks off"), "{}", letter.reason);

    world.faults().load = None;
    let lines = dead_letters::retry_all(&world.store, &world.queue).await.unwrap();
    assert_eq!(lines.len(), 5);
    world.work().await;
    assert!(statuses(&world, "cola", 3..=7).iter().all(|status| *status == Status::Applied));
    assert_eq!(sold(&world), ["1", "2", "3", "4", "5"]);
    assert_eq!(world.on_hand("cola", "main"), "-5");
}

#[tokio::test(start_paused = true)]
async fn what_waited_long_behind_a_stuck_item_is_set_aside_after_few_tries_and_a_later_versions_rows_never_are() {
    let old = Parking { receives: 1_000, age_ms: 500 };
    for (error, parked) in [
        (StoreError::Unreadable("a level that breaks off".into()), true),
        (StoreError::Busy("a hot partition".into()), false),
        (StoreError::Newer("a tail of version 9".into()), false),
    ] {
        let world = World::with(|world| world.config.parking = Some(old));
        stocked(&world, "cola");
        world.work().await;
        world.faults().load = Some((item("cola"), error.clone()));
        world.send(&[sell(3, "cola", "main", 1)]);
        let runner = world.start(&Arc::new(Plan::default()));
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        runner.stop().await;
        assert_eq!(world.record("cola", 3).is_some(), parked, "{error}");
    }
}
