use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, OptionalExtension};
use tokio::sync::oneshot;

use super::alerts::SharedAlerts;
use super::batches::{Batches, Job, Table, Write, unavailable};
use super::messages::{Message, Messages, SharedMessages};
use super::recover::{self, Recovered};
use super::structure::Damage;
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
    migrations: &[
        "
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
    ",
        "
        -- The checksum of n, grp, dedup_id and sent_at (see recover.rs). Older rows have none.
        ALTER TABLE message ADD COLUMN row_check INTEGER;
        -- Alerts are numbered by the process: a damaged sqlite_sequence would stop them all.
        CREATE TABLE alert_2 (n INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
        INSERT INTO alert_2 (n, body) SELECT n, body FROM alert;
        DROP TABLE alert;
        ALTER TABLE alert_2 RENAME TO alert;
    ",
    ],
    transient: &[],
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
        let damage = Damage::of(&connection);
        if let Some(what) = damage.of_file {
            tracing::error!(what, "the header of queue.db is damaged");
            return Err(SchemaError::NotADatabase { path });
        }
        let numbers = recover::alert_numbers(&connection, damage.hides_rows).map_err(failed)?;
        let next_alert = numbers.back().map_or(1, |last| last.saturating_add(1));
        let alerts = Arc::new(SharedAlerts::new(numbers));
        let mut batches = Batches::new(Arc::clone(&messages), Arc::clone(&alerts), !options.synchronous_off);
        batches.next_alert = next_alert;
        let now = clock.now();
        messages
            .change(|messages| recover(&connection, messages, &mut batches, (damage.hides_rows, now)))
            .map_err(failed)?;
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
            let mut body = |n: &i64| match select.query_row([n], |row| Ok(recover::text(row.get_ref(0)?))).optional() {
                // Its other pages are damaged. It becomes a dead letter in its place.
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                    tracing::error!(row = n, %error, "the body of a message or alert can't be read from queue.db");
                    Ok(Some(format!("the body can't be read from queue.db: {error}")))
                }
                body => body,
            };
            rows.iter().map(&mut body).collect()
        };
        read(&mut reader).map_err(|error| unavailable(&error))
    }
}

/// Reads the messages of an earlier process into memory, all of them visible.
fn recover(
    connection: &Connection,
    messages: &mut Messages,
    batches: &mut Batches,
    (hides_rows, now): (bool, Timestamp),
) -> rusqlite::Result<()> {
    for Recovered { row, n, group, id, sent_at, receives } in recover::messages(connection, hides_rows)? {
        let sent_at = Timestamp::from_millis(sent_at);
        batches.recovered(n, id, sent_at, now);
        messages.push(&group, Message { n: row, id, sent_at, body: None, receives, recovered: true });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QueueOptions;
    use uuid::Uuid;

    use stockline_core::ports::{FixedClock, Pack};

    fn pack(number: u128, bytes: usize) -> Pack {
        Pack { item_id: "a".parse().unwrap(), dedup_id: Uuid::from_u128(number), body: "x".repeat(bytes).into() }
    }

    /// Queues small messages, closes the file, flips bits of a byte, and opens it again.
    async fn damaged(at: impl Fn(&[u8]) -> (usize, u8)) -> (Result<QueueFile, SchemaError>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let clock = FixedClock::at(Timestamp::EPOCH);
        let open = || {
            let messages = Messages::new(QueueOptions::default());
            QueueFile::open((folder.path(), None), messages, &clock, &OpenOptions::default())
        };
        let file = open().unwrap();
        let packs = (0..40).map(|number| pack(number, 300)).collect();
        file.write(Write::Send { packs, sent_at: Timestamp::EPOCH }).await.unwrap();
        drop(file);
        let path = folder::queue_db(folder.path());
        let mut bytes = std::fs::read(&path).unwrap();
        let (byte, bits) = at(&bytes);
        bytes[byte] ^= bits;
        std::fs::write(&path, bytes).unwrap();
        let opened = open();
        (opened, folder)
    }

    #[tokio::test]
    async fn a_header_that_stops_every_write_refuses_the_file() {
        let (opened, _folder) = damaged(|_| (36, 0x10)).await;
        assert!(matches!(opened, Err(SchemaError::NotADatabase { .. })), "{opened:?}");
    }

    /// The hidden messages are not lost: they wait in the damaged table, which has another name now.
    #[tokio::test]
    async fn messages_that_a_page_hides_are_set_aside_and_the_others_go_on() {
        let leaf = |bytes: &[u8]| {
            let is_leaf = |page: &usize| bytes[page * 4_096] == 13 && bytes[page * 4_096 + 4] & 8 != 0;
            (1..bytes.len() / 4_096).rfind(is_leaf).unwrap() * 4_096 + 4
        };
        let (opened, folder) = damaged(|bytes| (leaf(bytes), 8)).await;
        let file = opened.unwrap();
        let taken = file.messages.change(|messages| messages.receive(tokio::time::Instant::now(), 100, Uuid::nil()));
        assert!((1..40).contains(&taken.len()), "{}", taken.len());
        file.write(Write::Send { packs: vec![pack(99, 1)], sent_at: Timestamp::EPOCH }).await.unwrap();
        drop(file);
        let connection = Connection::open(folder::queue_db(folder.path())).unwrap();
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'message_damaged_0'";
        assert_eq!(connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
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
