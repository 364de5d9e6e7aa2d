use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stockline_core::domain::{
    Alert, Command, CommandId, CommandKey, Commit, FoldLimits, ItemId, LoadRequest, Loaded, LocationId,
    LocationSettings, Queued, Record, Rules, Timestamp, encode_message,
};
use stockline_core::ports::{
    AlertPublisher, AlertRecord, AuditReader, Clock, CommandFilter, CommandReceiver, CommitOutcome, Delivery,
    FixedClock, Handle, ItemFilter, ItemWithLevels, LedgerPage, LevelFilter, LevelWithItem, Locations, Movement,
    MovementFilter, Page, Queries, QueueDepth, QueueError, Store, StoreError,
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Plan, Point, SimQueue, SimStore};
use crate::worker::Worker;
use crate::{Adapters, Config, Health, receivers};

/// Longer than any wait, on the paused clock.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// The queue, the store and the topic that all workers of a test share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) queue: SimQueue,
    pub(crate) store: SimStore,
    pub(crate) published: Mutex<Vec<Alert>>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) config: Config,
    /// Whether `domain::fold` and `domain::decode_message` are replaced by functions that panic on certain commands.
    pub(crate) explosive: bool,
    sent: Mutex<Vec<(ItemId, CommandId)>>,
}

/// The ports of one worker. They call the world, with the faults of the plan.
#[derive(Debug)]
struct Faulty {
    world: Arc<World>,
    plan: Arc<Plan>,
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

/// Returns a command from JSON, with `n` as its id.
pub(crate) fn queued(n: u128, json: &str) -> Queued {
    let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
    value["command_id"] = Uuid::from_u128(n).to_string().into();
    let command: Command = serde_json::from_value(value).unwrap();
    let accepted_at = Timestamp::from_millis(1_700_000_000_000);
    Queued {
        command,
        accepted_at,
        submitted_by: "till-1".into(),
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        trace: None,
    }
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
            rules: Rules::default(),
            fold_limits: FoldLimits { max_actions: 9, max_tail_bytes: 200, ..FoldLimits::default() },
            retention_ms: stockline_core::ports::RETENTION_MS,
            drain: Duration::from_secs(5),
        };
        let mut world = Self {
            queue: SimQueue::new(Duration::from_secs(30)),
            store: SimStore::default(),
            published: Mutex::default(),
            clock: Arc::new(FixedClock::at(Timestamp::from_millis(1_700_000_001_000))),
            config,
            explosive: false,
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
        let item_id = commands[0].command.item_id.clone();
        self.queue.send(item_id.as_str(), &encode_message(&item_id, commands), false);
        self.sent.lock().unwrap().extend(commands.iter().map(|q| (item_id.clone(), q.command.command_id)));
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
        let mut count = self.queue.count.subscribe();
        tokio::time::timeout(FOREVER, count.wait_for(|count| *count == 0)).await.expect("the queue drains").unwrap();
    }

    /// Runs one worker without faults until the queue is empty.
    pub(crate) async fn work(self: &Arc<Self>) {
        let runner = self.start(&Arc::new(Plan::default()));
        self.drained().await;
        runner.stop().await;
    }

    pub(crate) fn record(&self, item_id: &str, n: u128) -> Option<Record> {
        self.store.stock().records.get(&(item(item_id), CommandId(Uuid::from_u128(n)))).cloned()
    }

    pub(crate) fn on_hand(&self, item_id: &str, location: &str) -> String {
        let key = (item(item_id), location.parse().unwrap());
        self.store.stock().levels.get(&key).map_or_else(|| "-".into(), |level| level.on_hand.to_string())
    }

    pub(crate) fn published_ids(&self) -> BTreeSet<String> {
        self.published.lock().unwrap().iter().map(Alert::id).collect()
    }

    /// Checks the promises that hold under all faults: every sent command is decided, the audit finds no fault, entries
    /// are in the order of sending, and every raised alert is published.
    pub(crate) async fn check(self: &Arc<Self>) {
        let reader = Faulty { world: self.clone(), plan: Arc::default() };
        let report = crate::audit::audit(&reader, &reader, &mut |_| {}).await.unwrap();
        assert_eq!(report.faults, [], "the audit finds faults");
        let sent = self.sent.lock().unwrap().clone();
        let stock = self.store.stock();
        let mut place = BTreeMap::new();
        for (index, key) in sent.iter().enumerate() {
            assert!(stock.records.contains_key(key), "command {key:?} is not decided");
            place.entry(key.clone()).or_insert(index);
        }
        for (item_id, location) in stock.levels.keys() {
            let places: Vec<_> = stock
                .ledger(item_id, location)
                .iter()
                .filter_map(|entry| place.get(&(item_id.clone(), entry.command_id)))
                .collect();
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

    /// Returns the read side, for dead letters and the audit.
    pub(crate) fn reader(self: &Arc<Self>) -> impl Queries + AuditReader + Store + use<> {
        Faulty { world: self.clone(), plan: Arc::default() }
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

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("as planned".into()))
}

fn queue_down<T>() -> Result<T, QueueError> {
    Err(QueueError::Unavailable("as planned".into()))
}

#[async_trait]
impl Store for Faulty {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        let work = async { requests.iter().map(|request| self.world.store.stock().load(request)).collect() };
        let answer = self.plan.around(Point::Load, work).await;
        answer.unwrap_or_else(|| requests.iter().map(|_| down()).collect())
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>> {
        let items: BTreeSet<_> = commits.iter().map(|commit| &commit.item_id).collect();
        assert_eq!(items.len(), commits.len(), "commits of one call are of different items");
        let work = async { commits.iter().map(|commit| Ok(self.world.store.stock().commit(commit))).collect() };
        let answer = self.plan.around(Point::Commit, work).await;
        answer.unwrap_or_else(|| commits.iter().map(|_| down()).collect())
    }

    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError> {
        let mut stock = self.world.store.stock();
        let record = stock.records.get_mut(&(command.item_id.clone(), command.command_id));
        let letter = record.and_then(|record| record.outcome.dead_letter.as_mut());
        Ok(letter.is_some_and(|letter| letter.discarded_at.replace(at).is_none()))
    }
}

#[async_trait]
impl AlertPublisher for Faulty {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        let work = async { self.world.published.lock().unwrap().extend_from_slice(alerts) };
        let done = self.plan.around(Point::Publish, work).await;
        alerts.iter().map(|_| done.map_or_else(queue_down, Ok)).collect()
    }
}

#[async_trait]
impl CommandReceiver for Faulty {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        let work = self.world.queue.receive(max, wait, attempt);
        self.plan.around(Point::Receive, work).await.map_or_else(queue_down, Ok)
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let answer = self.plan.around(Point::Ack, async { self.world.queue.ack(handles) }).await;
        answer.unwrap_or_else(|| handles.iter().map(|_| queue_down()).collect())
    }

    async fn change_visibility(&self, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let answer = self.plan.around(Point::Visibility, async { self.world.queue.change_visibility(handles) }).await;
        answer.unwrap_or_else(|| handles.iter().map(|_| queue_down()).collect())
    }

    fn visibility_timeout(&self) -> Duration {
        self.world.queue.visibility
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        let in_flight = self.world.queue.visible_in().iter().filter(|after| !after.is_zero()).count() as u64;
        let visible = self.world.queue.left().len() as u64 - in_flight;
        Ok(QueueDepth { visible, in_flight, oldest_age_ms: 0 })
    }
}

#[async_trait]
impl AuditReader for Faulty {
    async fn audit_items(&self, _cursor: Option<&str>, _limit: usize) -> Result<Page<ItemWithLevels>, StoreError> {
        let stock = self.world.store.stock();
        Ok(Page { entries: stock.items.values().map(|item| stock.view(item)).collect(), next_cursor: None })
    }

    async fn audit_ledger(
        &self,
        item_id: &ItemId,
        location_id: &LocationId,
        from_seq: u64,
        limit: usize,
    ) -> Result<LedgerPage, StoreError> {
        let ledger = self.world.store.stock().ledger(item_id, location_id);
        let mut entries: Vec<_> = ledger.into_iter().filter(|entry| entry.seq >= from_seq).collect();
        let next_seq = entries.get(limit).map(|entry| entry.seq);
        entries.truncate(limit);
        Ok(LedgerPage { entries, next_seq })
    }

    async fn audit_records(&self, _cursor: Option<&str>, _limit: usize) -> Result<Page<Record>, StoreError> {
        let entries = self.world.store.stock().records.values().cloned().collect();
        Ok(Page { entries, next_cursor: None })
    }
}

#[async_trait]
impl Locations for Faulty {
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        Ok(self.world.store.stock().locations.get(location_id).cloned())
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        Ok(self.world.store.stock().locations.values().cloned().collect())
    }

    async fn put_location(&self, _settings: &LocationSettings) -> Result<(), StoreError> {
        not_simulated()
    }
}

fn not_simulated<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("the simulator has no such list".into()))
}

#[async_trait]
impl Queries for Faulty {
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        let stock = self.world.store.stock();
        let find = |c: &CommandKey| stock.records.get(&(c.item_id.clone(), c.command_id)).cloned();
        Ok(commands.iter().map(find).collect())
    }

    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        let stock = self.world.store.stock();
        Ok(stock.items.get(item_id).map(|item| stock.view(item)))
    }

    async fn items(&self, _: &ItemFilter, _: Option<&str>, _: usize) -> Result<Page<ItemWithLevels>, StoreError> {
        not_simulated()
    }

    async fn movements(
        &self,
        _: &ItemId,
        _: &MovementFilter,
        _: Option<&str>,
        _: usize,
    ) -> Result<Page<Movement>, StoreError> {
        not_simulated()
    }

    async fn stock_as_of(
        &self,
        _: &ItemId,
        _: Timestamp,
    ) -> Result<Option<Vec<(LocationId, stockline_core::domain::Quantity, u64)>>, StoreError> {
        not_simulated()
    }

    async fn levels(&self, _: &LevelFilter, _: Option<&str>, _: usize) -> Result<Page<LevelWithItem>, StoreError> {
        not_simulated()
    }

    async fn commands(
        &self,
        filter: &CommandFilter,
        _: Option<&str>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let stock = self.world.store.stock();
        let settled = |record: &Record| !record.decides(u32::MAX);
        let mut entries: Vec<_> = stock
            .records
            .values()
            .filter(|record| record.outcome.status == filter.status && (filter.settled_otherwise || settled(record)))
            .cloned()
            .collect();
        entries.truncate(limit);
        Ok(Page { entries, next_cursor: None })
    }

    async fn alerts(&self, _: Option<&LocationId>, _: Option<&str>, _: usize) -> Result<Page<AlertRecord>, StoreError> {
        not_simulated()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
