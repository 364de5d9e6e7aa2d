-- The change that last wrote a row: the one writer numbers its changes, so a reader that has seen all rows up to a number
-- misses none later. A row of an earlier version has the number 0.
ALTER TABLE item ADD COLUMN change_no INTEGER NOT NULL DEFAULT 0;
ALTER TABLE level ADD COLUMN change_no INTEGER NOT NULL DEFAULT 0;
CREATE INDEX item_by_change ON item (change_no, item_no);
CREATE INDEX level_by_change ON level (change_no, item_no, location_no);

-- One row for each time that the file was opened, with the number of the last change before. A reader that has seen a change
-- of another past, as after a restore, has an opening or a number that this file does not have.
CREATE TABLE opening (
    opening_no INTEGER PRIMARY KEY,
    opening_id TEXT NOT NULL UNIQUE,
    from_change_no INTEGER NOT NULL
) STRICT;
