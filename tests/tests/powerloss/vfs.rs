//! Tests the power-loss VFS itself: it must lose every unsynced write and nothing else.

use rusqlite::{Connection, OpenFlags};
use stockline_tests::powerloss;

/// Inserts rows in one transaction each, cuts the power, and returns how many rows remain.
fn rows_after_a_cut(synchronous: &str, seed: u64) -> i64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let connection = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), powerloss::VFS).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; CREATE TABLE t(n INTEGER PRIMARY KEY, x TEXT);"
        ))
        .unwrap();
    for n in 0..50 {
        connection.execute("INSERT INTO t VALUES (?1, hex(randomblob(40)))", [n]).unwrap();
    }
    powerloss::cut(seed);
    assert!(connection.execute("INSERT INTO t VALUES (99, '')", []).is_err(), "nothing is written after the cut");
    drop(connection);
    powerloss::restore();
    let connection = Connection::open(&path).unwrap();
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap_or(-1)
}

#[test]
fn what_was_synced_survives_and_what_was_not_is_lost() {
    let _power = crate::POWER.blocking_lock();
    powerloss::register();
    for seed in 1..=10 {
        assert_eq!(rows_after_a_cut("FULL", seed), 50, "seed {seed}");
    }
    let lost = (1..=10).filter(|seed| rows_after_a_cut("OFF", *seed) < 50).count();
    assert!(lost > 5, "without syncs {lost} of 10 cuts lost rows");
}
