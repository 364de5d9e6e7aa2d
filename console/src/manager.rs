//! The face for Managers. Staff see those pages that only read.

pub(crate) mod edit;
pub(crate) mod item;
pub(crate) mod items;
pub(crate) mod refused;
pub(crate) mod today;
