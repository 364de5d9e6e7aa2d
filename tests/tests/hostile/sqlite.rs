//! Sends messages that no program of ours wrote to the standalone home.

use std::sync::Arc;

use stockline_core::ports::FixedClock;
use stockline_sqlite::{DataFolder, OpenOptions, QueueOptions, SqliteQueue, SqliteStore, StoreOptions};
use stockline_tests::contract::hostile;
use stockline_tests::contract::store::{Ports, at};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_no_one_wrote_harms_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let files = DataFolder::open(folder.path()).unwrap();
    let queue = SqliteQueue::open(&files, QueueOptions::default(), Arc::new(FixedClock::at(at(0)))).unwrap();
    let path = folder.path().join("stock.db");
    let store = SqliteStore::open(&path, StoreOptions::default(), &OpenOptions::default()).unwrap();
    let (alerts, queue) = (Arc::new(queue.alerts()), Arc::new(queue));
    hostile::a_message_no_one_wrote_harms_only_itself(queue.clone(), queue, alerts, Ports::of(store)).await;
}
