-- What the stock of a level is worth, and the entry of its last count. Levels of earlier versions have no cost yet: the first
-- movement with a known cost values them (design.md §11).
ALTER TABLE level ADD COLUMN value INTEGER NOT NULL DEFAULT 0;
ALTER TABLE level ADD COLUMN average_cost INTEGER;
ALTER TABLE level ADD COLUMN counted_seq INTEGER NOT NULL DEFAULT 0;

-- Which ledger entries were taken back, and by which command. It is made of the records of reversals.
CREATE TABLE reversed (
    item_no INTEGER NOT NULL,
    location_no INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    command_id BLOB NOT NULL,
    PRIMARY KEY (item_no, location_no, seq)
) STRICT, WITHOUT ROWID;
