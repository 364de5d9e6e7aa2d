//! The store's contract, held by DynamoDB on an engine in this process.

use std::sync::Arc;

use stockline_tests::contract::store::Home;
use stockline_tests::contract::store::homes::Table;

async fn home() -> Option<Box<dyn Home>> {
    Some(Box::new(Arc::new(Table::served().await)))
}

stockline_tests::store_contract!(home());
