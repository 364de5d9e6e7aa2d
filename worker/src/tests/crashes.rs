use std::sync::Arc;
use std::time::Duration;

use super::{ending, send_everything};
use crate::testing::{Kind, Plan, Point, World};

const STEPS: [Point; 5] = [Point::Receive, Point::Load, Point::Commit, Point::Publish, Point::Ack];

async fn ending_without_faults() -> Vec<String> {
    let world = World::new();
    send_everything(&world);
    world.work().await;
    world.check().await;
    ending(&world)
}

/// Works with one worker after the other, each under the next plan; the last one's plan is empty.
async fn work_through(world: &Arc<World>, plans: Vec<Plan>) {
    for plan in plans {
        world.work_under(plan).await;
    }
    world.work().await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_at_any_step_ends_at_the_same_stock() {
    let expected = ending_without_faults().await;
    for (receivers, point) in [1, 3].into_iter().flat_map(|receivers| STEPS.map(|point| (receivers, point))) {
        for nth in 1..=12 {
            for kind in [Kind::Fail, Kind::LoseAnswer, Kind::DieBefore, Kind::DieAfter] {
                let world = World::of_receivers(receivers);
                send_everything(&world);
                work_through(&world, vec![Plan::with(&[(point, nth, kind)])]).await;
                world.check().await;
                assert_eq!(ending(&world), expected, "{receivers} receivers, {kind:?} at {point:?} {nth}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_zombie_that_wakes_after_others_finished_changes_nothing() {
    let expected = ending_without_faults().await;
    for point in [Point::Load, Point::Commit, Point::Publish, Point::Ack] {
        for nth in 1..=12 {
            let world = World::new();
            send_everything(&world);
            let plan = Arc::new(Plan::with(&[(point, nth, Kind::PauseBefore)]));
            // Its heartbeat sleeps with it.
            plan.set_down(Point::Visibility, true);
            let zombie = world.start(&plan);
            tokio::select! {
                () = world.drained() => {}
                () = plan.stopped.notified() => world.work().await,
            }
            plan.resume.notify_one();
            zombie.stop().await;
            world.check().await;
            assert_eq!(ending(&world), expected, "a zombie at {point:?} {nth}");
        }
    }
}

/// Numerical Recipes' generator: a seed replays exactly.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

#[tokio::test(start_paused = true)]
async fn two_workers_under_many_faults_keep_every_promise() {
    let expected = ending_without_faults().await;
    for seed in 0..150 {
        let mut dice = Dice(seed);
        let world = World::new();
        send_everything(&world);
        let mut plan = || {
            let faults: Vec<_> = (0..3 + dice.roll(7))
                .map(|_| {
                    let kind = [Kind::Fail, Kind::LoseAnswer, Kind::DieBefore, Kind::DieAfter, Kind::PauseBefore];
                    (STEPS[dice.roll(5)], 1 + dice.roll(15), kind[dice.roll(5)])
                })
                .collect();
            Arc::new(Plan::with(&faults))
        };
        for _ in 0..3 {
            let (first, second) = (plan(), plan());
            let (one, two) = (world.start(&first), world.start(&second));
            tokio::select! {
                () = world.drained() => {}
                () = first.stopped.notified() => {}
                () = second.stopped.notified() => {}
            }
            tokio::time::sleep(Duration::from_secs(45)).await;
            first.resume.notify_one();
            second.resume.notify_one();
            tokio::time::sleep(Duration::from_secs(1)).await;
            one.kill().await;
            two.kill().await;
        }
        world.work().await;
        world.check().await;
        assert_eq!(ending(&world), expected, "seed {seed}");
    }
}
