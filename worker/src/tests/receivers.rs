use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{sell, stocked};
use crate::Condition;
use crate::testing::{Kind, Plan, Point, World};

#[tokio::test(start_paused = true)]
async fn a_retried_receive_keeps_its_attempt_and_the_next_one_has_its_own() {
    let world = World::new();
    stocked(&world, "cola");
    let plan = Arc::new(Plan::with(&[(Point::Receive, 1, Kind::LoseAnswer), (Point::Receive, 2, Kind::LoseAnswer)]));
    let runner = world.start(&plan);
    world.drained().await;
    runner.stop().await;
    let attempts = world.attempts.lock().unwrap().clone();
    assert!(attempts[0] == attempts[1] && attempts[1] == attempts[2]);
    assert!(attempts[3..].iter().all(|attempt| *attempt != attempts[0]));
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn no_message_is_received_without_a_permit() {
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    let plan = Arc::new(Plan::with(&[(Point::Commit, 1, Kind::PauseBefore)]));
    let runner = world.start(&plan);
    plan.stopped.notified().await;
    stocked(&world, "tea");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.queue.receives(), [1, 0]);
    plan.resume.notify_one();
    world.drained().await;
    runner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn with_several_permits_a_slow_round_does_not_hold_up_the_next() {
    let world = World::new();
    stocked(&world, "cola");
    let plan = Arc::new(Plan::with(&[(Point::Commit, 1, Kind::PauseBefore)]));
    let runner = world.start(&plan);
    plan.stopped.notified().await;
    stocked(&world, "tea");
    world.queue.shrunk_to(1).await;
    assert_eq!(world.on_hand("tea", "main"), "10");
    plan.resume.notify_one();
    world.drained().await;
    runner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_stops_within_one_receive() {
    let world = World::new();
    let runner = world.start(&Arc::new(Plan::default()));
    tokio::task::yield_now().await;
    let asked = Instant::now();
    runner.stop().await;
    assert!(asked.elapsed() <= world.config.receive_wait);
}

#[tokio::test(start_paused = true)]
async fn messages_that_arrive_during_shutdown_are_returned_at_once() {
    let world = World::new();
    let runner = world.start(&Arc::new(Plan::default()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    runner.shutdown.cancel();
    stocked(&world, "cola");
    runner.stop().await;
    assert_eq!(world.queue.receives(), [1]);
    assert_eq!(world.queue.visible_in(), [Duration::ZERO]);
    assert!(world.record("cola", 1).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_round_in_progress_is_finished_during_the_drain() {
    let world = World::new();
    stocked(&world, "cola");
    let plan = Arc::new(Plan::with(&[(Point::Commit, 1, Kind::PauseBefore)]));
    let runner = world.start(&plan);
    plan.stopped.notified().await;
    runner.shutdown.cancel();
    tokio::time::sleep(Duration::from_secs(3)).await;
    plan.resume.notify_one();
    runner.stop().await;
    assert!(world.queue.receives().is_empty());
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_the_drain_does_not_finish_are_returned_and_finished_by_another() {
    let world = World::new();
    stocked(&world, "cola");
    world.work().await;
    world.send(&[sell(3, "cola", "main", 1)]);
    let plan = Arc::new(Plan::with(&[(Point::Commit, 1, Kind::DieAfter)]));
    let runner = world.start(&plan);
    plan.stopped.notified().await;
    let asked = Instant::now();
    runner.stop().await;
    assert!(asked.elapsed() <= world.config.drain + world.config.receive_wait, "{:?}", asked.elapsed());
    assert_eq!(world.queue.visible_in(), [Duration::ZERO]);
    world.work().await;
    world.check().await;
    assert_eq!(world.on_hand("cola", "main"), "9");
}

#[tokio::test(start_paused = true)]
async fn long_work_keeps_its_messages() {
    let world = World::new();
    stocked(&world, "cola");
    let plan = Arc::new(Plan::with(&[(Point::Commit, 1, Kind::PauseBefore)]));
    let runner = world.start(&plan);
    plan.stopped.notified().await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(world.queue.receives(), [1], "no other worker got it");
    plan.resume.notify_one();
    world.drained().await;
    let extensions = plan.calls(Point::Visibility);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(plan.calls(Point::Visibility), extensions, "the heartbeat outlived its round");
    runner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_leases_have_expired_begins_no_further_attempt() {
    let world = World::with(|world| world.config.permits = 1);
    stocked(&world, "cola");
    let sales: Vec<_> = (3..40).map(|n| sell(n, "cola", "main", 1)).collect();
    world.send(&sales);
    let plan = Arc::new(Plan::with(&[(Point::Commit, 1, Kind::PauseBefore)]));
    plan.set_down(Point::Visibility, true);
    let slow = world.start(&plan);
    plan.stopped.notified().await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    slow.shutdown.cancel();
    plan.resume.notify_one();
    slow.stop().await;
    assert_eq!((plan.calls(Point::Load), plan.calls(Point::Commit)), (1, 1));
    world.work().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn several_receivers_wait_at_once_and_each_has_its_own_attempt() {
    let world = World::of_receivers(3);
    let runner = world.start(&Arc::new(Plan::default()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let attempts: BTreeSet<_> = world.attempts.lock().unwrap().iter().copied().collect();
    assert_eq!(attempts.len(), 3);
    runner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn receivers_share_the_permits() {
    let world = World::with(|world| (world.config.permits, world.config.receivers) = (2, 5));
    let runner = world.start(&Arc::new(Plan::default()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.attempts.lock().unwrap().len(), 2);
    runner.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_several_receivers_one_is_on_probation_in_an_outage() {
    let world = World::of_receivers(4);
    for n in 0..40 {
        stocked(&world, &format!("item-{n}"));
    }
    let plan = Arc::new(Plan::default());
    plan.set_down(Point::Commit, true);
    let runner = world.start(&plan);
    runner.health.subscribe().wait_for(|condition| *condition == Condition::Outage).await.unwrap();
    // The messages of the others come back first; from here on only probations receive.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let received = |world: &World| world.queue.receives().into_iter().sum::<u32>();
    let before = received(&world);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let probations = received(&world) - before;
    assert!((1..=10).contains(&probations), "{probations} messages were received in ten minutes of an outage");
    plan.set_down(Point::Commit, false);
    world.drained().await;
    runner.stop().await;
    world.check().await;
}

/// A receiver that died would be one fewer for good, and a worker without any would stand still unnoticed.
#[tokio::test(start_paused = true)]
async fn a_panic_outside_of_a_round_ends_the_worker_after_its_other_receivers_have_drained() {
    let world = World::of_receivers(2);
    stocked(&world, "cola");
    let plan = Arc::new(Plan::with(&[(Point::Receive, 3, Kind::Panic)]));
    let runner = world.start(&plan);
    runner.panics().await;
    world.work().await;
    assert_eq!(world.on_hand("cola", "main"), "10");
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_pauses_takes_what_came_meanwhile_in_one_receive() {
    let pause = Duration::from_millis(400);
    let world = World::with(|world| world.config.receive_pause = pause);
    let runner = world.start(&Arc::new(Plan::default()));
    stocked(&world, "a");
    world.drained().await;
    for item in ["b", "c", "d"] {
        tokio::time::sleep(pause / 5).await;
        stocked(&world, item);
    }
    let waited = Instant::now();
    world.drained().await;
    assert!(waited.elapsed() <= pause);
    runner.stop().await;
    let receives = world.attempts.lock().unwrap().len();
    assert!(receives <= 3, "{receives} receives for two lots of messages and an idle wait");
    world.check().await;
}
