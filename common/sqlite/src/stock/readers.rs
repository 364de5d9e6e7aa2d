use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::background::BackgroundThreads;
use super::fault::Fault;
use super::id_key::id_key;
use super::key_chain::{self, Key};
use super::names::LocationNames;
use super::page_budget::{ListPace, PageBudget, WriteActivity};
use super::record_index::PendingKeys;
use super::rows;
use stockline_core::domain::{CommandId, ItemId, Record};
use stockline_core::ports::StoreError;

/// Who reads. Each kind has connections of its own: no list holds one that the write path or a single read needs.
#[derive(Debug)]
pub(super) struct Lanes {
    /// The loads of the write path.
    pub(super) write_path: Arc<Readers>,
    /// Outcomes, one item, one location: what a till polls.
    pub(super) points: Arc<Readers>,
    /// Pages of lists, and whatever else grows with the store.
    pub(super) lists: Arc<Readers>,
    /// Exports, whose transactions stay open from page to page.
    pub(super) exports: Arc<Readers>,
    /// The threads of lists and exports.
    pub(super) _background: BackgroundThreads,
}

impl Lanes {
    /// Returns whether a read of any lane has met a damaged index of records since the last call.
    pub(super) fn take_index_damage(&self) -> bool {
        // All lanes share the mark.
        self.points.shared.index_damaged.swap(false, Ordering::Relaxed)
    }
}

/// Read-only connections. Each serves one call at a time, in one transaction.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Reader>>,
    permits: Arc<Semaphore>,
    shared: Shared,
    /// The threads that read; without them, those of the caller's runtime that may block.
    threads: Option<Handle>,
}

/// What all readers of a store share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) pending: Arc<PendingKeys>,
    pub(super) activity: Arc<WriteActivity>,
    /// Whether a read has met a damaged index of records.
    pub(super) index_damaged: Arc<AtomicBool>,
    /// The most rows that a page examines.
    pub(super) page_rows_max: usize,
}

#[derive(Debug)]
struct Reader {
    connection: Connection,
    names: LocationNames,
    pace: Arc<ListPace>,
}

/// A reader in use by one call. Dropping it returns the reader, also after a panic.
struct ReaderInUse<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
}

impl Drop for ReaderInUse<'_> {
    fn drop(&mut self) {
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.reader.take());
    }
}

/// The view of one call: everything that was committed before the call, and nothing later.
pub(super) struct View<'a> {
    pub(super) connection: Transaction<'a>,
    pub(super) names: &'a mut LocationNames,
    pace: &'a Arc<ListPace>,
    shared: &'a Shared,
}

impl Deref for View<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>, shared: Shared, threads: Option<Handle>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        let reader = |connection| {
            let pace = Arc::new(ListPace::new(Arc::clone(&shared.activity)));
            Reader { connection, names: LocationNames::default(), pace }
        };
        Self { idle: Mutex::new(connections.into_iter().map(reader).collect()), permits, shared, threads }
    }

    /// Runs a read in one transaction, on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&mut View<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |what: &str| StoreError::Unavailable(format!("the read did not finish: {what}"));
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| closed("the store is closed"))?;
        let readers = self.clone();
        let threads = self.threads.clone().unwrap_or_else(Handle::current);
        let done = threads.spawn_blocking(move || {
            let _permit = permit;
            readers.read_now(read)
        });
        done.await.map_err(|error| closed(&error.to_string()))?.map_err(StoreError::from)
    }

    fn read_now<T>(&self, read: impl FnOnce(&mut View<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let reader = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut in_use = ReaderInUse { readers: self, reader };
        // There are as many permits as readers, so one is idle.
        let Some(Reader { connection, names, pace }) = in_use.reader.as_mut() else {
            return Err(Fault::Unreadable("no reader is idle".into()));
        };
        // The first statement takes the snapshot, not this line.
        let connection = connection.unchecked_transaction()?;
        let answer = read(&mut View { connection, names, pace, shared: &self.shared });
        if matches!(answer, Err(Fault::Index(_))) {
            self.shared.index_damaged.store(true, Ordering::Relaxed);
        }
        answer
    }
}

impl View<'_> {
    /// Begins a page of a list.
    pub(super) fn page_budget(&self) -> PageBudget {
        PageBudget::begin(Arc::clone(self.pace), self.shared.page_rows_max)
    }

    /// Returns the keys that are not in the table of the index yet. Call it before any other read of this view.
    pub(super) fn pending_keys(&self) -> Vec<Key> {
        self.shared.pending.all()
    }

    /// Reads records by item and id, in input order. Call it before any other read of this view, because the pending
    /// keys must be read before the snapshot is taken (see [`PendingKeys`]).
    pub(super) fn records_first(
        &self,
        commands: impl Iterator<Item = (ItemId, CommandId)>,
    ) -> Result<Vec<Option<Record>>, Fault> {
        let mut wanted: Vec<_> = commands
            .map(|(item_id, command_id)| {
                let (key, mut candidates) = (id_key(&item_id, command_id), Vec::new());
                self.shared.pending.find(key, &mut candidates);
                (item_id, command_id, key, candidates)
            })
            .collect();
        let mut records = Vec::with_capacity(wanted.len());
        for (item_id, command_id, key, candidates) in &mut wanted {
            key_chain::find(&self.connection, *key, candidates)?;
            let found = rows::find_record(&self.connection, candidates, item_id, *command_id)?;
            records.push(found.map(|(_, record)| record));
        }
        Ok(records)
    }
}

/// Returns the two parts of a view, for use together.
pub(super) fn parts<'v>(view: &'v mut View<'_>) -> (&'v Connection, &'v mut LocationNames) {
    (&view.connection, view.names)
}
