use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::key::Key;
use super::row::Row;
use super::*;
use stockline_core::domain::{
    CommandId, CommandKey, DeadLetter, Entry, EntryKind, FoldLimits, ItemId, LocationId, LocationSettings, Money,
    Quantity, Queued, Record, Rules, Slot, Timestamp, fold,
};
use stockline_core::ports::{FixedClock, Locations};
use stockline_core::testing::{self, at, id, item_id, place};

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

/// Returns entries of these seqs, each recorded its seq in milliseconds after the epoch.
pub(super) fn entries(seqs: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let entry = |seq: u64| Entry {
        seq,
        kind: EntryKind::Sell,
        command_id: CommandId(uuid::Uuid::nil()),
        quantity: Quantity::ZERO,
        delta: Quantity::ZERO,
        after: Quantity::ZERO,
        occurred_at: Timestamp::from_millis(seq as i64),
        recorded_at: Timestamp::from_millis(seq as i64),
        late: false,
        clock_ahead: false,
        submitted_by: "".into(),
        counterpart: None,
        unit_cost: None,
        amount: None,
        cost: None,
        revaluation: Money::ZERO,
        reverses: None,
        reason: None,
        note: None,
        reference: None,
        device_id: None,
        operator: None,
    };
    seqs.map(entry).collect()
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

/// A shop over a store on an engine of its own.
struct Shop {
    engine: Engine,
    clock: Arc<FixedClock>,
    shop: testing::Shop<DynamoStore>,
}

impl Shop {
    async fn new() -> Self {
        Self::with(DynamoOptions::default()).await
    }

    async fn with(options: DynamoOptions) -> Self {
        let engine = Engine::start().await;
        table::creation(&engine.client, TABLE).send().await.unwrap();
        let clock = Arc::new(FixedClock::at(at(0)));
        let shop = testing::Shop::over(DynamoStore::new(engine.client.clone(), TABLE.into(), options, clock.clone()));
        Self { engine, clock, shop }
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

impl Deref for Shop {
    type Target = testing::Shop<DynamoStore>;

    fn deref(&self) -> &Self::Target {
        &self.shop
    }
}

impl DerefMut for Shop {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.shop
    }
}
