//! Times as people write and read them: local unless they ask for UTC.

use std::str::FromStr;

use clap::Args;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;

use crate::duration::Span;

/// A time or a day on the command line. What it means depends on the zone and on the present day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// A time with an offset.
    At(Timestamp),
    /// A time without an offset.
    Local(DateTime),
    /// A day.
    Day(Date),
    /// The day so many days ago; today is 0.
    DaysAgo(i32),
    /// This long ago.
    Ago(Span),
}

/// The characters of a day such as 2026-11-20.
const DAY_CHARACTERS: usize = 10;

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = match text.to_lowercase().as_str() {
            "today" => Some(Self::DaysAgo(0)),
            "yesterday" => Some(Self::DaysAgo(1)),
            _ => None,
        };
        let local = || match text.len() {
            DAY_CHARACTERS => text.parse().ok().map(Self::Day),
            _ => text.parse().ok().map(Self::Local),
        };
        let ago = || text.strip_suffix("ago").unwrap_or(text).trim().parse().ok().map(Self::Ago);
        let found = word.or_else(|| text.parse().ok().map(Self::At)).or_else(local).or_else(ago);
        found.ok_or_else(|| {
            format!(
                "{text:?} is neither a time nor a day: write 2026-11-20, \"2026-11-20 18:30\", 2026-11-20T18:30:00+01:00, yesterday, today or 12h"
            )
        })
    }
}

/// Whether times are local.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct UtcArg {
    /// Show times in UTC, and read times without an offset as UTC [default: this machine's time zone]
    #[arg(long)]
    pub(crate) utc: bool,
}

/// The zone in which times are read and shown, and the present time.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    zone: TimeZone,
    utc: bool,
    now: Timestamp,
}

impl Times {
    /// Chooses UTC or this machine's zone.
    pub(crate) fn of(arg: UtcArg) -> Self {
        let zone = if arg.utc { TimeZone::UTC } else { TimeZone::system() };
        Self { zone, utc: arg.utc, now: SystemClock.now() }
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
        at.to_zoned(self.zone.clone())
    }

    /// Returns the time meant; of a day, its begin.
    pub(crate) fn begin(&self, when: When) -> Timestamp {
        match when {
            When::At(at) => at,
            When::Local(time) => self.at(time),
            When::Day(day) => self.at(day.at(0, 0, 0, 0)),
            When::DaysAgo(days) => self.at(self.day(days).at(0, 0, 0, 0)),
            When::Ago(span) => self.now.plus_millis(-i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// Returns the time meant; of a day, its end, which is the begin of the next one.
    pub(crate) fn end(&self, when: When) -> Timestamp {
        match when {
            When::Day(day) => self.begin(day.tomorrow().map_or(when, When::Day)),
            When::DaysAgo(days) => self.begin(When::DaysAgo(days - 1)),
            _ => self.begin(when),
        }
    }

    fn day(&self, days_ago: i32) -> Date {
        self.zoned(self.now).date().saturating_sub(days_ago.days())
    }

    /// Where the clocks change, jiff's usual choice is taken: the first of two equal times, and later for a missing one.
    fn at(&self, time: DateTime) -> Timestamp {
        let at = self.zone.to_ambiguous_timestamp(time).compatible().unwrap_or_default();
        Timestamp::from_millis(at.as_millisecond())
    }

    /// Shows a time of an answer to the second: `2026-11-20 18:30:05`, in UTC `2026-11-20T17:30:05Z`.
    pub(crate) fn second(&self, text: &str) -> String {
        self.show(text, if self.utc { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%S" })
    }

    /// Shows a time of an answer to the minute.
    pub(crate) fn minute(&self, text: &str) -> String {
        self.show(text, if self.utc { "%Y-%m-%dT%H:%MZ" } else { "%Y-%m-%d %H:%M" })
    }

    /// Shows the day of a time of an answer.
    pub(crate) fn day_of(&self, text: &str) -> String {
        self.show(text, "%Y-%m-%d")
    }

    /// What is not a time is shown as it is.
    fn show(&self, text: &str, format: &str) -> String {
        text.parse().map_or_else(|_| text.to_owned(), |at| self.zoned(at).strftime(format).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(zone: &str, now: &str) -> Times {
        Times { zone: TimeZone::get(zone).unwrap(), utc: zone == "UTC", now: now.parse().unwrap() }
    }

    #[test]
    fn a_day_is_the_local_day_from_its_begin_to_its_end() {
        let berlin = times("Europe/Berlin", "2026-11-29T23:30:00Z");
        let of = |text: &str| {
            let when = text.parse().unwrap();
            (berlin.begin(when).to_string(), berlin.end(when).to_string())
        };
        let day = ("2026-11-19T23:00:00.000Z".to_owned(), "2026-11-20T23:00:00.000Z".to_owned());
        assert_eq!(of("2026-11-20"), day);
        // It is already the 30th there.
        assert_eq!(of("yesterday"), ("2026-11-28T23:00:00.000Z".into(), "2026-11-29T23:00:00.000Z".into()));
        assert_eq!(of("TODAY"), ("2026-11-29T23:00:00.000Z".into(), "2026-11-30T23:00:00.000Z".into()));
        // The day on which the clocks go back has 25 hours.
        assert_eq!(of("2026-10-25"), ("2026-10-24T22:00:00.000Z".into(), "2026-10-25T23:00:00.000Z".into()));
    }

    #[test]
    fn a_time_has_an_offset_or_is_local() {
        let of = |zone: &str, text: &str| times(zone, "2026-11-29T23:30:00Z").begin(text.parse().unwrap()).to_string();
        for text in ["2026-11-20 18:30", "2026-11-20T18:30", "2026-11-20 18:30:00"] {
            assert_eq!(of("Europe/Berlin", text), "2026-11-20T17:30:00.000Z", "{text}");
            assert_eq!(of("UTC", text), "2026-11-20T18:30:00.000Z", "{text}");
        }
        assert_eq!(of("Asia/Tokyo", "2026-11-20T18:30:00+01:00"), "2026-11-20T17:30:00.000Z");
        assert_eq!(of("UTC", "12h"), "2026-11-29T11:30:00.000Z");
        assert_eq!(of("UTC", "2 days ago"), "2026-11-27T23:30:00.000Z");
        for text in ["", "20.11.2026", "2026-13-01", "2026-02-30", "soon", "2026"] {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_shown_in_its_zone_and_can_be_typed_again() {
        let (berlin, utc) = (times("Europe/Berlin", "2026-11-29T23:30:00Z"), times("UTC", "2026-11-29T23:30:00Z"));
        let at = "2026-07-31T22:15:30.123Z";
        assert_eq!((berlin.second(at), berlin.day_of(at)), ("2026-08-01 00:15:30".into(), "2026-08-01".into()));
        assert_eq!(utc.second(at), "2026-07-31T22:15:30Z");
        for times in [berlin, utc] {
            let shown = times.second(at).parse().unwrap();
            assert_eq!(times.begin(shown).to_string(), "2026-07-31T22:15:30.000Z");
        }
        assert_eq!(times("UTC", "2026-11-29T23:30:00Z").minute(""), "");
    }
}
