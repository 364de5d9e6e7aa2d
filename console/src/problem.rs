//! The API's problems, as the pages read them.

use serde::Deserialize;

/// An answer that is not a success (RFC 9457).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) errors: Vec<ProblemError>,
}

/// One fault of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProblemError {
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

impl Problem {
    /// Says what is wrong: every fault of the request, or the whole.
    pub(crate) fn in_words(self) -> String {
        let field = |error: &ProblemError| error.pointer.trim_start_matches(['/', '?']).to_owned();
        let faults = self.errors.iter().map(|error| format!("{} {}", field(error), error.detail).trim().to_owned());
        let faults: Vec<String> = faults.collect();
        if faults.is_empty() { self.detail } else { faults.join("; ") }
    }
}
