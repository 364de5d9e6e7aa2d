//! The store's contract, held by DynamoDB on an engine in this process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockline_common::aws::DynamoOptions;
use stockline_common::ports::FixedClock;
use stockline_tests::contract::store::{Home, Ports, at};
use stockline_tests::dynoxide::Dynoxide;
use stockline_tests::inject::Script;

#[derive(Debug)]
struct Engine(Dynoxide);

#[async_trait]
impl Home for Engine {
    async fn open(&self, late_count_entries_max: usize) -> Ports {
        // Settings are not kept: the claims ask that what was put holds for the next load.
        let options =
            DynamoOptions { late_count_entries_max, locations_kept: Duration::ZERO, ..DynamoOptions::default() };
        Ports::of(self.0.store(&Script::new(), options, Arc::new(FixedClock::at(at(0)))))
    }
}

async fn home() -> Option<Box<dyn Home>> {
    Some(Box::new(Engine(Dynoxide::start().await)))
}

stockline_tests::store_contract!(home());
