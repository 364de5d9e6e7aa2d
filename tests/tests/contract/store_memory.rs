//! The store's contract, held by the store in memory that other tests use.

use stockline_core::testing::MemoryStore;
use stockline_tests::contract::store::Home;

async fn home() -> Option<Box<dyn Home>> {
    Some(Box::new(MemoryStore::default()))
}

stockline_tests::store_contract!(home());
