//! Spreadsheets in: what a file says ([`read`]), what that would change ([`Plan`]), and the ids under which it is applied
//! ([`recipe`]).
//!
//! The crate does no I/O and reads no clock. Bytes of a file become a [`Table`]; a table, its [`Columns`] and what is
//! [`Known`] of the store become a [`Plan`]: every fault by line and column, and the commands of every other line. The
//! ingress asks the store and submits the commands, in both homes.
//!
//! The files depend on each other downwards only: `judge` → `plan`, `known` → `columns`, `cell` → `vendor`, `kind`; and
//! `read` → `xlsx`, `csv_text` → `opened` → `table`, `encoding`, `separators`, `format`, `recipe`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod cell;
mod columns;
mod csv_text;
mod encoding;
pub mod format;
mod judge;
mod kind;
mod known;
mod number;
mod opened;
mod plan;
mod read;
pub mod recipe;
mod result_file;
pub mod separators;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod vendor;
mod xlsx;

pub use cell::{clears, unquoted};
pub use columns::{Columns, ColumnsError, Options};
pub use judge::remedy::FAULT_CODES;
pub use kind::{Field, Kind};
pub use known::{Known, Needs};
pub use number::NumberFault;
pub use opened::{FileError, Opened, Sheet};
pub use plan::{Change, Effect, LineFault, May, Plan, PlannedLine, Step, Totals};
pub use read::read;
pub use result_file::{OWN_COLUMNS, result_file};
pub use table::{COLUMNS_MAX, LINES_MAX, Row, Table};
pub use template::template;
pub use vendor::Vendor;
