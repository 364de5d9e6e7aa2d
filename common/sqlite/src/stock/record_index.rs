//! The index that finds a record by item and command id.
//!
//! Command ids are random (v4, v5). A random insert into a large B-tree writes a whole page for a few bytes: with
//! 5 million records, such inserts took as long as the rest of the commit. So new keys wait in memory
//! ([`PendingKeys`]) and are appended to a log. Each commit moves as many keys as it added, *in key order*, into the
//! table `key_chain`, so that several keys share each page written. A start reads the log back.
//!
//! A key counts as absent only if that is proved: the table proves it ([`key_chain`]), and the log is whole. Each of its
//! rows has a checksum, the rows are numbered, and the last one has the key of the last record. Else the index is made
//! anew from the records ([`index_repair`]).
//! Ids that begin with a time (v6, v7) keep their order in the key, so they share pages anyway.
//!
//! ```text
//!  add ──► fresh ──write──► key_log and PendingKeys ──sweep──► key_chain
//!
//!  One round of the sweep, over all pending keys in ascending order:
//!
//!  position: None ──keys were moved──► Some(last key moved) ──┐
//!              ▲                          │        ▲  keys    │
//!              │                          │        └──moved───┘
//!              └──no key above position───┘
//!                 (log rows from before the round are deleted: their keys are in the table)
//! ```

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::Connection;

use super::fault::Fault;
use super::key_chain::Key;
use super::{index_repair, key_chain};
use stockline_core::domain::checksum;

/// How many keys wait in memory (about 3 MB): enough that several fall on each page of a table of millions.
pub(super) const PENDING_KEYS_MAX: usize = 131_072;

/// Committed keys that are not in `key_chain` yet.
///
/// Readers ask here *before* they open their snapshot: a key leaves only after the commit that moved it into the table.
#[derive(Debug, Default)]
pub(super) struct PendingKeys(RwLock<BTreeSet<Key>>);

impl PendingKeys {
    /// Returns all keys.
    pub(super) fn all(&self) -> Vec<Key> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Appends the numbers of the records with this key to `found`.
    pub(super) fn find(&self, key: i64, found: &mut Vec<i64>) {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        found.extend(keys.range((key, i64::MIN)..=(key, i64::MAX)).map(|(_, record_no)| record_no));
    }
}

/// The writer's side of the index.
#[derive(Debug)]
pub(super) struct RecordIndex {
    pending: Arc<PendingKeys>,
    /// Keys that the open transaction added.
    fresh: BTreeSet<Key>,
    /// Keys that the open transaction moved into the table.
    moved: Vec<Key>,
    sweep: Sweep,
    /// The sweep once the open transaction commits.
    next_sweep: Sweep,
    pending_max: usize,
    /// Whether the open transaction made the index anew.
    rebuilt: bool,
}

/// The state of the sweep between two transactions. Every row of the log keeps it.
#[derive(Debug, Clone, Copy)]
struct Sweep {
    /// The number of the log's next row.
    log_no: i64,
    /// The first log row of this round. The keys of earlier rows were pending when the round began.
    round_from: i64,
    /// The last key that this round moved; `None` at its beginning.
    position: Option<Key>,
}

const KEY_BYTES: usize = 16;

/// The checksum behind the keys of a row of the log. Rows of earlier versions have none.
const CHECKSUM_BYTES: usize = 4;

impl RecordIndex {
    /// Reads the log back and continues the sweep after its last transaction. Keys that were moved after they were
    /// logged are pending once more, which does no harm. A damaged index is made anew.
    pub(super) fn open(connection: &Connection, pending_max: usize) -> Result<Self, Fault> {
        index_repair::take_over_old_index(connection)?;
        let mut logged = Vec::new();
        let read = read_log(connection, &mut logged);
        let sweep = *read.as_ref().unwrap_or(&SWEEP_BEGIN);
        let mut index = Self {
            pending: Arc::new(PendingKeys(RwLock::new(logged.into_iter().collect()))),
            fresh: BTreeSet::new(),
            moved: Vec::new(),
            sweep,
            next_sweep: sweep,
            pending_max,
            rebuilt: false,
        };
        match read {
            Ok(_) => {}
            Err(Fault::Unreadable(what) | Fault::Index(what)) => index.heal(connection, &what)?,
            Err(fault) => return Err(fault),
        }
        Ok(index)
    }

    /// Makes the index anew in a transaction of its own.
    pub(super) fn heal(&mut self, connection: &Connection, what: &str) -> Result<(), Fault> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let healed = self
            .rebuild(connection, what)
            .and_then(|()| self.write(connection))
            .and_then(|()| Ok(connection.execute_batch("COMMIT")?));
        match healed {
            Ok(()) => self.committed(),
            Err(_) => {
                connection.execute_batch("ROLLBACK")?;
                self.rolled_back();
            }
        }
        healed
    }

    /// Makes the index anew from the records, in the open transaction.
    pub(super) fn rebuild(&mut self, connection: &Connection, what: &str) -> Result<(), Fault> {
        tracing::error!(what, "the index of records is damaged: it is made anew from the records");
        let known: Vec<Key> = {
            let pending = self.pending.0.read().unwrap_or_else(PoisonError::into_inner);
            pending.iter().chain(&self.fresh).copied().collect()
        };
        let last = index_repair::rebuild(connection, known.into_iter())?;
        self.moved.clear();
        // The log's last row has the key of the last record.
        self.fresh.extend(last);
        self.rebuilt = true;
        Ok(())
    }

    /// Returns the pending keys, for readers.
    pub(super) fn pending(&self) -> Arc<PendingKeys> {
        self.pending.clone()
    }

    /// Appends the numbers of all records with this key to `found`, with those of the open transaction.
    pub(super) fn find(&self, connection: &Connection, key: i64, found: &mut Vec<i64>) -> Result<(), Fault> {
        found.extend(self.fresh.range((key, i64::MIN)..=(key, i64::MAX)).map(|(_, record_no)| record_no));
        self.pending.find(key, found);
        key_chain::find(connection, key, found)
    }

    /// Adds a record of the open transaction.
    pub(super) fn add(&mut self, key: i64, record_no: i64) {
        self.fresh.insert((key, record_no));
    }

    /// Logs the new keys and moves as many pending ones into the table. This is the last step before the commit.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), Fault> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let log_no = if self.rebuilt {
            self.next_sweep = Sweep { log_no: SWEEP_BEGIN.log_no + 1, ..SWEEP_BEGIN };
            SWEEP_BEGIN.log_no
        } else {
            self.sweep(connection)?;
            self.sweep.log_no
        };
        let mut bytes = Vec::with_capacity(self.fresh.len() * KEY_BYTES + CHECKSUM_BYTES);
        for (key, record_no) in &self.fresh {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&record_no.to_le_bytes());
        }
        let Sweep { round_from, position, .. } = self.next_sweep;
        bytes.extend_from_slice(&checksum_of_row(log_no, round_from, position, &bytes).to_le_bytes());
        let (key, record_no) = position.unzip();
        connection
            .prepare_cached(
                "INSERT INTO key_log (log_no, round_from, position_key, position_record_no, keys) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((log_no, round_from, key, record_no, bytes))?;
        Ok(())
    }

    fn sweep(&mut self, connection: &Connection) -> Result<(), Fault> {
        let pending = self.pending.0.read().unwrap_or_else(PoisonError::into_inner);
        let over = (pending.len() + self.fresh.len()).saturating_sub(self.pending_max);
        // After a start, more keys than the limit may be pending. They shrink step by step: no commit pays for all.
        let over = over.min(2 * self.fresh.len());
        let from = self.sweep.position.map_or(Bound::Unbounded, Bound::Excluded);
        self.moved.extend(pending.range((from, Bound::Unbounded)).take(over).copied());
        drop(pending);
        self.next_sweep.log_no = self.sweep.log_no + 1;
        if self.moved.len() < over {
            // The round is complete, so every key that was pending at its beginning is in the table.
            connection.prepare_cached("DELETE FROM key_log WHERE log_no < ?1")?.execute([self.sweep.round_from])?;
            (self.next_sweep.round_from, self.next_sweep.position) = (self.next_sweep.log_no, None);
        } else if let Some(last) = self.moved.last() {
            self.next_sweep.position = Some(*last);
        }
        key_chain::add(connection, &self.moved)
    }

    /// Takes over the state of the transaction after its commit.
    pub(super) fn committed(&mut self) {
        let mut pending = self.pending.0.write().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut self.rebuilt) {
            pending.clear();
        }
        for key in self.moved.drain(..) {
            pending.remove(&key);
        }
        pending.extend(std::mem::take(&mut self.fresh));
        self.sweep = self.next_sweep;
    }

    /// Drops the state of the transaction after a rollback.
    pub(super) fn rolled_back(&mut self) {
        self.moved.clear();
        self.fresh.clear();
        self.rebuilt = false;
        self.next_sweep = self.sweep;
    }
}

const SWEEP_BEGIN: Sweep = Sweep { log_no: 1, round_from: 1, position: None };

/// Reads the log, and checks that it is whole: no row is missing, and the last one has the last record's key.
fn read_log(connection: &Connection, logged: &mut Vec<Key>) -> Result<Sweep, Fault> {
    let damaged = |what: String| Fault::Index(format!("the log of record keys: {what}"));
    let mut statement = connection
        .prepare("SELECT log_no, round_from, position_key, position_record_no, keys FROM key_log ORDER BY log_no")?;
    let mut rows = statement.query([])?;
    let mut sweep = SWEEP_BEGIN;
    let mut first_no = None;
    let mut last_record_no = 0;
    while let Some(row) = rows.next()? {
        let (log_no, round_from): (i64, i64) = (row.get(0)?, row.get(1)?);
        let position = row.get::<_, Option<i64>>(2)?.zip(row.get(3)?);
        if first_no.is_some() && log_no != sweep.log_no {
            return Err(damaged(format!("row {log_no} follows row {}", sweep.log_no - 1)));
        }
        first_no = first_no.or(Some(log_no));
        sweep = Sweep { log_no: log_no + 1, round_from, position };
        let before = logged.len();
        let bytes = row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?;
        read_keys(bytes, (log_no, round_from, position), logged).ok_or_else(|| damaged(format!("row {log_no}")))?;
        last_record_no = logged[before..].iter().map(|(_, record_no)| *record_no).max().unwrap_or(0);
    }
    // Rows of the round before are deleted at the beginning of the next one.
    if first_no.is_some_and(|first_no| first_no > sweep.round_from) {
        return Err(damaged(format!("it begins behind row {}", sweep.round_from)));
    }
    let last: i64 = connection.query_row("SELECT coalesce(max(record_no), 0) FROM record", [], |row| row.get(0))?;
    if last != last_record_no {
        return Err(damaged(format!("it ends with record {last_record_no}, and the last record is {last}")));
    }
    Ok(sweep)
}

fn checksum_of_row(log_no: i64, round_from: i64, position: Option<Key>, keys: &[u8]) -> u32 {
    let (key, record_no) = position.unwrap_or((0, 0));
    let numbers = [log_no, round_from, key, record_no].map(i64::to_le_bytes);
    checksum(&[numbers.as_flattened(), keys])
}

/// Reads the keys of one row. Returns `None` if its bytes have changed since it was written.
fn read_keys(bytes: &[u8], (log_no, round_from, position): (i64, i64, Option<Key>), keys: &mut Vec<Key>) -> Option<()> {
    let (pairs, rest) = bytes.as_chunks::<KEY_BYTES>();
    let sealed = &bytes[..bytes.len() - rest.len()];
    let sum = checksum_of_row(log_no, round_from, position, sealed).to_le_bytes();
    if !rest.is_empty() && *rest != sum {
        return None;
    }
    for pair in pairs {
        let both = u128::from_le_bytes(*pair);
        keys.push(((both as u64).cast_signed(), ((both >> 64) as u64).cast_signed()));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use stockline_core::domain::CommandId;
    use uuid::Uuid;

    use super::super::SCHEMA;
    use super::super::id_key::id_key;
    use super::*;

    fn key(n: u64) -> i64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed()
    }

    fn open(connection: &Connection) -> RecordIndex {
        RecordIndex::open(connection, 40).unwrap()
    }

    fn commit(connection: &mut Connection, index: &mut RecordIndex, records: std::ops::Range<u64>) {
        let transaction = connection.transaction().unwrap();
        for n in records {
            index.add(key(n), n as i64 + 1);
            let sql = "INSERT INTO record (record_no, command_id, item_no, body) VALUES (?1, x'00', 1, x'7b7d')";
            transaction.execute(sql, [n as i64 + 1]).unwrap();
        }
        index.write(&transaction).unwrap();
        transaction.commit().unwrap();
        index.committed();
    }

    fn assert_finds(connection: &Connection, index: &RecordIndex, records: std::ops::Range<u64>) {
        for n in records {
            let mut found = Vec::new();
            index.find(connection, key(n), &mut found).unwrap();
            found.dedup();
            assert_eq!(found, [n as i64 + 1], "{n}");
        }
    }

    #[test]
    fn every_key_is_found_while_pending_once_moved_and_after_a_restart_at_any_commit() {
        let mut connection = Connection::open_in_memory().unwrap();
        SCHEMA.migrations.iter().for_each(|migration| connection.execute_batch(migration).unwrap());
        let mut index = open(&connection);
        for step in 0..200 {
            commit(&mut connection, &mut index, step * 7..step * 7 + 7);
            if step % 13 == 5 {
                index.add(key(99_999), 99_999);
                index.rolled_back();
            }
            if step % 11 == 0 {
                index = open(&connection);
                assert_finds(&connection, &index, 0..step * 7 + 7);
            }
        }
        assert_finds(&connection, &index, 0..1_400);
        let waiting = index.pending.0.read().unwrap().len();
        assert!((30..=240).contains(&waiting), "{waiting}");
        let logged: i64 = connection.query_row("SELECT count(*) FROM key_log", [], |row| row.get(0)).unwrap();
        assert!(logged < 60, "the log is emptied: {logged} rows");
        let mut none = Vec::new();
        index.find(&connection, key(99_999), &mut none).unwrap();
        assert!(none.is_empty());
    }

    /// A file whose index was swept several times, with real records.
    fn swept() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        SCHEMA.migrations.iter().for_each(|migration| connection.execute_batch(migration).unwrap());
        connection.execute("INSERT INTO item (item_id) VALUES ('cola')", []).unwrap();
        let mut index = open(&connection);
        for step in 0..60_u128 {
            let transaction = connection.transaction().unwrap();
            for n in step * 5 + 1..=step * 5 + 5 {
                let id = command(n);
                let sql = "INSERT INTO record (record_no, command_id, item_no, body) VALUES (?1, ?2, 1, x'7b7d')";
                transaction.execute(sql, (n as i64, id.0.as_bytes())).unwrap();
                index.add(id_key(&"cola".parse().unwrap(), id), n as i64);
            }
            index.write(&transaction).unwrap();
            transaction.commit().unwrap();
            index.committed();
        }
        connection
    }

    fn command(n: u128) -> CommandId {
        CommandId(Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
    }

    /// Damage is never an absence: a key is found, or the damage is, and the index is made anew.
    #[test]
    fn a_damaged_index_never_says_that_a_key_is_absent_and_is_made_anew_from_the_records() {
        let damages = [
            "DELETE FROM key_chain WHERE record_no % 7 = 3",
            "UPDATE key_chain SET id_key = id_key + 4096 WHERE record_no % 11 = 5",
            "UPDATE key_chain SET link = link + 1 WHERE record_no % 5 = 2",
            "DELETE FROM key_chain",
            "UPDATE key_log SET keys = zeroblob(length(keys)) WHERE log_no = (SELECT min(log_no) + 1 FROM key_log)",
            "DELETE FROM key_log WHERE log_no = (SELECT max(log_no) FROM key_log)",
            "DELETE FROM key_log WHERE log_no = (SELECT max(log_no) - 1 FROM key_log)",
            "DELETE FROM key_log",
        ];
        for sql in damages {
            let connection = swept();
            assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
            let mut index = open(&connection);
            let mut healed = false;
            for n in 1..=300 {
                let key = id_key(&"cola".parse().unwrap(), command(n));
                let mut found = Vec::new();
                if let Err(fault) = index.find(&connection, key, &mut found) {
                    assert!(matches!(fault, Fault::Index(_)) && !healed, "{sql}: {fault:?}");
                    healed = true;
                    index.heal(&connection, sql).unwrap();
                    found.clear();
                    index.find(&connection, key, &mut found).unwrap();
                }
                assert!(found.contains(&(n as i64)), "{sql}: {n}");
            }
            let (keys, damage) = key_chain::read_all(&connection).unwrap();
            assert!(damage.is_none() && keys.len() <= 300, "{sql}: {damage:?}");
            drop(index);
            assert!(open(&connection).pending.0.read().unwrap().len() <= 300, "{sql}: the log is whole again");
        }
    }
}
