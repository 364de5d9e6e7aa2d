//! Runs the contract suite of the store on SQLite.

use stockline_tests::contract::store::Home;
use stockline_tests::contract::store::homes::Folder;

async fn home() -> Option<Box<dyn Home>> {
    Some(Box::new(Folder::new()))
}

stockline_tests::store_contract!(home());
