use std::str::FromStr;

use stockline_core::domain::Reason;

/// What Staff may do beyond design.md §4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaffMay {
    /// Staff may submit `count`.
    pub count: bool,
    /// Staff may submit `adjust` with these reasons.
    pub adjust: Vec<Reason>,
}

/// A word that names no permission for Staff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a permission for Staff; it must be count, {}", Reason::ALL.map(|reason| format!("adjust:{}", reason.as_str())).join(", "))]
pub struct StaffMayError {
    word: String,
}

impl FromStr for StaffMay {
    type Err = StaffMayError;

    /// Parses permissions such as `count,adjust:damaged`; an empty text adds none.
    fn from_str(text: &str) -> Result<Self, StaffMayError> {
        let mut may = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let reason = word.strip_prefix("adjust:").and_then(Reason::from_word);
            match (word, reason) {
                ("count", _) => may.count = true,
                (_, Some(reason)) => may.adjust.push(reason),
                _ => return Err(StaffMayError { word: word.to_owned() }),
            }
        }
        Ok(may)
    }
}
