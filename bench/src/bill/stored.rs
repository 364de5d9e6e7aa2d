//! Stored bytes and their price.

use super::GB;
use crate::prices::{STORED_OVERHEAD_BYTES, list};

/// Stored bytes of the table and of its indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct Stored {
    pub(crate) table: f64,
    pub(crate) indexes: f64,
}

impl Stored {
    /// Returns the stored bytes of one row. `index_bytes` already includes the overhead of index entries.
    pub(crate) fn row(bytes: f64, index_bytes: f64) -> Self {
        Self { table: bytes + STORED_OVERHEAD_BYTES as f64, indexes: index_bytes }
    }

    pub(crate) fn times(self, rows: f64) -> Self {
        Self { table: self.table * rows, indexes: self.indexes * rows }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { table: self.table + other.table, indexes: self.indexes + other.indexes }
    }

    /// Returns the dollars a month: storage of table and indexes, recovery of the table.
    pub(super) fn dollars(self) -> f64 {
        list::STORAGE.of((self.table + self.indexes) / GB) + list::PITR.of(self.table / GB)
    }
}
