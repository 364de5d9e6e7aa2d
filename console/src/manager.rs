//! The face for Managers. Staff see those pages that only read.

pub(crate) mod edit;
pub(crate) mod item;
pub(crate) mod items;
pub(crate) mod locations;
pub(crate) mod operations;
pub(crate) mod people;
pub(crate) mod refused;
pub(crate) mod today;
