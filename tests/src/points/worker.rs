//! The worker: whatever goes wrong at any of its calls, each effect happens once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use stockline_common::domain::{CommandId, FoldLimits};
use stockline_common::ports::{Clock, CommandState, FixedClock, QueueDepth};
use stockline_worker::{Adapters, Config};

use super::line::{FileQueue, Line, VISIBILITY};
use super::script::{self, STOCK, Script, TROUBLE};
use super::{AT_ONCE, Table, WITHIN};
use crate::contract::store::{Ports, Shop, at, item_id};
use crate::faulty::{Call, Faulty, GIVE_BACK_AT_SHUTDOWN, Kind, Plan, Point, SLOW_COMMIT, Traces, in_real_time};
use crate::fifo::Fifo;
use crate::running::{RunningWorker, worker_config};

/// Every call of a worker.
const POINTS: &[Point] = &[Point::Receive, Point::Load, Point::Commit, Point::Publish, Point::Ack, Point::Visibility];

/// Which queue the commands wait in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// A queue in memory, which takes its messages from a worker that sleeps without its noticing.
    Memory,
    /// The standalone home's queue. A worker's death is a restart of it.
    File,
}

/// One item's commands, their queue, and what workers left of them.
#[derive(Debug)]
struct World<'a> {
    ports: &'a Ports,
    script: &'a Script,
    item: String,
    line: Box<dyn Line>,
    ids: Vec<CommandId>,
    messages: usize,
    traces: Arc<Traces>,
}

/// What became of them, without the item's name.
#[derive(Debug, PartialEq, Eq)]
struct End {
    levels: Vec<String>,
    records: Vec<String>,
    alerts: BTreeSet<String>,
}

impl<'a> World<'a> {
    async fn new(ports: &'a Ports, script: &'a Script, queue: Queue, item: String) -> Self {
        let line: Box<dyn Line> = match queue {
            Queue::Memory => Box::new(Fifo::new(VISIBILITY, false)),
            Queue::File => Box::new(FileQueue::new()),
        };
        let mut ids = Vec::new();
        let messages = script.messages(&item);
        for message in &messages {
            let message_id = line.put(&item_id(&item), &message.body, message.set_aside).await;
            ids.extend(script::ids(&item_id(&item), &message_id, message));
        }
        Self { ports, script, item, line, ids, messages: messages.len(), traces: Arc::default() }
    }

    fn start(&self, plan: &Arc<Plan>, drain: Duration) -> RunningWorker {
        let config = Config {
            // Several receives, so that a group is left in the middle, which wait for what comes again.
            receive_max: 3,
            receive_wait: Duration::from_secs(20),
            // Folds of a few commands, and tails that become chunks.
            fold_limits: FoldLimits { max_actions: 7, max_tail_bytes: 100, ..FoldLimits::default() },
            drain,
            ..worker_config()
        };
        let ports = Arc::new(Faulty {
            plan: plan.clone(),
            queue: self.line.receiver(),
            store: self.ports.store.clone(),
            traces: self.traces.clone(),
            oddities: self.script.oddities(),
        });
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(at(1_000)));
        let adapters = Adapters { queue: ports.clone(), store: ports.clone(), alerts: ports, clock };
        RunningWorker::start(config, adapters)
    }

    async fn drained(&self) {
        let mut acknowledged = self.traces.acknowledged.subscribe();
        let all = acknowledged.wait_for(|acknowledged| *acknowledged == self.messages);
        tokio::time::timeout(WITHIN, all).await.expect("the queue drains").unwrap();
    }

    /// Until the plan's fault came about, or there was nothing more to do.
    async fn disturbed(&self, plan: &Plan) {
        tokio::select! {
            biased;
            () = plan.next_fault() => {}
            () = self.drained() => {}
        }
    }

    /// A worker that nothing happens to finishes what is left; its calls.
    async fn finish(&self) -> Vec<Call> {
        let plan = Plan::with(POINTS, &[]);
        let worker = self.start(&plan, WITHIN);
        self.drained().await;
        let mut calls = plan.calls();
        worker.stop().await;
        // The next receive began, and brings nothing.
        calls.truncate(calls.iter().rposition(|call| call.point == Point::Ack).map_or(0, |last| last + 1));
        calls
    }

    async fn end(&self) -> End {
        in_real_time(async {
            let view = self.ports.queries.item(&item_id(&self.item)).await.unwrap().unwrap();
            let mut levels = Vec::new();
            for level in &view.levels {
                let reader = &self.ports.audit;
                let page = reader.audit_ledger(&view.item.item_id, &level.location_id, 1, 100).await.unwrap();
                levels.push(format!("{} {} {:?}", level.location_id, level.on_hand, page.entries));
            }
            let state = |command_id: &CommandId| CommandState { item_id: item_id(&self.item), command_id: *command_id };
            let states: Vec<_> = self.ids.iter().map(state).collect();
            let mut records = self.ports.queries.records(&states).await.unwrap();
            // It is of the item too.
            records.iter_mut().flatten().for_each(|record| record.fingerprint = None);
            let nameless = |text: String| text.replace(&self.item, "the item");
            End {
                levels,
                records: records.iter().map(|record| nameless(format!("{record:?}"))).collect(),
                alerts: self.traces.published().iter().map(|alert| nameless(format!("{alert:?}"))).collect(),
            }
        })
        .await
    }

    /// All is as `expected`, and nothing waits.
    async fn check(&self, expected: &End, what: &str) {
        assert_eq!(self.end().await, *expected, "{what}, {}", self.item);
        assert_eq!(self.line.receiver().depth().await.unwrap(), QueueDepth::default(), "{what}, {}", self.item);
    }
}

/// A store, a script, a queue, and what they come to where nothing goes wrong.
struct Stage<'a> {
    ports: &'a Ports,
    script: &'a Script,
    queue: Queue,
    calls: Vec<Call>,
    expected: End,
}

impl<'a> Stage<'a> {
    async fn new(ports: &'a Ports, script: &'a Script, queue: Queue) -> Self {
        let world = World::new(ports, script, queue, format!("{}-{queue:?}", script.name)).await;
        let calls = world.finish().await;
        let expected = world.end().await;
        for edge in script.edges.iter().filter(|edge| queue == Queue::Memory || !edge.contains("set aside")) {
            assert!(calls.iter().any(|call| call.edges.contains(edge)), "{}: nothing reaches {edge:?}", script.name);
        }
        Self { ports, script, queue, calls, expected }
    }

    async fn world(&self, name: &str) -> World<'a> {
        World::new(self.ports, self.script, self.queue, format!("{}-{:?}-{name}", self.script.name, self.queue)).await
    }

    /// One fault at the nth call.
    async fn fault(&self, n: usize, kind: Kind) {
        let world = self.world(&format!("{n}-{kind:?}")).await;
        let plan = Plan::with(POINTS, &[(n, kind)]);
        let worker = world.start(&plan, WITHIN);
        world.disturbed(&plan).await;
        assert_eq!((plan.met(), &plan.calls()[n - 1].point), (1, &self.calls[n - 1].point), "{}", world.item);
        if kind.is_death() {
            worker.kill().await;
            world.line.restart().await;
            world.finish().await;
        } else if kind.is_pause() {
            world.line.run_out();
            world.finish().await;
            world.check(&self.expected, "before the zombie wakes").await;
            plan.resume();
            worker.stop().await;
        } else {
            world.drained().await;
            worker.stop().await;
        }
        world.check(&self.expected, "in the end").await;
    }

    /// Two workers die one after the other, the second at each of its calls; how many those were. What a dead process
    /// knew is gone, so it dies after calls only: before the next one is the same.
    async fn deaths(&self, first: usize) -> usize {
        for second in 1.. {
            let world = self.world(&format!("died-{first}-{second}")).await;
            for n in [first, second] {
                let plan = Plan::with(POINTS, &[(n, Kind::DieAfter)]);
                let worker = world.start(&plan, WITHIN);
                world.disturbed(&plan).await;
                let met = plan.met();
                worker.kill().await;
                world.line.restart().await;
                if met == 0 {
                    world.check(&self.expected, "in the end").await;
                    return second - 1;
                }
            }
            world.finish().await;
            world.check(&self.expected, "in the end").await;
        }
        unreachable!("every worker comes to its end")
    }

    /// A worker is asked to stop while its first receive is under way, and this goes wrong as it gives back.
    async fn stopped_at_a_receive(&self, kind: Kind) -> Call {
        let world = self.world(&format!("stopped-1-{kind:?}")).await;
        let plan = Plan::with(POINTS, &[(1, Kind::PauseAfter), (2, kind)]);
        let worker = world.start(&plan, WITHIN);
        plan.next_fault().await;
        worker.ask_to_stop();
        plan.resume();
        self.stopped(&world, worker, (&plan, 2), kind).await
    }

    /// A worker is asked to stop while a commit is under way that takes longer than it may.
    async fn stopped_at_a_commit(&self, kind: Kind) -> Call {
        let world = self.world(&format!("stopped-2-{kind:?}")).await;
        let n = 2 + self.calls.iter().position(|call| call.edges.contains(&SLOW_COMMIT)).unwrap();
        let plan = Plan::with(POINTS, &[(n, kind)]);
        let worker = world.start(&plan, Duration::from_secs(5));
        world.traces.slow_begun.notified().await;
        worker.ask_to_stop();
        self.stopped(&world, worker, (&plan, n), kind).await
    }

    /// The rest of it: the call that was disturbed.
    async fn stopped(&self, world: &World<'_>, worker: RunningWorker, at: (&Plan, usize), kind: Kind) -> Call {
        let (plan, n) = at;
        plan.next_fault().await;
        if kind.is_death() {
            worker.kill().await;
            world.line.restart().await;
            world.finish().await;
        } else if kind.is_pause() {
            world.line.run_out();
            world.finish().await;
            plan.resume();
            worker.stop().await;
        } else {
            worker.stop().await;
            world.finish().await;
        }
        world.check(&self.expected, "in the end").await;
        plan.calls()[n - 1].clone()
    }

    /// One worker meets an error, and something else at a call soon after: while it gives back, probes, tries.
    async fn after_an_error(&self, first: (usize, Kind), second: (usize, Kind)) -> Vec<Call> {
        let world = self.world(&format!("{first:?}-{second:?}").replace([' ', ',', '(', ')'], "_")).await;
        let plan = Plan::with(POINTS, &[first, second]);
        let worker = world.start(&plan, WITHIN);
        world.disturbed(&plan).await;
        world.disturbed(&plan).await;
        if second.1.is_death() {
            worker.kill().await;
            world.line.restart().await;
            world.finish().await;
        } else {
            world.drained().await;
            worker.stop().await;
        }
        world.check(&self.expected, "in the end").await;
        plan.calls()
    }
}

/// The points of a run that come first of their edge; one for each edge.
fn firsts(calls: &[Call]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let first = |(index, call): (usize, &Call)| {
        let new = call.edges.iter().filter(|edge| seen.insert(**edge)).count();
        (new > 0).then_some(index + 1)
    };
    calls.iter().enumerate().filter_map(first).collect()
}

/// Every kind of fault at every call of both scripts, one in each run.
pub async fn one_fault_at_any_call_of_a_worker_takes_every_effect_once(shop: Shop, queue: Queue) {
    in_real_time(shop.open_location("north")).await;
    let mut table = Table::new(&format!("worker, {queue:?}"));
    for script in [&STOCK, &TROUBLE] {
        let stage = &Stage::new(shop.ports(), script, queue).await;
        let cases = (1..=stage.calls.len()).flat_map(|n| Kind::ALL.map(|kind| (n, kind)));
        let played = cases.map(async |(n, kind)| {
            stage.fault(n, kind).await;
            (n, kind)
        });
        let played: Vec<_> = futures_util::stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
        played.iter().for_each(|(n, kind)| table.add(&stage.calls[n - 1], *kind));
        table.is_full(&stage.calls);
    }
    in_real_time(shop.audit()).await;
    table.print();
}

/// One worker dies after a call that is the first of its sort, the next after each of its own, a third finishes.
pub async fn two_deaths_one_after_the_other_take_every_effect_once(shop: Shop) {
    in_real_time(shop.open_location("north")).await;
    for script in [&STOCK, &TROUBLE] {
        let stage = &Stage::new(shop.ports(), script, Queue::Memory).await;
        let firsts = firsts(&stage.calls);
        let played = firsts.iter().map(async |first| stage.deaths(*first).await);
        let played: Vec<_> = futures_util::stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
        let (pairs, calls) = (played.iter().sum::<usize>(), stage.calls.len());
        println!("worker, {}: {pairs} pairs of deaths, the first at one of {} calls", script.name, firsts.len());
        // After the first receive everything is left, and so much at least is called for it.
        let most = played.iter().max().copied().unwrap_or(0);
        assert!(most >= calls && pairs > firsts.len() * calls / 3, "{played:?} of {calls}");
    }
    in_real_time(shop.audit()).await;
}

/// How many calls after an error are disturbed.
const SOON: usize = 6;

/// An error or a lost answer, and a second fault at each of the calls that follow from it: the give-back, the probes of
/// an outage, the trial after it, the work done again.
pub async fn a_second_fault_soon_after_an_error_takes_every_effect_once(shop: Shop) {
    in_real_time(shop.open_location("north")).await;
    let mut table = Table::new("worker, after an error");
    let seconds = [Kind::LoseAnswer, Kind::DieAfter];
    for script in [&STOCK, &TROUBLE] {
        let stage = &Stage::new(shop.ports(), script, Queue::Memory).await;
        let errors = firsts(&stage.calls).into_iter().flat_map(|n| [(n, Kind::Fail), (n, Kind::LoseAnswer)]);
        let cases = errors
            .flat_map(|first| (1..=SOON).flat_map(move |later| seconds.map(|kind| (first, (first.0 + later, kind)))));
        let played = cases.map(async |(first, second)| (stage.after_an_error(first, second).await, second));
        let played: Vec<_> = futures_util::stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
        // After the last call there may be no other.
        let met = played.iter().filter_map(|(calls, (n, kind))| Some((calls.get(n - 1)?, *kind)));
        met.for_each(|(call, kind)| table.add(call, kind));
    }
    in_real_time(shop.audit()).await;
    table.print();
    for edge in ["receive", "load", "commit", "commit what is decided", "publish again", "ack", "give back"] {
        let counts = seconds.map(|kind| table.count(edge, kind));
        assert!(counts.iter().all(|count| *count > 0), "{edge:?} is played {counts:?} times");
    }
}

/// A worker is asked to stop while it receives, or while a commit takes longer than it may: what it holds is given back.
pub async fn a_fault_of_the_give_back_at_shutdown_takes_every_effect_once(shop: Shop) {
    in_real_time(shop.open_location("north")).await;
    let stage = &Stage::new(shop.ports(), &STOCK, Queue::Memory).await;
    let mut table = Table::new("worker, shutdown");
    for kind in Kind::ALL {
        for call in [stage.stopped_at_a_receive(kind).await, stage.stopped_at_a_commit(kind).await] {
            assert_eq!(call.edges, [GIVE_BACK_AT_SHUTDOWN]);
            table.add(&call, kind);
        }
    }
    in_real_time(shop.audit()).await;
    table.print();
}
