//! The handlers, one file a subject.

pub(crate) mod about;
pub(crate) mod analytics;
pub(crate) mod barcodes;
pub(crate) mod batch;
pub(crate) mod clients;
pub(crate) mod commands;
pub(crate) mod dismiss;
pub(crate) mod history;
pub(crate) mod imports;
pub(crate) mod items;
pub(crate) mod locations;
mod path;
mod read;
mod reports;
pub(crate) mod resubmit;
mod sent;
pub(crate) mod status;
pub(crate) mod stock;
pub(crate) mod submit;

pub(crate) use reports::KeptReports;
