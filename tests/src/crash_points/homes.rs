//! Stores and alert queues of both homes for the crash points, on a paused clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use stockline_alerter::{Alerter, Config, function};
use stockline_core::domain::Alert;
use stockline_core::ports::{AlertPublisher as _, Clock, CommandReceiver as _, Delivery, FixedClock, Handle};
use stockline_sqlite::{
    DataFolder, OpenOptions, QueueOptions, SqliteAlertQueue, SqliteQueue, SqliteStore, StoreOptions,
};
use uuid::Uuid;

use super::alerter::{Home, Homes, Work, adapters};
use super::line::{VISIBILITY, let_go};
use crate::contract::store::homes::Table as DynamoTable;
use crate::contract::store::{Ports, at};
use crate::faulty::{FaultyAlerter, FaultyWire, Outbox, Plan, Point};
use stockline_core::testing::MemoryQueue;
use tokio_util::sync::CancellationToken;

/// The standalone home: store and alert queue in a folder; a process's death is a restart of both.
#[derive(Debug)]
struct Folder {
    folder: tempfile::TempDir,
    open: Mutex<Option<(Ports, Arc<SqliteAlertQueue>)>>,
}

fn open(folder: &tempfile::TempDir) -> (Ports, Arc<SqliteAlertQueue>) {
    let lock = DataFolder::open(folder.path()).unwrap();
    let store = SqliteStore::open(&lock.stock_db(), StoreOptions::default(), &OpenOptions::default()).unwrap();
    let queue = SqliteQueue::open(&lock, QueueOptions::default(), Arc::new(FixedClock::at(at(0)))).unwrap();
    (Ports::of(store), Arc::new(queue.alerts()))
}

impl Folder {
    fn queue(&self) -> Arc<SqliteAlertQueue> {
        self.open.lock().unwrap().as_ref().unwrap().1.clone()
    }
}

#[async_trait]
impl Home for Folder {
    fn ports(&self) -> Ports {
        self.open.lock().unwrap().as_ref().unwrap().0.clone()
    }

    async fn publish(&self, alerts: &[Alert]) {
        self.queue().publish(alerts).await.into_iter().for_each(|answer| answer.unwrap());
    }

    fn points(&self, work: Work) -> &'static [Point] {
        match work {
            Work::Alerts | Work::Openings => &[Point::Alerts, Point::Location, Point::Claim, Point::Mail, Point::Mark],
            Work::Notice => &[Point::Notice, Point::ClaimNotice, Point::Mail, Point::MarkNotice],
        }
    }

    fn alerter(&self, plan: &Arc<Plan>, outbox: &Arc<Outbox>) -> FaultyAlerter {
        let Ports { queries, alerts: book, .. } = self.ports();
        let (plan, outbox) = (plan.clone(), outbox.clone());
        FaultyAlerter { plan, book, queries, through_wire: false, queue: Some(self.queue()), outbox }
    }

    async fn run(&self, ports: FaultyAlerter, config: Config, clock: Arc<dyn Clock>, _work: Work) {
        let shutdown = CancellationToken::new();
        let queue = Arc::new(ports.clone());
        stockline_alerter::run(config, adapters(ports, clock), queue, shutdown).await;
    }

    async fn restart(&self) {
        let (_, queue) = self.open.lock().unwrap().take().unwrap();
        let_go(queue).await;
        *self.open.lock().unwrap() = Some(open(&self.folder));
    }
}

/// Standalone homes.
#[derive(Debug, Clone, Copy)]
pub struct Folders;

#[async_trait]
impl Homes for Folders {
    async fn open(&self) -> Arc<dyn Home> {
        let folder = tempfile::tempdir().unwrap();
        let open = Mutex::new(Some(open(&folder)));
        Arc::new(Folder { folder, open })
    }
}

/// A table, and a queue that hands batches to the function as Lambda does, and takes its answers: which of them must
/// come again. Those come when their visibility has run out, as do all of a batch whose answer never came.
#[derive(Debug)]
struct OnLambda {
    table: DynamoTable,
    queue: Arc<MemoryQueue>,
    receives: AtomicU64,
}

/// The most messages of a batch.
const BATCH_MAX: usize = 10;

/// How long an invocation may take; `deploy/alerter.yaml` says it.
const INVOCATION_MS: i64 = 45_000;

/// How often the schedule asks for daily notices.
const SCHEDULE: Duration = Duration::from_secs(3_600);

/// Messages as SQS hands them to Lambda. SNS put them there raw: a body is an alert.
fn event(batch: &[Delivery]) -> Value {
    let record = |message: &Delivery| {
        json!({
            "messageId": &*message.message_id, "receiptHandle": &*message.handle.0, "body": &*message.body,
            "attributes": { "ApproximateReceiveCount": message.receives.to_string() }, "messageAttributes": {},
            "md5OfBody": "", "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:alerts",
        })
    };
    json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() })
}

async fn invoke(alerter: &Alerter, clock: &Arc<dyn Clock>, event: Value) -> Value {
    function::handle(alerter, clock, event, clock.now().plus_millis(INVOCATION_MS)).await.unwrap()
}

impl OnLambda {
    async fn hand_over(&self, alerter: &Alerter, ports: &FaultyAlerter, clock: &Arc<dyn Clock>) {
        let attempt = Uuid::from_u128(self.receives.fetch_add(1, Ordering::Relaxed).into());
        let batch = self.queue.receive(BATCH_MAX, VISIBILITY, attempt).await.unwrap();
        if batch.is_empty() {
            return;
        }
        let answer = invoke(alerter, clock, event(&batch)).await;
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        let failed: Vec<&str> = failures.map(|failure| failure["itemIdentifier"].as_str().unwrap()).collect();
        let handled = batch.iter().filter(|message| !failed.contains(&&*message.message_id));
        let handled: Vec<Handle> = handled.map(|message| message.handle.clone()).collect();
        let delete = async { self.queue.ack(&handled).await.into_iter().filter(Result::is_ok).count() };
        // Where the answer is lost the batch comes again, as a whole.
        let _ = ports.settle("answer the batch", delete).await;
    }
}

#[async_trait]
impl Home for OnLambda {
    fn ports(&self) -> Ports {
        Ports::of(self.table.over(Arc::new(self.table.client().clone())))
    }

    async fn publish(&self, alerts: &[Alert]) {
        for alert in alerts {
            self.queue.put(&alert.id(), &serde_json::to_string(alert).unwrap());
        }
    }

    fn points(&self, work: Work) -> &'static [Point] {
        match work {
            Work::Alerts | Work::Openings => &[Point::Alerts, Point::Mail, Point::ANY_API],
            Work::Notice => &[Point::Mail, Point::ANY_API],
        }
    }

    fn alerter(&self, plan: &Arc<Plan>, outbox: &Arc<Outbox>) -> FaultyAlerter {
        let client = Arc::new(self.table.client().clone());
        let store = self.table.over(Arc::new(FaultyWire { plan: plan.clone(), client }));
        let Ports { queries, alerts: book, .. } = Ports::of(store);
        let (plan, outbox) = (plan.clone(), outbox.clone());
        FaultyAlerter { plan, book, queries, through_wire: true, queue: None, outbox }
    }

    /// Each invocation is of one kind, and its calls are numbered by themselves.
    async fn run(&self, ports: FaultyAlerter, config: Config, clock: Arc<dyn Clock>, work: Work) {
        let alerter = Alerter::new(config, adapters(ports.clone(), clock.clone()));
        loop {
            match work {
                Work::Alerts | Work::Openings => self.hand_over(&alerter, &ports, &clock).await,
                Work::Notice => {
                    invoke(&alerter, &clock, json!({ "stockline": "daily_notices" })).await;
                    tokio::time::sleep(SCHEDULE).await;
                }
            }
        }
    }

    async fn restart(&self) {}
}

/// Homes on AWS, each with an engine of its own.
#[derive(Debug, Clone, Copy)]
pub struct Tables;

#[async_trait]
impl Homes for Tables {
    async fn open(&self) -> Arc<dyn Home> {
        let (table, queue) = (DynamoTable::direct().await, Arc::new(MemoryQueue::new(VISIBILITY)));
        Arc::new(OnLambda { table, queue, receives: AtomicU64::new(1) })
    }
}
