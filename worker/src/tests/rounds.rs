use std::sync::Arc;

use stockline_core::domain::{Alert, AlertKind, CommandId, Queued, Status};
use stockline_core::ports::Clock as _;
use uuid::Uuid;

use super::{receive, register, sell, stocked, threshold};
use crate::testing::{Kind, Plan, Point, World, queued};

#[tokio::test(start_paused = true)]
async fn a_redelivered_sale_takes_stock_once_and_publishes_its_alert_again() {
    let world = World::new();
    stocked(&world, "cola");
    world.send(&[sell(3, "cola", "main", 11)]);
    world.work().await;
    world.send(&[sell(3, "cola", "main", 11)]);
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "-1");
    let kinds: Vec<_> = world.alerts.published().iter().map(|alert: &Alert| alert.kind).collect();
    assert_eq!(kinds, [AlertKind::Oversold, AlertKind::Oversold], "one id, published twice");
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_from_before_the_retention_publishes_nothing() {
    let world = World::new();
    stocked(&world, "cola");
    world.send(&[sell(3, "cola", "main", 11)]);
    world.work().await;
    world.clock.advance_ms(world.config.retention_ms + 1);
    let sent_again = Queued { accepted_at: world.clock.now(), ..sell(3, "cola", "main", 11) };
    world.send(&[sent_again]);
    world.work().await;
    assert_eq!(world.alerts.published().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_clock_is_ahead_forgets_no_alert() {
    let world = World::new();
    stocked(&world, "cola");
    world.send(&[sell(3, "cola", "main", 11)]);
    world.work().await;
    world.clock.advance_ms(365 * 86_400_000);
    world.send(&[sell(3, "cola", "main", 11)]);
    world.work().await;
    assert_eq!(world.alerts.published().len(), 2);
}

/// A dead letter keeps its first `accepted_at`, but the time of its decision counts.
#[tokio::test(start_paused = true)]
async fn alerts_of_an_old_command_decided_just_now_are_published_again() {
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    world.work().await;
    world.clock.advance_ms(world.config.retention_ms + 1);
    let threshold = r#"{"type":"set_threshold","item_id":"cola","location_id":"main","low_stock_threshold":"5"}"#;
    world.send(&[queued(50, threshold), sell(51, "cola", "main", 9), sell(52, "cola", "main", 1)]);
    // The first publish fails. The probe publishes the first alert; only the duplicate can publish the second.
    let plan = Arc::new(Plan::with(&[(Point::Publish, 1, Kind::Fail)]));
    let runner = world.start(&plan);
    world.drained().await;
    runner.stop().await;
    let published = world.published_ids();
    assert!(published.contains("cola:main:1") && published.contains("cola:main:2"), "{published:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_with_the_same_id_counts() {
    let world = World::new();
    stocked(&world, "cola");
    world.send(&[sell(3, "cola", "main", 1), sell(3, "cola", "main", 5), sell(4, "cola", "main", 2)]);
    world.send(&[sell(4, "cola", "main", 2), sell(3, "cola", "main", 1)]);
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "7");
}

#[tokio::test(start_paused = true)]
async fn groups_share_one_call_of_each_port() {
    let world = World::new();
    for n in 0..30 {
        stocked(&world, &format!("item-{n}"));
    }
    let plan = Arc::new(Plan::default());
    let runner = world.start(&plan);
    world.drained().await;
    runner.stop().await;
    let calls = [Point::Load, Point::Commit, Point::Ack].map(|point| plan.calls(point));
    assert_eq!(calls, [1, 1, 1], "one wave for thirty items");
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_published_before_the_next_fold_and_before_any_acknowledgement() {
    let world = World::new();
    stocked(&world, "cola");
    world.work().await;
    world.send(&[sell(3, "cola", "main", 11)]);
    let later: Vec<_> = (4..30).map(|n| sell(n, "cola", "main", 1)).collect();
    world.send(&later);
    let plan = Arc::new(Plan::with(&[(Point::Publish, 1, Kind::DieBefore)]));
    let runner = world.start(&plan);
    plan.stopped.notified().await;
    runner.kill().await;
    assert!(world.record("cola", 3).is_some());
    assert!(world.record("cola", 29).is_none(), "the next fold was committed before the alert was published");
    assert_eq!(plan.calls(Point::Ack), 0);
    world.work().await;
    world.check().await;
    assert_eq!(world.published_ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn re_judging_finishes_from_its_marks_before_the_next_sale() {
    // Commit 1 is the threshold, 2 and 3 the levels, 4 the sale.
    for nth in 1..=4 {
        for kind in [Kind::DieBefore, Kind::DieAfter, Kind::LoseAnswer, Kind::Fail] {
            let world = World::new();
            stocked(&world, "cola");
            world.send(&[receive(3, "cola", "north", 4)]);
            world.work().await;
            world.send(&[threshold(4, "cola", "20"), sell(5, "cola", "main", 10)]);
            world.work_under(Plan::with(&[(Point::Commit, nth, kind)])).await;
            world.work().await;
            world.check().await;
            let published = world.alerts.published();
            let mut alerts: Vec<_> = published.iter().map(|a| (a.location_id.as_str(), a.alert_no, a.kind)).collect();
            alerts.dedup();
            let first_of_main = alerts.iter().find(|alert| alert.0 == "main").unwrap();
            assert_eq!(*first_of_main, ("main", 1, AlertKind::Low), "{kind:?} at commit {nth}");
            assert!(alerts.contains(&("north", 1, AlertKind::Low)), "{kind:?} at commit {nth}: {alerts:?}");
            assert!(alerts.contains(&("main", 2, AlertKind::Out)), "{kind:?} at commit {nth}: {alerts:?}");
        }
    }
}

/// The alert names the change, although the worker that made the change died before it re-judged.
#[tokio::test(start_paused = true)]
async fn setting_an_unchanged_threshold_does_not_take_the_alert_of_the_change_after_it() {
    let world = World::new();
    stocked(&world, "cola");
    world.work().await;
    world.send(&[threshold(3, "cola", "null"), threshold(4, "cola", "20")]);
    // Commit 1 is the fold of both, 2 the re-judging of the level.
    let plan = Arc::new(Plan::with(&[(Point::Commit, 2, Kind::DieBefore)]));
    let first = world.start(&plan);
    plan.stopped.notified().await;
    first.kill().await;
    world.work().await;
    world.check().await;
    let raised_by: Vec<_> = world.alerts.published().iter().map(|alert| alert.command_id).collect();
    let change = CommandId(Uuid::from_u128(4));
    assert_eq!(raised_by, [change]);
    let judged_for: Vec<_> = world.store.stock().marks.keys().map(|(_, id, _)| *id).collect();
    assert_eq!(judged_for, [change]);
}

/// The worker was replaced between the commit and the re-judging.
#[tokio::test(start_paused = true)]
async fn a_change_that_an_earlier_version_recorded_is_re_judged_too() {
    let world = World::new();
    stocked(&world, "cola");
    world.work().await;
    world.send(&[threshold(3, "cola", "20")]);
    let plan = Arc::new(Plan::with(&[(Point::Commit, 2, Kind::DieBefore)]));
    let first = world.start(&plan);
    plan.stopped.notified().await;
    first.kill().await;
    for record in world.store.stock().records.values_mut() {
        record.changed_default = None;
    }
    world.work().await;
    world.check().await;
    assert_eq!(world.published_ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn re_judging_starts_again_if_another_worker_changed_a_level() {
    let world = World::new();
    stocked(&world, "cola");
    world.work().await;
    world.send(&[threshold(4, "cola", "20")]);
    let plan = Arc::new(Plan::with(&[(Point::Commit, 2, Kind::PauseBefore)]));
    let runner = world.start(&plan);
    plan.stopped.notified().await;
    let moved = {
        let mut stock = world.store.stock();
        let level = stock.levels.values_mut().next().unwrap();
        level.version += 1;
        level.version
    };
    plan.resume.notify_one();
    world.drained().await;
    runner.stop().await;
    assert_eq!(world.store.stock().levels.values().next().unwrap().version, moved + 1);
    assert_eq!(world.published_ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_level_that_cant_be_re_judged_stops_neither_its_item_nor_the_others() {
    let world = World::new();
    stocked(&world, "cola");
    world.send(&[receive(3, "cola", "north", 4)]);
    world.work().await;
    world.faults().refused_mark = Some("main".parse().unwrap());
    world.send(&[threshold(4, "cola", "20"), sell(5, "cola", "main", 1)]);
    world.work().await;
    assert_eq!(world.on_hand("cola", "main"), "9");
    assert!(world.published_ids().contains("cola:north:1"));
}

#[tokio::test(start_paused = true)]
async fn a_resubmission_replaces_its_refused_command_once() {
    let world = World::new();
    world.send(&[sell(3, "cola", "main", 2)]);
    stocked(&world, "cola");
    world.work().await;
    let old = sell(3, "cola", "main", 2).command;
    let mut again = sell(4, "cola", "main", 2);
    again.resubmits =
        Some(stockline_core::domain::CommandKey { item_id: old.item_id.clone(), command_id: old.command_id });
    let mut other = again.clone();
    other.command.command_id = register(9, "cola").command.command_id;
    world.send(&[again]);
    world.work().await;
    world.send(&[other]);
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "8");
    assert_eq!(world.record("cola", 9).unwrap().outcome.status, Status::Rejected);
}
