-- The movements of all items by time. A row is appended nearly in order, so that many share each page that is written.
-- `leg` is its place among the effects of its record.
CREATE TABLE movement (
    recorded_at INTEGER NOT NULL,
    record_no INTEGER NOT NULL,
    leg INTEGER NOT NULL,
    location_no INTEGER NOT NULL,
    kind TEXT NOT NULL,
    operator TEXT,
    PRIMARY KEY (recorded_at, record_no, leg)
) STRICT, WITHOUT ROWID;

-- The applied commands that change the catalogue or a threshold: who changed what.
CREATE TABLE change (
    settled_at INTEGER NOT NULL,
    record_no INTEGER NOT NULL,
    item_no INTEGER NOT NULL,
    kind TEXT NOT NULL,
    location_id TEXT,
    PRIMARY KEY (settled_at, record_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_by_item ON change (item_no, settled_at, record_no, kind, location_id);

-- The first start fills both lists from the records and drops this table (see command_lists.rs).
CREATE TABLE lists_to_fill (unused INTEGER) STRICT;
