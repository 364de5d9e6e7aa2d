-- Outcomes are stored in a compact binary form (see domain/codec/record.rs). The first start moves those in JSON to the new
-- table and drops the old one (see record_upgrade.rs).
ALTER TABLE record RENAME TO record_json;
CREATE TABLE record (
    record_no INTEGER PRIMARY KEY,
    command_id BLOB NOT NULL,
    item_no INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
