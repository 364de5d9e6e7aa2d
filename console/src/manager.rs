//! The face for Managers. Staff see those pages that only read.

mod bulk;
pub(crate) mod edit;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod item;
mod item_fields;
pub(crate) mod items;
pub(crate) mod locations;
mod mapping;
pub(crate) mod operations;
pub(crate) mod orders;
pub(crate) mod people;
pub(crate) mod refused;
mod report_cell;
mod report_chart;
pub(crate) mod report_csv;
pub(crate) mod reports;
pub(crate) mod tills;
pub(crate) mod today;
