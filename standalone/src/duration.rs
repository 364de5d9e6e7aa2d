use std::str::FromStr;
use std::time::Duration;

/// A span of time as people write it: `90s`, `15m`, `12h`, `400d`, or several (`1d12h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// The longest span: ten years, so that a slip of the finger makes no token for ever.
const MAX_SPAN_S: u64 = 3_653 * 24 * 3_600;

impl Span {
    /// In whole seconds.
    pub(crate) const fn seconds(self) -> u64 {
        self.0.as_secs()
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a span of time: write a number with s, m, h or d, such as 90s, 12h or 400d");
        let mut seconds: u64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit_s = match rest.as_bytes().get(digits) {
                Some(b's') => 1,
                Some(b'm') => 60,
                Some(b'h') => 3_600,
                Some(b'd') => 86_400,
                _ => return Err(wrong()),
            };
            seconds = number.checked_mul(unit_s).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
            rest = &rest[digits + 1..];
        }
        match seconds {
            0 => Err(wrong()),
            1..=MAX_SPAN_S => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(format!("{text:?} is longer than ten years")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_as_people_write_it() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("12h", 43_200), ("400d", 34_560_000), ("1d12h", 129_600)] {
            assert_eq!(text.parse::<Span>().unwrap().seconds(), seconds, "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused_with_examples() {
        for text in ["", "12", "h", "-1h", "1.5h", "0s", "12 h", "1w", "99999999999999999999h", "12hé", "é"] {
            assert!(text.parse::<Span>().unwrap_err().contains("such as 90s"), "{text}");
        }
        assert!("11000d".parse::<Span>().unwrap_err().contains("ten years"));
    }
}
