//! Durations on the command line.

use std::str::FromStr;
use std::time::Duration;

use jiff::SpanRelativeTo;

/// A duration as people write it: `90s`, `15m`, `12h`, `400d` or `1d12h`. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// Ten years, so that a typing error does not make a token that never expires.
const MAX_SPAN: Duration = Duration::from_secs(3_653 * 24 * 3_600);

impl Span {
    /// Returns the whole seconds.
    pub(crate) const fn seconds(self) -> u64 {
        self.0.as_secs()
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .parse::<jiff::Span>()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .filter(|duration| *duration >= Duration::from_secs(1));
        match parsed {
            Some(duration) if duration <= MAX_SPAN => Ok(Self(duration)),
            Some(_) => Err(format!("{text:?} is longer than ten years")),
            None => Err(format!(
                "{text:?} is not a duration: write numbers with s, m, h or d, the largest unit first, such as 90s, 12h, 400d or 1d12h"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_people_write_it() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("12h", 43_200),
            ("400d", 34_560_000),
            ("1d12h", 129_600),
            ("1d2h3m4s", 93_784),
            ("90m", 5_400),
            ("0400d", 34_560_000),
            ("315360000s", 315_360_000),
            ("87600h", 315_360_000),
            ("1.5h", 5_400),
            ("2 weeks", 1_209_600),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_examples() {
        for text in ["", "12", "h", "-1h", "0s", "0.5s", "1mo", "99999999999999999999h", "12hé", "é", "1h ago"] {
            assert!(text.parse::<Span>().unwrap_err().contains("such as 90s"), "{text}");
        }
        assert!("11000d".parse::<Span>().unwrap_err().contains("ten years"));
    }
}
