//! The testbed of the AWS measurements: the real adapters over an engine and a queue in this process, items with
//! history, and the real worker.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use stockline_aws::{DynamoOptions, DynamoStore, SqsOptions, SqsQueue};
use stockline_core::domain::{
    Action, Alert, Command, CommandId, FoldLimits, ItemId, LocationId, MovementDetails, Quantity, Queued, Rules, Slot,
};
use stockline_core::ports::{AlertPublisher, Clock, CommandReceiver, QueueError, Store};
use stockline_service::SystemClock;
use stockline_worker::{Adapters, Config};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, TABLE, sqs_client};
use crate::meter::Meter;
use crate::rng::Rng;
use crate::seeding::{catalogue, commit_slots};
use crate::sqs_stub::{SqsStub, VISIBILITY};

/// The submitter: as long as a Cognito `sub`.
pub(crate) const TILL: &str = "4c9b1ad4-90d1-70f5-0b3c-6a2f6cb0a001";

/// About this many sales make a chunk, so the tail of an item in use holds up to this many.
pub(crate) const SALES_PER_CHUNK: usize = 12;

/// Messages per receive: the maximum of SQS.
pub(crate) const RECEIVE_MAX: usize = 10;

/// Folds per store call while items are prepared.
const FOLDS_PER_CALL: usize = 50;

/// Commands per fold while items are prepared. Each may need three rows, and a transaction holds at most 100.
const COMMANDS_PER_FOLD: usize = 30;

/// Sales may be this old: the till data are from 2017.
const MAX_AGE_MS: i64 = 20 * 365 * 24 * 3_600_000;

/// The engine, queue and store of one measurement.
#[derive(Debug)]
pub(crate) struct Testbed {
    /// The stand-in for DynamoDB.
    pub(crate) engine: Engine,
    /// The stand-in for SQS.
    pub(crate) stub: SqsStub,
    /// Counts the calls of [`Testbed::store`].
    pub(crate) meter: Meter,
    /// The real store adapter.
    pub(crate) store: Arc<DynamoStore>,
    /// The real queue adapter.
    pub(crate) queue: Arc<SqsQueue>,
}

impl Testbed {
    /// Starts with an empty table and an empty queue.
    pub(crate) async fn start() -> Result<Self> {
        let (engine, stub, meter) = (Engine::start()?, SqsStub::start()?, Meter::default());
        engine.create_table().await?;
        let client = engine.client(Some(meter.clone()));
        let store = Arc::new(DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), Arc::new(SystemClock)));
        let queue = Arc::new(queue_of(&stub));
        Ok(Self { engine, stub, meter, store, queue })
    }

    /// Starts the worker on this queue and store.
    pub(crate) fn start_worker(&self, permits: usize) -> RunningWorker {
        start_worker(ReceiveSettings::one_receiver(permits), self.queue.clone(), self.store.clone())
    }
}

/// Returns the real queue adapter on the stand-in.
pub(crate) fn queue_of(stub: &SqsStub) -> SqsQueue {
    let options = SqsOptions { visibility_timeout: VISIBILITY, ..SqsOptions::default() };
    SqsQueue::new(sqs_client(stub.url()), stub.queue_url(), None, options)
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct RunningWorker {
    trigger: CancellationToken,
    running: JoinHandle<()>,
}

impl RunningWorker {
    /// Stops the worker and waits until it has stopped.
    pub(crate) async fn stop(self) -> Result<()> {
        self.trigger.cancel();
        self.running.await?;
        Ok(())
    }
}

/// How a worker receives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveSettings {
    /// Receives that are processed at once.
    pub(crate) permits: usize,
    /// Receives that wait in parallel.
    pub(crate) receivers: usize,
    /// Messages per receive.
    pub(crate) receive_max: usize,
}

impl ReceiveSettings {
    /// One receiver, so that receives are full.
    pub(crate) const fn one_receiver(permits: usize) -> Self {
        Self { permits, receivers: 1, receive_max: RECEIVE_MAX }
    }
}

/// Starts the real worker on any queue and store.
pub(crate) fn start_worker(
    settings: ReceiveSettings,
    queue: Arc<dyn CommandReceiver>,
    store: Arc<dyn Store>,
) -> RunningWorker {
    let ReceiveSettings { permits, receivers, receive_max } = settings;
    let config = Config {
        permits,
        receivers,
        receive_max,
        receive_wait: Duration::from_secs(1),
        receive_pause: Duration::ZERO,
        parking: None,
        rules: rules(),
        fold_limits: FoldLimits::default(),
        retention_ms: stockline_core::ports::RETENTION_MS,
        drain: Duration::from_secs(10),
    };
    let adapters = Adapters { queue, store, alerts: Arc::new(DiscardAlerts), clock: Arc::new(SystemClock) };
    let shutdown = CancellationToken::new();
    let trigger = shutdown.clone();
    RunningWorker { trigger, running: tokio::spawn(stockline_worker::run(config, adapters, shutdown)) }
}

fn rules() -> Rules {
    Rules { max_age_ms: MAX_AGE_MS, ..Rules::default() }
}

/// Accepts all alerts and drops them. No measured item has a threshold.
#[derive(Debug)]
struct DiscardAlerts;

#[async_trait]
impl AlertPublisher for DiscardAlerts {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        vec![Ok(()); alerts.len()]
    }
}

/// An item to prepare.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// The item.
    pub(crate) item_id: ItemId,
    /// The locations that get stock.
    pub(crate) locations: Vec<LocationId>,
    /// Earlier sales at each location, so that tails are as full as in use.
    pub(crate) sales: usize,
}

/// Registers items, receives stock and sells from it, straight through the store.
pub(crate) async fn open(store: &dyn Store, openings: &[Opening]) -> Result<()> {
    let (mut rng, rules, now) = (Rng::fresh(), rules(), SystemClock.now());
    for some in openings.chunks(FOLDS_PER_CALL) {
        let mut work = Vec::with_capacity(some.len());
        for opening in some {
            work.push((opening.item_id.clone(), slots(opening, &mut rng)?));
        }
        while !work.is_empty() {
            let step = work.iter_mut().map(|(item_id, slots)| {
                let first = slots.drain(..slots.len().min(COMMANDS_PER_FOLD)).collect();
                (item_id.clone(), first)
            });
            commit_slots(store, step.collect(), &rules, now).await?;
            work.retain(|(_, slots)| !slots.is_empty());
        }
    }
    Ok(())
}

fn slots(opening: &Opening, rng: &mut Rng) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    let mut add = |queued| slots.push(Slot::Command(Box::new(queued)));
    let item_id = &opening.item_id;
    add(queued(item_id, rng, Action::RegisterItem(catalogue(item_id)), MovementDetails::default()));
    for location_id in &opening.locations {
        let (quantity, location_id) = (quantity(1_000_000)?, location_id.clone());
        let action = Action::Receive { location_id, quantity, unit_cost: None };
        add(queued(item_id, rng, action, MovementDetails::default()));
    }
    for location_id in &opening.locations {
        for _ in 0..opening.sales {
            add(sold(item_id, location_id, rng)?);
        }
    }
    Ok(slots)
}

/// Returns a till's sale of one piece, accepted now.
pub(crate) fn sold(item_id: &ItemId, location_id: &LocationId, rng: &mut Rng) -> Result<Queued> {
    let action =
        Action::Sell { location_id: location_id.clone(), quantity: quantity(1)?, on_shortage: None, amount: None };
    let details = MovementDetails {
        reference: Some("31198570044".into()),
        device_id: Some("till-1".into()),
        ..MovementDetails::default()
    };
    Ok(queued(item_id, rng, action, details))
}

fn quantity(units: i64) -> Result<Quantity> {
    Quantity::from_units(units).ok_or_else(|| anyhow::anyhow!("{units} is not a quantity"))
}

fn queued(item_id: &ItemId, rng: &mut Rng, action: Action, details: MovementDetails) -> Queued {
    let command = Command { command_id: CommandId(rng.uuid()), item_id: item_id.clone(), action, details };
    let (accepted_at, submitted_by) = (SystemClock.now(), Arc::from(TILL));
    Queued {
        command,
        accepted_at,
        submitted_by,
        retry: 0,
        resubmits: None,
        first_accepted_at: None,
        reach: None,
        trace: None,
    }
}
