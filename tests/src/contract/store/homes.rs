//! The stores on which the contract and the crash points run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockline_aws::dynamodb::{Wire, table};
use stockline_aws::{DynamoOptions, DynamoStore};
use stockline_core::ports::FixedClock;
use stockline_core::testing::MemoryStore;
use stockline_sqlite::{OpenOptions, SqliteStore, StoreOptions};
use tokio::sync::OnceCell;

use super::{Bounds, Home, Ports, at};
use crate::dynoxide::{Direct, Dynoxide, TABLE};
use crate::inject::{Script, sdk_config};
use stockline_deploy_checks::ministack::{Ministack, aws_tests};

/// A SQLite store in its own folder.
#[derive(Debug)]
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// Creates an empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Home for Folder {
    async fn open(&self, bounds: Bounds) -> Ports {
        let Bounds { late_count_entries_max, page_levels_max, page_rows_max } = bounds;
        let options =
            StoreOptions { late_count_entries_max, page_levels_max, page_rows_max, ..StoreOptions::default() };
        Ports::of(SqliteStore::open(&self.0.path().join("stock.db"), options, &OpenOptions::default()).unwrap())
    }
}

/// The store in memory.
#[async_trait]
impl Home for MemoryStore {
    async fn open(&self, bounds: Bounds) -> Ports {
        Ports::of(self.bounded(bounds.late_count_entries_max, bounds.page_levels_max))
    }
}

/// A table of DynamoDB.
#[derive(Debug)]
pub struct Table {
    client: aws_sdk_dynamodb::Client,
    name: String,
    _engine: Option<Dynoxide>,
}

impl Table {
    /// Creates a table on its own engine, which is called over HTTP.
    pub async fn served() -> Self {
        let engine = Dynoxide::start().await;
        Self { client: engine.client(&Script::new()), name: TABLE.to_owned(), _engine: Some(engine) }
    }

    /// Creates a table on its own engine, which is called in the caller's thread.
    pub async fn direct() -> Self {
        let client = Direct::new().client();
        table::creation(&client, TABLE).send().await.unwrap();
        Self { client, name: TABLE.to_owned(), _engine: None }
    }

    /// Creates a table on the stand-in, which all tests of a process share. Returns `None` if its tests are left out.
    pub async fn stand_in() -> Option<Self> {
        static SERVER: OnceCell<Ministack> = OnceCell::const_new();
        static TABLES: AtomicU32 = AtomicU32::new(0);
        if !aws_tests() {
            return None;
        }
        let server = SERVER.get_or_init(Ministack::start).await;
        let client = aws_sdk_dynamodb::Client::new(&sdk_config(&server.url, &Script::new()));
        let name = format!("stockline-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        table::creation(&client, &name).send().await.unwrap();
        Some(Self { client, name, _engine: None })
    }

    /// Returns the client of the table.
    pub fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.client
    }

    /// Returns the store over any wire to the table.
    pub fn over(&self, wire: Arc<dyn Wire>) -> DynamoStore {
        self.over_within(wire, Bounds::default())
    }

    fn over_within(&self, wire: Arc<dyn Wire>, bounds: Bounds) -> DynamoStore {
        let Bounds { late_count_entries_max, page_levels_max, page_rows_max } = bounds;
        // Settings are not cached: new settings hold for the next load, and each look-up is a call.
        let locations_kept = Duration::ZERO;
        let options = DynamoOptions { late_count_entries_max, page_levels_max, page_rows_max, locations_kept };
        DynamoStore::over(wire, self.name.clone(), options, Arc::new(FixedClock::at(at(0))))
    }
}

#[async_trait]
impl Home for Arc<Table> {
    async fn open(&self, bounds: Bounds) -> Ports {
        Ports::of(self.over_within(Arc::new(self.client.clone()), bounds))
    }
}
