use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::ItemId;
use stockline_core::ports::StoreError;

use super::{sell, stocked};
use crate::Condition;
use crate::testing::{Kind, Plan, Point, World, item};

fn contended() -> (ItemId, StoreError) {
    (item("cola"), StoreError::Busy("its rows are in conflict".into()))
}

#[tokio::test(start_paused = true)]
async fn an_outage_stops_receiving_and_burns_no_receives() {
    for (point, receivers) in [Point::Load, Point::Commit, Point::Publish].into_iter().flat_map(|p| [(p, 1), (p, 3)]) {
        let world = World::of_receivers(receivers);
        stocked(&world, "cola");
        world.work().await;
        for n in 3..23 {
            world.send(&[sell(n, "cola", "main", 1)]);
            stocked(&world, &format!("item-{n}"));
        }
        let plan = Arc::new(Plan::default());
        plan.set_down(point, true);
        let runner = world.start(&plan);
        if point == Point::Publish {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        runner.health.subscribe().wait_for(|c| *c == Condition::Outage).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let most = world.queue.receives().into_iter().max().unwrap();
        let total: u32 = world.queue.receives().into_iter().sum();
        assert!(most <= 20, "{point:?}: a message was received {most} times in an hour");
        assert!(total <= 2 * 40 + 20, "{point:?}: {total} receives in an hour");
        assert!(!runner.health.is_ready());
        plan.set_down(point, false);
        world.drained().await;
        assert!(runner.health.is_ready());
        runner.stop().await;
        world.check().await;
    }
}

/// A receive in flight when the outage began returns the last message, so that no probation finds any.
#[tokio::test(start_paused = true)]
async fn a_worker_is_ready_again_after_an_outage_that_left_it_nothing_to_try() {
    let world = World::of_receivers(3);
    stocked(&world, "cola");
    let plan = Arc::new(Plan::default());
    plan.set_down(Point::Load, true);
    let runner = world.start(&plan);
    let mut conditions = runner.health.subscribe();
    conditions.wait_for(|c| *c == Condition::Outage).await.unwrap();
    world.work().await;
    assert_eq!(world.on_hand("cola", "main"), "10", "another worker, whose store answers, did the work");
    plan.set_down(Point::Load, false);
    let ready = conditions.wait_for(|c| *c == Condition::Ready);
    tokio::time::timeout(Duration::from_secs(120), ready).await.expect("it stays unready").unwrap();
    world.send(&[sell(3, "cola", "main", 1)]);
    world.drained().await;
    runner.stop().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_probed_by_loading_not_by_receiving() {
    // With more permits a receive in flight could still return one more message.
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    let plan = Arc::new(Plan::default());
    plan.set_down(Point::Load, true);
    let runner = world.start(&plan);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.queue.receives(), [1], "received once in an hour");
    assert!(plan.calls(Point::Load) > 100, "probed {} times in an hour", plan.calls(Point::Load));
    plan.set_down(Point::Load, false);
    world.drained().await;
    runner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_failed_item_are_never_delivered_again_at_once() {
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    let plan = Arc::new(Plan::with(&[(Point::Commit, 1, Kind::Fail)]));
    let runner = world.start(&plan);
    runner.health.subscribe().wait_for(|c| *c == Condition::Outage).await.unwrap();
    // The messages are returned right after the outage is shown.
    while plan.calls(Point::Visibility) == 0 {
        tokio::task::yield_now().await;
    }
    let visible_in = world.queue.visible_in();
    assert!(visible_in.iter().all(|after| !after.is_zero() && *after <= Duration::from_secs(60)), "{visible_in:?}");
    world.drained().await;
    runner.stop().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_contended_item_alone_in_its_round_is_no_outage() {
    let world = World::new();
    stocked(&world, "cola");
    world.work().await;
    world.faults().load = Some(contended());
    world.send(&[sell(3, "cola", "main", 1)]);
    let runner = world.start(&Arc::new(Plan::default()));
    let mut conditions = runner.health.subscribe();
    let outage = tokio::time::timeout(Duration::from_secs(300), conditions.wait_for(|c| *c != Condition::Ready));
    assert!(outage.await.is_err(), "one item's conflict stopped the worker");
    stocked(&world, "tea");
    world.queue.shrunk_to(1).await;
    world.faults().load = None;
    world.drained().await;
    runner.stop().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_probation_that_meets_a_contended_item_ends_the_outage() {
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    world.work().await;
    world.send(&[sell(3, "cola", "main", 1)]);
    let plan = Arc::new(Plan::default());
    plan.set_down(Point::Load, true);
    let runner = world.start(&plan);
    let mut conditions = runner.health.subscribe();
    conditions.wait_for(|c| *c == Condition::Outage).await.unwrap();
    world.faults().load = Some(contended());
    plan.set_down(Point::Load, false);
    let ready = conditions.wait_for(|c| *c == Condition::Ready);
    tokio::time::timeout(Duration::from_secs(180), ready).await.expect("one item holds the worker").unwrap();
    world.faults().load = None;
    world.drained().await;
    runner.stop().await;
    world.check().await;
}

#[test]
fn the_pause_of_a_returned_message_grows_with_its_receives_up_to_a_minute() {
    for receives in [0, 1, 2, 5, 8, 1_000] {
        let after = crate::leases::return_pause(receives);
        assert!(after >= Duration::from_millis(500) && after <= Duration::from_secs(60), "{receives}: {after:?}");
    }
    assert!(crate::leases::return_pause(1) <= Duration::from_millis(1_500));
    assert!(crate::leases::return_pause(9) >= Duration::from_secs(20));
    // An item that can't be read waits for a person: 1,000 receives last ten days.
    assert!(crate::leases::set_aside_pause(1) <= Duration::from_millis(1_500));
    assert!((12..1_000).all(|receives| crate::leases::set_aside_pause(receives) >= Duration::from_secs(450)));
}

#[tokio::test(start_paused = true)]
async fn one_damaged_item_stops_only_itself() {
    let world = World::new();
    stocked(&world, "cola");
    stocked(&world, "tea");
    world.faults().load = Some((item("cola"), StoreError::Unreadable("a tail that breaks off".into())));
    let runner = world.start(&Arc::new(Plan::default()));
    world.queue.shrunk_to(1).await;
    stocked(&world, "coffee");
    world.queue.shrunk_to(1).await;
    assert!(runner.health.is_ready());
    assert_eq!(world.on_hand("tea", "main"), "10");
    let aside = runner.health.items_set_aside();
    assert!(matches!(&aside[..], [(item_id, what)] if *item_id == item("cola") && what.contains("tail")), "{aside:?}");
    world.faults().load = None;
    world.drained().await;
    assert_eq!(runner.health.items_set_aside(), [], "once it is repaired, it is no longer named");
    runner.stop().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn alerts_that_a_probation_could_not_publish_are_published_by_its_next_attempt() {
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    world.work().await;
    let threshold = r#"{"type":"set_threshold","location_id":"main","low_stock_threshold":"5""#;
    let on_hand: u32 = world.on_hand("cola", "main").parse().unwrap();
    world.send(&[
        crate::testing::queued(50, &format!(r#"{threshold},"item_id":"cola"}}"#)),
        sell(51, "cola", "main", on_hand - 1),
        sell(52, "cola", "main", 1),
    ]);
    // The round fails, the probe succeeds, the probation fails once: by then every command is known as decided.
    let plan = Arc::new(Plan::with(&[(Point::Publish, 1, Kind::Fail), (Point::Publish, 3, Kind::Fail)]));
    let runner = world.start(&plan);
    world.drained().await;
    runner.stop().await;
    let published = world.published_ids();
    assert!(published.contains("cola:main:1") && published.contains("cola:main:2"), "{published:?}");
}
