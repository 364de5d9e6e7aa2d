use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use stockline_core::domain::LocationId;

/// Maps the ids of locations to their numbers and back. Committed numbers never change, so each is read once.
#[derive(Debug, Default)]
pub(super) struct LocationNames {
    by_no: HashMap<i64, LocationId>,
    by_id: HashMap<LocationId, i64>,
}

impl LocationNames {
    /// Returns the id of a number.
    pub(super) fn id(&mut self, connection: &Connection, no: i64) -> Result<LocationId, Fault> {
        if let Some(id) = self.by_no.get(&no) {
            return Ok(id.clone());
        }
        let mut statement = connection.prepare_cached("SELECT location_id FROM location WHERE location_no = ?1")?;
        let text: Option<String> = statement.query_row([no], |row| row.get(0)).optional()?;
        let id: LocationId = text
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Fault::Unreadable(format!("a row names location number {no}, which does not exist")))?;
        self.remember(&id, no);
        Ok(id)
    }

    /// Returns the number of an id, if it has one.
    pub(super) fn no(&mut self, connection: &Connection, id: &LocationId) -> Result<Option<i64>, Fault> {
        if let Some(no) = self.by_id.get(id) {
            return Ok(Some(*no));
        }
        let mut statement = connection.prepare_cached("SELECT location_no FROM location WHERE location_id = ?1")?;
        let mut no: Option<i64> = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
        if no.is_none() {
            // A damaged index must not make a second number. The table is small, and new ids are rare.
            let mut all =
                connection.prepare_cached("SELECT location_no FROM location NOT INDEXED WHERE +location_id = ?1")?;
            no = all.query_row([id.as_str()], |row| row.get(0)).optional()?;
        }
        if let Some(no) = no {
            self.remember(id, no);
        }
        Ok(no)
    }

    /// Returns the number of an id, and assigns one if there is none. Only for the writer's transaction.
    pub(super) fn no_or_new(&mut self, connection: &Connection, id: &LocationId) -> Result<i64, Fault> {
        if let Some(no) = self.no(connection, id)? {
            return Ok(no);
        }
        connection.prepare_cached("INSERT INTO location (location_id) VALUES (?1)")?.execute([id.as_str()])?;
        let no = connection.last_insert_rowid();
        self.remember(id, no);
        Ok(no)
    }

    /// Forgets everything, after a rollback that may have undone new numbers.
    pub(super) fn forget(&mut self) {
        self.by_no.clear();
        self.by_id.clear();
    }

    fn remember(&mut self, id: &LocationId, no: i64) {
        self.by_no.insert(no, id.clone());
        self.by_id.insert(id.clone(), no);
    }
}
