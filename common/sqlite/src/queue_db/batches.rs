use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::alerts::SharedAlerts;
use super::messages::{Message, SharedMessages};
use stockline_core::domain::Timestamp;
use stockline_core::ports::{Pack, QueueError};

/// How long a repeated pack is recognised, in milliseconds, as on SQS.
const DEDUP_WINDOW_MS: i64 = 5 * 60 * 1_000;

/// How many sent packs are remembered. Senders retry within seconds. A repetition that is not recognised costs a
/// redelivery, which the store recognises.
const MAX_DEDUP_IDS: usize = 250_000;

/// A table of bodies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Table {
    Message,
    Alert,
}

/// A job for the writer thread. Jobs that wait at the same time share one transaction.
#[derive(Debug)]
pub(super) enum Job {
    /// Write, then answer.
    Write(Write, oneshot::Sender<Result<(), QueueError>>),
    /// Delete rows with the next transaction.
    Delete(Table, Vec<i64>),
}

/// A write that its caller waits for.
#[derive(Debug)]
pub(super) enum Write {
    /// Queue packs durably.
    Send { packs: Vec<Pack>, sent_at: Timestamp },
    /// Queue alerts durably.
    Publish(Vec<String>),
    /// Store how often messages were delivered.
    Record(Vec<(i64, u32)>),
    /// End the thread as a defect would.
    #[cfg(any(test, feature = "testing"))]
    Panic,
}

/// The state of the writer thread.
#[derive(Debug)]
pub(super) struct Batches {
    messages: Arc<SharedMessages>,
    alerts: Arc<SharedAlerts>,
    recent: RecentIds,
    next_n: i64,
    /// The deletions to do. After a failed batch they go with the next.
    deletes: Vec<(Table, Vec<i64>)>,
    sync: CommitSync,
}

/// When the file's commits reach the disk.
///
/// ```text
///          durable write        deletions or counts only
///  Later ───────────────► Now ───────────────────────────► Later
///  Never (tests of power loss) stays as it is.
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommitSync {
    /// Each commit syncs.
    Now,
    /// A later sync covers the commits.
    Later,
    /// No commit syncs.
    Never,
}

/// The rows that a batch added. Receivers see them once the batch is durable.
#[derive(Debug, Default)]
struct Added {
    messages: Vec<(Pack, Message)>,
    alerts: Vec<i64>,
}

impl Batches {
    /// Starts over an empty queue.
    pub(super) fn new(messages: Arc<SharedMessages>, alerts: Arc<SharedAlerts>, sync: bool) -> Self {
        Self {
            messages,
            alerts,
            recent: RecentIds::default(),
            next_n: 1,
            deletes: Vec::new(),
            sync: if sync { CommitSync::Now } else { CommitSync::Never },
        }
    }

    /// Notes a row of an earlier process. Call it in the order of rows.
    pub(super) fn recovered(&mut self, n: i64, id: Uuid, sent_at: Timestamp, now: Timestamp) {
        self.next_n = n + 1;
        self.recent.add(id, sent_at);
        self.recent.prune(now);
    }

    /// Runs all jobs in one transaction, which succeeds or fails for all of them.
    pub(super) fn apply(&mut self, connection: &mut Connection, jobs: Vec<Job>) {
        let mut replies = Vec::with_capacity(jobs.len());
        let mut writes = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Delete(table, rows) => self.deletes.push((table, rows)),
                // Its sender has stopped waiting, and sends the same pack again if it still wants to. So packs that
                // pile up while the disk stalls are not written.
                Job::Write(Write::Send { .. }, reply) if reply.is_closed() => {}
                Job::Write(write, reply) => {
                    writes.push(write);
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
                self.recent.forget_since(sent_before);
                if replies.is_empty() {
                    tracing::warn!(%error, "acknowledged messages can't be deleted from queue.db; the next write tries again");
                }
            }
        }
        let result = result.map_err(|error| unavailable(&error));
        for reply in replies {
            // The caller may be gone. Its packs are queued all the same.
            let _ = reply.send(result.clone());
        }
    }

    fn write(&mut self, connection: &mut Connection, writes: Vec<Write>, added: &mut Added) -> rusqlite::Result<()> {
        // Packs and alerts must be durable before the answer. Deletions and counts survive the process without a sync,
        // and the next sync covers them.
        let durable = writes.iter().any(|write| matches!(write, Write::Send { .. } | Write::Publish(_)));
        self.sync_commits(connection, durable)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for write in writes {
            match write {
                Write::Send { packs, sent_at } => self.insert_messages(&transaction, packs, sent_at, added)?,
                Write::Publish(bodies) => insert_alerts(&transaction, &bodies, added)?,
                Write::Record(receives) => record_receives(&transaction, &receives)?,
                #[cfg(any(test, feature = "testing"))]
                #[expect(clippy::panic, reason = "tests end the thread so")]
                Write::Panic => panic!("a test ends the writer of queue.db"),
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
        let wanted = if durable { CommitSync::Now } else { CommitSync::Later };
        if self.sync != CommitSync::Never && self.sync != wanted {
            // In WAL mode NORMAL is FULL without the sync at commit; the order of writes is kept.
            connection.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
            self.sync = wanted;
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

/// Deletes rows, with one statement for each run of consecutive rows.
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

/// Translates an error of SQLite for the port.
pub(super) fn unavailable(error: &rusqlite::Error) -> QueueError {
    let advice = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; free some space on its disk",
        _ => "",
    };
    QueueError::Unavailable(format!("queue.db: {error}{advice}"))
}

/// The ids of the packs sent lately.
#[derive(Debug, Default)]
struct RecentIds {
    known: HashSet<Uuid>,
    order: VecDeque<(Uuid, Timestamp)>,
    /// How many ids were ever added.
    sent: u64,
}

impl RecentIds {
    /// Adds an id. Returns `false` if it is known.
    fn add(&mut self, id: Uuid, sent_at: Timestamp) -> bool {
        let new = self.known.insert(id);
        if new {
            self.order.push_back((id, sent_at));
            self.sent += 1;
        }
        new
    }

    /// Forgets the ids added since `sent`, after their batch failed.
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
    use super::super::file::QUEUE;
    use super::super::messages::Messages;
    use super::*;
    use crate::QueueOptions;
    use crate::schema::{self, OpenOptions};

    fn batches() -> Batches {
        let messages = Arc::new(SharedMessages::new(Messages::new(QueueOptions::default())));
        Batches::new(messages, Arc::new(SharedAlerts::new(VecDeque::new())), true)
    }

    fn pack(number: u128, bytes: usize) -> Pack {
        Pack { item_id: "a".parse().unwrap(), dedup_id: Uuid::from_u128(number), body: "x".repeat(bytes).into() }
    }

    fn send(batches: &mut Batches, connection: &mut Connection, packs: &[Pack]) -> Vec<Result<(), QueueError>> {
        let (jobs, answers): (Vec<_>, Vec<_>) = packs
            .iter()
            .map(|pack| {
                let (reply, answer) = oneshot::channel();
                (Job::Write(Write::Send { packs: vec![pack.clone()], sent_at: Timestamp::EPOCH }, reply), answer)
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
    fn on_a_full_disk_all_callers_of_the_batch_get_the_error_and_the_queue_works_once_there_is_room() {
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
    fn a_pack_whose_sender_has_gone_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.db");
        let mut connection = schema::open(&path, QUEUE, &OpenOptions::default()).unwrap();
        let mut batches = batches();
        let (reply, answer) = oneshot::channel();
        drop(answer);
        let abandoned = Job::Write(Write::Send { packs: vec![pack(1, 10)], sent_at: Timestamp::EPOCH }, reply);
        batches.apply(&mut connection, vec![abandoned]);
        assert_eq!((count(&connection), visible(&batches)), (0, 0));
        assert!(send(&mut batches, &mut connection, &[pack(1, 10)])[0].is_ok());
        assert_eq!((count(&connection), visible(&batches)), (1, 1), "sent again under the same id, it is queued");
    }

    #[test]
    fn a_failed_deletion_is_repeated_with_the_next_batch() {
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
    fn a_commit_with_a_waiting_caller_is_synced_whatever_came_before() {
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
        let publish = Job::Write(Write::Publish(vec!["{}".to_owned()]), reply);
        batches.apply(&mut connection, vec![Job::Delete(Table::Message, vec![2]), publish]);
        assert!(answer.try_recv().unwrap().is_ok());
        assert_eq!(level(&connection), 2);
    }
}
