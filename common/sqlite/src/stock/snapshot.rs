//! Reads of one moment, for exports: a transaction that stays open from page to page.
//!
//! While it is open the log can't be carried over into the file, so it is bounded in time, and few are open at once.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::item_list::PageOf;
use super::readers::{Readers, View};
use super::{command_lists, item_list, level_list, queries};
use stockline_core::domain::{LocationId, Record};
use stockline_core::ports::{
    AlertRecord, ChangeFilter, CommandFilter, ItemFilter, ItemWithLevels, LevelFilter, LevelWithItem, Movement,
    MovementFilter, Page, PageRequest, Snapshot, StoreError,
};

/// How long a snapshot stays open: a writer at full speed adds some 2 GB to the log meanwhile.
const OPEN_FOR: Duration = Duration::from_secs(120);

type Job = Box<dyn FnOnce(&mut View<'_>) + Send>;

/// A transaction that stays open until this is dropped, or [`OPEN_FOR`] is over.
#[derive(Debug)]
pub(super) struct OpenSnapshot {
    jobs: mpsc::Sender<Job>,
    levels_max: usize,
}

impl OpenSnapshot {
    /// Opens a snapshot of this moment, as soon as a reader is idle.
    pub(super) async fn open(readers: &Arc<Readers>, levels_max: usize) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let readers = Arc::clone(readers);
        tokio::spawn(async move { readers.read(move |view| work(view, &waiting)).await });
        let snapshot = Self { jobs, levels_max };
        // The first statement takes the snapshot.
        snapshot.read(|view| Ok(view.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()))?)).await?;
        Ok(snapshot)
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut View<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let over = || {
            let seconds = OPEN_FOR.as_secs();
            StoreError::Unavailable(format!(
                "an export takes at most {seconds} s; narrow it with a filter, or read it faster"
            ))
        };
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |view| drop(reply.send(read(view))));
        self.jobs.send(job).map_err(|_| over())?;
        answer.await.map_err(|_| over())?.map_err(StoreError::from)
    }
}

/// Does one read after the other, until nobody can ask for more or the time is over.
fn work(view: &mut View<'_>, jobs: &mpsc::Receiver<Job>) -> Result<(), Fault> {
    let opened = Instant::now();
    loop {
        match jobs.recv_timeout(OPEN_FOR.saturating_sub(opened.elapsed())) {
            Ok(job) => job(view),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

#[async_trait]
impl Snapshot for OpenSnapshot {
    async fn items(&self, filter: &ItemFilter, asked: PageRequest<'_>) -> Result<Page<ItemWithLevels>, StoreError> {
        let (filter, cursor) = (filter.clone(), asked.cursor.map(str::to_owned));
        let most = PageOf { entries: asked.limit, levels: self.levels_max };
        self.read(move |view| item_list::items(view, &filter, cursor.as_deref(), most)).await
    }

    async fn levels(&self, filter: &LevelFilter, asked: PageRequest<'_>) -> Result<Page<LevelWithItem>, StoreError> {
        let (filter, cursor, limit) = (filter.clone(), asked.cursor.map(str::to_owned), asked.limit);
        self.read(move |view| level_list::levels(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn all_movements(
        &self,
        filter: &MovementFilter,
        asked: PageRequest<'_>,
    ) -> Result<Option<Page<Movement>>, StoreError> {
        let (filter, cursor, limit) = (filter.clone(), asked.cursor.map(str::to_owned), asked.limit);
        self.read(move |view| command_lists::movements(view, &filter, cursor.as_deref(), limit)).await.map(Some)
    }

    async fn commands(&self, filter: &CommandFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let (filter, cursor, limit) = (filter.clone(), asked.cursor.map(str::to_owned), asked.limit);
        self.read(move |view| queries::commands(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn changes(&self, filter: &ChangeFilter, asked: PageRequest<'_>) -> Result<Page<Record>, StoreError> {
        let (filter, cursor, limit) = (filter.clone(), asked.cursor.map(str::to_owned), asked.limit);
        self.read(move |view| command_lists::changes(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        asked: PageRequest<'_>,
    ) -> Result<Page<AlertRecord>, StoreError> {
        let (location_id, cursor, limit) = (location_id.cloned(), asked.cursor.map(str::to_owned), asked.limit);
        self.read(move |view| queries::alerts(view, location_id.as_ref(), cursor.as_deref(), limit)).await
    }
}
