//! The AWS prices of the units that the meter counts.

pub(crate) mod list;

/// List prices, in dollars per million units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prices {
    /// A DynamoDB write request unit, on demand.
    pub(crate) wru: f64,
    /// A DynamoDB read request unit, on demand.
    pub(crate) rru: f64,
    /// An SQS FIFO request of up to [`SQS_CHUNK_BYTES`].
    pub(crate) sqs_request: f64,
}

/// The list prices of us-east-1, without free tiers or discounts.
pub(crate) const LIST: Prices =
    Prices { wru: list::WRU.dollars, rru: list::RRU.dollars, sqs_request: list::SQS_FIFO.dollars };

/// The region and month of [`LIST`].
pub(crate) const LIST_IS_OF: &str = "us-east-1, 2026-11";

/// SQS bills every started part of a payload of this size as one request.
pub(crate) const SQS_CHUNK_BYTES: usize = 64 * 1024;

/// DynamoDB adds this many bytes to the billed storage of each row and of each index entry (its developer guide, "item
/// sizes and formats").
pub(crate) const STORED_OVERHEAD_BYTES: usize = 100;

/// DynamoDB bills one write unit for every started part of a row of this size.
pub(crate) const WRITE_UNIT_BYTES: usize = 1024;

/// The billed units of a number of commands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Units {
    /// The settled commands.
    pub(crate) commands: f64,
    /// Write request units of the table.
    pub(crate) wru: f64,
    /// Write request units of the indexes.
    pub(crate) index_wru: f64,
    /// Read request units.
    pub(crate) rru: f64,
    /// SQS requests as billed.
    pub(crate) sqs_requests: f64,
}

impl Units {
    /// Returns the units per command; without commands, all are zero.
    pub(crate) fn per_command(&self) -> Self {
        let commands = self.commands.max(1.0);
        Self {
            commands: 1.0,
            wru: self.wru / commands,
            index_wru: self.index_wru / commands,
            rru: self.rru / commands,
            sqs_requests: self.sqs_requests / commands,
        }
    }

    /// Returns the dollars for a million such commands, without the indexes.
    pub(crate) fn dollars_per_million(&self, prices: &Prices) -> f64 {
        let one = self.per_command();
        one.wru * prices.wru + one.rru * prices.rru + one.sqs_requests * prices.sqs_request
    }

    /// Returns the dollars for a million such commands, with the indexes.
    pub(crate) fn dollars_with_indexes(&self, prices: &Prices) -> f64 {
        self.dollars_per_million(prices) + self.per_command().index_wru * prices.wru
    }
}

/// Returns the requests that SQS bills for a payload. An empty payload is one request.
pub(crate) const fn sqs_requests(payload_bytes: usize) -> u64 {
    if payload_bytes == 0 { 1 } else { payload_bytes.div_ceil(SQS_CHUNK_BYTES) as u64 }
}

/// Returns the write units of one row outside a transaction.
pub(crate) const fn write_units(row_bytes: usize) -> u64 {
    if row_bytes == 0 { 1 } else { row_bytes.div_ceil(WRITE_UNIT_BYTES) as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_million_commands_is_the_cost_of_their_units() {
        let units = Units { commands: 8.0, wru: 34.0, index_wru: 8.0, rru: 16.0, sqs_requests: 2.4 };
        // 4.25 × 0.625 + 2 × 0.125 + 0.3 × 0.50
        assert!((units.dollars_per_million(&LIST) - 3.056_25).abs() < 1e-9);
        assert!((units.dollars_with_indexes(&LIST) - 3.681_25).abs() < 1e-9);
    }

    #[test]
    fn a_started_unit_is_billed_as_a_whole_one() {
        assert_eq!((write_units(0), write_units(1_024), write_units(1_025)), (1, 1, 2));
        assert_eq!((sqs_requests(0), sqs_requests(65_536), sqs_requests(65_537)), (1, 1, 2));
    }
}
