//! What the AWS measurements stand on: the real adapters over an engine and a queue of this process, items that are
//! in use already, and the real worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use async_trait::async_trait;
use stockline_aws::{DynamoOptions, DynamoStore, SqsOptions, SqsQueue};
use stockline_core::domain::{
    Action, Alert, Catalogue, Command, CommandId, FoldLimits, ItemId, LoadRequest, LocationId, MovementDetails,
    Quantity, Queued, Rules, ShortagePolicy, Slot, fold,
};
use stockline_core::ports::{AlertPublisher, Clock, CommandReceiver, CommitOutcome, QueueError, Store};
use stockline_service::{Shutdown, ShutdownTrigger, SystemClock};
use stockline_worker::{Adapters, Config};
use tokio::task::JoinHandle;

use crate::engine::{Engine, TABLE, sqs_client};
use crate::load::Dice;
use crate::meter::Meter;
use crate::stub::{Stub, VISIBILITY};

/// Who the ingress says sends: a Cognito `sub`, as long as they are.
pub(crate) const TILL: &str = "4c9b1ad4-90d1-70f5-0b3c-6a2f6cb0a001";

/// How many sales make a chunk, about: so many lie in the tail of an item in use.
pub(crate) const SALES_PER_CHUNK: usize = 12;

/// Messages of one receive: the most that SQS gives.
pub(crate) const RECEIVE_MAX: usize = 10;

/// Folds of one call while items are opened.
const FOLDS_PER_CALL: usize = 50;

/// Commands of one fold while items are opened: each may need three rows, and 100 is the most.
const COMMANDS_PER_FOLD: usize = 30;

/// How long sales may lie back: the till data are of 2017.
const MAX_AGE_MS: i64 = 20 * 365 * 24 * 3_600_000;

/// Engine, queue and store of one measurement.
#[derive(Debug)]
pub(crate) struct Stage {
    /// DynamoDB's stand-in.
    pub(crate) engine: Engine,
    /// SQS's stand-in.
    pub(crate) stub: Stub,
    /// Of [`Stage::store`]'s calls.
    pub(crate) meter: Meter,
    /// The real store adapter.
    pub(crate) store: Arc<DynamoStore>,
    /// The real queue adapter.
    pub(crate) queue: Arc<SqsQueue>,
}

impl Stage {
    /// With an empty table and an empty queue.
    pub(crate) async fn set() -> Result<Self> {
        let (engine, stub, meter) = (Engine::start()?, Stub::start()?, Meter::default());
        engine.create_table().await?;
        let client = engine.client(Some(meter.clone()));
        let store = Arc::new(DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), Arc::new(SystemClock)));
        let queue = Arc::new(queue_of(&stub));
        Ok(Self { engine, stub, meter, store, queue })
    }

    /// The worker on this store.
    pub(crate) fn start_worker(&self, permits: usize) -> Working {
        start_worker(Pace::of(permits), self.queue.clone(), self.store.clone())
    }
}

/// The real queue adapter on a stand-in.
pub(crate) fn queue_of(stub: &Stub) -> SqsQueue {
    let options = SqsOptions { visibility_timeout: VISIBILITY, ..SqsOptions::default() };
    SqsQueue::new(sqs_client(stub.url()), stub.queue_url(), None, options)
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct Working {
    trigger: ShutdownTrigger,
    running: JoinHandle<()>,
}

impl Working {
    /// Ends it; waits until it has ended.
    pub(crate) async fn stop(self) -> Result<()> {
        self.trigger.request();
        self.running.await?;
        Ok(())
    }
}

/// How a worker receives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Receives in work at once.
    pub(crate) permits: usize,
    /// Receives that wait side by side.
    pub(crate) receivers: usize,
    /// Messages of one receive.
    pub(crate) receive_max: usize,
}

impl Pace {
    /// One receive waits, for full receives.
    pub(crate) const fn of(permits: usize) -> Self {
        Self { permits, receivers: 1, receive_max: RECEIVE_MAX }
    }
}

/// The real worker over any queue and store.
pub(crate) fn start_worker(
    Pace { permits, receivers, receive_max }: Pace,
    queue: Arc<dyn CommandReceiver>,
    store: Arc<dyn Store>,
) -> Working {
    let config = Config {
        permits,
        receivers,
        receive_max,
        receive_wait: Duration::from_secs(1),
        rules: rules(),
        fold_limits: FoldLimits::default(),
        retention_ms: stockline_core::ports::RETENTION_MS,
        drain: Duration::from_secs(10),
    };
    let adapters = Adapters { queue, store, alerts: Arc::new(Nobody), clock: Arc::new(SystemClock) };
    let (trigger, shutdown) = Shutdown::new();
    Working { trigger, running: tokio::spawn(stockline_worker::run(config, adapters, shutdown)) }
}

fn rules() -> Rules {
    Rules { max_age_ms: MAX_AGE_MS, ..Rules::default() }
}

/// Takes all alerts; no measured item has a threshold.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl AlertPublisher for Nobody {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        vec![Ok(()); alerts.len()]
    }
}

/// An item to be opened.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// Its id.
    pub(crate) item_id: ItemId,
    /// Where it gets stock.
    pub(crate) locations: Vec<LocationId>,
    /// Sales that it has had already at each, so that tails are as full as in use.
    pub(crate) sales: usize,
}

/// Registers items, gives them stock and has them sold, straight through the store.
pub(crate) async fn open(store: &dyn Store, openings: &[Opening]) -> Result<()> {
    let mut dice = Dice::fresh();
    for some in openings.chunks(FOLDS_PER_CALL) {
        let mut work = Vec::with_capacity(some.len());
        for opening in some {
            work.push((opening.item_id.clone(), slots(opening, &mut dice)?));
        }
        while !work.is_empty() {
            let step = work.iter_mut().map(|(item_id, slots)| {
                let first = slots.drain(..slots.len().min(COMMANDS_PER_FOLD)).collect();
                (item_id.clone(), first)
            });
            settle(store, step.collect()).await?;
            work.retain(|(_, slots)| !slots.is_empty());
        }
    }
    Ok(())
}

fn slots(opening: &Opening, dice: &mut Dice) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    let mut add = |queued| slots.push(Slot::Command(Box::new(queued)));
    let item_id = &opening.item_id;
    let catalogue = Catalogue {
        name: format!("Item {item_id}"),
        unit: "piece".into(),
        decimals: 0,
        barcodes: Vec::new(),
        category: None,
        low_stock_threshold: None,
        shortage_policy: ShortagePolicy::Allow,
        unit_cost: None,
    };
    add(queued(item_id, dice, Action::RegisterItem(catalogue), MovementDetails::default()));
    for location_id in &opening.locations {
        let (quantity, location_id) = (quantity(1_000_000)?, location_id.clone());
        let action = Action::Receive { location_id, quantity, unit_cost: None };
        add(queued(item_id, dice, action, MovementDetails::default()));
    }
    for location_id in &opening.locations {
        for _ in 0..opening.sales {
            add(sold(item_id, location_id, dice)?);
        }
    }
    Ok(slots)
}

/// A till's sale of one piece, accepted now.
pub(crate) fn sold(item_id: &ItemId, location_id: &LocationId, dice: &mut Dice) -> Result<Queued> {
    let action = Action::Sell { location_id: location_id.clone(), quantity: quantity(1)?, on_shortage: None };
    let details = MovementDetails {
        reference: Some("31198570044".into()),
        device_id: Some("till-1".into()),
        ..MovementDetails::default()
    };
    Ok(queued(item_id, dice, action, details))
}

fn quantity(units: i64) -> Result<Quantity> {
    Quantity::from_units(units).ok_or_else(|| anyhow::anyhow!("{units} is no quantity"))
}

fn queued(item_id: &ItemId, dice: &mut Dice, action: Action, details: MovementDetails) -> Queued {
    let command = Command { command_id: CommandId(dice.uuid()), item_id: item_id.clone(), action, details };
    let (accepted_at, submitted_by) = (SystemClock.now(), Arc::from(TILL));
    Queued { command, accepted_at, submitted_by, retry: 0, resubmits: None, first_accepted_at: None, trace: None }
}

/// Loads, folds and commits each item's slots.
async fn settle(store: &dyn Store, work: Vec<(ItemId, Vec<Slot>)>) -> Result<()> {
    let (rules, now) = (rules(), SystemClock.now());
    let requests: Vec<_> =
        work.iter().map(|(item_id, slots)| LoadRequest::for_slots(item_id.clone(), slots, &rules)).collect();
    let mut commits = Vec::with_capacity(work.len());
    for ((item_id, slots), loaded) in work.iter().zip(store.load(&requests).await) {
        let fold = fold(&loaded?, item_id, slots, &BTreeMap::new(), now, &rules, &FoldLimits::default());
        if fold.taken != slots.len() {
            bail!("a fold of {} commands took only {}", slots.len(), fold.taken);
        }
        commits.push(fold.commit);
    }
    for outcome in store.commit(commits).await {
        let outcome = outcome?;
        if outcome != CommitOutcome::Committed {
            bail!("opening the items met {outcome:?}");
        }
    }
    Ok(())
}
