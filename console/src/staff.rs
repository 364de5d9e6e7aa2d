//! The face for Staff: a phone and a scanner are enough.

pub(crate) mod count;
mod entry;
mod line;
pub(crate) mod lookup;
pub(crate) mod slip;
pub(crate) mod station;
