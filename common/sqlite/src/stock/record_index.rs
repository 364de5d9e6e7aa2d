//! The index that finds a record by item and command id.
//!
//! Command ids are random (v4, v5). A random insert into a large B-tree writes a whole page for a few bytes: with
//! 5 million records, such inserts took as long as the rest of the commit. So new keys wait in memory
//! ([`PendingKeys`]) and are appended to a log. Each commit moves as many keys as it added, *in key order*, into the
//! table `record_key`, so that several keys share each page written. A start reads the log back.
//! Ids that begin with a time (v6, v7) keep their order in the key, so they share pages anyway.
//!
//! ```text
//!  add ──► fresh ──write──► key_log and PendingKeys ──sweep──► record_key
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
use stockline_core::domain::{CommandId, ItemId};

/// The key of a record, which several records may share, and the record's number.
type Key = (i64, i64);

/// How many keys wait in memory (about 3 MB): enough that several fall on each page of a table of millions.
pub(super) const PENDING_KEYS_MAX: usize = 131_072;

/// How many bits of a time-ordered key are a hash. Ids made within the same 256 ms lie together, and millions of them
/// still share few keys.
const HASH_BITS: u32 = 24;

/// Returns the key of a command. Keys are not unique, so the caller compares the records found with the command.
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

/// FNV-1a with a final mix that spreads it to the high bits. Keys are stored, so this must never change.
fn hash(item_id: &ItemId, id: &[u8; 16]) -> u64 {
    let bytes = id.iter().chain(item_id.as_str().as_bytes());
    let fnv =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (fnv ^ fnv >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// Committed keys that are not in `record_key` yet.
///
/// Readers ask here *before* they open their snapshot: a key leaves only after the commit that moved it into the table.
#[derive(Debug, Default)]
pub(super) struct PendingKeys(RwLock<BTreeSet<Key>>);

impl PendingKeys {
    /// Appends the numbers of the records with this key to `found`.
    pub(super) fn find(&self, key: i64, found: &mut Vec<i64>) {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        found.extend(keys.range((key, i64::MIN)..=(key, i64::MAX)).map(|(_, record_no)| record_no));
    }
}

/// Appends the numbers of the records that the table has under this key to `found`.
pub(super) fn find_in_table(connection: &Connection, key: i64, found: &mut Vec<i64>) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached("SELECT record_no FROM record_key WHERE id_key = ?1")?;
    let mut rows = statement.query([key])?;
    while let Some(row) = rows.next()? {
        found.push(row.get(0)?);
    }
    Ok(())
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

impl RecordIndex {
    /// Reads the log back and continues the sweep after its last transaction. Keys that were moved after they were
    /// logged are pending once more, which does no harm.
    pub(super) fn open(connection: &Connection, pending_max: usize) -> Result<Self, Fault> {
        let mut logged = Vec::new();
        let mut sweep = Sweep { log_no: 1, round_from: 1, position: None };
        let mut statement = connection.prepare(
            "SELECT log_no, round_from, position_key, position_record_no, keys FROM key_log ORDER BY log_no",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let log_no: i64 = row.get(0)?;
            let position = row.get::<_, Option<i64>>(2)?.zip(row.get(3)?);
            sweep = Sweep { log_no: log_no + 1, round_from: row.get(1)?, position };
            read_keys(row.get_ref(4)?.as_blob().map_err(rusqlite::Error::from)?, &mut logged)?;
        }
        Ok(Self {
            pending: Arc::new(PendingKeys(RwLock::new(logged.into_iter().collect()))),
            fresh: BTreeSet::new(),
            moved: Vec::new(),
            sweep,
            next_sweep: sweep,
            pending_max,
        })
    }

    /// Returns the pending keys, for readers.
    pub(super) fn pending(&self) -> Arc<PendingKeys> {
        self.pending.clone()
    }

    /// Appends the numbers of all records with this key to `found`, with those of the open transaction.
    pub(super) fn find(&self, connection: &Connection, key: i64, found: &mut Vec<i64>) -> Result<(), Fault> {
        found.extend(self.fresh.range((key, i64::MIN)..=(key, i64::MAX)).map(|(_, record_no)| record_no));
        self.pending.find(key, found);
        find_in_table(connection, key, found)
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
        self.sweep(connection)?;
        let mut bytes = Vec::with_capacity(self.fresh.len() * KEY_BYTES);
        for (key, record_no) in &self.fresh {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&record_no.to_le_bytes());
        }
        let Sweep { round_from, position, .. } = self.next_sweep;
        let (key, record_no) = position.unzip();
        connection
            .prepare_cached(
                "INSERT INTO key_log (log_no, round_from, position_key, position_record_no, keys) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((self.sweep.log_no, round_from, key, record_no, bytes))?;
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
        let mut insert =
            connection.prepare_cached("INSERT OR IGNORE INTO record_key (id_key, record_no) VALUES (?1, ?2)")?;
        for (key, record_no) in &self.moved {
            insert.execute((key, record_no))?;
        }
        Ok(())
    }

    /// Takes over the state of the transaction after its commit.
    pub(super) fn committed(&mut self) {
        let mut pending = self.pending.0.write().unwrap_or_else(PoisonError::into_inner);
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
        self.next_sweep = self.sweep;
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

    use super::super::SCHEMA;
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
            index.add(key(n), n as i64);
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
            assert_eq!(found, [n as i64], "{n}");
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
