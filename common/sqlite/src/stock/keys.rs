//! How a record is found by item and command id.
//!
//! Command ids are random (v4, v5), and a random insert into a large B-tree writes a whole page for a few bytes: with
//! 5 million records that alone took as long as all the rest of a commit. So keys are collected in memory
//! ([`PendingKeys`]) and logged by appending; each commit moves as many as came in, *in key order*, into `record_key`,
//! going round and round, so that several keys share each page written. At a start the log is read back.
//! Ids with a time in front (v6, v7) keep their order in the key, so they share pages anyway.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::Connection;

use super::fault::Fault;
use stockline_core::domain::{CommandId, ItemId};

/// Where a record is: its key, which a few may share, and its number.
type Key = (i64, i64);

/// How many keys wait in memory (about 3 MB): as many as make several land on each page of a table of millions.
pub(super) const PENDING_KEYS_MAX: usize = 131_072;

/// Bits of the key that are a hash where the rest is a time: what comes in within 256 ms lies together, and
/// millions within that time still have few keys in common.
const HASH_BITS: u32 = 24;

/// The key of a command: not unique, so what it finds is compared with the record itself.
pub(super) fn id_key(item_id: &ItemId, command_id: CommandId) -> i64 {
    let id = command_id.0;
    let hash = hash(item_id, id.as_bytes());
    let key = match id.get_version_num() {
        6 | 7 => {
            let time_ms = id.as_u64_pair().0 >> 16;
            (time_ms >> 8) << HASH_BITS | hash >> (64 - HASH_BITS)
        }
        _ => hash,
    };
    key.cast_signed()
}

/// FNV-1a with a finish that spreads it to the high bits. It is stored: it must never change.
fn hash(item_id: &ItemId, id: &[u8; 16]) -> u64 {
    let bytes = id.iter().chain(item_id.as_str().as_bytes());
    let fnv =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (fnv ^ fnv >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// Committed keys that are not in `record_key` yet.
///
/// Readers ask here *before* they open their snapshot: a key leaves only after the commit that put it into the table.
#[derive(Debug, Default)]
pub(super) struct PendingKeys(RwLock<BTreeSet<Key>>);

impl PendingKeys {
    /// Numbers of the records with this key.
    pub(super) fn find(&self, key: i64, found: &mut Vec<i64>) {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        found.extend(keys.range((key, i64::MIN)..=(key, i64::MAX)).map(|(_, record_no)| record_no));
    }
}

/// Numbers of the records with this key in the table.
pub(super) fn find_in_table(connection: &Connection, key: i64, found: &mut Vec<i64>) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT record_no FROM record_key WHERE id_key = ?1")?;
    let mut rows = statement.query([key])?;
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
    }
    Ok(())
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct RecordIndex {
    pending: Arc<PendingKeys>,
    /// Of the transaction under way.
    fresh: BTreeSet<Key>,
    /// Moved into the table by the transaction under way.
    moved: Vec<Key>,
    round: Round,
    /// As it is when the transaction under way commits.
    next_round: Round,
    pending_max: usize,
}

/// A round through all keys, in order.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// The log that it appends to.
    log: usize,
    /// The number of its next row.
    log_no: i64,
    /// The last key that was moved; `None` at the beginning.
    position: Option<Key>,
}

const APPEND: [&str; 2] = [
    "INSERT INTO key_log_0 (log_no, keys, position_key, position_record_no) VALUES (?1, ?2, ?3, ?4)",
    "INSERT INTO key_log_1 (log_no, keys, position_key, position_record_no) VALUES (?1, ?2, ?3, ?4)",
];
const EMPTY: [&str; 2] = ["DELETE FROM key_log_0", "DELETE FROM key_log_1"];
const READ: [&str; 2] = [
    "SELECT log_no, position_key, position_record_no, keys FROM key_log_0 ORDER BY log_no",
    "SELECT log_no, position_key, position_record_no, keys FROM key_log_1 ORDER BY log_no",
];

const KEY_BYTES: usize = 16;

impl RecordIndex {
    /// Reads the logs back, and goes on with the round where its last transaction left it. Keys that were moved since
    /// they were logged wait once more, which does no harm.
    pub(super) fn open(connection: &Connection, pending_max: usize) -> Result<Self, Fault> {
        let mut logged = Vec::new();
        let mut round = Round { log: 0, log_no: 1, position: None };
        for (log, sql) in READ.into_iter().enumerate() {
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let log_no: i64 = row.get(0)?;
                if log_no >= round.log_no {
                    let position = row.get::<_, Option<i64>>(1)?.zip(row.get(2)?);
                    round = Round { log, log_no: log_no + 1, position };
                }
                read_keys(row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?, &mut logged)?;
            }
        }
        if round.position.is_none() {
            // The round was over, or had moved nothing: either log will do for the next.
            round.log = 1 - round.log;
        }
        Ok(Self {
            pending: Arc::new(PendingKeys(RwLock::new(logged.into_iter().collect()))),
            fresh: BTreeSet::new(),
            moved: Vec::new(),
            round,
            next_round: round,
            pending_max,
        })
    }

    /// What readers ask.
    pub(super) fn pending(&self) -> Arc<PendingKeys> {
        self.pending.clone()
    }

    /// Numbers of the records with this key, those of the transaction under way included.
    pub(super) fn find(&self, connection: &Connection, key: i64, found: &mut Vec<i64>) -> Result<(), Fault> {
        found.extend(self.fresh.range((key, i64::MIN)..=(key, i64::MAX)).map(|(_, record_no)| record_no));
        self.pending.find(key, found);
        find_in_table(connection, key, found)
    }

    /// Adds a record of the transaction under way.
    pub(super) fn add(&mut self, key: i64, record_no: i64) {
        self.fresh.insert((key, record_no));
    }

    /// Logs what came in and moves as much into the table: the last step before the commit.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), Fault> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        self.sweep(connection)?;
        let mut bytes = Vec::with_capacity(self.fresh.len() * KEY_BYTES);
        for (key, record_no) in &self.fresh {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&record_no.to_le_bytes());
        }
        let (key, record_no) = self.next_round.position.unzip();
        connection.prepare_cached(APPEND[self.round.log])?.execute((self.round.log_no, bytes, key, record_no))?;
        Ok(())
    }

    fn sweep(&mut self, connection: &Connection) -> Result<(), Fault> {
        let pending = self.pending.0.read().unwrap_or_else(PoisonError::into_inner);
        let over = (pending.len() + self.fresh.len()).saturating_sub(self.pending_max);
        // Where more waits than should (after a start), it gets less step by step: no commit pays for all of it.
        let over = over.min(2 * self.fresh.len());
        let from = self.round.position.map_or(Bound::Unbounded, Bound::Excluded);
        self.moved.extend(pending.range((from, Bound::Unbounded)).take(over).copied());
        drop(pending);
        self.next_round.log_no = self.round.log_no + 1;
        if self.moved.len() < over {
            // The round is over: what the other log holds was pending when it began, and is in the table now.
            let other = 1 - self.round.log;
            connection.prepare_cached(EMPTY[other])?.execute([])?;
            (self.next_round.position, self.next_round.log) = (None, other);
        } else if let Some(last) = self.moved.last() {
            self.next_round.position = Some(*last);
        }
        let mut insert =
            connection.prepare_cached("INSERT OR IGNORE INTO record_key (id_key, record_no) VALUES (?1, ?2)")?;
        for (key, record_no) in &self.moved {
            insert.execute((key, record_no))?;
        }
        Ok(())
    }

    /// After the commit.
    pub(super) fn committed(&mut self) {
        let mut pending = self.pending.0.write().unwrap_or_else(PoisonError::into_inner);
        for key in self.moved.drain(..) {
            pending.remove(&key);
        }
        pending.extend(std::mem::take(&mut self.fresh));
        self.round = self.next_round;
    }

    /// After a rollback.
    pub(super) fn rolled_back(&mut self) {
        self.moved.clear();
        self.fresh.clear();
        self.next_round = self.round;
    }
}

fn read_keys(bytes: &[u8], keys: &mut Vec<Key>) -> Result<(), Fault> {
    let (pairs, rest) = bytes.as_chunks::<KEY_BYTES>();
    if !rest.is_empty() {
        return Err(Fault::Unreadable("the log of record keys is damaged".into()));
    }
    for pair in pairs {
        let both = u128::from_le_bytes(*pair);
        keys.push(((both as u64).cast_signed(), ((both >> 64) as u64).cast_signed()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(n: u64) -> i64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed()
    }

    fn open(connection: &Connection) -> RecordIndex {
        RecordIndex::open(connection, 40).unwrap()
    }

    fn commit(connection: &mut Connection, book: &mut RecordIndex, records: std::ops::Range<u64>) {
        let transaction = connection.transaction().unwrap();
        for n in records {
            book.add(key(n), n as i64);
        }
        book.write(&transaction).unwrap();
        transaction.commit().unwrap();
        book.committed();
    }

    fn assert_finds(connection: &Connection, book: &RecordIndex, records: std::ops::Range<u64>) {
        for n in records {
            let mut found = Vec::new();
            book.find(connection, key(n), &mut found).unwrap();
            found.dedup();
            assert_eq!(found, [n as i64], "{n}");
        }
    }

    #[test]
    fn every_key_is_found_while_it_waits_once_it_is_moved_and_after_a_restart_at_any_commit() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("tables.sql")).unwrap();
        let mut book = open(&connection);
        for step in 0..200 {
            commit(&mut connection, &mut book, step * 7..step * 7 + 7);
            if step % 13 == 5 {
                book.add(key(99_999), 99_999);
                book.rolled_back();
            }
            if step % 11 == 0 {
                book = open(&connection);
                assert_finds(&connection, &book, 0..step * 7 + 7);
            }
        }
        assert_finds(&connection, &book, 0..1_400);
        let waiting = book.pending.0.read().unwrap().len();
        assert!((30..=240).contains(&waiting), "{waiting}");
        let logged: i64 = connection
            .query_row("SELECT (SELECT count(*) FROM key_log_0) + (SELECT count(*) FROM key_log_1)", [], |r| r.get(0))
            .unwrap();
        assert!(logged < 60, "the logs are emptied: {logged} rows");
        let mut none = Vec::new();
        book.find(&connection, key(99_999), &mut none).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn the_key_of_a_command_is_stored_and_never_changes() {
        let item: ItemId = "cola".parse().unwrap();
        let v4 = CommandId(Uuid::from_u128(0x9c5b_94b1_35ad_49bb_b118_8e8f_c24a_bf80));
        let v7 = CommandId(Uuid::from_u128(0x0193_6b2e_7c4a_7f10_8a5b_3c9d_2e1f_4a6b));
        assert_eq!((id_key(&item, v4), id_key(&item, v7)), (-7453207878480088222, 113552263017145823));
        let later = CommandId(Uuid::from_u128(0x0193_6b2e_7e4a_7f10_8a5b_3c9d_2e1f_4a6b));
        assert!(id_key(&item, later) > id_key(&item, v7), "ids with a time in front keep their order");
    }
}
