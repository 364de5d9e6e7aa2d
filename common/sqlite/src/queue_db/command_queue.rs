use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::alert_queue::SqliteAlertQueue;
use super::batches::{Table, Write};
use super::file::QueueFile;
use super::in_flight::{read_handle, write_handle};
use super::messages::{Messages, Taken};
use super::options::QueueOptions;
use super::pace::SendPace;
use crate::DataFolder;
use crate::schema::{OpenOptions, SchemaError};
use stockline_core::ports::{Clock, CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};

/// The most packs of one send. It bounds the length of one transaction.
const MAX_SEND_PACKS: usize = 500;

/// The standalone home's command queue, in `queue.db`.
///
/// Sends that wait at the same time share one transaction and one sync, and return `Ok` after it. Deliveries are kept
/// in memory, so after a restart every unacknowledged message is visible again, in order. The first delivery of a
/// message is counted in memory only. Every other is counted in the file before it is made, so a message that kills the
/// process each time reaches the limit.
#[derive(Debug)]
pub struct SqliteQueue {
    file: Arc<QueueFile>,
    options: QueueOptions,
    clock: Arc<dyn Clock>,
    pace: SendPace,
}

impl SqliteQueue {
    /// Opens the queue of a folder, or creates it. The folder stays locked while the queue lives.
    pub fn open(folder: &DataFolder, options: QueueOptions, clock: Arc<dyn Clock>) -> Result<Self, SchemaError> {
        Self::open_in((folder.path(), Some(folder.clone())), options, clock, &OpenOptions::default())
    }

    /// Opens the queue without a lock and with special file options, for tests of power loss.
    #[doc(hidden)]
    pub fn open_with(
        folder: &Path,
        options: QueueOptions,
        clock: Arc<dyn Clock>,
        open: &OpenOptions,
    ) -> Result<Self, SchemaError> {
        Self::open_in((folder, None), options, clock, open)
    }

    fn open_in(
        folder: (&Path, Option<DataFolder>),
        options: QueueOptions,
        clock: Arc<dyn Clock>,
        open: &OpenOptions,
    ) -> Result<Self, SchemaError> {
        let file = QueueFile::open(folder, Messages::new(options), &*clock, open)?;
        Ok(Self { file: Arc::new(file), options, clock, pace: SendPace::default() })
    }

    /// Returns the alert queue, which shares the file and its writer.
    pub fn alerts(&self) -> SqliteAlertQueue {
        SqliteAlertQueue::new(Arc::clone(&self.file))
    }

    /// Waits until the thread that writes the file has ended by itself, and returns why. From then on the queue refuses
    /// everything: drop it and open it anew. The future does not keep the queue open.
    pub fn writer_stopped(&self) -> impl Future<Output = String> + Send + use<> {
        self.file.writer_stopped()
    }

    /// Ends the thread that writes the file, as a defect would.
    #[cfg(feature = "testing")]
    pub async fn end_writer(&self) {
        // The answer never comes.
        let _ = self.file.write(Write::Panic).await;
    }

    /// Reads the bodies that are not in memory.
    async fn fill_bodies(&self, taken: &mut [Taken]) -> Result<(), QueueError> {
        let rows: Vec<i64> = taken.iter().filter(|taken| taken.body.is_none()).map(|taken| taken.n).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let file = Arc::clone(&self.file);
        let bodies = tokio::task::spawn_blocking(move || file.read_bodies(Table::Message, &rows))
            .await
            .map_err(|error| QueueError::Unavailable(format!("queue.db can't be read: {error}")))??;
        for (taken, body) in taken.iter_mut().filter(|taken| taken.body.is_none()).zip(bodies) {
            taken.body = body.map(Arc::from);
        }
        Ok(())
    }

    /// Leaves out messages without a row. Another holder of the same delivery has acknowledged the message, or another
    /// program deleted the row; then waiting for it would lock its item for ever.
    fn forget_lost(&self, taken: &mut Vec<Taken>) {
        for lost in taken.extract_if(.., |taken| taken.body.is_none()) {
            if self.file.messages.change(|messages| messages.ack(Instant::now(), lost.delivery)).is_some() {
                tracing::error!(row = lost.n, group = %lost.group, "a message has disappeared from queue.db: was that file edited?");
            }
        }
    }

    /// Counts deliveries in the file, where they must survive the process.
    async fn record(&self, taken: &[Taken]) {
        let receives: Vec<(i64, u32)> =
            taken.iter().filter(|taken| taken.to_be_recorded).map(|taken| (taken.n, taken.receives)).collect();
        if receives.is_empty() {
            return;
        }
        if let Err(error) = self.file.write(Write::Record(receives)).await {
            // The count only guards against a message that kills the process, and memory still has it.
            tracing::warn!(%error, "deliveries can't be counted in queue.db");
        }
    }

    fn deliver(&self, taken: Taken) -> Option<Delivery> {
        Some(Delivery {
            handle: Handle(write_handle(taken.delivery)),
            message_id: (&*taken.id.hyphenated().encode_lower(&mut Uuid::encode_buffer())).into(),
            group: taken.group,
            body: taken.body?,
            receives: taken.receives,
            set_aside: taken.receives > self.options.max_receive_count,
        })
    }
}

#[async_trait]
impl CommandSender for SqliteQueue {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        if packs.is_empty() {
            return Vec::new();
        }
        let count = packs.len();
        let _sending = self.pace.keep(count, || self.file.messages.change(|messages| messages.count())).await;
        let sent_at = self.clock.now();
        let result = self.file.write(Write::Send { packs, sent_at }).await;
        vec![result; count]
    }

    fn max_batch(&self) -> usize {
        MAX_SEND_PACKS
    }
}

#[async_trait]
impl CommandReceiver for SqliteQueue {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let shared = &self.file.messages;
        let mut taken = shared
            .arrivals
            .take_in_time(wait, |now| {
                shared.change(|messages| (messages.receive(now, max, attempt), messages.next_deadline()))
            })
            .await;
        if let Err(error) = self.fill_bodies(&mut taken).await {
            shared.change(|messages| taken.iter().for_each(|taken| messages.undo(taken.delivery)));
            return Err(error);
        }
        self.forget_lost(&mut taken);
        self.record(&taken).await;
        Ok(taken.into_iter().filter_map(|taken| self.deliver(taken)).collect())
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let now = Instant::now();
        let acked: Vec<Option<i64>> = self
            .file
            .messages
            .change(|messages| handles.iter().map(|handle| messages.ack(now, read_handle(&handle.0)?)).collect());
        self.pace.acked(acked.iter().flatten().count());
        self.file.delete(Table::Message, acked.iter().flatten().copied().collect());
        acked.into_iter().map(|row| row.map(drop).ok_or(QueueError::HandleExpired)).collect()
    }

    async fn change_visibility(&self, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let now = Instant::now();
        let shared = &self.file.messages;
        let held: Vec<bool> = shared.change(|messages| {
            let mut change = |handle: &Handle, held_for| {
                read_handle(&handle.0).is_some_and(|delivery| messages.change_visibility(now, delivery, held_for))
            };
            handles.iter().map(|(handle, held_for)| change(handle, *held_for)).collect()
        });
        held.into_iter().map(|held| if held { Ok(()) } else { Err(QueueError::HandleExpired) }).collect()
    }

    fn visibility_timeout(&self) -> Duration {
        self.options.visibility_timeout
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        let now = self.clock.now();
        Ok(self.file.messages.change(|messages| messages.depth(Instant::now(), now)))
    }
}
