use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use stockline_core::domain::{ItemId, LocationId, Quantity};

/// Numbers of locations, as committed: they never change, so they are read once. There are as many as locations.
#[derive(Debug, Default)]
pub(super) struct LocationNames {
    by_no: HashMap<i64, LocationId>,
    by_id: HashMap<LocationId, i64>,
}

impl LocationNames {
    /// The id of a number.
    pub(super) fn id(&mut self, connection: &Connection, no: i64) -> Result<LocationId, Fault> {
        if let Some(id) = self.by_no.get(&no) {
            return Ok(id.clone());
        }
        let mut statement = connection.prepare_cached("SELECT location_id FROM location WHERE location_no = ?1")?;
        let text: Option<String> = statement.query_row([no], |row| row.get(0)).optional()?;
        let id: LocationId = text
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Fault::Unreadable(format!("a row names location number {no}, which is not there")))?;
        self.remember(&id, no);
        Ok(id)
    }

    /// The number of an id, where it has one.
    pub(super) fn no(&mut self, connection: &Connection, id: &LocationId) -> Result<Option<i64>, Fault> {
        if let Some(no) = self.by_id.get(id) {
            return Ok(Some(*no));
        }
        let mut statement = connection.prepare_cached("SELECT location_no FROM location WHERE location_id = ?1")?;
        let no: Option<i64> = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
        if let Some(no) = no {
            self.remember(id, no);
        }
        Ok(no)
    }

    /// The number of an id, given now where it has none. Only in the writer's transaction.
    pub(super) fn no_or_new(&mut self, connection: &Connection, id: &LocationId) -> Result<i64, Fault> {
        if let Some(no) = self.no(connection, id)? {
            return Ok(no);
        }
        connection.prepare_cached("INSERT INTO location (location_id) VALUES (?1)")?.execute([id.as_str()])?;
        let no = connection.last_insert_rowid();
        self.remember(id, no);
        Ok(no)
    }

    /// After a rollback: numbers may have been given in vain.
    pub(super) fn forget(&mut self) {
        self.by_no.clear();
        self.by_id.clear();
    }

    fn remember(&mut self, id: &LocationId, no: i64) {
        self.by_no.insert(no, id.clone());
        self.by_id.insert(id.clone(), no);
    }
}

/// What the writer must know of an item at every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ItemFacts {
    pub(super) item_no: i64,
    /// `None`: not registered.
    pub(super) version: Option<u64>,
    pub(super) threshold_version: u64,
    pub(super) low_stock_threshold: Option<Quantity>,
}

impl ItemFacts {
    pub(super) const fn unregistered(item_no: i64) -> Self {
        Self { item_no, version: None, threshold_version: 0, low_stock_threshold: None }
    }
}

/// How many items the writer remembers (about 8 MB); beyond that it begins anew.
const ITEMS_MAX: usize = 65_536;

/// The facts of items as the writer's transaction sees them.
#[derive(Debug, Default)]
pub(super) struct ItemNames(HashMap<ItemId, ItemFacts>);

impl ItemNames {
    /// What is known of an item; `None` where it has no number.
    pub(super) fn facts(&mut self, connection: &Connection, item_id: &ItemId) -> Result<Option<ItemFacts>, Fault> {
        if let Some(facts) = self.0.get(item_id) {
            return Ok(Some(*facts));
        }
        let facts = super::rows::find_item(connection, item_id)?.map(|(item_no, item)| match item {
            Some(item) => ItemFacts {
                item_no,
                version: Some(item.version),
                threshold_version: item.threshold_version,
                low_stock_threshold: item.catalogue.low_stock_threshold,
            },
            None => ItemFacts::unregistered(item_no),
        });
        if let Some(facts) = facts {
            self.remember(item_id, facts);
        }
        Ok(facts)
    }

    /// Keeps what was just written.
    pub(super) fn remember(&mut self, item_id: &ItemId, facts: ItemFacts) {
        if self.0.len() >= ITEMS_MAX {
            self.0.clear();
        }
        self.0.insert(item_id.clone(), facts);
    }

    /// After a rollback.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
