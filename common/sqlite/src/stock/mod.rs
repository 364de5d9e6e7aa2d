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
use tokio::sync::oneshot;

use super::schema::{self, OpenOptions, Schema, SchemaError};
use super::writer::{self, Writer};
use stockline_core::domain::{
    Alert, CommandKey, Commit, DeadLetter, ItemId, LoadRequest, Loaded, LocationId, LocationSettings, Quantity, Record,
    Status, Timestamp, seal,
};
use stockline_core::ports::{
    AlertBook, AlertRecord, AuditReader, ChangeFilter, Claimed, CommandFilter, CommitOutcome, ItemFilter,
    ItemWithLevels, Lease, LedgerPage, LevelFilter, LevelWithItem, Locations, Movement, MovementFilter,
    PAGE_LEVELS_MAX, PAGE_ROWS_MAX, Page, Queries, RefusedNotice, Store, StoreError, StoreFault,
};

mod alert_book;
mod audit;
mod check;
mod command_lists;
mod commit;
mod fault;
mod group_commit;
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
mod queries;
mod readers;
mod record_index;
mod rows;
mod sealed;
#[cfg(test)]
mod tests;
mod write;

pub use last_time::last_accepted_at;

use commit::{Prepared, WriterState};
use fault::Fault;
use group_commit::{Call, Job};
use item_list::PageOf;
use page_budget::WriteActivity;
use readers::{Lanes, Readers, Shared, View};
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
    ],
    transient: &["record_key", "lists_to_fill"],
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

/// The stock, its ledger, outcomes, locations and alert history, in one SQLite file. One process at a time.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped before the writer: the last connection to close carries the log over, and a reader can't.
    lanes: Lanes,
    writer: Writer<Job>,
    activity: Arc<WriteActivity>,
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
            if command_lists::repair(connection, &mut state.locations)? {
                done.push("the lists of movements and of changes are made anew".to_owned());
            }
            state.keys.rebuild(connection, "a repair was asked for")?;
            state.items.forget();
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
        command_lists::fill_new_lists(&connection).map_err(unusable)?;
        let keys = RecordIndex::open(&connection, record_index::PENDING_KEYS_MAX).map_err(unusable)?;
        let activity = Arc::new(WriteActivity::default());
        let page_rows_max = options.page_rows_max;
        let (pending, index_damaged) = (keys.pending(), Arc::default());
        let shared = Shared { pending, activity: Arc::clone(&activity), index_damaged, page_rows_max };
        let readers = |count: usize| {
            let connections = (0..count.max(1)).map(|_| {
                let reader = schema::open_reader(path, open)?;
                reader.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(failed)?;
                reader.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
                Ok(reader)
            });
            Ok(Arc::new(Readers::new(connections.collect::<Result<_, SchemaError>>()?, shared.clone())))
        };
        let lanes = Lanes {
            write_path: readers(options.load_connections)?,
            points: readers(options.point_connections)?,
            lists: readers(options.list_connections)?,
        };
        let mut state =
            WriterState { items: Default::default(), locations: Default::default(), keys, claims: Default::default() };
        let apply = move |connection: &mut Connection, jobs| group_commit::apply(connection, &mut state, jobs);
        let writer = Writer::start("stock-writer", connection, apply)
            .map_err(|error| failed(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
        Ok(Self { lanes, writer, activity, options })
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
        let (count, requests, max) = (requests.len(), requests.to_vec(), self.options.late_count_entries_max);
        let requests: Arc<[LoadRequest]> = requests.into();
        let read = || {
            let requests = Arc::clone(&requests);
            self.lanes.write_path.read(move |view| load::load(view, &requests, max))
        };
        let _writing = self.activity.begin();
        let answers = match read().await {
            Err(_) if self.heal_index().await => read().await,
            answers => answers,
        };
        match answers {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); count],
        }
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
            let key = record_index::id_key(&item_id, command_id);
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

#[async_trait]
impl Locations for SqliteStore {
    async fn location(&self, location_id: &LocationId) -> Result<Option<LocationSettings>, StoreError> {
        let location_id = location_id.clone();
        self.lanes.points.read(move |view| rows::settings(view, &location_id)).await
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        self.lanes.lists.read(|view| queries::locations(view)).await
    }

    async fn put_location(&self, settings: &LocationSettings) -> Result<(), StoreError> {
        let text = serde_json::to_string(settings).map(seal).map_err(|error| {
            StoreError::Unreadable(format!("the settings of a location can't be written as JSON: {error}"))
        })?;
        let location_id = settings.location_id.clone();
        self.write(move |connection, state| {
            let location_no = state.locations.no_or_new(connection, &location_id)?;
            connection
                .prepare_cached("UPDATE location SET settings = ?2 WHERE location_no = ?1")?
                .execute((location_no, &text))?;
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Queries for SqliteStore {
    async fn records(&self, commands: &[CommandKey]) -> Result<Vec<Option<Record>>, StoreError> {
        let read = || {
            let commands = commands.to_vec();
            let points = &self.lanes.points;
            points.read(move |view| view.records_first(commands.into_iter().map(|c| (c.item_id, c.command_id))))
        };
        match read().await {
            Err(_) if self.heal_index().await => read().await,
            records => records,
        }
    }

    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        let item_id = item_id.clone();
        self.lanes.points.read(move |view| item_list::item(view, &item_id)).await
    }

    async fn items(
        &self,
        filter: &ItemFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ItemWithLevels>, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        let most = PageOf { entries: limit, levels: self.options.page_levels_max };
        self.lanes.lists.read(move |view| item_list::items(view, &filter, cursor.as_deref(), most)).await
    }

    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Movement>, StoreError> {
        let (item_id, filter, cursor) = (item_id.clone(), filter.clone(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| movements::movements(view, &item_id, &filter, cursor.as_deref(), limit)).await
    }

    async fn all_movements(
        &self,
        filter: &MovementFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Option<Page<Movement>>, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        let read = move |view: &mut View<'_>| command_lists::movements(view, &filter, cursor.as_deref(), limit);
        self.lanes.lists.read(read).await.map(Some)
    }

    async fn stock_as_of(
        &self,
        item_id: &ItemId,
        at: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError> {
        let item_id = item_id.clone();
        self.lanes.lists.read(move |view| queries::stock_as_of(view, &item_id, at)).await
    }

    async fn levels(
        &self,
        filter: &LevelFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<LevelWithItem>, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| level_list::levels(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn commands(
        &self,
        filter: &CommandFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| queries::commands(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn changes(
        &self,
        filter: &ChangeFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| command_lists::changes(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AlertRecord>, StoreError> {
        let (location_id, cursor) = (location_id.cloned(), cursor.map(str::to_owned));
        self.lanes.lists.read(move |view| queries::alerts(view, location_id.as_ref(), cursor.as_deref(), limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let read = |view: &mut View<'_>| Ok(view.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()))?);
        self.lanes.points.read(read).await
    }
}

#[async_trait]
impl AuditReader for SqliteStore {
    async fn audit_items(&self, cursor: Option<&str>, limit: usize) -> Result<Page<ItemWithLevels>, StoreError> {
        let cursor = cursor.map(str::to_owned);
        let most = PageOf { entries: limit, levels: self.options.page_levels_max };
        self.lanes.lists.read(move |view| item_list::audit_items(view, cursor.as_deref(), most)).await
    }

    async fn audit_ledger(
        &self,
        item_id: &ItemId,
        location_id: &LocationId,
        from_seq: u64,
        limit: usize,
    ) -> Result<LedgerPage, StoreError> {
        let (item_id, location_id) = (item_id.clone(), location_id.clone());
        self.lanes.lists.read(move |view| audit::ledger(view, &item_id, &location_id, from_seq, limit)).await
    }

    async fn audit_records(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Record>, StoreError> {
        let cursor = cursor.map(str::to_owned);
        self.lanes.lists.read(move |view| queries::audit_records(view, cursor.as_deref(), limit)).await
    }

    async fn audit_rows(&self) -> Result<Vec<StoreFault>, StoreError> {
        self.lanes.lists.read(|view| view.check()).await
    }
}

#[async_trait]
impl AlertBook for SqliteStore {
    async fn claim(&self, alerts: &[Alert], lease: &Lease) -> Vec<Result<Claimed, StoreError>> {
        let (count, alerts, lease) = (alerts.len(), alerts.to_vec(), lease.clone());
        let claimed = self.write(move |connection, state| {
            let claims = &mut state.claims;
            alerts.iter().map(|alert| alert_book::claim(connection, claims, alert, &lease)).collect()
        });
        match claimed.await {
            Ok(claimed) => Vec::into_iter(claimed).map(Ok).collect(),
            Err(error) => vec![Err(error); count],
        }
    }

    async fn give_up(&self, alerts: &[Alert], lease: &Lease) -> Result<(), StoreError> {
        let (names, lease) = (alerts.iter().map(Alert::id).collect::<Vec<_>>(), lease.clone());
        self.write(move |_, state| {
            names.iter().for_each(|name| state.claims.give_up(name, &lease));
            Ok(())
        })
        .await
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp) -> Result<(), StoreError> {
        let alerts = alerts.to_vec();
        self.write(move |connection, _| {
            alerts.iter().try_for_each(|alert| alert_book::mark_sent(connection, alert, sent_at))
        })
        .await
    }

    async fn mark_part_sent(
        &self,
        alerts: &[Alert],
        lease: &Lease,
        sent_at: Timestamp,
        missing: &[String],
    ) -> Result<(), StoreError> {
        let (alerts, lease, missing) = (alerts.to_vec(), lease.clone(), missing.to_vec());
        self.write(move |connection, state| {
            let claims = &mut state.claims;
            alerts
                .iter()
                .try_for_each(|alert| alert_book::mark_part_sent(connection, claims, alert, &lease, sent_at, &missing))
        })
        .await
    }

    async fn claim_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<Claimed, StoreError> {
        let (notice, lease) = (notice.clone(), lease.clone());
        self.write(move |connection, state| alert_book::claim_notice(connection, &mut state.claims, &notice, &lease))
            .await
    }

    async fn give_up_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<(), StoreError> {
        let (name, lease) = (alert_book::notice_name(notice), lease.clone());
        self.write(move |_, state| {
            state.claims.give_up(&name, &lease);
            Ok(())
        })
        .await
    }

    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError> {
        let notice = notice.clone();
        self.write(move |connection, _| alert_book::mark_notice_sent(connection, &notice, until)).await
    }

    async fn notified_until(&self, location_id: &LocationId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let location_id = location_id.clone();
        self.lanes.points.read(move |view| alert_book::notified_until(view, &location_id, now)).await
    }
}
