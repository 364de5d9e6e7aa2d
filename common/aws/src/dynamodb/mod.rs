//! The stock store on DynamoDB: one table (design.md §7).
//!
//! Every condition of a commit is part of its one transaction, so no read decides anything alone. Only the SDK repeats
//! calls; this module repeats only the unprocessed keys of a batch read.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;

use stockline_core::domain::{CommandKey, Commit, Dismissal, LoadRequest, Loaded, Timestamp};
use stockline_core::ports::{Clock, CommitOutcome, PAGE_LEVELS_MAX, Refusals, Store, StoreError};

mod alert_book;
mod alerts;
mod audit;
mod backfill;
mod call;
mod cancel;
mod check;
mod clients;
mod commands;
mod commit;
mod days;
mod fault;
mod issuer_keys;
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
mod repair;
mod row;
pub mod table;
#[cfg(test)]
mod tests;
mod wire;

pub use backfill::{Backfill, Backfilled};
use call::side_by_side;
use days::KeptItems;
use locations::KeptLocations;
pub use repair::{Repair, RepairLine, RepairReport};
pub use wire::Wire;

/// The settings of the store.
#[derive(Debug, Clone, Copy)]
pub struct DynamoOptions {
    /// The most ledger entries that a late count reads. With more, the count is `count_too_late`.
    pub late_count_entries_max: usize,
    /// How long the write path reuses the settings of a location, so how long a closed one may still take movements. A
    /// location that was not found is read again each time.
    pub locations_kept: Duration,
    /// The most levels in a page of items. Its first item may have more.
    pub page_levels_max: usize,
    /// About how many rows a page reads before it ends early. Each costs at least half a read unit.
    pub page_rows_max: usize,
}

/// How many rows a page reads, matching or not: about 500 read units, so that no filter makes a page dear.
const PAGE_ROWS_MAX: usize = 1_000;

impl DynamoOptions {
    /// Returns the options of one program among many: it keeps locations for up to a quarter less time, so that a fleet
    /// that started together does not read them together.
    #[must_use]
    pub fn of_a_fleet(self) -> Self {
        Self { locations_kept: self.locations_kept.mul_f64(1.0 - fastrand::f64() / 4.0), ..self }
    }
}

impl Default for DynamoOptions {
    fn default() -> Self {
        Self {
            late_count_entries_max: 10_000,
            locations_kept: Duration::from_secs(60),
            page_levels_max: PAGE_LEVELS_MAX,
            page_rows_max: PAGE_ROWS_MAX,
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
    kept_items: KeptItems,
    /// Months that this process has listed as having alerts.
    noted_months: Mutex<HashSet<String>>,
}

impl DynamoStore {
    /// Makes a store on a table. It makes no call.
    pub fn new(client: aws_sdk_dynamodb::Client, table: String, options: DynamoOptions, clock: Arc<dyn Clock>) -> Self {
        Self::over(Arc::new(client), table, options, clock)
    }

    /// Makes a store over any [`Wire`]; see [`DynamoStore::new`].
    pub fn over(wire: Arc<dyn Wire>, table: String, options: DynamoOptions, clock: Arc<dyn Clock>) -> Self {
        Self {
            wire,
            table,
            options,
            clock,
            kept_locations: KeptLocations::default(),
            kept_items: KeptItems::default(),
            noted_months: Mutex::default(),
        }
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

#[async_trait]
impl Refusals for DynamoStore {
    async fn dismiss(&self, command: &CommandKey, dismissal: &Dismissal) -> Result<bool, StoreError> {
        self.dismiss_one(command, dismissal).await
    }
}
