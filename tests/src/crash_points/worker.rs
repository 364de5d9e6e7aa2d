//! The worker: whatever goes wrong at any of its calls, each effect happens once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use stockline_core::domain::{CommandId, CommandKey, FoldLimits};
use stockline_core::ports::{Clock, FixedClock, LedgerFrom, QueueDepth, Store};
use stockline_worker::{Adapters, Config};

use super::line::{FileQueue, Line, VISIBILITY};
use super::script::{self, STOCK, Script, TROUBLE};
use super::{AT_ONCE, Table, WITHIN};
use crate::contract::store::homes::Table as DynamoTable;
use crate::contract::store::{Shop, at, item_id};
use crate::faulty::{
    Call, Faulty, FaultyWire, GIVE_BACK_AT_SHUTDOWN, Kind, Plan, Point, SLOW_COMMIT, Traces, in_real_time,
};
use crate::in_process::{RunningWorker, worker_config};
use stockline_core::testing::MemoryQueue;

/// Every call of a worker.
const POINTS: &[Point] = &[Point::Receive, Point::Load, Point::Commit, Point::Publish, Point::Ack, Point::Visibility];

/// Every call of a worker, those of DynamoDB's API in the store's place.
const WIRE_POINTS: &[Point] = &[Point::Receive, Point::ANY_API, Point::Publish, Point::Ack, Point::Visibility];

/// A store, and where what goes to it is disturbed.
#[derive(Debug)]
pub struct Place {
    /// The store.
    pub shop: Shop,
    wire: Option<Arc<DynamoTable>>,
}

impl Place {
    /// Each call of the store's port is disturbed.
    pub async fn ports(shop: Shop) -> Self {
        in_real_time(shop.open_location("north")).await;
        Self { shop, wire: None }
    }

    /// Each call of DynamoDB's API is disturbed, between the real adapter and the real client.
    pub async fn wire(table: DynamoTable) -> Self {
        let table = Arc::new(table);
        let wire = Some(table.clone());
        Self { wire, ..Self::ports(Shop::new(Box::new(table)).await).await }
    }

    /// What is numbered.
    pub(super) fn points(&self) -> &'static [Point] {
        if self.wire.is_some() { WIRE_POINTS } else { POINTS }
    }

    /// As a worker that has just begun has it.
    fn store(&self, plan: &Arc<Plan>) -> Arc<dyn Store> {
        match &self.wire {
            None => self.shop.ports().store.clone(),
            Some(table) => {
                let client = Arc::new(table.client().clone());
                Arc::new(table.over(Arc::new(FaultyWire { plan: plan.clone(), client })))
            }
        }
    }
}

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
pub(super) struct World<'a> {
    place: &'a Place,
    script: &'a Script,
    item: String,
    pub(super) line: Box<dyn Line>,
    ids: Vec<CommandId>,
    messages: usize,
    traces: Arc<Traces>,
}

/// What became of them, without the item's name.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    levels: Vec<String>,
    records: Vec<String>,
    alerts: BTreeSet<String>,
}

impl<'a> World<'a> {
    async fn new(place: &'a Place, script: &'a Script, queue: Queue, item: String) -> Self {
        let line: Box<dyn Line> = match queue {
            Queue::Memory => Box::new(Arc::new(MemoryQueue::new(VISIBILITY))),
            Queue::File => Box::new(FileQueue::new()),
        };
        let mut ids = Vec::new();
        let messages = script.messages(&item);
        for message in &messages {
            let message_id = line.put(&item_id(&item), &message.body, message.set_aside).await;
            ids.extend(script::ids(&item_id(&item), &message_id, message));
        }
        Self { place, script, item, line, ids, messages: messages.len(), traces: Arc::default() }
    }

    pub(super) fn start(&self, plan: &Arc<Plan>, drain: Duration) -> RunningWorker {
        let config = Config {
            // Several receives, so that a group is left in the middle, which wait for what comes again.
            receive_max: 3,
            receive_wait: Duration::from_secs(20),
            receive_pause: Duration::ZERO,
            parking: None,
            // Folds of a few commands, and tails that become chunks.
            fold_limits: FoldLimits { max_actions: 7, max_tail_bytes: 100, ..FoldLimits::default() },
            drain,
            ..worker_config()
        };
        let ports = Arc::new(Faulty {
            plan: plan.clone(),
            queue: self.line.receiver(),
            store: self.place.store(plan),
            through_wire: self.place.wire.is_some(),
            traces: self.traces.clone(),
            oddities: self.script.oddities(),
        });
        let clock: Arc<dyn Clock> = Arc::new(FixedClock::at(at(1_000)));
        let adapters = Adapters { queue: ports.clone(), store: ports.clone(), alerts: ports, clock };
        RunningWorker::start(config, adapters)
    }

    pub(super) async fn drained(&self) {
        let mut acknowledged = self.traces.acknowledged.subscribe();
        let all = acknowledged.wait_for(|acknowledged| *acknowledged == self.messages);
        tokio::time::timeout(WITHIN, all).await.expect("the queue drains").unwrap();
    }

    /// Until the plan's fault came about, or there was nothing more to do.
    pub(super) async fn disturbed(&self, plan: &Plan) {
        tokio::select! {
            biased;
            () = plan.next_fault() => {}
            () = self.drained() => {}
        }
    }

    /// The worker is gone, and what its queue knew of it.
    pub(super) async fn killed(&self, worker: RunningWorker) {
        worker.kill().await;
        self.line.restart().await;
    }

    /// A worker that nothing happens to finishes what is left; its calls.
    pub(super) async fn finish(&self) -> Vec<Call> {
        let plan = Plan::with(self.place.points(), &[]);
        let worker = self.start(&plan, WITHIN);
        self.drained().await;
        let mut calls = plan.calls();
        worker.stop().await;
        // The next receive began, and brings nothing.
        calls.truncate(calls.iter().rposition(|call| call.point == Point::Ack).map_or(0, |last| last + 1));
        calls
    }

    async fn end(&self) -> End {
        let ports = self.place.shop.ports();
        in_real_time(async {
            let view = ports.queries.item(&item_id(&self.item)).await.unwrap().unwrap();
            let mut levels = Vec::new();
            for level in &view.levels {
                let reader = &ports.audit;
                let page =
                    reader.audit_ledger(LedgerFrom::new(&view.item.item_id, &level.location_id, 1, 100)).await.unwrap();
                levels.push(format!("{} {} {:?}", level.location_id, level.on_hand, page.entries));
            }
            let state = |command_id: &CommandId| CommandKey { item_id: item_id(&self.item), command_id: *command_id };
            let states: Vec<_> = self.ids.iter().map(state).collect();
            let mut records = ports.queries.records(&states).await.unwrap();
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
    pub(super) async fn check(&self, expected: &End, what: &str) {
        assert_eq!(self.end().await, *expected, "{what}, {}", self.item);
        assert_eq!(self.line.receiver().depth().await.unwrap(), QueueDepth::default(), "{what}, {}", self.item);
    }
}

/// A store, a script, a queue, and what they come to where nothing goes wrong.
pub(super) struct Stage<'a> {
    pub(super) place: &'a Place,
    script: &'a Script,
    queue: Queue,
    pub(super) calls: Vec<Call>,
    pub(super) expected: End,
}

impl<'a> Stage<'a> {
    pub(super) async fn new(place: &'a Place, script: &'a Script, queue: Queue) -> Self {
        let world = World::new(place, script, queue, format!("{}-{queue:?}", script.name)).await;
        let calls = world.finish().await;
        let expected = world.end().await;
        for edge in script.edges.iter().filter(|edge| queue == Queue::Memory || !edge.contains("set aside")) {
            assert!(calls.iter().any(|call| call.edges.contains(edge)), "{}: nothing reaches {edge:?}", script.name);
        }
        Self { place, script, queue, calls, expected }
    }

    pub(super) async fn world(&self, name: &str) -> World<'a> {
        World::new(self.place, self.script, self.queue, format!("{}-{:?}-{name}", self.script.name, self.queue)).await
    }

    /// One fault at the nth call.
    async fn fault(&self, n: usize, kind: Kind) {
        let world = self.world(&format!("{n}-{kind:?}")).await;
        let plan = Plan::with(self.place.points(), &[(n, kind)]);
        let worker = world.start(&plan, WITHIN);
        world.disturbed(&plan).await;
        assert_eq!((plan.met(), &plan.calls()[n - 1].point), (1, &self.calls[n - 1].point), "{}", world.item);
        if kind.is_death() {
            world.killed(worker).await;
            world.finish().await;
        } else if kind.is_pause() {
            world.line.expire_all();
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

    /// A worker is asked to stop while its first receive is under way, and this goes wrong as it gives back.
    async fn stopped_at_a_receive(&self, kind: Kind) -> Call {
        let world = self.world(&format!("stopped-1-{kind:?}")).await;
        let plan = Plan::with(self.place.points(), &[(1, Kind::PauseAfter), (2, kind)]);
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
        let plan = Plan::with(self.place.points(), &[(n, kind)]);
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
            world.killed(worker).await;
            world.finish().await;
        } else if kind.is_pause() {
            world.line.expire_all();
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
}

/// Every kind of fault at every call of a script, one in each run.
pub async fn one_fault_at_any_call_of_a_worker_takes_every_effect_once(place: Place, script: &Script, queue: Queue) {
    let mut table = Table::new(&format!("worker, {}, {queue:?}", script.name));
    let stage = &Stage::new(&place, script, queue).await;
    let cases = (1..=stage.calls.len()).flat_map(|n| Kind::ALL.map(|kind| (n, kind)));
    let played = cases.map(async |(n, kind)| {
        stage.fault(n, kind).await;
        (n, kind)
    });
    let played: Vec<_> = futures_util::stream::iter(played).buffer_unordered(AT_ONCE).collect().await;
    played.iter().for_each(|(n, kind)| table.add(&stage.calls[n - 1], *kind));
    table.is_full(&stage.calls);
    in_real_time(place.shop.audit()).await;
    table.print();
}

/// What both scripts come to where nothing goes wrong.
pub async fn both_scripts(place: Place) -> [End; 2] {
    let ends = [&STOCK, &TROUBLE].map(async |script| Stage::new(&place, script, Queue::Memory).await.expected);
    let [stock, trouble] = ends;
    let ends = [stock.await, trouble.await];
    in_real_time(place.shop.audit()).await;
    ends
}

/// A worker is asked to stop while it receives, or while a commit takes longer than it may: what it holds is given back.
pub async fn a_fault_of_the_give_back_at_shutdown_takes_every_effect_once(place: Place) {
    let stage = &Stage::new(&place, &STOCK, Queue::Memory).await;
    let mut table = Table::new("worker, shutdown");
    for kind in Kind::ALL {
        for call in [stage.stopped_at_a_receive(kind).await, stage.stopped_at_a_commit(kind).await] {
            assert_eq!(call.edges, [GIVE_BACK_AT_SHUTDOWN]);
            table.add(&call, kind);
        }
    }
    in_real_time(place.shop.audit()).await;
    table.print();
}
