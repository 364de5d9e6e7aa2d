use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::messages::{Message, Messages, SharedMessages};
use crate::domain::Timestamp;
use crate::ports::{Clock, Pack, QueueError};
use crate::sqlite::alert_queue::SharedAlerts;
use crate::sqlite::schema::{self, OpenOptions, Schema, SchemaError};
use crate::sqlite::writer::Writer;
use crate::sqlite::{DataFolder, folder};

/// Rows come in order of their keys and leave in about that order: no index but the table itself, which is what keeps
/// an append cheap however many wait.
const QUEUE: Schema = Schema {
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

/// For so long a pack that is sent again is recognised, in milliseconds (as on SQS) …
const DEDUP_WINDOW_MS: i64 = 5 * 60 * 1_000;

/// … while no more than so many were sent since. Senders retry within seconds; a later one costs a redelivery, which
/// the store recognises.
const MAX_DEDUP_IDS: usize = 250_000;

/// `queue.db`: one writing connection on a thread of its own, one for reading bodies, and what waits in it.
#[derive(Debug)]
pub(in crate::sqlite) struct QueueFile {
    /// Closed before the writer, whose close then writes the WAL back.
    reader: Mutex<Connection>,
    writer: Writer<Job>,
    pub(super) messages: Arc<SharedMessages>,
    pub(in crate::sqlite) alerts: Arc<SharedAlerts>,
    _folder: Option<DataFolder>,
}

/// A table with bodies.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) enum Table {
    Message,
    Alert,
}

/// What the writer thread does; all that waits goes into one transaction.
#[derive(Debug)]
pub(in crate::sqlite) enum Job {
    /// Queue packs; answered when they are durable.
    Send { packs: Vec<Pack>, sent_at: Timestamp, reply: Reply },
    /// Queue alerts; answered when they are durable.
    Publish { bodies: Vec<String>, reply: Reply },
    /// Write how often messages were delivered; answered when that survives the process.
    Record { receives: Vec<(i64, u32)>, reply: Reply },
    /// Delete rows, soon.
    Delete(Table, Vec<i64>),
}

type Reply = oneshot::Sender<Result<(), QueueError>>;

impl QueueFile {
    pub(super) fn open(
        folder: (&Path, Option<DataFolder>),
        mut messages: Messages,
        clock: &dyn Clock,
        options: &OpenOptions,
    ) -> Result<Self, SchemaError> {
        let path = folder::queue_db(folder.0);
        let failed = |source| SchemaError::of(&path, source);
        let connection = schema::open(&path, QUEUE, options)?;
        let mut recent = RecentIds::default();
        let next_n = recover(&connection, &mut messages, &mut recent, clock.now()).map_err(failed)?;
        let messages = Arc::new(SharedMessages::new(messages));
        let alerts = Arc::new(SharedAlerts::new(alert_numbers(&connection).map_err(failed)?));
        let reader = Mutex::new(schema::open_reader(&path, options)?);
        let mut batches = Batches {
            messages: Arc::clone(&messages),
            alerts: Arc::clone(&alerts),
            recent,
            next_n,
            deletes: Vec::new(),
            syncs: (!options.synchronous_off).then_some(true),
        };
        let writer = Writer::start("queue-writer", connection, move |connection, jobs| batches.apply(connection, jobs))
            .map_err(|source| SchemaError::Thread { path, source })?;
        Ok(Self { reader, writer, messages, alerts, _folder: folder.1 })
    }

    /// Hands a job to the writer and waits for its answer.
    pub(in crate::sqlite) async fn write(&self, job: impl FnOnce(Reply) -> Job) -> Result<(), QueueError> {
        let (reply, answer) = oneshot::channel();
        let gone = || QueueError::Unavailable("the writer of queue.db has ended; restart stockline".to_owned());
        if !self.writer.submit(job(reply)) {
            return Err(gone());
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Deletes rows with what is written next; where that fails, they come again after a restart.
    pub(in crate::sqlite) fn delete(&self, table: Table, rows: Vec<i64>) {
        if !rows.is_empty() {
            self.writer.submit(Job::Delete(table, rows));
        }
    }

    /// Reads bodies, each `None` where its row is gone. Blocks on the disk.
    pub(in crate::sqlite) fn read_bodies(&self, table: Table, rows: &[i64]) -> Result<Vec<Option<String>>, QueueError> {
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

/// Puts all that is in the file into memory, visible; the next free number.
fn recover(
    connection: &Connection,
    messages: &mut Messages,
    recent: &mut RecentIds,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let mut select = connection.prepare("SELECT n, grp, dedup_id, sent_at, receives FROM message ORDER BY n")?;
    let mut rows = select.query([])?;
    let mut next_n = 1;
    while let Some(row) = rows.next()? {
        let n: i64 = row.get(0)?;
        let id = Uuid::from_bytes(row.get(2)?);
        let sent_at = Timestamp::from_millis(row.get(3)?);
        recent.add(id, sent_at);
        recent.prune(now);
        let message = Message { n, id, sent_at, body: None, receives: row.get(4)?, recovered: true };
        messages.push(row.get_ref(1)?.as_str()?, message);
        next_n = n + 1;
    }
    Ok(next_n)
}

fn alert_numbers(connection: &Connection) -> rusqlite::Result<VecDeque<i64>> {
    connection.prepare("SELECT n FROM alert ORDER BY n")?.query_map([], |row| row.get(0))?.collect()
}

/// The writer thread's side.
#[derive(Debug)]
pub(super) struct Batches {
    messages: Arc<SharedMessages>,
    alerts: Arc<SharedAlerts>,
    recent: RecentIds,
    next_n: i64,
    /// Asked for and not yet done: those of a batch that failed go with the next.
    deletes: Vec<(Table, Vec<i64>)>,
    /// Does a commit sync? `None`: never, whatever is asked.
    syncs: Option<bool>,
}

/// What a batch added, to be shown to receivers once it is durable.
#[derive(Debug, Default)]
struct Added {
    messages: Vec<(Pack, Message)>,
    alerts: Vec<i64>,
}

impl Batches {
    /// One transaction for all jobs; it stands or falls for all of them.
    pub(super) fn apply(&mut self, connection: &mut Connection, jobs: Vec<Job>) {
        let mut replies = Vec::with_capacity(jobs.len());
        let mut writes = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Delete(table, rows) => self.deletes.push((table, rows)),
                Job::Send { packs, sent_at, reply } => {
                    writes.push(Write::Send(packs, sent_at));
                    replies.push(reply);
                }
                Job::Publish { bodies, reply } => {
                    writes.push(Write::Publish(bodies));
                    replies.push(reply);
                }
                Job::Record { receives, reply } => {
                    writes.push(Write::Record(receives));
                    replies.push(reply);
                }
            }
        }
        let mut added = Added::default();
        let sent_before = self.recent.sent;
        let result = self.write(connection, writes, &mut added);
        match &result {
            Ok(()) => self.show(added),
            Err(error) => {
                tracing::warn!(%error, "a batch of the queue was not written");
                self.recent.forget_since(sent_before);
            }
        }
        let result = result.map_err(|error| unavailable(&error));
        for reply in replies {
            // The caller may be gone; what it sent is queued all the same.
            let _ = reply.send(result.clone());
        }
    }

    fn write(&mut self, connection: &mut Connection, writes: Vec<Write>, added: &mut Added) -> rusqlite::Result<()> {
        // What someone waits for as durable needs a sync. Deletions and counts don't: they survive the process, and the
        // next sync covers them.
        let durable = writes.iter().any(|write| !matches!(write, Write::Record(_)));
        self.sync_commits(connection, durable)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for write in writes {
            match write {
                Write::Send(packs, sent_at) => self.insert_messages(&transaction, packs, sent_at, added)?,
                Write::Publish(bodies) => insert_alerts(&transaction, &bodies, added)?,
                Write::Record(receives) => record_receives(&transaction, &receives)?,
            }
        }
        for (table, rows) in &mut self.deletes {
            delete_rows(&transaction, *table, rows)?;
        }
        transaction.commit()?;
        self.deletes.clear();
        Ok(())
    }

    fn sync_commits(&mut self, connection: &Connection, durable: bool) -> rusqlite::Result<()> {
        if self.syncs.is_some_and(|syncs| syncs != durable) {
            // In WAL mode NORMAL is FULL without the sync at commit; the order of writes is kept.
            connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
            self.syncs = Some(durable);
        }
        Ok(())
    }

    fn insert_messages(
        &mut self,
        transaction: &Connection,
        packs: Vec<Pack>,
        sent_at: Timestamp,
        added: &mut Added,
    ) -> rusqlite::Result<()> {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO message (n, grp, dedup_id, sent_at, receives, body) VALUES (?1, ?2, ?3, ?4, 0, ?5)",
        )?;
        self.recent.prune(sent_at);
        for pack in packs {
            if !self.recent.add(pack.dedup_id, sent_at) {
                continue;
            }
            let n = self.next_n;
            self.next_n += 1;
            let id = pack.dedup_id;
            insert.execute(params![n, pack.item_id.as_str(), id.as_bytes(), sent_at.as_millis(), &*pack.body])?;
            let body = Some(Arc::clone(&pack.body));
            added.messages.push((pack, Message { n, id, sent_at, body, receives: 0, recovered: false }));
        }
        Ok(())
    }

    fn show(&self, added: Added) {
        if !added.messages.is_empty() {
            self.messages.change(|messages| {
                for (pack, message) in added.messages {
                    messages.push(pack.item_id.as_str(), message);
                }
            });
        }
        self.alerts.arrive(&added.alerts);
    }
}

#[derive(Debug)]
enum Write {
    Send(Vec<Pack>, Timestamp),
    Publish(Vec<String>),
    Record(Vec<(i64, u32)>),
}

fn insert_alerts(transaction: &Connection, bodies: &[String], added: &mut Added) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO alert (body) VALUES (?1)")?;
    for body in bodies {
        added.alerts.push(insert.insert([body])?);
    }
    Ok(())
}

fn record_receives(transaction: &Connection, receives: &[(i64, u32)]) -> rusqlite::Result<()> {
    let mut update = transaction.prepare_cached("UPDATE message SET receives = ?2 WHERE n = ?1")?;
    for (n, receives) in receives {
        update.execute([*n, i64::from(*receives)])?;
    }
    Ok(())
}

/// One statement per run of consecutive rows.
fn delete_rows(transaction: &Connection, table: Table, rows: &mut [i64]) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached(match table {
        Table::Message => "DELETE FROM message WHERE n BETWEEN ?1 AND ?2",
        Table::Alert => "DELETE FROM alert WHERE n BETWEEN ?1 AND ?2",
    })?;
    rows.sort_unstable();
    for run in rows.chunk_by(|n, next| next - n == 1) {
        delete.execute([run[0], run[run.len() - 1]])?;
    }
    Ok(())
}

fn unavailable(error: &rusqlite::Error) -> QueueError {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; free some space on its disk",
        _ => "",
    };
    QueueError::Unavailable(format!("queue.db: {error}{advice}"))
}

/// The ids of what was sent lately.
#[derive(Debug, Default)]
struct RecentIds {
    known: HashSet<Uuid>,
    order: VecDeque<(Uuid, Timestamp)>,
    /// How many were ever added.
    sent: u64,
}

impl RecentIds {
    /// `false` where it is known.
    fn add(&mut self, id: Uuid, sent_at: Timestamp) -> bool {
        let new = self.known.insert(id);
        if new {
            self.order.push_back((id, sent_at));
            self.sent += 1;
        }
        new
    }

    /// Forgets the last ones, which were not written after all.
    fn forget_since(&mut self, sent: u64) {
        for _ in sent..self.sent {
            if let Some((id, _)) = self.order.pop_back() {
                self.known.remove(&id);
            }
        }
        self.sent = sent;
    }

    fn prune(&mut self, now: Timestamp) {
        while let Some((id, sent_at)) = self.order.front()
            && (self.order.len() > MAX_DEDUP_IDS || now.millis_since(*sent_at) > DEDUP_WINDOW_MS)
        {
            self.known.remove(id);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::FixedClock;
    use crate::sqlite::QueueOptions;

    fn batches() -> Batches {
        Batches {
            messages: Arc::new(SharedMessages::new(Messages::new(QueueOptions::default()))),
            alerts: Arc::new(SharedAlerts::new(VecDeque::new())),
            recent: RecentIds::default(),
            next_n: 1,
            deletes: Vec::new(),
            syncs: Some(true),
        }
    }

    fn pack(number: u128, bytes: usize) -> Pack {
        Pack { item_id: "a".parse().unwrap(), dedup_id: Uuid::from_u128(number), body: "x".repeat(bytes).into() }
    }

    fn send(batches: &mut Batches, connection: &mut Connection, packs: &[Pack]) -> Vec<Result<(), QueueError>> {
        let (jobs, answers): (Vec<_>, Vec<_>) = packs
            .iter()
            .map(|pack| {
                let (reply, answer) = oneshot::channel();
                (Job::Send { packs: vec![pack.clone()], sent_at: Timestamp::EPOCH, reply }, answer)
            })
            .unzip();
        batches.apply(connection, jobs);
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
    }

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).unwrap()
    }

    fn visible(batches: &Batches) -> u64 {
        let now = tokio::time::Instant::now();
        batches.messages.change(|messages| messages.depth(now, Timestamp::EPOCH).visible)
    }

    #[test]
    fn on_a_full_disk_all_callers_of_the_batch_are_told_and_the_queue_works_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let mut connection = schema::open(&path, QUEUE, &OpenOptions::default()).unwrap();
        let mut batches = batches();
        assert!(send(&mut batches, &mut connection, &[pack(1, 10)])[0].is_ok());

        connection.pragma_update(None, "max_page_count", 20).unwrap();
        let packs = [pack(2, 10), pack(3, 200_000), pack(4, 10)];
        batches.apply(&mut connection, vec![Job::Delete(Table::Message, vec![99])]);
        for result in send(&mut batches, &mut connection, &packs) {
            let text = result.unwrap_err().to_string();
            assert!(text.contains("full") && text.contains("free some space"), "{text}");
        }
        assert_eq!((count(&connection), visible(&batches)), (1, 1), "nothing half done");

        connection.pragma_update(None, "max_page_count", 1_000_000).unwrap();
        assert!(send(&mut batches, &mut connection, &packs).iter().all(Result::is_ok));
        assert_eq!((count(&connection), visible(&batches)), (4, 4), "a retry under the same ids is no duplicate");
        assert!(send(&mut batches, &mut connection, &packs).iter().all(Result::is_ok));
        assert_eq!((count(&connection), visible(&batches)), (4, 4));
    }

    #[test]
    fn a_deletion_that_failed_goes_with_the_next_batch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let mut connection = schema::open(&path, QUEUE, &OpenOptions::default()).unwrap();
        let mut batches = batches();
        let packs: Vec<Pack> = (1..=5).map(|number| pack(number, 10)).collect();
        send(&mut batches, &mut connection, &packs);
        connection.pragma_update(None, "query_only", true).unwrap();
        batches.apply(&mut connection, vec![Job::Delete(Table::Message, vec![5, 1, 2])]);
        connection.pragma_update(None, "query_only", false).unwrap();
        assert_eq!(count(&connection), 5);
        batches.apply(&mut connection, vec![Job::Delete(Table::Message, vec![3])]);
        assert_eq!(count(&connection), 1);
    }

    #[test]
    fn a_commit_that_someone_waits_for_is_synced_whatever_came_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let mut connection = schema::open(&path, QUEUE, &OpenOptions::default()).unwrap();
        let mut batches = batches();
        let level = |connection: &Connection| {
            connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        batches.apply(&mut connection, vec![Job::Delete(Table::Message, vec![1])]);
        assert_eq!(level(&connection), 1);
        send(&mut batches, &mut connection, &[pack(1, 10)]);
        assert_eq!(level(&connection), 2);
        batches.apply(&mut connection, vec![Job::Delete(Table::Message, vec![1])]);
        let (reply, mut answer) = oneshot::channel();
        let publish = Job::Publish { bodies: vec!["{}".to_owned()], reply };
        batches.apply(&mut connection, vec![Job::Delete(Table::Message, vec![2]), publish]);
        assert!(answer.try_recv().unwrap().is_ok());
        assert_eq!(level(&connection), 2);
    }

    #[tokio::test]
    async fn bodies_beyond_the_bound_of_memory_are_read_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let clock = FixedClock::at(Timestamp::EPOCH);
        let messages = Messages::new(QueueOptions::default());
        let file = QueueFile::open((folder.path(), None), messages, &clock, &OpenOptions::default()).unwrap();
        let packs = vec![pack(1, 30 << 20), pack(2, 3 << 20)];
        file.write(|reply| Job::Send { packs, sent_at: Timestamp::EPOCH, reply }).await.unwrap();
        let now = tokio::time::Instant::now();
        let taken = file.messages.change(|messages| messages.receive(now, 10, Uuid::nil()));
        assert_eq!(taken.iter().map(|taken| taken.body.is_some()).collect::<Vec<_>>(), [true, false]);
        let read = file.read_bodies(Table::Message, &[taken[1].n, 99]).unwrap();
        assert_eq!(read.iter().map(|body| body.as_ref().map(String::len)).collect::<Vec<_>>(), [Some(3 << 20), None]);
    }
}
