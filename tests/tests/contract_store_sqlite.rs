//! The store's contract, held by SQLite.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use stockline_common::sqlite::{OpenOptions, SqliteStore, StoreOptions};
use stockline_tests::contract::store::{Home, Ports};

#[derive(Debug)]
struct Folder(tempfile::TempDir);

#[async_trait]
impl Home for Folder {
    async fn open(&self, late_count_entries_max: usize) -> Ports {
        let options = StoreOptions { late_count_entries_max, ..StoreOptions::default() };
        Ports::of(SqliteStore::open(&self.0.path().join("stock.db"), options, &OpenOptions::default()).unwrap())
    }
}

async fn home() -> Option<Box<dyn Home>> {
    Some(Box::new(Folder(tempfile::tempdir().unwrap())))
}

stockline_tests::store_contract!(home());
