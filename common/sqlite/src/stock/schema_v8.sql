-- The supplier of an item, for the list of a supplier's items. An item of an earlier version has none.
ALTER TABLE item ADD COLUMN supplier TEXT;
CREATE INDEX item_by_supplier ON item (supplier, archived, name_key, item_id, updated_at) WHERE supplier IS NOT NULL;
