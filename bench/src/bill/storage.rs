//! What is kept for good, and what that costs a month.

use super::assume::Assumptions;
use super::measure::Measured;
use super::{GB, SECONDS};
use crate::prices::{STORED_OVERHEAD_BYTES, list};

/// Stored bytes of table and indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub(crate) struct Stored {
    pub(crate) table: f64,
    pub(crate) indexes: f64,
}

impl Stored {
    /// Of a row, its overhead added; the indexes' is in their size already.
    pub(crate) fn row(bytes: f64, index_bytes: f64) -> Self {
        Self { table: bytes + STORED_OVERHEAD_BYTES as f64, indexes: index_bytes }
    }

    pub(crate) fn times(self, rows: f64) -> Self {
        Self { table: self.table * rows, indexes: self.indexes * rows }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { table: self.table + other.table, indexes: self.indexes + other.indexes }
    }

    /// A month's dollars: storage of both, recovery of the table.
    pub(super) fn dollars(self) -> f64 {
        list::STORAGE.of((self.table + self.indexes) / GB) + list::PITR.of(self.table / GB)
    }
}

/// What a rate leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Storage {
    /// Outcomes and ledger of a month.
    pub(super) a_month: Stored,
    /// Levels, which don't grow with commands.
    pub(super) levels: Stored,
}

impl Storage {
    pub(super) fn of(rate: f64, measured: &Measured, assumed: &Assumptions) -> Self {
        let levels = assumed.shops(rate) * assumed.levels;
        Self {
            a_month: measured.stored_per_command.times(rate * SECONDS),
            levels: measured.stored_per_level.times(levels),
        }
    }

    /// After so many months.
    pub(super) fn after(&self, months: f64) -> Stored {
        self.a_month.times(months).plus(self.levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_and_a_twelfth_of_a_chunk_are_kept_of_each_command() {
        // (720 + 100) + (710 + 100) / 12 = 887.5 bytes
        let command = Stored::row(720.0, 0.0).plus(Stored::row(710.0, 0.0).times(1.0 / 12.0));
        assert!((command.table - 887.5).abs() < 1e-9);
        let storage = Storage { a_month: command.times(SECONDS), levels: Stored { table: GB, indexes: GB } };
        // 2,628,000 commands of a month at 1/s are 2.172 GB; a year of them and the levels:
        let year = storage.after(12.0);
        assert!((year.table / GB - (12.0 * 2.172_18 + 1.0)).abs() < 1e-3, "{}", year.table / GB);
        // 27.066 GB at 0.25 + 0.20, 1 GB of indexes at 0.25
        assert!((year.dollars() - 12.43).abs() < 0.01, "{}", year.dollars());
    }
}
