//! Runs the contract suite of the store on ministack's DynamoDB, with one server and one table per claim. It also
//! checks that the worker's five steps have the same result on every engine.

use std::sync::Arc;

use stockline_tests::contract::store::homes::{Folder, Table};
use stockline_tests::contract::store::{Home, Shop};
use stockline_tests::crash_points::worker::{Place, both_scripts};
use tokio::runtime::Builder;

async fn home() -> Option<Box<dyn Home>> {
    Some(Box::new(Arc::new(Table::stand_in().await?)))
}

stockline_tests::store_contract!(home());

#[test]
fn the_workers_five_steps_come_to_the_same_on_every_engine() {
    // The server needs the real clock to start; the worker runs on a paused clock.
    let Some(stand_in) = Builder::new_multi_thread().enable_all().build().unwrap().block_on(home()) else {
        return;
    };
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
        let stand_in = both_scripts(Place::ports(Shop::new(stand_in).await).await).await;
        let engine = both_scripts(Place::wire(Table::direct().await).await).await;
        let sqlite = both_scripts(Place::ports(Shop::new(Box::new(Folder::new())).await).await).await;
        assert_eq!(stand_in, engine);
        assert_eq!(stand_in, sqlite);
    });
}
