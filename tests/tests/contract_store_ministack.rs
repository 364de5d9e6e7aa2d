//! The store's contract, held by DynamoDB as ministack understands it: one server, a table a claim.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockline_common::aws::{DynamoOptions, DynamoStore};
use stockline_common::ports::FixedClock;
use stockline_tests::contract::store::{Home, Ports, at};
use stockline_tests::dynoxide::create_table;
use stockline_tests::inject::{Script, sdk_config};
use stockline_tests::ministack::{Ministack, aws_tests};
use tokio::sync::OnceCell;

static SERVER: OnceCell<Ministack> = OnceCell::const_new();
static TABLES: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
struct Table {
    client: aws_sdk_dynamodb::Client,
    name: String,
}

#[async_trait]
impl Home for Table {
    async fn open(&self, late_count_entries_max: usize) -> Ports {
        let options =
            DynamoOptions { late_count_entries_max, locations_kept: Duration::ZERO, ..DynamoOptions::default() };
        let clock = Arc::new(FixedClock::at(at(0)));
        Ports::of(DynamoStore::new(self.client.clone(), self.name.clone(), options, clock))
    }
}

async fn home() -> Option<Box<dyn Home>> {
    if !aws_tests() {
        return None;
    }
    let server = SERVER.get_or_init(Ministack::start).await;
    let client = aws_sdk_dynamodb::Client::new(&sdk_config(&server.url, &Script::new()));
    let name = format!("stockline-{}", TABLES.fetch_add(1, Ordering::Relaxed));
    create_table(&client, &name).await;
    Some(Box::new(Table { client, name }))
}

stockline_tests::store_contract!(home());
