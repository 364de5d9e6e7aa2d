//! Problems, as the server sends them.

use serde::{Deserialize, Serialize};

/// A problem (RFC 9457), as the server sends it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    pub(crate) code: String,
    pub(crate) errors: Vec<ProblemFault>,
}

/// One fault of a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ProblemFault {
    pub(crate) pointer: String,
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = if self.detail.is_empty() { &self.title } else { &self.detail };
        // The faults follow, so that nobody needs to be told where they are.
        let text = text.split_once("; errors name").map_or(text.as_str(), |(text, _)| text);
        write!(f, "{}", told(text))?;
        if !self.code.is_empty() {
            write!(f, " [{}]", self.code)?;
        }
        for fault in &self.errors {
            write!(f, "\n  {} {}", fault.pointer.trim_start_matches(['/', '?']), fault.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// Reports whether the caller lacks the right, so that trying again does not help.
    pub(crate) const fn is_denial(&self) -> bool {
        matches!(self.status, 401 | 403)
    }
}

/// Returns what a server tells, with the subcommand in the place of the request or command that it advises.
pub(crate) fn told(detail: &str) -> String {
    let detail = detail.replace("with PUT /v1/locations/", "with stockline locations put ");
    detail.replace("with register_item", "with stockline submit register_item")
}
