//! The stock store on DynamoDB: one table (design.md §7).
//!
//! Every condition of a commit stands in its one transaction, so what was read decides nothing by itself. Calls are
//! repeated inside the SDK only; here, nothing but unprocessed keys is asked for again.

use std::sync::Arc;
use std::time::Duration;

use crate::ports::Clock;

mod call;
mod fault;
mod key;
mod row;
pub mod table;

/// How the store is set up.
#[derive(Debug, Clone, Copy)]
pub struct DynamoOptions {
    /// The most ledger entries that a late count looks back over; beyond that it is `count_too_late`.
    pub late_count_entries_max: usize,
    /// For how long settings of a location that was found are used again by the write path. What was not found is
    /// looked up each time.
    pub locations_kept: Duration,
}

impl Default for DynamoOptions {
    fn default() -> Self {
        Self { late_count_entries_max: 10_000, locations_kept: Duration::from_secs(5) }
    }
}

/// The stock, its ledger, outcomes, locations and alert history, in one DynamoDB table.
#[derive(Debug)]
pub struct DynamoStore {
    client: aws_sdk_dynamodb::Client,
    table: String,
    options: DynamoOptions,
    clock: Arc<dyn Clock>,
}

impl DynamoStore {
    /// On this table. It calls nothing yet.
    pub fn new(client: aws_sdk_dynamodb::Client, table: String, options: DynamoOptions, clock: Arc<dyn Clock>) -> Self {
        Self { client, table, options, clock }
    }
}
