//! Runs the contract suite of the store on DynamoDB, on an in-process engine.

use std::sync::Arc;

use stockline_tests::contract::store::Home;
use stockline_tests::contract::store::homes::Table;

async fn home() -> Option<Box<dyn Home>> {
    Some(Box::new(Arc::new(Table::served().await)))
}

stockline_tests::store_contract!(home());
