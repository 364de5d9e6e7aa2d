//! The stock store of the standalone home: `stock.db`, with one writing connection and a few readers.
//!
//! Readers continue while the writer writes (WAL), and each call reads in one transaction. The write path, single reads
//! and lists have connections of their own ([`Lanes`]), and lists are bounded in work ([`page_budget`]). Commits that
//! wait at the same time share one sync ([`group_commit`]).
//!
//! Measured on a file with 5 million records of random ids: a random page that is written costs the writer three times
//! what appending a whole record does. So records and chunks are appended, their keys go in by order
//! ([`record_index`]), and a movement writes one such page, its level's. Pages of 1 and 2 KB, a mapped file and a
//! larger cache made no difference that stood out of the noise.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::schema::{self, OpenOptions, Schema, SchemaError};
use super::writer::{self, Writer};
use stockline_core::domain::{CommandKey, Commit, DeadLetter, LoadRequest, Loaded, Status, Timestamp};
use stockline_core::ports::{CommitOutcome, PAGE_LEVELS_MAX, PAGE_ROWS_MAX, Store, StoreError};

mod alert_book;
mod audit;
mod background;
mod change_list;
mod check;
mod command_lists;
mod commit;
mod day_list;
mod fault;
mod group_commit;
mod hot_rows;
mod id_key;
mod index_repair;
mod item_list;
mod item_summaries;
mod key_chain;
mod last_time;
mod ledger;
mod level_list;
mod level_repair;
mod listed;
mod load;
mod movements;
mod names;
mod page_budget;
mod ports;
mod queries;
mod readers;
mod record_index;
mod record_upgrade;
mod rows;
mod sealed;
mod snapshot;
mod states;
#[cfg(test)]
mod tests;
mod write;

pub use last_time::last_accepted_at;

use background::BackgroundThreads;
use commit::{Prepared, WriterState};
use fault::Fault;
use group_commit::{Call, Job};
use hot_rows::HotRows;
use page_budget::WriteActivity;
use readers::{Lanes, Readers, Shared};
use record_index::RecordIndex;

pub(crate) const SCHEMA: Schema = Schema {
    name: "stock",
    application_id: 0x5354_4f4b,
    migrations: &[
        include_str!("schema_v1.sql"),
        include_str!("schema_v2.sql"),
        include_str!("schema_v3.sql"),
        include_str!("schema_v4.sql"),
        include_str!("schema_v5.sql"),
        include_str!("schema_v6.sql"),
        include_str!("schema_v7.sql"),
        include_str!("schema_v8.sql"),
        include_str!("schema_v9.sql"),
    ],
    transient: &["record_key", "lists_to_fill", "record_json"],
};

/// The settings of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// The most ledger entries that a late count reads. With more, the count is `count_too_late`.
    pub late_count_entries_max: usize,
    /// The connections for the loads of the write path, which is the number of concurrent loads.
    pub load_connections: usize,
    /// The connections for single reads: outcomes, one item, one location.
    pub point_connections: usize,
    /// The connections for lists. Each may use a core.
    pub list_connections: usize,
    /// The most levels in a page of items.
    pub page_levels_max: usize,
    /// The most rows that a page examines before it ends early.
    pub page_rows_max: usize,
    /// The memory for rows that folds need again, in bytes; 0 keeps none.
    pub hot_bytes_max: usize,
}

/// Lists may use half of the cores, and never need more than this many.
const LIST_CONNECTIONS_MAX: usize = 4;

impl Default for StoreOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            late_count_entries_max: 10_000,
            load_connections: 2,
            point_connections: 2,
            list_connections: (cores / 2).clamp(1, LIST_CONNECTIONS_MAX),
            page_levels_max: PAGE_LEVELS_MAX,
            page_rows_max: PAGE_ROWS_MAX,
            hot_bytes_max: 32 * 1024 * 1024,
        }
    }
}

/// The writer's page cache, in KiB, allocated as it fills, so only under load.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// The page cache of each reader, in KiB. There are several, and the system caches the file too.
const READER_CACHE_KIB: i64 = 4 * 1024;

/// How many pages the write-ahead log has at a checkpoint (64 MB). A page that many commits change is then written back
/// once.
const WAL_PAGES_MAX: i64 = 16_384;

/// How many prepared statements a connection keeps: more than the fixed ones.
const STATEMENTS_MAX: usize = 128;

/// Exports that are read at once.
const EXPORT_CONNECTIONS: usize = 2;

/// The stock, its ledger, outcomes, locations and alert history, in one SQLite file. One process at a time.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped before the writer: the last connection to close carries the log over, and a reader can't.
    lanes: Lanes,
    writer: Writer<Job>,
    activity: Arc<WriteActivity>,
    days: Arc<day_list::DayCache>,
    hot: Arc<HotRows>,
    options: StoreOptions,
}

impl SqliteStore {
    /// Opens the file, and creates or migrates it if necessary.
    pub fn open(path: &Path, options: StoreOptions, open: &OpenOptions) -> Result<Self, SchemaError> {
        Self::on(path, schema::open(path, SCHEMA, open)?, options, open)
    }

    /// Makes anew what is made of other rows: levels from the outcomes, the index of records,
    /// and the lists. Returns what was done.
    pub async fn repair(&self) -> Result<Vec<String>, StoreError> {
        self.write(|connection, state| {
            let mut done = level_repair::repair(connection, &mut state.locations)?;
            done.extend(check::repair(connection)?);
            change_list::forget_openings(connection)?;
            state.change_no = change_list::last_change_no(connection)?;
            if command_lists::repair(connection, &mut state.locations)? {
                done.push("the lists of movements and of changes are made anew".to_owned());
            }
            state.keys.rebuild(connection, "a repair was asked for")?;
            state.items.forget();
            state.rows_changed = true;
            done.push("the index of records is made anew".to_owned());
            Ok(done)
        })
        .await
    }

    /// Opens a store with this connection for its writer.
    fn on(path: &Path, connection: Connection, options: StoreOptions, open: &OpenOptions) -> Result<Self, SchemaError> {
        let failed = |source| SchemaError::Sqlite { path: path.to_owned(), source };
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(failed)?;
        connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES_MAX).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        let unusable = |fault| match fault {
            Fault::Sql(source) => failed(source),
            _ => SchemaError::NotADatabase { path: path.to_owned() },
        };
        record_upgrade::move_json_records(&connection).map_err(unusable)?;
        command_lists::fill_new_lists(&connection).map_err(unusable)?;
        change_list::note_opening(&connection).map_err(failed)?;
        let change_no = change_list::last_change_no(&connection).map_err(failed)?;
        let keys = RecordIndex::open(&connection, record_index::PENDING_KEYS_MAX).map_err(unusable)?;
        let activity = Arc::new(WriteActivity::default());
        let page_rows_max = options.page_rows_max;
        let (pending, index_damaged) = (keys.pending(), Arc::default());
        let shared = Shared { pending, activity: Arc::clone(&activity), index_damaged, page_rows_max };
        let background = BackgroundThreads::new(options.list_connections + EXPORT_CONNECTIONS)
            .map_err(|error| failed(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
        let readers = |count: usize, threads: Option<Handle>| {
            let connections = (0..count.max(1)).map(|_| {
                let reader = schema::open_reader(path, open)?;
                reader.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(failed)?;
                reader.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
                Ok(reader)
            });
            let connections = connections.collect::<Result<_, SchemaError>>()?;
            Ok(Arc::new(Readers::new(connections, shared.clone(), threads)))
        };
        let lanes = Lanes {
            write_path: readers(options.load_connections, None)?,
            points: readers(options.point_connections, None)?,
            lists: readers(options.list_connections, background.handle())?,
            exports: readers(EXPORT_CONNECTIONS, background.handle())?,
            _background: background,
        };
        let hot = Arc::new(HotRows::new(options.hot_bytes_max));
        let mut state = WriterState {
            items: Default::default(),
            locations: Default::default(),
            keys,
            claims: Default::default(),
            change_no,
            hot: Arc::clone(&hot),
            rows_changed: false,
        };
        let apply = move |connection: &mut Connection, jobs| group_commit::apply(connection, &mut state, jobs);
        let writer = Writer::start("stock-writer", connection, apply)
            .map_err(|error| failed(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
        Ok(Self { lanes, writer, activity, days: Arc::default(), hot, options })
    }

    /// Waits until the thread that writes the file has ended by itself, and returns why. From then on the store refuses
    /// every write: drop it and open it anew. The future does not keep the store open.
    pub fn writer_stopped(&self) -> impl Future<Output = String> + Send + use<> {
        writer::stopped(self.writer.panicked())
    }

    /// Ends the thread that writes the file, as a defect would.
    #[cfg(feature = "testing")]
    #[expect(clippy::panic, reason = "tests end the thread so")]
    pub async fn end_writer(&self) {
        // The answer never comes.
        let _ = self.write(|_, _| -> Result<(), Fault> { panic!("a test ends the writer of stock.db") }).await;
    }

    /// Makes the index of records anew, if a read has found it damaged. Returns whether the read may be repeated.
    async fn heal_index(&self) -> bool {
        self.lanes.take_index_damage()
            && self.write(|connection, state| state.keys.rebuild(connection, "a read found it")).await.is_ok()
    }

    async fn write<T: Send + 'static>(
        &self,
        write: impl FnMut(&Connection, &mut WriterState) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        if !self.writer.submit(Job::Task(Box::new(Call { write, value: None, answer }))) {
            return Err(writer_gone());
        }
        answered.await.unwrap_or_else(|_| Err(writer_gone()))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // If the writer has stopped, nothing is left to close.
        let _ = self.writer.submit(Job::Close);
    }
}

fn writer_gone() -> StoreError {
    StoreError::Unavailable("the writer of stock.db has stopped".into())
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        let _writing = self.activity.begin();
        let changes = self.hot.changes();
        let hot: Vec<Option<Loaded>> = requests.iter().map(|request| self.hot.load(request)).collect();
        let missing = requests.iter().zip(&hot).filter(|(_, hot)| hot.is_none()).map(|(request, _)| request.clone());
        let (requests, max): (Arc<[LoadRequest]>, _) = (missing.collect(), self.options.late_count_entries_max);
        if requests.is_empty() {
            return hot.into_iter().flatten().map(Ok).collect();
        }
        let read = || {
            let requests = Arc::clone(&requests);
            self.lanes.write_path.read(move |view| load::load(view, &requests, max))
        };
        let answers = match read().await {
            Err(_) if self.heal_index().await => read().await,
            answers => answers,
        };
        let answers = answers.unwrap_or_else(|error| vec![Err(error); requests.len()]);
        for (request, answer) in requests.iter().zip(&answers) {
            if let Ok(loaded) = answer {
                self.hot.keep(request, loaded, changes);
            }
        }
        let mut answers = answers.into_iter();
        let mut next =
            || answers.next().unwrap_or_else(|| Err(StoreError::Unavailable("a load was not answered".into())));
        hot.into_iter().map(|hot| hot.map_or_else(&mut next, Ok)).collect()
    }

    async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<CommitOutcome, StoreError>> {
        let count = commits.len();
        let prepared = commits.into_iter().map(|commit| Prepared::new(commit).map_err(|e| e.to_string())).collect();
        let (answer, answered) = oneshot::channel();
        let _writing = self.activity.begin();
        if self.writer.submit(Job::Commits { prepared, answer })
            && let Ok(settled) = answered.await
        {
            return settled;
        }
        vec![Err(writer_gone()); count]
    }

    async fn discard(&self, command: &CommandKey, at: Timestamp) -> Result<bool, StoreError> {
        let CommandKey { item_id, command_id } = command.clone();
        self.write(move |connection, state| {
            let key = id_key::id_key(&item_id, command_id);
            let Some((record_no, mut record)) = state.find_record(connection, &item_id, command_id, key)? else {
                return Ok(false);
            };
            let open = record.outcome.status == Status::DeadLettered && record.resubmitted_as.is_none();
            match &mut record.outcome.dead_letter {
                Some(DeadLetter { discarded_at: discarded @ None, .. }) if open => *discarded = Some(at),
                _ => return Ok(false),
            }
            write::rewrite_record(connection, record_no, &record)?;
            Ok(true)
        })
        .await
    }
}
