//! Turns a stock file of today into one of an older version, for the tests of migrations.

use rusqlite::Connection;
use stockline_core::domain::{CommandId, CommandKey, Record, seal};
use stockline_core::testing::record_json;

/// The steps behind version 8, the last first.
const STEPS: [&str; 7] =
    [TO_VERSION_7, TO_VERSION_6, TO_VERSION_5, TO_VERSION_4, TO_VERSION_3, TO_VERSION_2, TO_VERSION_1];

/// Turns a file of today into one of this version, 1 to 8.
pub(crate) fn back_to(version: usize, connection: &Connection) {
    to_version_8(connection);
    for step in &STEPS[..8 - version] {
        connection.execute_batch(step).unwrap();
    }
}

/// Turns a file of today into one of version 8, whose records are in JSON.
fn to_version_8(connection: &Connection) {
    connection
        .execute_batch(
            "ALTER TABLE record RENAME TO record_v9;
             CREATE TABLE record (
                record_no INTEGER PRIMARY KEY, command_id BLOB NOT NULL, item_no INTEGER NOT NULL, body TEXT NOT NULL
             ) STRICT;",
        )
        .unwrap();
    let rows =
        "SELECT record_no, command_id, item_no, record_v9.body, item_id FROM record_v9 JOIN item USING (item_no)";
    let mut statement = connection.prepare(rows).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let id: [u8; 16] = row.get(1).unwrap();
        let key = CommandKey {
            item_id: row.get::<_, String>(4).unwrap().parse().unwrap(),
            command_id: CommandId(uuid::Uuid::from_bytes(id)),
        };
        let record = Record::from_bytes(&row.get::<_, Vec<u8>>(3).unwrap(), Some(key)).unwrap();
        let values = (row.get::<_, i64>(0).unwrap(), id, row.get::<_, i64>(2).unwrap());
        connection
            .execute(
                "INSERT INTO record VALUES (?1, ?2, ?3, ?4)",
                (values.0, values.1, values.2, seal(record_json(&record).to_string())),
            )
            .unwrap();
    }
    drop(rows);
    drop(statement);
    connection.execute_batch("DROP TABLE record_v9; PRAGMA user_version = 8;").unwrap();
}

/// Turns a file of version 8 into one of version 7.
const TO_VERSION_7: &str = "
    DROP INDEX item_by_supplier;
    ALTER TABLE item DROP COLUMN supplier;
    PRAGMA user_version = 7;
";

/// Turns a file of version 7 into one of version 6.
const TO_VERSION_6: &str = "
    DROP TABLE opening;
    DROP INDEX item_by_change;
    DROP INDEX level_by_change;
    ALTER TABLE item DROP COLUMN change_no;
    ALTER TABLE level DROP COLUMN change_no;
    PRAGMA user_version = 6;
";

/// Turns a file of version 6 into one of version 5. None of its entries may have a cost.
const TO_VERSION_5: &str = "
    DROP TABLE reversed;
    ALTER TABLE level DROP COLUMN value;
    ALTER TABLE level DROP COLUMN average_cost;
    ALTER TABLE level DROP COLUMN counted_seq;
    PRAGMA user_version = 5;
";

/// Turns a file of version 5 into one of version 4.
const TO_VERSION_4: &str = "
    DROP TABLE movement;
    DROP TABLE change;
    PRAGMA user_version = 4;
";

/// Turns a file of version 4 into one of version 3.
const TO_VERSION_3: &str = "
    CREATE TABLE record_key (
        id_key INTEGER NOT NULL, record_no INTEGER NOT NULL, PRIMARY KEY (id_key, record_no)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO record_key SELECT id_key, record_no FROM key_chain WHERE record_no > 0;
    DROP TABLE key_chain;
    ALTER TABLE item DROP COLUMN levels;
    PRAGMA user_version = 3;
";

/// Turns a file of version 3 into one of version 2.
const TO_VERSION_2: &str = "
    DROP TABLE level_by_location;
    ALTER TABLE low_levels RENAME TO low_levels_v3;
    CREATE TABLE low_levels (
        item_no INTEGER NOT NULL, location_no INTEGER NOT NULL, PRIMARY KEY (item_no, location_no)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO low_levels SELECT item_no, location_no FROM low_levels_v3;
    DROP TABLE low_levels_v3;
    DROP INDEX item_by_name;
    CREATE INDEX item_by_name ON item (name_key, item_id) WHERE name_key IS NOT NULL;
    DROP INDEX item_by_category;
    CREATE INDEX item_by_category ON item (category, name_key, item_id) WHERE category IS NOT NULL;
    DROP INDEX refused_by_status;
    CREATE INDEX refused_by_time ON refused (settled_at, record_no);
    PRAGMA user_version = 2;
";

/// Turns a file of version 2 into one of version 1, with its keys in both logs.
const TO_VERSION_1: &str = "
    ALTER TABLE low_levels RENAME TO unwell;
    ALTER TABLE notice RENAME COLUMN notified_until TO told_until;
    CREATE TABLE key_log_0 (
        log_no INTEGER PRIMARY KEY, keys BLOB NOT NULL, position_key INTEGER, position_record_no INTEGER
    ) STRICT;
    CREATE TABLE key_log_1 (
        log_no INTEGER PRIMARY KEY, keys BLOB NOT NULL, position_key INTEGER, position_record_no INTEGER
    ) STRICT;
    INSERT INTO key_log_0 SELECT log_no, keys, position_key, position_record_no FROM key_log WHERE log_no <= 3;
    INSERT INTO key_log_1 SELECT log_no, keys, position_key, position_record_no FROM key_log WHERE log_no > 3;
    DROP TABLE key_log;
    PRAGMA user_version = 1;
";
