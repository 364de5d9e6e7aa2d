use std::str::FromStr;

use stockline_core::domain::Reason;

/// What Staff may do beyond design.md §4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaffMay {
    /// `count`
    pub count: bool,
    /// `adjust` for these reasons.
    pub adjust: Vec<Reason>,
}

/// A word that names nothing Staff could be allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?}: it takes count, {}", Reason::ALL.map(|reason| format!("adjust:{}", reason.as_str())).join(", "))]
pub struct StaffMayError {
    word: String,
}

impl FromStr for StaffMay {
    type Err = StaffMayError;

    /// `count,adjust:damaged`; nothing is nothing more than the default.
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
