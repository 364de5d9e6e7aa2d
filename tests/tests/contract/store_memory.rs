//! Runs the contract suite of the store on the in-memory store that other tests use.

use stockline_core::testing::MemoryStore;
use stockline_tests::contract::store::Home;

async fn home() -> Option<Box<dyn Home>> {
    Some(Box::new(MemoryStore::default()))
}

stockline_tests::store_contract!(home());
