//! Runs the contract suite of the command queue on SQLite.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockline_service::SystemClock;
use stockline_sqlite::{DataFolder, QueueOptions, SqliteQueue};
use stockline_tests::contract::queue::{Capabilities, Home, Queue};

#[derive(Debug)]
struct Folder(tempfile::TempDir);

#[async_trait]
impl Home for Folder {
    async fn open(&self, visibility: Duration, max_receives: u32) -> Queue {
        let options =
            QueueOptions { visibility_timeout: visibility, max_receive_count: max_receives, ..QueueOptions::default() };
        let folder = DataFolder::open(self.0.path()).unwrap();
        let queue = Arc::new(SqliteQueue::open(&folder, options, Arc::new(SystemClock)).unwrap());
        let capabilities = Capabilities { refuses_expired: true, remembers_attempts: true };
        Queue { sender: queue.clone(), receiver: queue, capabilities }
    }
}

async fn home() -> Option<Folder> {
    Some(Folder(tempfile::tempdir().unwrap()))
}

stockline_tests::queue_contract!(home());
