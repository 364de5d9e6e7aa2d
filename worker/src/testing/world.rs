use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use stockline_core::domain::{
    Alert, Command, CommandId, CommandKey, FoldLimits, ItemId, LocationId, LocationSettings, Queued, Record, Rules,
    Timestamp,
};
use stockline_core::ports::{Clock, FixedClock};
use stockline_core::testing::{MemoryAlerts, MemoryQueue, MemoryStore, submitted};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Faulty, Plan, StoreFaults};
use crate::worker::Worker;
use crate::{Adapters, Config, Health, receivers};

/// Longer than any wait, on the paused clock.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

const VISIBILITY: Duration = Duration::from_secs(30);

/// The queue, the store and the topic that all workers of a test share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) queue: MemoryQueue,
    pub(crate) store: MemoryStore,
    pub(crate) alerts: MemoryAlerts,
    /// The attempt of each receive that reached the queue.
    pub(crate) attempts: Mutex<Vec<Uuid>>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) config: Config,
    /// Whether `domain::fold` and `domain::decode_message` are replaced by functions that panic on certain commands.
    pub(crate) explosive: bool,
    faults: Mutex<StoreFaults>,
    sent: Mutex<Vec<CommandKey>>,
}

/// A running worker.
pub(crate) struct Runner {
    pub(crate) health: Arc<Health>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) fn item(id: &str) -> ItemId {
    id.parse().unwrap()
}

/// Returns the key of an item's n-th command.
pub(crate) fn key(item_id: &str, n: u128) -> CommandKey {
    CommandKey { item_id: item(item_id), command_id: CommandId(Uuid::from_u128(n)) }
}

/// Returns a command from JSON, with `n` as its id.
pub(crate) fn queued(n: u128, json: &str) -> Queued {
    let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
    value["command_id"] = Uuid::from_u128(n).to_string().into();
    let command: Command = serde_json::from_value(value).unwrap();
    submitted(command, Timestamp::from_millis(1_700_000_000_000))
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Self::with(|_| {})
    }

    /// Returns a world whose workers run several receivers, of a few messages each.
    pub(crate) fn of_receivers(receivers: usize) -> Arc<Self> {
        Self::with(|world| {
            world.config.receivers = receivers;
            if receivers > 1 {
                (world.config.permits, world.config.receive_max) = (2 * receivers, 3);
            }
        })
    }

    pub(crate) fn with(change: impl FnOnce(&mut Self)) -> Arc<Self> {
        let config = Config {
            permits: 2,
            receivers: 1,
            receive_max: 40,
            receive_wait: Duration::from_secs(2),
            receive_pause: Duration::ZERO,
            parking: None,
            rules: Rules::default(),
            fold_limits: FoldLimits { max_actions: 9, max_tail_bytes: 200, ..FoldLimits::default() },
            retention_ms: stockline_core::ports::RETENTION_MS,
            drain: Duration::from_secs(5),
        };
        let mut world = Self {
            queue: MemoryQueue::new(VISIBILITY),
            store: MemoryStore::default(),
            alerts: MemoryAlerts::new(VISIBILITY),
            attempts: Mutex::default(),
            clock: Arc::new(FixedClock::at(Timestamp::from_millis(1_700_000_001_000))),
            config,
            explosive: false,
            faults: Mutex::default(),
            sent: Mutex::default(),
        };
        for id in ["main", "north"] {
            let location_id: LocationId = id.parse().unwrap();
            let settings = LocationSettings { location_id: location_id.clone(), ..LocationSettings::main() };
            world.store.stock().locations.insert(location_id, settings);
        }
        change(&mut world);
        Arc::new(world)
    }

    /// Queues commands of one item as one message.
    pub(crate) fn send(&self, commands: &[Queued]) {
        self.queue.put_commands(commands);
        let key = |queued: &Queued| {
            let Command { item_id, command_id, .. } = &queued.command;
            CommandKey { item_id: item_id.clone(), command_id: *command_id }
        };
        self.sent.lock().unwrap().extend(commands.iter().map(key));
    }

    /// Locks the lasting faults of the store and returns them.
    pub(crate) fn faults(&self) -> MutexGuard<'_, StoreFaults> {
        self.faults.lock().unwrap()
    }

    pub(crate) fn start(self: &Arc<Self>, plan: &Arc<Plan>) -> Runner {
        let ports = Arc::new(Faulty { world: self.clone(), plan: plan.clone() });
        let clock: Arc<dyn Clock> = self.clock.clone();
        let adapters = Adapters { queue: ports.clone(), store: ports.clone(), alerts: ports, clock };
        let health = Arc::new(Health::default());
        let mut worker = Worker::new(self.config.clone(), adapters, health.clone());
        if self.explosive {
            worker.judge = crate::tests::explosive;
            worker.decode = crate::tests::explosive_decoder;
        }
        let shutdown = CancellationToken::new();
        let trigger = shutdown.clone();
        let task = tokio::spawn(receivers::run(Arc::new(worker), shutdown));
        Runner { health, shutdown: trigger, task }
    }

    /// Waits until every message is acknowledged.
    pub(crate) async fn drained(&self) {
        tokio::time::timeout(FOREVER, self.queue.drained()).await.expect("the queue drains");
    }

    /// Runs one worker without faults until the queue is empty.
    pub(crate) async fn work(self: &Arc<Self>) {
        let runner = self.start(&Arc::new(Plan::default()));
        self.drained().await;
        runner.stop().await;
    }

    /// Runs one worker under a plan until the queue is empty or a fault stops the worker, and then kills it.
    pub(crate) async fn work_under(self: &Arc<Self>, plan: Plan) {
        let plan = Arc::new(plan);
        let runner = self.start(&plan);
        tokio::select! {
            () = self.drained() => {}
            () = plan.stopped.notified() => {}
        }
        runner.kill().await;
    }

    pub(crate) fn record(&self, item_id: &str, n: u128) -> Option<Record> {
        self.store.stock().records.get(&key(item_id, n)).cloned()
    }

    pub(crate) fn on_hand(&self, item_id: &str, location: &str) -> String {
        let key = (item(item_id), location.parse().unwrap());
        self.store.stock().levels.get(&key).map_or_else(|| "-".into(), |level| level.on_hand.to_string())
    }

    pub(crate) fn published_ids(&self) -> BTreeSet<String> {
        self.alerts.published().iter().map(Alert::id).collect()
    }

    /// Checks the promises that hold under all faults: every sent command is decided, the audit finds no fault, entries
    /// are in the order of sending, and every raised alert is published.
    pub(crate) async fn check(&self) {
        let report = crate::audit::audit(&self.store, &self.store, &mut |_| {}).await.unwrap();
        assert_eq!(report.faults, [], "the audit finds faults");
        let sent = self.sent.lock().unwrap().clone();
        let stock = self.store.stock();
        let mut place = BTreeMap::new();
        for (index, key) in sent.iter().enumerate() {
            assert!(stock.records.contains_key(key), "command {key:?} is not decided");
            place.entry(key.clone()).or_insert(index);
        }
        for (item_id, location) in stock.levels.keys() {
            let ledger = stock.ledger(item_id, location);
            let key = |command_id| CommandKey { item_id: item_id.clone(), command_id };
            let places: Vec<_> = ledger.iter().filter_map(|entry| place.get(&key(entry.command_id))).collect();
            assert!(places.is_sorted(), "{item_id} at {location} is out of order: {places:?}");
        }
        let of_records = stock.records.values().flat_map(|record| &record.alerts);
        let of_marks = stock.marks.values().filter_map(|mark| mark.alert.as_ref());
        let raised: Vec<_> = of_records.chain(of_marks).map(Alert::id).collect();
        let unique: BTreeSet<_> = raised.iter().cloned().collect();
        assert_eq!(raised.len(), unique.len(), "an alert id was used twice");
        assert_eq!(unique, self.published_ids(), "raised and published alerts differ");
        let counted: u64 = stock.levels.values().map(|level| level.alert_no).sum();
        assert_eq!(counted, raised.len() as u64, "alerts were counted and not kept");
    }
}

impl Runner {
    /// Stops the worker as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(FOREVER, self.task).await.expect("the worker stops").unwrap();
    }

    /// Waits until the worker panics by itself.
    pub(crate) async fn panics(self) {
        let ended = tokio::time::timeout(FOREVER, self.task).await.expect("the worker ends");
        assert!(ended.unwrap_err().is_panic());
    }

    /// Stops the worker as `kill -9` does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
