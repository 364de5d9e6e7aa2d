use std::collections::BTreeMap;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::key::Key;
use super::row::Row;
use super::*;
use stockline_core::domain::{
    Command, CommandId, CommandKey, DeadLetter, Fold, FoldLimits, ItemId, LocationId, LocationSettings, Queued, Record,
    Rules, Slot, fold,
};
use stockline_core::ports::{FixedClock, Locations};

mod alerts;
mod answers;
mod commits;
mod lists;
mod loading;
mod one_item;
mod reading;
mod refused;
mod rows;

const TABLE: &str = "stockline";

/// 2026-01-31T08:15:00Z
const NOON: i64 = 1_769_847_300_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOON + millis)
}

fn item_id(id: &str) -> ItemId {
    id.parse().unwrap()
}

fn place(id: &str) -> LocationId {
    id.parse().unwrap()
}

fn id(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(n))
}

fn command(json: &str) -> Command {
    serde_json::from_str(json).unwrap()
}

fn queued(command: Command, accepted_at: Timestamp) -> Queued {
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

/// DynamoDB in this process, on a loopback port; it ends when dropped.
struct Engine {
    client: aws_sdk_dynamodb::Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Engine {
    async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let database = dynoxide::Database::memory().unwrap();
                tokio::select! {
                    served = dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()) => {
                        served.unwrap();
                    }
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(Credentials::for_tests())
            .endpoint_url(url)
            .build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        Self { client, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A store on an engine of its own, used as the worker uses it.
struct Shop {
    engine: Engine,
    store: DynamoStore,
    clock: Arc<FixedClock>,
    next_id: u128,
}

impl Shop {
    async fn new() -> Self {
        Self::with(DynamoOptions::default()).await
    }

    async fn with(options: DynamoOptions) -> Self {
        let engine = Engine::start().await;
        table::creation(&engine.client, TABLE).send().await.unwrap();
        let clock = Arc::new(FixedClock::at(at(0)));
        let store = DynamoStore::new(engine.client.clone(), TABLE.into(), options, clock.clone());
        Self { engine, store, clock, next_id: 1 }
    }

    /// A slot of `{"type":…,"item_id":…}` and more fields, under the next id.
    fn slot(&mut self, kind: &str, item: &str, fields: &str, now: Timestamp) -> Slot {
        let id = id(self.next_id);
        self.next_id += 1;
        let json = format!(r#"{{"command_id":"{id}","type":"{kind}","item_id":"{item}"{fields}}}"#);
        Slot::Command(Box::new(queued(command(&json), now)))
    }

    async fn load(&self, item: &str, slots: &[Slot]) -> Loaded {
        let request = LoadRequest::for_slots(item_id(item), slots, &Rules::default());
        self.store.load(&[request]).await.remove(0).unwrap()
    }

    async fn fold(&self, item: &str, slots: &[Slot], now: Timestamp) -> Fold {
        let loaded = self.load(item, slots).await;
        fold(&loaded, &item_id(item), slots, &BTreeMap::new(), now, &Rules::default(), &FoldLimits::default())
    }

    async fn commit(&self, commit: Commit) -> CommitOutcome {
        self.store.commit(vec![commit]).await.remove(0).unwrap()
    }

    /// One command through load, fold and commit; its record.
    async fn run(&mut self, kind: &str, item: &str, fields: &str, now: Timestamp) -> Record {
        let slot = self.slot(kind, item, fields, now);
        self.settle(item, vec![slot], now).await.remove(0)
    }

    async fn settle(&self, item: &str, slots: Vec<Slot>, now: Timestamp) -> Vec<Record> {
        let fold = self.fold(item, &slots, now).await;
        assert_eq!(fold.taken, slots.len());
        let records = fold.commit.records.clone();
        assert_eq!(self.commit(fold.commit).await, CommitOutcome::Committed);
        records
    }

    async fn register(&mut self, item: &str, fields: &str) -> Record {
        self.run("register_item", item, &format!(r#","name":"Item {item}"{fields}"#), at(0)).await
    }

    async fn receive(&mut self, item: &str, location: &str, quantity: i64, now: Timestamp) -> Record {
        let fields = format!(r#","location_id":"{location}","quantity":{quantity}"#);
        self.run("receive", item, &fields, now).await
    }

    async fn open_location(&self, location: &str) {
        let settings = LocationSettings { location_id: place(location), ..LocationSettings::main() };
        self.store.put_location(&settings).await.unwrap();
    }

    /// The row of a key as it is stored.
    async fn row(&self, key: &Key) -> Option<Row> {
        self.store.get(key, true).await.unwrap()
    }

    /// Every row of the table: what a commit that wrote nothing leaves as it was.
    async fn rows(&self) -> BTreeMap<String, Row> {
        let (mut rows, mut from) = (BTreeMap::new(), None);
        loop {
            let scan = self.engine.client.scan().table_name(TABLE).consistent_read(true);
            let page = scan.set_exclusive_start_key(from).send().await.unwrap();
            rows.extend(
                page.items.unwrap_or_default().into_iter().map(|row| (Key::of(&row).unwrap().to_string(), row)),
            );
            from = page.last_evaluated_key;
            if from.is_none() {
                return rows;
            }
        }
    }
}
