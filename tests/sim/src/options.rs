//! The options of a run.

use super::tamper::Tamper;

/// The options of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// The protocol rule that is removed.
    pub tamper: Option<Tamper>,
    /// Whether every call is written to the trace.
    pub traced: bool,
}
