//! The worker's five steps (load, fold, commit, publish, ack) over the store: whatever dies, is lost or is paused at
//! any of them, each effect happens once. The real worker runs, on a queue in memory.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use stockline_common::domain::{Alert, CommandId, FoldLimits, Queued, Status};
use stockline_common::ports::{Clock, CommandState, FixedClock};
use stockline_worker::{Adapters, Config};

use super::{Ports, Shop, at, id, item_id, queued};
use crate::faulty::{Faulty, Kind, Plan, Point};
use crate::fifo::Fifo;
use crate::running::{PATIENCE, RunningWorker, worker_config};

const STEPS: [Point; 4] = [Point::Load, Point::Commit, Point::Publish, Point::Ack];

/// One item's commands, their queue, and what was published of them.
struct World<'a> {
    ports: &'a Ports,
    item: String,
    queue: Arc<Fifo>,
    published: Arc<Mutex<Vec<Alert>>>,
}

/// What became of them.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// Location, on hand and the command of each ledger entry.
    levels: Vec<(String, String, Vec<CommandId>)>,
    statuses: Vec<Option<Status>>,
    /// Location and number.
    alerts: BTreeSet<(String, u64)>,
}

/// The commands' ids are 1, 2, 3 … in order; the last message repeats an old one.
fn messages(item: &str) -> Vec<Vec<Queued>> {
    let mut n = 0;
    let mut next = |kind: &str, fields: &str| {
        n += 1;
        queued(id(n), kind, item, fields, at(0))
    };
    let first = vec![
        next("register_item", r#","name":"Item""#),
        next("receive", r#","quantity":10"#),
        next("receive", r#","location_id":"north","quantity":5"#),
    ];
    let second = vec![
        next("set_threshold", r#","location_id":"main","low_stock_threshold":9"#),
        next("sell", r#","quantity":2"#),
        next("sell", r#","quantity":8"#),
        next("sell", r#","quantity":1"#),
        next("transfer", r#","from_location_id":"north","to_location_id":"main","quantity":1"#),
    ];
    let third = vec![
        next("set_threshold", r#","low_stock_threshold":6"#),
        next("sell", r#","location_id":"north","quantity":4"#),
        next("register_item", r#","name":"Again""#),
    ];
    let repeated = vec![second[1].clone(), next("return", r#","quantity":7"#)];
    vec![first, second, third, repeated]
}

impl<'a> World<'a> {
    fn new(ports: &'a Ports, item: String) -> Self {
        let queue = Fifo::new(PATIENCE, true);
        messages(&item).iter().for_each(|commands| queue.put_commands(commands));
        Self { ports, item, queue, published: Arc::default() }
    }

    fn start(&self, plan: &Arc<Plan>) -> RunningWorker {
        let config = Config {
            // Two receives, so that a group is left in the middle.
            receive_max: 3,
            // Folds of a few commands, and tails that become chunks.
            fold_limits: FoldLimits { max_actions: 7, max_tail_bytes: 100, ..FoldLimits::default() },
            ..worker_config()
        };
        let ports = Arc::new(Faulty {
            plan: plan.clone(),
            queue: self.queue.clone(),
            store: self.ports.store.clone(),
            published: self.published.clone(),
        });
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(at(1_000)));
        let adapters = Adapters { queue: ports.clone(), store: ports.clone(), alerts: ports, clock };
        RunningWorker::start(config, adapters)
    }

    async fn drained(&self) {
        tokio::time::timeout(PATIENCE, self.queue.drained()).await.expect("the queue drains");
    }

    /// A worker that nothing happens to finishes what is left.
    async fn finish(&self) {
        let worker = self.start(&Plan::none());
        self.drained().await;
        worker.stop().await;
    }

    async fn end(&self) -> End {
        let view = self.ports.queries.item(&item_id(&self.item)).await.unwrap().unwrap();
        let mut levels = Vec::new();
        for level in &view.levels {
            let reader = &self.ports.audit;
            let page = reader.audit_ledger(&view.item.item_id, &level.location_id, 1, 100).await.unwrap();
            let commands = page.entries.iter().map(|entry| entry.command_id).collect();
            levels.push((level.location_id.to_string(), level.on_hand.to_string(), commands));
        }
        let state = |n| CommandState { item_id: item_id(&self.item), command_id: id(n) };
        let states: Vec<_> = (1..=12).map(state).collect();
        let records = self.ports.queries.records(&states).await.unwrap();
        let published = self.published.lock().unwrap();
        End {
            levels,
            statuses: records.iter().map(|record| record.as_ref().map(|record| record.outcome.status)).collect(),
            alerts: published.iter().map(|alert| (alert.location_id.to_string(), alert.alert_no)).collect(),
        }
    }
}

/// What becomes of the commands where nothing goes wrong.
async fn expected(ports: &Ports) -> End {
    let world = World::new(ports, "undisturbed".into());
    world.finish().await;
    let end = world.end().await;
    let on_hand: Vec<_> = end.levels.iter().map(|level| (&*level.0, &*level.1, level.2.len())).collect();
    assert_eq!(on_hand, [("main", "7", 6), ("north", "0", 3)]);
    let rejected: Vec<_> = end.statuses.iter().map(|status| *status == Some(Status::Rejected)).collect();
    assert_eq!(rejected.iter().position(|rejected| *rejected), Some(10));
    let alerts = ["main:1", "main:2", "main:3", "north:1", "north:2"];
    assert!(end.alerts.iter().map(|(location, no)| format!("{location}:{no}")).eq(alerts), "{:?}", end.alerts);
    end
}

/// Plays `play` at the first, second, third … call of every step, for every kind, until there is no such call; how
/// many of them there were.
async fn everywhere<'a>(
    ports: &'a Ports,
    kinds: &[Kind],
    play: impl AsyncFn(World<'a>, Point, usize, Kind) -> bool,
) -> usize {
    let play = &play;
    let cases = STEPS.into_iter().flat_map(|point| kinds.iter().map(move |kind| (point, *kind)));
    let all = cases.map(async |(point, kind)| {
        let mut nth = 1;
        while play(World::new(ports, format!("{point:?}-{nth}-{kind:?}")), point, nth, kind).await {
            nth += 1;
        }
        nth - 1
    });
    join_all(all).await.into_iter().sum()
}

pub async fn a_death_or_a_lost_answer_at_any_step_takes_every_effect_once(shop: Shop) {
    shop.open_location("north").await;
    let expected = &expected(shop.ports()).await;
    let kinds = [Kind::Fail, Kind::LoseAnswer, Kind::DieBefore, Kind::DieAfter];
    let met = everywhere(shop.ports(), &kinds, async |world, point, nth, kind| {
        let plan = Plan::with(point, nth, kind);
        let worker = world.start(&plan);
        tokio::select! {
            () = plan.stopped.notified() => {}
            () = world.drained() => {}
        }
        if matches!(kind, Kind::DieBefore | Kind::DieAfter) {
            worker.kill().await;
            world.queue.run_out();
            world.finish().await;
        } else {
            // What could not be acknowledged comes again.
            world.queue.run_out();
            world.drained().await;
            worker.stop().await;
        }
        assert_eq!(world.end().await, *expected, "{kind:?} at {point:?} {nth}");
        plan.calls(point) >= nth
    });
    let met = met.await;
    assert!(met >= STEPS.len() * kinds.len() * 2, "only {met} faults were met");
    shop.audit().await;
}

pub async fn a_zombie_at_any_step_changes_nothing(shop: Shop) {
    shop.open_location("north").await;
    let expected = &expected(shop.ports()).await;
    let kinds = [Kind::PauseBefore, Kind::PauseAfter];
    let met = everywhere(shop.ports(), &kinds, async |world, point, nth, kind| {
        let plan = Plan::with(point, nth, kind);
        let zombie = world.start(&plan);
        tokio::select! {
            () = plan.stopped.notified() => {}
            () = world.drained() => {}
        }
        // Its visibility runs out while it believes that it has a minute left.
        world.queue.run_out();
        world.finish().await;
        assert_eq!(world.end().await, *expected, "{kind:?} at {point:?} {nth}, before the zombie wakes");
        plan.resume.notify_one();
        zombie.stop().await;
        assert_eq!(world.end().await, *expected, "{kind:?} at {point:?} {nth}");
        plan.calls(point) >= nth
    });
    let met = met.await;
    assert!(met >= STEPS.len() * kinds.len() * 2, "only {met} pauses were met");
    shop.audit().await;
}
