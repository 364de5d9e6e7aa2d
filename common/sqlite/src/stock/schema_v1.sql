-- Version 1 of stock.db. Later files in this folder change it (see SCHEMA in mod.rs).

-- Ids of items and locations are long and occur in every row, so rows hold a number instead.
-- The first record that names an item gives it a number. Without a body the item is not registered.
CREATE TABLE item (
    item_no INTEGER PRIMARY KEY,
    item_id TEXT NOT NULL UNIQUE,
    name_key TEXT,
    category TEXT,
    archived INTEGER,
    low_stock_threshold INTEGER,
    updated_at INTEGER,
    body TEXT
) STRICT;
CREATE INDEX item_by_name ON item (name_key, item_id) WHERE name_key IS NOT NULL;
CREATE INDEX item_by_category ON item (category, name_key, item_id) WHERE category IS NOT NULL;

CREATE TABLE location (
    location_no INTEGER PRIMARY KEY,
    location_id TEXT NOT NULL UNIQUE,
    settings TEXT
) STRICT;

CREATE TABLE level (
    item_no INTEGER NOT NULL,
    location_no INTEGER NOT NULL,
    on_hand INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    low_stock_threshold INTEGER,
    state INTEGER NOT NULL,
    alerted INTEGER NOT NULL,
    alert_no INTEGER NOT NULL,
    alert_epoch INTEGER NOT NULL,
    counted_at INTEGER,
    updated_at INTEGER NOT NULL,
    tail BLOB NOT NULL,
    PRIMARY KEY (item_no, location_no)
) STRICT, WITHOUT ROWID;

-- The levels that are low, out or oversold by their present balance and threshold. Each commit keeps it up to date.
CREATE TABLE unwell (
    item_no INTEGER NOT NULL,
    location_no INTEGER NOT NULL,
    PRIMARY KEY (item_no, location_no)
) STRICT, WITHOUT ROWID;

-- Chunks are appended. Only the small index is written at a random place.
CREATE TABLE chunk (
    chunk_no INTEGER PRIMARY KEY,
    item_no INTEGER NOT NULL,
    location_no INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    first_recorded_at INTEGER NOT NULL,
    entries BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX chunk_by_place ON chunk (item_no, location_no, first_seq);

-- Records are appended. record_key finds them (see record_index.rs).
CREATE TABLE record (
    record_no INTEGER PRIMARY KEY,
    command_id BLOB NOT NULL,
    item_no INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE record_key (
    id_key INTEGER NOT NULL,
    record_no INTEGER NOT NULL,
    PRIMARY KEY (id_key, record_no)
) STRICT, WITHOUT ROWID;

-- Keys that are not in record_key yet: one row per transaction, appended, with the position of the sweep (see
-- record_index.rs). The two logs are used in turn, and log_no counts through both.
CREATE TABLE key_log_0 (
    log_no INTEGER PRIMARY KEY,
    keys BLOB NOT NULL,
    position_key INTEGER,
    position_record_no INTEGER
) STRICT;
CREATE TABLE key_log_1 (
    log_no INTEGER PRIMARY KEY,
    keys BLOB NOT NULL,
    position_key INTEGER,
    position_record_no INTEGER
) STRICT;

CREATE TABLE refused (
    record_no INTEGER PRIMARY KEY,
    settled_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    code TEXT,
    location_id TEXT,
    settled_otherwise INTEGER NOT NULL
) STRICT;
CREATE INDEX refused_by_time ON refused (settled_at, record_no);

CREATE TABLE claim (
    kind INTEGER NOT NULL,
    claimed TEXT NOT NULL,
    item_no INTEGER NOT NULL,
    PRIMARY KEY (kind, claimed)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejudged (
    item_no INTEGER NOT NULL,
    command_id BLOB NOT NULL,
    location_no INTEGER NOT NULL,
    mark TEXT NOT NULL,
    PRIMARY KEY (item_no, command_id, location_no)
) STRICT, WITHOUT ROWID;

CREATE TABLE alert (
    alert_id TEXT PRIMARY KEY,
    raised_at INTEGER NOT NULL,
    location_id TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    sent_at INTEGER,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_by_time ON alert (raised_at, alert_id);
CREATE INDEX alert_by_location ON alert (location_id, raised_at, alert_id);

CREATE TABLE notice (
    location_id TEXT NOT NULL,
    day TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    sent_at INTEGER,
    told_until INTEGER,
    PRIMARY KEY (location_id, day)
) STRICT, WITHOUT ROWID;
