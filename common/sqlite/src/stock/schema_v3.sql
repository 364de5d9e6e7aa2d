-- Lists begin from an index in their own order, so that a page examines few rows more than it shows. No column of these
-- tables and indexes changes with a balance: a movement pays for none of them.

-- The levels of a location, by item. A row is written once, with its level.
CREATE TABLE level_by_location (
    location_no INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    item_no INTEGER NOT NULL,
    PRIMARY KEY (location_no, item_id)
) STRICT, WITHOUT ROWID;
INSERT INTO level_by_location (location_no, item_id, item_no)
    SELECT location_no, item_id, item_no FROM level JOIN item USING (item_no) ORDER BY location_no, item_id;

-- The levels that are low, out or oversold by their present balance and threshold. Each commit keeps it up to date.
ALTER TABLE low_levels RENAME TO low_levels_v2;
CREATE TABLE low_levels (
    location_no INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    item_no INTEGER NOT NULL,
    PRIMARY KEY (location_no, item_id)
) STRICT, WITHOUT ROWID;
INSERT INTO low_levels (location_no, item_id, item_no)
    SELECT location_no, item_id, item_no FROM low_levels_v2 JOIN item USING (item_no) ORDER BY location_no, item_id;
DROP TABLE low_levels_v2;
CREATE INDEX low_levels_by_item ON low_levels (item_id, item_no);

-- These answer the filters of the list of items and of refused commands without a look at the rows.
DROP INDEX item_by_name;
CREATE INDEX item_by_name ON item (archived, name_key, item_id, updated_at) WHERE archived IS NOT NULL;
DROP INDEX item_by_category;
CREATE INDEX item_by_category ON item (category, archived, name_key, item_id, updated_at) WHERE category IS NOT NULL;
DROP INDEX refused_by_time;
CREATE INDEX refused_by_status ON refused (status, settled_at, record_no, settled_otherwise, code, location_id);
