use std::str::FromStr;

use stockline_core::domain::Reason;

/// What Staff may do beyond design.md §4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffMay {
    /// Staff may submit `count`.
    pub count: bool,
    /// Staff may submit `adjust` with these reasons.
    pub adjust: Vec<Reason>,
    /// For how long after its acceptance Staff may take back a movement of their own, in seconds; 0 means never.
    pub reverse_within_s: u32,
}

impl Default for StaffMay {
    fn default() -> Self {
        Self { count: false, adjust: Vec::new(), reverse_within_s: 3_600 }
    }
}

/// A word that names no permission for Staff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a permission for Staff; it must be count, reverse:SECONDS, {}", Reason::ALL.map(|reason| format!("adjust:{}", reason.as_str())).join(", "))]
pub struct StaffMayError {
    word: String,
}

impl FromStr for StaffMay {
    type Err = StaffMayError;

    /// Parses permissions such as `count,adjust:damaged,reverse:7200`; an empty text adds none. Without a word for it, Staff
    /// may take back their own movements for an hour.
    fn from_str(text: &str) -> Result<Self, StaffMayError> {
        let mut may = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let reason = word.strip_prefix("adjust:").and_then(Reason::from_word);
            let seconds = word.strip_prefix("reverse:").and_then(|seconds| seconds.parse().ok());
            match (word, reason, seconds) {
                ("count", ..) => may.count = true,
                (_, Some(reason), _) => may.adjust.push(reason),
                (_, _, Some(seconds)) => may.reverse_within_s = seconds,
                _ => return Err(StaffMayError { word: word.to_owned() }),
            }
        }
        Ok(may)
    }
}
