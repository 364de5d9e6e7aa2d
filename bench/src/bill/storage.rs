//! Permanent storage and its monthly cost.

use super::SECONDS;
use super::assumptions::Assumptions;
use super::measure::Measured;
use super::stored::Stored;

/// The data that a command rate leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Storage {
    /// Outcomes and ledger entries of one month.
    pub(super) a_month: Stored,
    /// Levels, which do not grow with the commands.
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

    /// Returns the stored bytes after this many months.
    pub(super) fn after(&self, months: f64) -> Stored {
        self.a_month.times(months).plus(self.levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bill::GB;

    #[test]
    fn each_command_leaves_an_outcome_and_a_twelfth_of_a_chunk() {
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
