-- The words of design.md for two names, and one log of record keys instead of two used in turn.
ALTER TABLE unwell RENAME TO low_levels;
ALTER TABLE notice RENAME COLUMN told_until TO notified_until;

-- Keys that are not in record_key yet: one row per transaction, appended, with the state of the sweep (see
-- record_index.rs). `round_from` 1 keeps the rows of both old logs until the next round has moved their keys.
CREATE TABLE key_log (
    log_no INTEGER PRIMARY KEY,
    round_from INTEGER NOT NULL,
    position_key INTEGER,
    position_record_no INTEGER,
    keys BLOB NOT NULL
) STRICT;
INSERT INTO key_log (log_no, round_from, position_key, position_record_no, keys)
    SELECT log_no, 1, position_key, position_record_no, keys FROM key_log_0
    UNION ALL SELECT log_no, 1, position_key, position_record_no, keys FROM key_log_1;
DROP TABLE key_log_0;
DROP TABLE key_log_1;
