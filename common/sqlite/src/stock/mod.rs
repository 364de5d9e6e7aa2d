//! The stock store of the standalone home: `stock.db`, with one writing connection and a few readers.
//!
//! Readers continue while the writer writes (WAL), and each call reads in one transaction. Commits that wait at the
//! same time share one sync ([`group_commit`]).
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
use super::writer::Writer;
use stockline_core::domain::{
    Alert, CommandKey, Commit, DeadLetter, ItemId, LoadRequest, Loaded, LocationId, LocationSettings, Quantity, Record,
    Status, Timestamp, seal,
};
use stockline_core::ports::{
    AlertBook, AlertRecord, AuditReader, Claimed, CommandFilter, CommitOutcome, ItemFilter, ItemWithLevels, LedgerPage,
    LevelFilter, LevelWithItem, Locations, Movement, MovementFilter, PAGE_LEVELS_MAX, Page, Queries, RefusedNotice,
    Store, StoreError, StoreFault,
};

mod alert_book;
mod audit;
mod check;
mod commit;
mod fault;
mod group_commit;
mod index_repair;
mod item_summaries;
mod key_chain;
mod ledger;
mod level_repair;
mod load;
mod movements;
mod names;
mod queries;
mod readers;
mod record_index;
mod rows;
mod sealed;
#[cfg(test)]
mod tests;
mod write;

use commit::{Prepared, WriterState};
use fault::Fault;
use group_commit::{Call, Job};
use queries::PageOf;
use readers::{Readers, View};
use record_index::RecordIndex;

const SCHEMA: Schema = Schema {
    name: "stock",
    application_id: 0x5354_4f4b,
    migrations: &[include_str!("schema_v1.sql"), include_str!("schema_v2.sql"), include_str!("schema_v4.sql")],
    transient: &["record_key"],
};

/// The settings of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// The most ledger entries that a late count reads. With more, the count is `count_too_late`.
    pub late_count_entries_max: usize,
    /// The number of reading connections, which is the number of concurrent reads.
    pub readers: usize,
    /// The most levels in a page of items.
    pub page_levels_max: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { late_count_entries_max: 10_000, readers: 2, page_levels_max: PAGE_LEVELS_MAX }
    }
}

/// The writer's page cache, in KiB, allocated as it fills, so only under load.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// How many pages the write-ahead log has at a checkpoint (64 MB). A page that many commits change is then written back
/// once.
const WAL_PAGES_MAX: i64 = 16_384;

/// How many prepared statements a connection keeps: more than the fixed ones.
const STATEMENTS_MAX: usize = 128;

/// The stock, its ledger, outcomes, locations and alert history, in one SQLite file. One process at a time.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped before the writer: the last connection to close carries the log over, and a reader can't.
    readers: Arc<Readers>,
    writer: Writer<Job>,
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
        let keys = RecordIndex::open(&connection, record_index::PENDING_KEYS_MAX).map_err(|fault| match fault {
            Fault::Sql(source) => failed(source),
            Fault::Unreadable(_) | Fault::Newer(_) | Fault::Index(_) => {
                SchemaError::NotADatabase { path: path.to_owned() }
            }
        })?;
        let pending = keys.pending();
        let mut connections = Vec::new();
        for _ in 0..options.readers.max(1) {
            let reader = schema::open_reader(path, open)?;
            reader.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
            connections.push(reader);
        }
        let mut state =
            WriterState { items: Default::default(), locations: Default::default(), keys, claims: Default::default() };
        let apply = move |connection: &mut Connection, jobs| group_commit::apply(connection, &mut state, jobs);
        let writer = Writer::start("stock-writer", connection, apply)
            .map_err(|error| failed(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
        Ok(Self { readers: Arc::new(Readers::new(connections, pending)), writer, options })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut View<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(read).await
    }

    /// Makes the index of records anew, if a read has found it damaged. Returns whether the read may be repeated.
    async fn heal_index(&self) -> bool {
        self.readers.take_index_damage()
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
    StoreError::Unavailable("the writer of stock.db has stopped; restart stockline".into())
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, requests: &[LoadRequest]) -> Vec<Result<Loaded, StoreError>> {
        let (count, requests, max) = (requests.len(), requests.to_vec(), self.options.late_count_entries_max);
        let requests: Arc<[LoadRequest]> = requests.into();
        let read = || {
            let requests = Arc::clone(&requests);
            self.read(move |view| load::load(view, &requests, max))
        };
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
        self.read(move |view| rows::settings(view, &location_id)).await
    }

    async fn locations(&self) -> Result<Vec<LocationSettings>, StoreError> {
        self.read(|view| queries::locations(view)).await
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
            self.read(move |view| view.records_first(commands.into_iter().map(|c| (c.item_id, c.command_id))))
        };
        match read().await {
            Err(_) if self.heal_index().await => read().await,
            records => records,
        }
    }

    async fn item(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        let item_id = item_id.clone();
        self.read(move |view| queries::item(view, &item_id)).await
    }

    async fn items(
        &self,
        filter: &ItemFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ItemWithLevels>, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        let most = PageOf { entries: limit, levels: self.options.page_levels_max };
        self.read(move |view| queries::items(view, &filter, cursor.as_deref(), most)).await
    }

    async fn movements(
        &self,
        item_id: &ItemId,
        filter: &MovementFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Movement>, StoreError> {
        let (item_id, filter, cursor) = (item_id.clone(), filter.clone(), cursor.map(str::to_owned));
        self.read(move |view| movements::movements(view, &item_id, &filter, cursor.as_deref(), limit)).await
    }

    async fn stock_as_of(
        &self,
        item_id: &ItemId,
        at: Timestamp,
    ) -> Result<Option<Vec<(LocationId, Quantity, u64)>>, StoreError> {
        let item_id = item_id.clone();
        self.read(move |view| queries::stock_as_of(view, &item_id, at)).await
    }

    async fn levels(
        &self,
        filter: &LevelFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<LevelWithItem>, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.read(move |view| queries::levels(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn commands(
        &self,
        filter: &CommandFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        self.read(move |view| queries::commands(view, &filter, cursor.as_deref(), limit)).await
    }

    async fn alerts(
        &self,
        location_id: Option<&LocationId>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AlertRecord>, StoreError> {
        let (location_id, cursor) = (location_id.cloned(), cursor.map(str::to_owned));
        self.read(move |view| queries::alerts(view, location_id.as_ref(), cursor.as_deref(), limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|view| Ok(view.query_row("SELECT count(*) FROM location LIMIT 1", [], |_| Ok(()))?)).await
    }
}

#[async_trait]
impl AuditReader for SqliteStore {
    async fn audit_items(&self, cursor: Option<&str>, limit: usize) -> Result<Page<ItemWithLevels>, StoreError> {
        let cursor = cursor.map(str::to_owned);
        let most = PageOf { entries: limit, levels: self.options.page_levels_max };
        self.read(move |view| queries::audit_items(view, cursor.as_deref(), most)).await
    }

    async fn audit_ledger(
        &self,
        item_id: &ItemId,
        location_id: &LocationId,
        from_seq: u64,
        limit: usize,
    ) -> Result<LedgerPage, StoreError> {
        let (item_id, location_id) = (item_id.clone(), location_id.clone());
        self.read(move |view| audit::ledger(view, &item_id, &location_id, from_seq, limit)).await
    }

    async fn audit_records(&self, cursor: Option<&str>, limit: usize) -> Result<Page<Record>, StoreError> {
        let cursor = cursor.map(str::to_owned);
        self.read(move |view| queries::audit_records(view, cursor.as_deref(), limit)).await
    }

    async fn audit_rows(&self) -> Result<Vec<StoreFault>, StoreError> {
        self.read(|view| view.check()).await
    }
}

#[async_trait]
impl AlertBook for SqliteStore {
    async fn claim(
        &self,
        alerts: &[Alert],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Vec<Result<Claimed, StoreError>> {
        let (count, alerts) = (alerts.len(), alerts.to_vec());
        let claimed = self.write(move |connection, state| {
            let claims = &mut state.claims;
            alerts.iter().map(|alert| alert_book::claim(connection, claims, alert, now, lease_until)).collect()
        });
        match claimed.await {
            Ok(claimed) => Vec::into_iter(claimed).map(Ok).collect(),
            Err(error) => vec![Err(error); count],
        }
    }

    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp) -> Result<(), StoreError> {
        let alerts = alerts.to_vec();
        self.write(move |connection, _| {
            alerts.iter().try_for_each(|alert| alert_book::mark_sent(connection, alert, sent_at))
        })
        .await
    }

    async fn claim_notice(
        &self,
        notice: &RefusedNotice,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let notice = notice.clone();
        self.write(move |connection, state| {
            alert_book::claim_notice(connection, &mut state.claims, &notice, now, lease_until)
        })
        .await
    }

    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError> {
        let notice = notice.clone();
        self.write(move |connection, _| alert_book::mark_notice_sent(connection, &notice, until)).await
    }

    async fn notified_until(&self, location_id: &LocationId) -> Result<Option<Timestamp>, StoreError> {
        let location_id = location_id.clone();
        self.read(move |view| alert_book::notified_until(view, &location_id)).await
    }
}
