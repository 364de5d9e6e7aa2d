//! Stores and alert queues of both homes for the crash points, on a paused clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stockline_alerter::{Alerter, Config};
use stockline_common::aws::{DynamoOptions, DynamoStore};
use stockline_common::domain::Alert;
use stockline_common::ports::{AlertPublisher as _, Clock, CommandReceiver as _, FixedClock, Handle};
use stockline_common::service::Shutdown;
use stockline_common::sqlite::{
    DataFolder, OpenOptions, QueueOptions, SqliteAlertQueue, SqliteQueue, SqliteStore, StoreOptions,
};
use uuid::Uuid;

use super::alerter::{Home, Homes, adapters};
use super::line::{VISIBILITY, let_go};
use crate::contract::store::{Ports, at};
use crate::dynoxide::{Dynoxide, create_table};
use crate::faulty::{FaultyAlerter, Outbox, Plan};
use crate::fifo::Fifo;
use crate::inject::Script;

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

    fn alerter(&self, plan: &Arc<Plan>, outbox: &Arc<Outbox>) -> FaultyAlerter {
        let Ports { queries, alerts: book, .. } = self.ports();
        FaultyAlerter { plan: plan.clone(), book, queries, queue: Some(self.queue()), outbox: outbox.clone() }
    }

    async fn run(&self, ports: FaultyAlerter, config: Config, clock: Arc<dyn Clock>) {
        let (_never, shutdown) = Shutdown::new();
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

/// A table, and a queue that hands batches to a function and takes its answers: which of them must come again. Those
/// come when their visibility has run out, as do all of a batch whose answer never came.
#[derive(Debug)]
struct Table {
    client: aws_sdk_dynamodb::Client,
    name: String,
    queue: Arc<Fifo>,
    receives: AtomicU64,
}

/// The most messages of a batch.
const BATCH_MAX: usize = 10;

/// How often the schedule asks for daily notices.
const SCHEDULE: Duration = Duration::from_secs(3_600);

impl Table {
    /// As a process that has just begun has it.
    fn store(&self) -> DynamoStore {
        let clock = Arc::new(FixedClock::at(at(0)));
        DynamoStore::new(self.client.clone(), self.name.clone(), DynamoOptions::default(), clock)
    }

    async fn invoke(&self, alerter: &Alerter, ports: &FaultyAlerter) {
        let attempt = Uuid::from_u128(self.receives.fetch_add(1, Ordering::Relaxed).into());
        let batch = self.queue.receive(BATCH_MAX, VISIBILITY, attempt).await.unwrap();
        if batch.is_empty() {
            return;
        }
        let bodies: Vec<_> = batch.iter().map(|message| (&*message.message_id, &*message.body)).collect();
        let results = alerter.handle(&bodies).await;
        let handled = batch.iter().zip(results).filter(|(_, result)| result.is_ok());
        let handled: Vec<Handle> = handled.map(|(message, _)| message.handle.clone()).collect();
        let delete = async { self.queue.ack(&handled).await.into_iter().filter(Result::is_ok).count() };
        // Where the answer is lost the batch comes again, as a whole.
        let _ = ports.settle("answer the batch", delete).await;
    }
}

#[async_trait]
impl Home for Table {
    fn ports(&self) -> Ports {
        Ports::of(self.store())
    }

    async fn publish(&self, alerts: &[Alert]) {
        for alert in alerts {
            self.queue.put(&alert.id(), &serde_json::to_string(alert).unwrap());
        }
    }

    fn alerter(&self, plan: &Arc<Plan>, outbox: &Arc<Outbox>) -> FaultyAlerter {
        let Ports { queries, alerts: book, .. } = self.ports();
        FaultyAlerter { plan: plan.clone(), book, queries, queue: None, outbox: outbox.clone() }
    }

    async fn run(&self, ports: FaultyAlerter, config: Config, clock: Arc<dyn Clock>) {
        let alerter = Alerter::new(config, adapters(ports.clone(), clock.clone()));
        let alerts = async {
            loop {
                self.invoke(&alerter, &ports).await;
            }
        };
        let notices = async {
            loop {
                alerter.daily_notices(clock.now()).await;
                tokio::time::sleep(SCHEDULE).await;
            }
        };
        tokio::join!(alerts, notices);
    }

    async fn restart(&self) {}
}

/// Homes on AWS, each with a table of its own on one engine.
#[derive(Debug)]
pub struct Tables {
    client: aws_sdk_dynamodb::Client,
    _engine: Dynoxide,
    made: AtomicU64,
}

impl Tables {
    /// On this engine.
    pub fn new(engine: Dynoxide) -> Self {
        Self { client: engine.client(&Script::new()), _engine: engine, made: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Homes for Tables {
    async fn open(&self) -> Arc<dyn Home> {
        let name = format!("stockline-{}", self.made.fetch_add(1, Ordering::Relaxed));
        crate::faulty::in_real_time(create_table(&self.client, &name)).await;
        let queue = Fifo::new(VISIBILITY, false);
        Arc::new(Table { client: self.client.clone(), name, queue, receives: AtomicU64::new(1) })
    }
}
