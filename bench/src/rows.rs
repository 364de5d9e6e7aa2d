//! Measures SQLite alone with the rows that a command costs: the limit of the files on this machine.
//!
//! One thread writes two files with synced commits. Each command costs a queue row in and out, the outcome, its id in
//! an index with as many random ids as the measured store, the level, and an eighth of a ledger chunk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::{Connection, params};

use crate::rng::Rng;

/// Commands per transaction: about as many as 16 connections with batches of 100 keep in flight.
const COMMANDS_PER_COMMIT: usize = 800;
const MESSAGE_BYTES: usize = 330;
/// An outcome in JSON, as a usual program stores it. Stockline's own are smaller.
const RECORD_BYTES: usize = 620;
const TAIL_BYTES: usize = 320;
const CHUNK_BYTES: usize = 640;
const COMMANDS_PER_CHUNK: usize = 8;

/// Returns the commands per second.
pub(crate) fn bare_loop(folder: &Path, ids: usize, items: usize, duration: Duration) -> Result<f64> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut queue = open(&folder.path().join("queue.db"), QUEUE)?;
    let mut stock = open(&folder.path().join("stock.db"), STOCK)?;
    fill(&mut stock, ids, items)?;
    let mut rng = Rng::new(3);
    let (message, record) = (vec![b'm'; MESSAGE_BYTES], vec![b'r'; RECORD_BYTES]);
    let (tail, chunk) = (vec![b't'; TAIL_BYTES], vec![b'c'; CHUNK_BYTES]);
    let (started, mut done) = (Instant::now(), 0_usize);
    while started.elapsed() < duration {
        let transaction = queue.transaction()?;
        {
            let mut leave = transaction.prepare_cached("DELETE FROM message WHERE n > ?1 - ?2 AND n <= ?1")?;
            leave.execute(params![done, COMMANDS_PER_COMMIT])?;
            let mut enter = transaction.prepare_cached("INSERT INTO message (n, body) VALUES (?1, ?2)")?;
            for n in 1..=COMMANDS_PER_COMMIT {
                enter.execute(params![done + n, message])?;
            }
        }
        transaction.commit()?;
        let mut keys: Vec<_> = (0..COMMANDS_PER_COMMIT).map(|_| (rng.uuid(), rng.below(items))).collect();
        keys.sort_unstable();
        let transaction = stock.transaction()?;
        {
            let mut put_record = transaction.prepare_cached("INSERT INTO record (body) VALUES (?1)")?;
            let mut put_id = transaction.prepare_cached("INSERT INTO id VALUES (?1, ?2, ?3)")?;
            let mut put_level =
                transaction.prepare_cached("UPDATE level SET on_hand = on_hand - 1, tail = ?2 WHERE item = ?1")?;
            let mut put_chunk = transaction.prepare_cached("INSERT OR REPLACE INTO chunk VALUES (?1, ?2, ?3)")?;
            for (index, (id, item)) in keys.iter().enumerate() {
                put_record.execute([&record])?;
                put_id.execute(params![id.as_bytes(), item, done + index])?;
                put_level.execute(params![item, tail])?;
                if index % COMMANDS_PER_CHUNK == 0 {
                    put_chunk.execute(params![item, done + index, chunk])?;
                }
            }
        }
        transaction.commit()?;
        done += COMMANDS_PER_COMMIT;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

const QUEUE: &str = "CREATE TABLE message (n INTEGER PRIMARY KEY, body BLOB NOT NULL);";
const STOCK: &str = "
    CREATE TABLE record (n INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE id (id BLOB, item INTEGER, n INTEGER, PRIMARY KEY (id, item)) WITHOUT ROWID;
    CREATE TABLE level (item INTEGER PRIMARY KEY, on_hand INTEGER NOT NULL, tail BLOB NOT NULL);
    CREATE TABLE chunk (item INTEGER, seq INTEGER, entries BLOB, PRIMARY KEY (item, seq)) WITHOUT ROWID;";

fn open(path: &Path, schema: &str) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=4096;",
    )?;
    connection.execute_batch(schema)?;
    Ok(connection)
}

/// Inserts the ids and levels of a store in use. The ids are sorted, which makes filling fast.
fn fill(stock: &mut Connection, ids: usize, items: usize) -> Result<()> {
    let mut rng = Rng::new(5);
    let mut keys: Vec<_> = (0..ids).map(|_| rng.uuid()).collect();
    keys.sort_unstable();
    let transaction = stock.transaction()?;
    for (n, id) in keys.iter().enumerate() {
        transaction.prepare_cached("INSERT INTO id VALUES (?1, ?2, ?3)")?.execute(params![
            id.as_bytes(),
            n % items,
            n
        ])?;
    }
    for item in 0..items {
        let mut put = transaction.prepare_cached("INSERT INTO level VALUES (?1, 0, zeroblob(?2))")?;
        put.execute(params![item, TAIL_BYTES])?;
    }
    transaction.commit()?;
    Ok(())
}
