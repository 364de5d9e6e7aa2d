//! How a person reads numbers and times, from `Accept-Language`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::texts::{self, Texts};

/// The order and the separators of a date and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    /// The language, or language and region, in lower case.
    tag: &'static str,
    /// As `strftime`.
    day: &'static str,
    time: &'static str,
    decimal: char,
    group: char,
}

const NARROW_SPACE: char = '\u{202f}';

/// The formats that differ. The first one whose tag begins the person's language is taken, so regions stand before their
/// language.
const FORMATS: [Format; 22] = [
    Format { tag: "en-us", day: "%-m/%-d/%Y", time: "%-I:%M %p", decimal: '.', group: ',' },
    Format { tag: "en-ca", day: "%Y-%m-%d", time: "%-I:%M %p", decimal: '.', group: ',' },
    Format { tag: "en-za", day: "%Y/%m/%d", time: "%H:%M", decimal: ',', group: NARROW_SPACE },
    Format { tag: "en-", day: "%-d/%m/%Y", time: "%H:%M", decimal: '.', group: ',' },
    Format { tag: "de-ch", day: "%-d.%-m.%Y", time: "%H:%M", decimal: '.', group: '’' },
    Format { tag: "de", day: "%-d.%-m.%Y", time: "%H:%M", decimal: ',', group: '.' },
    Format { tag: "fr", day: "%d/%m/%Y", time: "%H:%M", decimal: ',', group: NARROW_SPACE },
    Format { tag: "es-mx", day: "%-d/%-m/%Y", time: "%H:%M", decimal: '.', group: ',' },
    Format { tag: "es", day: "%-d/%-m/%Y", time: "%H:%M", decimal: ',', group: '.' },
    Format { tag: "it", day: "%-d/%-m/%Y", time: "%H:%M", decimal: ',', group: '.' },
    Format { tag: "pt", day: "%d/%m/%Y", time: "%H:%M", decimal: ',', group: '.' },
    Format { tag: "nl", day: "%-d-%-m-%Y", time: "%H:%M", decimal: ',', group: '.' },
    Format { tag: "da", day: "%-d.%-m.%Y", time: "%H.%M", decimal: ',', group: '.' },
    Format { tag: "nb", day: "%-d.%-m.%Y", time: "%H:%M", decimal: ',', group: NARROW_SPACE },
    Format { tag: "fi", day: "%-d.%-m.%Y", time: "%-H.%M", decimal: ',', group: NARROW_SPACE },
    Format { tag: "sv", day: "%Y-%m-%d", time: "%H:%M", decimal: ',', group: NARROW_SPACE },
    Format { tag: "pl", day: "%-d.%m.%Y", time: "%H:%M", decimal: ',', group: NARROW_SPACE },
    Format { tag: "cs", day: "%-d. %-m. %Y", time: "%-H:%M", decimal: ',', group: NARROW_SPACE },
    Format { tag: "ru", day: "%d.%m.%Y", time: "%H:%M", decimal: ',', group: NARROW_SPACE },
    Format { tag: "tr", day: "%-d.%m.%Y", time: "%H:%M", decimal: ',', group: '.' },
    Format { tag: "ja", day: "%Y/%m/%d", time: "%-H:%M", decimal: '.', group: ',' },
    Format { tag: "zh", day: "%Y/%-m/%-d", time: "%H:%M", decimal: '.', group: ',' },
];

/// The format where none is known: that of ISO 8601.
const PLAIN: Format = Format { tag: "", day: "%Y-%m-%d", time: "%H:%M", decimal: '.', group: NARROW_SPACE };

/// How a person reads numbers and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Locale(Format);

impl Locale {
    /// Chooses by the languages that a browser names, the most wanted first.
    pub(crate) fn of(accepted: &str) -> Self {
        let mut wanted: Vec<(f32, String)> = accepted.split(',').filter_map(language).collect();
        wanted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let format = wanted.iter().find_map(|(_, tag)| {
            // A language without a region fits the formats of the language.
            let tag = if tag == "en" { "en-us" } else { tag };
            FORMATS.iter().find(|format| tag.starts_with(format.tag))
        });
        Self(*format.unwrap_or(&PLAIN))
    }

    /// Returns the words. There is one language so far.
    pub(crate) fn texts(self) -> &'static Texts {
        &texts::en::EN
    }

    /// Writes a decimal string, such as `1234.5`, as the person reads it.
    pub(crate) fn number(self, decimal: &str) -> String {
        let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal), |rest| ("−", rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut text = sign.to_owned();
        let count = whole.chars().count();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (count - at).is_multiple_of(3) {
                text.push(self.0.group);
            }
            text.push(digit);
        }
        if !fraction.is_empty() {
            text.push(self.0.decimal);
            text.push_str(fraction);
        }
        text
    }

    /// As [`Self::number`], with a sign also where it is positive.
    pub(crate) fn change(self, decimal: &str) -> String {
        let text = self.number(decimal);
        if decimal.starts_with('-') || decimal == "0" { text } else { format!("+{text}") }
    }

    /// Writes day and time of an RFC 3339 time in a time zone.
    pub(crate) fn moment(self, time: &str, zone: &str) -> String {
        self.written(time, zone, &format!("{} {}", self.0.day, self.0.time))
    }

    /// Writes the day of an RFC 3339 time in a time zone.
    pub(crate) fn day(self, time: &str, zone: &str) -> String {
        self.written(time, zone, self.0.day)
    }

    fn written(self, time: &str, zone: &str, format: &str) -> String {
        let Ok(time) = time.parse::<Timestamp>() else { return time.to_owned() };
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        time.to_zoned(zone).strftime(format).to_string()
    }

    /// Reads a number as the person types it, as a decimal string: the decimal sign may be theirs or a point. Returns the
    /// text itself where it is not such a number, so that the API says what is wrong.
    pub(crate) fn typed(self, text: &str) -> String {
        let text: String = text.trim().chars().filter(|c| !c.is_whitespace()).collect();
        let text = text.replace('−', "-");
        let commas = text.matches(',').count();
        let has_point = text.contains('.');
        match (self.0.decimal, commas, has_point) {
            // `1,5` of a person who writes decimals with a comma.
            (',', 1, false) => text.replace(',', "."),
            // `1.234,5`, where the points group.
            (',', 1, true) => text.replace('.', "").replace(',', "."),
            // `1,234.5`, where the commas group.
            ('.', 1.., _) if groups(&text) => text.replace(',', ""),
            _ => text,
        }
    }
}

/// Whether the commas of a number stand before groups of three digits.
fn groups(text: &str) -> bool {
    let whole = text.split('.').next().unwrap_or_default();
    let mut parts = whole.trim_start_matches('-').split(',');
    let first = parts.next().unwrap_or_default();
    (1..=3).contains(&first.len()) && parts.all(|part| part.len() == 3)
}

/// Reads `de-CH;q=0.8`.
fn language(part: &str) -> Option<(f32, String)> {
    let (tag, rest) = part.split_once(';').unwrap_or((part, ""));
    let weight = rest.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok())?;
    let tag = tag.trim().to_ascii_lowercase();
    (!tag.is_empty() && tag != "*" && weight > 0.0).then_some((weight, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_as_the_person_reads_them() {
        let time = "2026-01-31T23:05:00Z";
        for (accepted, number, moment) in [
            ("en-US,en;q=0.9", "−1,234,567.5", "2/1/2026 12:05 AM"),
            ("en-GB", "−1,234,567.5", "1/02/2026 00:05"),
            ("de-AT,de;q=0.9,en;q=0.8", "−1.234.567,5", "1.2.2026 00:05"),
            ("de-CH", "−1’234’567.5", "1.2.2026 00:05"),
            ("tlh;q=0.9,fr;q=0.5,en;q=0.2", "−1\u{202f}234\u{202f}567,5", "01/02/2026 00:05"),
            ("", "−1\u{202f}234\u{202f}567.5", "2026-02-01 00:05"),
            ("*, ;;q=x", "−1\u{202f}234\u{202f}567.5", "2026-02-01 00:05"),
        ] {
            let locale = Locale::of(accepted);
            assert_eq!(locale.number("-1234567.5"), number, "{accepted}");
            assert_eq!(locale.moment(time, "Europe/Berlin"), moment, "{accepted}");
        }
        assert_eq!(Locale::of("en").number("123"), "123");
        assert_eq!(Locale::of("en").change("12"), "+12");
        assert_eq!(Locale::of("en").moment("soon", "Nowhere"), "soon");
    }

    #[test]
    fn a_number_is_read_as_the_person_types_it() {
        for (accepted, typed, read) in [
            ("de", "1,5", "1.5"),
            ("de", "1.5", "1.5"),
            ("de", "1.234,5", "1234.5"),
            ("en", "1,234.5", "1234.5"),
            ("en", "1,234", "1234"),
            ("en", "1,5", "1,5"),
            ("fr", " 12 ", "12"),
            ("en", "−3", "-3"),
            ("en", "two", "two"),
        ] {
            assert_eq!(Locale::of(accepted).typed(typed), read, "{accepted} {typed}");
        }
    }
}
