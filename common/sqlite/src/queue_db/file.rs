use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::alerts::SharedAlerts;
use super::batches::{Batches, Job, Table, Write, unavailable};
use super::messages::{Message, Messages, SharedMessages};
use crate::schema::{self, OpenOptions, Schema, SchemaError};
use crate::writer::{self, Writer};
use crate::{DataFolder, folder};
use stockline_core::domain::Timestamp;
use stockline_core::ports::{Clock, QueueError};

/// The tables of `queue.db`. Rows arrive in the order of their keys and leave in about that order. They have no index,
/// so an append stays cheap however many rows wait.
pub(crate) const QUEUE: Schema = Schema {
    name: "queue",
    application_id: 0x534C_5155,
    migrations: &["
        CREATE TABLE message (
            n        INTEGER PRIMARY KEY,
            grp      TEXT    NOT NULL,
            dedup_id BLOB    NOT NULL,
            sent_at  INTEGER NOT NULL,
            receives INTEGER NOT NULL,
            body     TEXT    NOT NULL
        ) STRICT;
        CREATE TABLE alert (
            n    INTEGER PRIMARY KEY AUTOINCREMENT,
            body TEXT    NOT NULL
        ) STRICT;
    "],
};

/// An open `queue.db`: a writing connection on a thread of its own, a connection that reads bodies, and the waiting
/// messages and alerts.
#[derive(Debug)]
pub(super) struct QueueFile {
    /// Closed before the writer, so that closing the writer carries the WAL back.
    reader: Mutex<Connection>,
    writer: Writer<Job>,
    pub(super) messages: Arc<SharedMessages>,
    pub(super) alerts: Arc<SharedAlerts>,
    _folder: Option<DataFolder>,
}

impl QueueFile {
    pub(super) fn open(
        folder: (&Path, Option<DataFolder>),
        messages: Messages,
        clock: &dyn Clock,
        options: &OpenOptions,
    ) -> Result<Self, SchemaError> {
        let path = folder::queue_db(folder.0);
        let failed = |source| SchemaError::of(&path, source);
        let connection = schema::open(&path, QUEUE, options)?;
        let messages = Arc::new(SharedMessages::new(messages));
        let alerts = Arc::new(SharedAlerts::new(alert_numbers(&connection).map_err(failed)?));
        let mut batches = Batches::new(Arc::clone(&messages), Arc::clone(&alerts), !options.synchronous_off);
        messages.change(|messages| recover(&connection, messages, &mut batches, clock.now())).map_err(failed)?;
        let reader = Mutex::new(schema::open_reader(&path, options)?);
        let writer = Writer::start("queue-writer", connection, move |connection, jobs| batches.apply(connection, jobs))
            .map_err(|source| SchemaError::Thread { path, source })?;
        Ok(Self { reader, writer, messages, alerts, _folder: folder.1 })
    }

    /// Passes a write to the writer and waits for its answer.
    pub(super) async fn write(&self, write: Write) -> Result<(), QueueError> {
        let (reply, answer) = oneshot::channel();
        let gone = || QueueError::Unavailable("the writer of queue.db has stopped".to_owned());
        if !self.writer.submit(Job::Write(write, reply)) {
            return Err(gone());
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Waits until the writing thread has ended by itself, and returns why.
    pub(super) fn writer_stopped(&self) -> impl Future<Output = String> + Send + use<> {
        writer::stopped(self.writer.panicked())
    }

    /// Deletes rows with the next write. If that never happens, they are delivered again after a restart.
    pub(super) fn delete(&self, table: Table, rows: Vec<i64>) {
        if !rows.is_empty() {
            self.writer.submit(Job::Delete(table, rows));
        }
    }

    /// Reads bodies; `None` for a row that no longer exists. Blocks on the disk.
    pub(super) fn read_bodies(&self, table: Table, rows: &[i64]) -> Result<Vec<Option<String>>, QueueError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = match table {
            Table::Message => "SELECT body FROM message WHERE n = ?1",
            Table::Alert => "SELECT body FROM alert WHERE n = ?1",
        };
        let read = |connection: &mut Connection| -> rusqlite::Result<Vec<Option<String>>> {
            let transaction = connection.transaction()?;
            let mut select = transaction.prepare_cached(sql)?;
            rows.iter().map(|n| select.query_row([n], |row| row.get(0)).optional()).collect()
        };
        read(&mut reader).map_err(|error| unavailable(&error))
    }
}

/// Reads the messages of an earlier process into memory, all of them visible.
fn recover(
    connection: &Connection,
    messages: &mut Messages,
    batches: &mut Batches,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT n, grp, dedup_id, sent_at, receives FROM message ORDER BY n")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (n, id, sent_at) = (row.get(0)?, Uuid::from_bytes(row.get(2)?), Timestamp::from_millis(row.get(3)?));
        batches.recovered(n, id, sent_at, now);
        let message = Message { n, id, sent_at, body: None, receives: row.get(4)?, recovered: true };
        messages.push(row.get_ref(1)?.as_str()?, message);
    }
    Ok(())
}

fn alert_numbers(connection: &Connection) -> rusqlite::Result<VecDeque<i64>> {
    connection.prepare("SELECT n FROM alert ORDER BY n")?.query_map([], |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QueueOptions;
    use stockline_core::ports::{FixedClock, Pack};

    fn pack(number: u128, bytes: usize) -> Pack {
        Pack { item_id: "a".parse().unwrap(), dedup_id: Uuid::from_u128(number), body: "x".repeat(bytes).into() }
    }

    #[tokio::test]
    async fn bodies_beyond_the_memory_limit_are_read_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let clock = FixedClock::at(Timestamp::EPOCH);
        let messages = Messages::new(QueueOptions::default());
        let file = QueueFile::open((folder.path(), None), messages, &clock, &OpenOptions::default()).unwrap();
        let packs = vec![pack(1, 30 << 20), pack(2, 3 << 20)];
        file.write(Write::Send { packs, sent_at: Timestamp::EPOCH }).await.unwrap();
        let now = tokio::time::Instant::now();
        let taken = file.messages.change(|messages| messages.receive(now, 10, Uuid::nil()));
        assert_eq!(taken.iter().map(|taken| taken.body.is_some()).collect::<Vec<_>>(), [true, false]);
        let read = file.read_bodies(Table::Message, &[taken[1].n, 99]).unwrap();
        assert_eq!(read.iter().map(|body| body.as_ref().map(String::len)).collect::<Vec<_>>(), [Some(3 << 20), None]);
    }
}
