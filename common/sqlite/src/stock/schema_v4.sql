-- The index of records proves that a key is absent (see key_chain.rs). The first start moves the keys of record_key there.
CREATE TABLE key_chain (
    id_key INTEGER NOT NULL,
    record_no INTEGER NOT NULL,
    link INTEGER NOT NULL,
    PRIMARY KEY (id_key, record_no)
) STRICT, WITHOUT ROWID;

-- How many levels an item has (times 2^32), and the sum of their location numbers. A level that is there and not found
-- is noticed by it.
ALTER TABLE item ADD COLUMN levels INTEGER NOT NULL DEFAULT 0;
UPDATE item SET levels =
    (SELECT count(*) * 4294967296 + coalesce(sum(location_no), 0) FROM level WHERE level.item_no = item.item_no);
