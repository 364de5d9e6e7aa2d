//! Where the commands wait: a queue in memory, or the standalone home's own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stockline_core::domain::ItemId;
use stockline_core::ports::QueueError;
use stockline_core::ports::{CommandReceiver, CommandSender as _, Delivery, FixedClock, Handle, Pack, QueueDepth};
use stockline_sqlite::{DataFolder, QueueOptions, SqliteQueue};
use uuid::Uuid;

use crate::contract::store::at;
use crate::faulty::in_real_time;
use stockline_core::testing::MemoryQueue;

/// For how long a delivery is held.
pub const VISIBILITY: Duration = Duration::from_secs(60);

/// How often [`FileQueue`] looks whether something came.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A command queue of a test's own, on a paused clock.
#[async_trait]
pub trait Line: Send + Sync + std::fmt::Debug {
    /// Queues a body, as one that the queue set aside where it can be told so; the message's id.
    async fn put(&self, item_id: &ItemId, body: &str, set_aside: bool) -> String;

    /// What a worker has of it.
    fn receiver(&self) -> Arc<dyn CommandReceiver>;

    /// The process that held messages is gone.
    async fn restart(&self);

    /// A process that holds messages sleeps: others get them, where that can be without its clock going on.
    fn expire_all(&self);
}

#[async_trait]
impl Line for Arc<MemoryQueue> {
    async fn put(&self, item_id: &ItemId, body: &str, set_aside: bool) -> String {
        if set_aside { self.put_aside(item_id.as_str(), body) } else { MemoryQueue::put(self, item_id.as_str(), body) }
    }

    fn receiver(&self) -> Arc<dyn CommandReceiver> {
        self.clone()
    }

    async fn restart(&self) {}

    fn expire_all(&self) {
        MemoryQueue::expire_all(self);
    }
}

/// The SQLite queue in a folder of its own. What was delivered twice counts as set aside.
#[derive(Debug)]
pub struct FileQueue {
    folder: tempfile::TempDir,
    open: Mutex<Option<Arc<SqliteQueue>>>,
}

impl FileQueue {
    /// Empty.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = Mutex::new(Some(open(&folder)));
        Self { folder, open }
    }

    fn queue(&self) -> Arc<SqliteQueue> {
        self.open.lock().unwrap().clone().unwrap()
    }
}

impl Default for FileQueue {
    fn default() -> Self {
        Self::new()
    }
}

fn open(folder: &tempfile::TempDir) -> Arc<SqliteQueue> {
    let options = QueueOptions { visibility_timeout: VISIBILITY, max_receive_count: 1, ..QueueOptions::default() };
    let folder = DataFolder::open(folder.path()).unwrap();
    Arc::new(SqliteQueue::open(&folder, options, Arc::new(FixedClock::at(at(0)))).unwrap())
}

/// Waits until nobody has it any more: the tasks of a process that was killed end one by one.
pub(super) async fn let_go<T>(last: Arc<T>) {
    let rest = Arc::downgrade(&last);
    drop(last);
    while rest.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Line for FileQueue {
    async fn put(&self, item_id: &ItemId, body: &str, _set_aside: bool) -> String {
        let queue = self.queue();
        let nameless = without_checksums(&body.replace(item_id.as_str(), "item"));
        let dedup_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, nameless.as_bytes());
        let pack = Pack { item_id: item_id.clone(), dedup_id, body: body.into() };
        in_real_time(queue.send(vec![pack])).await.remove(0).unwrap();
        dedup_id.to_string()
    }

    fn receiver(&self) -> Arc<dyn CommandReceiver> {
        Arc::new(Looking(self.queue()))
    }

    async fn restart(&self) {
        let last = self.open.lock().unwrap().take().unwrap();
        let_go(last).await;
        *self.open.lock().unwrap() = Some(open(&self.folder));
    }

    fn expire_all(&self) {}
}

/// Looks for messages now and then instead of waiting for them: a paused clock stands while it looks.
#[derive(Debug)]
struct Looking(Arc<SqliteQueue>);

#[async_trait]
impl CommandReceiver for Looking {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        let until = tokio::time::Instant::now() + wait;
        loop {
            let received = in_real_time(self.0.receive(max, Duration::ZERO, attempt)).await?;
            if !received.is_empty() || tokio::time::Instant::now() >= until {
                return Ok(received);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        self.0.ack(handles).await
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        self.0.change_visibility(changes).await
    }

    fn visibility_timeout(&self) -> Duration {
        self.0.visibility_timeout()
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        self.0.depth().await
    }
}

/// Leaves out the checksums of a message, which are different for each item.
fn without_checksums(body: &str) -> String {
    const FIELD: &str = r#","crc":""#;
    const VALUE_BYTES: usize = 9;
    let mut parts = body.split(FIELD);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.get(VALUE_BYTES..).unwrap_or_default())
}
