//! How a file writes its numbers and times.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use stockline_core::domain::{CommandKind, Timestamp};

/// The mark before the fraction of a number. The other one may separate thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    /// `1,250.5`
    Point,
    /// `1.250,5`
    Comma,
}

impl FromStr for Decimal {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "." | "point" => Ok(Self::Point),
            "," | "comma" => Ok(Self::Comma),
            _ => Err("must be . or ,"),
        }
    }
}

/// The moment that a date without a time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateMeans {
    /// The beginning of the day, before it opens.
    Start,
    /// The end of the day.
    End,
    /// A time of the day.
    At(Time),
}

impl FromStr for DateMeans {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "start" => Ok(Self::Start),
            "end" => Ok(Self::End),
            _ => text.parse().map(Self::At).map_err(|_| "must be start, end or a time such as 18:30"),
        }
    }
}

/// How the cells of a file are read.
#[derive(Debug, Clone)]
pub struct Format {
    /// The zone of times without an offset.
    pub zone: Option<TimeZone>,
    /// The mark before fractions, if it was said.
    pub decimal: Option<Decimal>,
    /// What a date without a time means, if it was said.
    pub date_means: Option<DateMeans>,
}

/// Why a cell can't be read without being told more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclear {
    /// A time without an offset, and no zone.
    Zone,
    /// A date without a time, where the moment of the day matters.
    DateAlone,
    /// `1.250`: a thousand or a fraction.
    Thousands,
}

impl Unclear {
    /// Returns what is unclear and what to do, to be read after the value.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Zone => "has no offset: name its time zone, such as --time-zone Europe/Berlin or --time-zone +01:00",
            Self::DateAlone => {
                "is a date without a time: say when on that day the shelf was counted, with --date-means start, \
                 --date-means end or --date-means 18:30"
            }
            Self::Thousands => {
                "may be a whole number or a fraction: say which mark stands before fractions, with --decimal . or --decimal ,"
            }
        }
    }
}

impl Format {
    /// Reports why a number is unclear.
    pub fn unclear_number(&self, value: &str) -> Option<Unclear> {
        (self.decimal.is_none() && has_thousands(value, '.')).then_some(Unclear::Thousands)
    }

    /// Reports why a time is unclear.
    pub fn unclear_time(&self, value: &str, kind: CommandKind) -> Option<Unclear> {
        if value.parse::<Timestamp>().is_ok() || value.parse::<DateTime>().is_err() {
            None
        } else if self.zone.is_none() {
            Some(Unclear::Zone)
        } else if date_alone(value).is_some() && self.date_means.is_none() && kind == CommandKind::Count {
            Some(Unclear::DateAlone)
        } else {
            None
        }
    }

    /// Returns a number as the API writes it, if the file's own form is known.
    pub fn number(&self, value: &str) -> Option<String> {
        let (mark, thousands) = match self.decimal? {
            Decimal::Point => ('.', ','),
            Decimal::Comma => (',', '.'),
        };
        let (whole, fraction) = value.split_once(mark).map_or((value, None), |(whole, rest)| (whole, Some(rest)));
        let whole = if has_thousands(whole, thousands) { whole.replace(thousands, "") } else { whole.to_owned() };
        // What is still no number is refused with the line.
        Some(fraction.map_or(whole.clone(), |fraction| format!("{whole}.{fraction}")))
    }

    /// Returns the moment of a time without an offset; `None` if it has one or is no time. `previous` is the moment of the
    /// line before. The moment does not depend on when the file is read: loaded again, a line is the same command. The server
    /// takes a moment that is still to come as the one of acceptance.
    pub fn moment(&self, value: &str, previous: Option<Timestamp>) -> Option<Timestamp> {
        if value.parse::<Timestamp>().is_ok() {
            return None;
        }
        let zone = self.zone.as_ref()?;
        let Some(date) = date_alone(value) else {
            return local(value.parse().ok()?, zone, previous);
        };
        match self.date_means {
            Some(DateMeans::Start) => local(date.to_datetime(Time::midnight()), zone, None),
            Some(DateMeans::At(time)) => local(date.to_datetime(time), zone, previous),
            // The lines of a day keep the order of the file, behind what was counted on that day.
            Some(DateMeans::End) | None => {
                Some(local(date.tomorrow().ok()?.to_datetime(Time::midnight()), zone, None)?.plus_millis(-1))
            }
        }
    }
}

fn date_alone(value: &str) -> Option<Date> {
    const DATE_CHARACTERS: usize = 10;
    (value.len() == DATE_CHARACTERS).then(|| value.parse().ok()).flatten()
}

/// Converts a local time. In the hour that occurs twice in autumn, a line behind the line `previous` comes after it.
fn local(time: DateTime, zone: &TimeZone, previous: Option<Timestamp>) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_zoned(time);
    let folded = matches!(ambiguous.offset(), AmbiguousOffset::Fold { .. });
    let of = |zoned: jiff::Zoned| Timestamp::from_millis(zoned.timestamp().as_millisecond());
    if folded {
        let (first, second) = (of(ambiguous.clone().earlier().ok()?), of(ambiguous.later().ok()?));
        let after_first = previous.is_some_and(|previous| previous > first && previous <= second);
        return Some(if after_first { second } else { first });
    }
    ambiguous.compatible().ok().map(of)
}

/// Reports whether a number has groups of three digits behind this mark, as in `1.250` or `2.000.000`, and could be meant so.
pub(crate) fn has_thousands(value: &str, mark: char) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = value.strip_prefix(['-', '+']).unwrap_or(value).split(mark);
    let first = groups.next().unwrap_or_default();
    let mut others = groups.peekable();
    (1..=3).contains(&first.len())
        && digits(first)
        && !first.starts_with('0')
        && others.peek().is_some()
        && others.all(|group| group.len() == 3 && digits(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(zone: Option<&str>, decimal: Option<Decimal>, date_means: Option<&str>) -> Format {
        Format {
            zone: zone.map(|zone| TimeZone::get(zone).unwrap()),
            decimal,
            date_means: date_means.map(|text| text.parse().unwrap()),
        }
    }

    #[test]
    fn a_number_that_could_be_a_thousand_is_unclear_until_it_is_said() {
        let plain = format(None, None, None);
        for unclear in ["1.250", "12.000", "-1.000", "2.000.000"] {
            assert_eq!(plain.unclear_number(unclear), Some(Unclear::Thousands), "{unclear}");
        }
        for clear in ["950", "0.375", "1.25", "1250.000", "1,0", "", "x.yyy"] {
            assert_eq!(plain.unclear_number(clear), None, "{clear}");
        }
        let number = |decimal, text: &str| format(None, Some(decimal), None).number(text).unwrap();
        assert_eq!(number(Decimal::Comma, "1.250"), "1250");
        assert_eq!(number(Decimal::Comma, "1.000,50"), "1000.50");
        assert_eq!(number(Decimal::Comma, "2.000.000"), "2000000");
        assert_eq!(number(Decimal::Comma, "1.5"), "1.5", "half a thousand is no thousand; the line is read as it is");
        assert_eq!(number(Decimal::Point, "1.250"), "1.250");
        assert_eq!(number(Decimal::Point, "1,250.5"), "1250.5");
        assert_eq!(number(Decimal::Point, "1,5"), "1,5", "refused by the server, with the line");
        assert_eq!(plain.number("1.250"), None);
    }

    #[test]
    fn a_date_alone_is_asked_for_in_counts_and_the_end_of_its_day_in_sales() {
        let berlin = format(Some("Europe/Berlin"), None, None);
        assert_eq!(berlin.unclear_time("2026-11-19", CommandKind::Count), Some(Unclear::DateAlone));
        assert_eq!(berlin.unclear_time("2026-11-19", CommandKind::Sell), None);
        assert_eq!(berlin.unclear_time("2026-11-19T10:00", CommandKind::Count), None);
        assert_eq!(format(None, None, None).unclear_time("2026-11-19", CommandKind::Sell), Some(Unclear::Zone));
        let at = |format: &Format, text: &str| format.moment(text, None).map_or("none".into(), |at| at.to_string());
        assert_eq!(at(&berlin, "2026-11-19"), "2026-11-19T22:59:59.999Z");
        assert_eq!(at(&berlin, "2026-11-20T08:00:00"), "2026-11-20T07:00:00.000Z");
        assert_eq!(at(&berlin, "2026-11-20T08:00:00Z"), "none", "its own offset wins");
        let means = |means: &str| at(&format(Some("Europe/Berlin"), None, Some(means)), "2026-11-19");
        assert_eq!(means("start"), "2026-11-18T23:00:00.000Z");
        assert_eq!(means("18:30"), "2026-11-19T17:30:00.000Z");
        assert!("noon".parse::<DateMeans>().is_err());
    }

    #[test]
    fn in_the_hour_that_occurs_twice_the_order_of_the_file_decides() {
        let berlin = format(Some("Europe/Berlin"), None, None);
        let mut previous = None;
        let mut times = Vec::new();
        for text in ["01:50", "02:10", "02:50", "02:10", "02:50", "03:05"] {
            let at = berlin.moment(&format!("2026-10-25T{text}:00"), previous).unwrap();
            previous = Some(at);
            times.push(at.to_string()[11..16].to_owned());
        }
        assert_eq!(times, ["23:50", "00:10", "00:50", "01:10", "01:50", "02:05"]);
    }
}
