//! The stock store on DynamoDB: one table (design.md §7).
//!
//! Every condition of a commit stands in its one transaction, so what was read decides nothing by itself. Calls are
//! repeated inside the SDK only; here, nothing but unprocessed keys is asked for again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use stockline_core::domain::{CommandKey, Commit, LoadRequest, Loaded, Timestamp};
use stockline_core::ports::{Clock, CommitOutcome, PAGE_LEVELS_MAX, Store, StoreError};

mod alert_book;
mod alerts;
mod audit;
mod call;
mod cancel;
mod check;
mod commands;
mod commit;
mod fault;
mod items;
mod key;
mod ledger;
mod levels;
mod lists;
mod load;
mod locations;
mod merge;
mod movements;
mod queries;
mod row;
pub mod table;
#[cfg(test)]
mod tests;
mod wire;

use call::side_by_side;
use locations::KeptLocations;
pub use wire::Wire;

/// How the store is set up.
#[derive(Debug, Clone, Copy)]
pub struct DynamoOptions {
    /// The most ledger entries that a late count looks back over; beyond that it is `count_too_late`.
    pub late_count_entries_max: usize,
    /// For how long settings of a location that was found are used again by the write path. What was not found is
    /// looked up each time.
    pub locations_kept: Duration,
    /// The most levels that a page of items holds; its first item may have more.
    pub page_levels_max: usize,
}

impl Default for DynamoOptions {
    fn default() -> Self {
        Self {
            late_count_entries_max: 10_000,
            locations_kept: Duration::from_secs(5),
            page_levels_max: PAGE_LEVELS_MAX,
        }
    }
}

/// The stock, its ledger, outcomes, locations and alert history, in one DynamoDB table.
#[derive(Debug)]
pub struct DynamoStore {
    wire: Arc<dyn Wire>,
    table: String,
    options: DynamoOptions,
    clock: Arc<dyn Clock>,
    kept_locations: KeptLocations,
    /// Months whose alerts this process has made findable.
    noted_months: Mutex<HashSet<String>>,
}

impl DynamoStore {
    /// On this table. It calls nothing yet.
    pub fn new(client: aws_sdk_dynamodb::Client, table: String, options: DynamoOptions, clock: Arc<dyn Clock>) -> Self {
        Self::over(Arc::new(client), table, options, clock)
    }

    /// As [`DynamoStore::new`], over any wire.
    pub fn over(wire: Arc<dyn Wire>, table: String, options: DynamoOptions, clock: Arc<dyn Clock>) -> Self {
        Self { wire, table, options, clock, kept_locations: KeptLocations::default(), noted_months: Mutex::default() }
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        self.load_all(requests).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>> {
        side_by_side(commits.iter().map(|commit| self.commit_one(commit).boxed()).collect()).await
    }

    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError> {
        self.discard_one(command, at).await
    }
}
