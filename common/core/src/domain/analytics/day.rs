use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::civil::{Date, ISOWeekDate, Weekday, date};
use jiff::tz::TimeZone;

use super::super::Timestamp;

/// A local calendar day, written `2026-01-31`. It is held as the days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDay(i32);

/// The text is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a day such as 2026-01-31, from 1970-01-01 to 9999-12-31")]
pub struct DayError;

const FIRST: LocalDay = LocalDay(0);
/// 9999-12-31.
const LAST: LocalDay = LocalDay(2_932_896);
/// The day with the number 0.
const FIRST_DATE: Date = date(1970, 1, 1);
/// The days from a Monday to 1970-01-01.
const FIRST_SINCE_MONDAY: i32 = 3;
const WEEK_DAYS: i32 = 7;
const DAY_MS: i64 = 86_400_000;

impl Default for LocalDay {
    fn default() -> Self {
        Self::EPOCH
    }
}

impl LocalDay {
    /// 1970-01-01.
    pub const EPOCH: Self = FIRST;

    /// Returns the day this many days later (earlier if negative), from 1970-01-01 to 9999-12-31.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days)).clamp(FIRST, LAST)
    }

    /// Returns the days from `earlier` to `self`.
    pub const fn days_since(self, earlier: Self) -> i32 {
        self.0 - earlier.0
    }

    /// Returns the day of a date; it may be outside the range.
    fn of_date(date: Date) -> Self {
        Self(FIRST_DATE.until(date).map_or(0, |span| span.get_days()))
    }

    fn date(self) -> Date {
        let span = jiff::Span::new().try_days(self.0);
        span.and_then(|span| FIRST_DATE.checked_add(span)).unwrap_or(FIRST_DATE)
    }

    /// Returns the Monday of the day's week.
    #[must_use]
    pub fn monday(self) -> Self {
        self.plus(-(self.0 + FIRST_SINCE_MONDAY).rem_euclid(WEEK_DAYS))
    }

    /// Returns the first day of the day's month.
    #[must_use]
    pub fn month_begin(self) -> Self {
        Self::of_date(self.date().first_of_month())
    }

    /// Returns the first day of the month after the day's month.
    #[must_use]
    pub fn next_month(self) -> Self {
        Self::of_date(self.date().last_of_month()).plus(1)
    }

    /// Returns the ISO week, such as `2026-W05`.
    pub fn week(self) -> String {
        let week = self.date().iso_week_date();
        format!("{:04}-W{:02}", week.year(), week.week())
    }

    /// Returns the month, such as `2026-01`.
    pub fn month(self) -> String {
        let date = self.date();
        format!("{:04}-{:02}", date.year(), date.month())
    }

    /// Returns the Monday of an ISO week such as `2026-W05`.
    pub(super) fn of_week(text: &str) -> Option<Self> {
        let (year, week) = text.split_once("-W")?;
        if (year.len(), week.len()) != (4, 2) {
            return None;
        }
        let week = ISOWeekDate::new(digits(year)?, digits(week)?, Weekday::Monday).ok()?;
        Some(Self::of_date(week.date())).filter(|day| (FIRST..=LAST).contains(day))
    }

    /// Returns the first day of a month such as `2026-01`.
    pub(super) fn of_month(text: &str) -> Option<Self> {
        (text.len() == 7).then(|| format!("{text}-01").parse().ok()).flatten()
    }
}

fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl fmt::Debug for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LocalDay {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let shape = |at: usize, byte: u8| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
        if text.len() != 10 || !text.bytes().enumerate().all(|(at, byte)| shape(at, byte)) {
            return Err(DayError);
        }
        let day = text.parse().map(Self::of_date).map_err(|_| DayError)?;
        if (FIRST..=LAST).contains(&day) { Ok(day) } else { Err(DayError) }
    }
}

/// The days of one time zone. A day begins at local midnight, or where the clock skips midnight at the first moment
/// after it; so it lasts 23 hours or 25 hours where the clock is changed.
#[derive(Debug, Clone)]
pub struct LocalDays {
    zone: TimeZone,
    /// By time, without a gap.
    spans: Arc<[Span]>,
}

/// A time in which the clock of a zone was not changed, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    /// The first moment behind it.
    to: i64,
    /// Local time less UTC.
    offset: i64,
}

/// Spans are known up to 2100-01-01. What is later takes longer.
const SPANS_UNTIL_MS: i64 = 4_102_444_800_000;

/// The days of every zone that was asked for, by its name; there are some 600.
static ZONES: LazyLock<Mutex<HashMap<String, LocalDays>>> = LazyLock::new(Mutex::default);

impl LocalDays {
    /// Returns the days of an IANA time zone; those of UTC if the zone is unknown.
    pub fn of_zone(time_zone: &str) -> Self {
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        // A zone has one name, in whatever case it is asked for.
        let name = zone.iana_name().unwrap_or_default().to_owned();
        let mut zones = ZONES.lock().unwrap_or_else(PoisonError::into_inner);
        zones.entry(name).or_insert_with(|| Self::of(zone)).clone()
    }

    fn of(zone: TimeZone) -> Self {
        let offset_ms = |offset: jiff::tz::Offset| i64::from(offset.seconds()) * 1_000;
        let epoch = jiff::Timestamp::UNIX_EPOCH;
        let mut open = Span { from: 0, to: SPANS_UNTIL_MS, offset: offset_ms(zone.to_offset(epoch)) };
        let mut spans = Vec::new();
        for change in zone.following(epoch) {
            let at = change.timestamp().as_millisecond();
            if at >= SPANS_UNTIL_MS {
                break;
            }
            spans.push(Span { to: at, ..open });
            open = Span { from: at, to: SPANS_UNTIL_MS, offset: offset_ms(change.offset()) };
        }
        spans.push(open);
        Self { spans: spans.into(), zone }
    }

    fn span(&self, at: i64) -> Option<&Span> {
        self.spans.get(self.spans.partition_point(|span| span.to <= at))
    }

    /// Returns the day of a moment.
    pub fn day(&self, at: Timestamp) -> LocalDay {
        if let Some(span) = self.span(at.as_millis()) {
            let days = (at.as_millis() + span.offset).div_euclid(DAY_MS);
            return LocalDay(i32::try_from(days).unwrap_or(0)).clamp(FIRST, LAST);
        }
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        LocalDay::of_date(self.zone.to_datetime(at).date()).clamp(FIRST, LAST)
    }

    /// Returns the moment at which a day begins.
    pub fn begin(&self, day: LocalDay) -> Timestamp {
        let midnight = i64::from(day.0) * DAY_MS;
        if let Some(span) = self.span(midnight) {
            let begin = midnight - span.offset;
            // No clock is changed by as much as two days.
            if (span.from + 2 * DAY_MS..span.to - 2 * DAY_MS).contains(&begin) {
                return Timestamp::from_millis(begin);
            }
        }
        let begin = day.date().to_zoned(self.zone.clone()).and_then(|zoned| zoned.start_of_day());
        Timestamp::from_millis(begin.map_or(0, |zoned| zoned.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> LocalDay {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_has_23_or_25_hours_where_the_clock_is_changed() {
        let hours = |zone: &str, text: &str| {
            let days = LocalDays::of_zone(zone);
            days.begin(day(text).plus(1)).millis_since(days.begin(day(text))) / 3_600_000
        };
        assert_eq!(hours("America/New_York", "2017-03-12"), 23);
        assert_eq!(hours("America/New_York", "2017-11-05"), 25);
        assert_eq!(hours("America/New_York", "2017-11-06"), 24);
        // Here the clock skips midnight.
        assert_eq!(hours("America/Sao_Paulo", "2018-11-04"), 23);
    }

    #[test]
    fn a_moment_belongs_to_the_day_that_begins_at_or_before_it() {
        for (zone, at, expected) in [
            ("America/New_York", "2017-03-12T04:59:59.999Z", "2017-03-11"),
            ("America/New_York", "2017-03-12T05:00:00Z", "2017-03-12"),
            ("America/New_York", "2017-11-06T04:59:59Z", "2017-11-05"),
            ("America/New_York", "2017-11-06T05:00:00Z", "2017-11-06"),
            ("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03"),
            ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04"),
            ("no/zone", "2018-11-04T00:00:00Z", "2018-11-04"),
        ] {
            let (days, at): (_, Timestamp) = (LocalDays::of_zone(zone), at.parse().unwrap());
            let found = days.day(at);
            assert_eq!(found.to_string(), expected, "{at} in {zone}");
            assert!(days.begin(found) <= at && at < days.begin(found.plus(1)), "{at} in {zone}");
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_have_the_year_of_their_thursday() {
        assert_eq!((day("2021-01-03").week(), day("2021-01-03").monday()), ("2020-W53".into(), day("2020-12-28")));
        assert_eq!(LocalDay::of_week("2020-W53"), Some(day("2020-12-28")));
        for none in ["2021-W53", "2021-W00", "2021-W1", "21-W01", "2021W01", "2021-W+1"] {
            assert_eq!(LocalDay::of_week(none), None, "{none}");
        }
        assert_eq!((day("2024-02-29").month(), day("2024-02-29").next_month()), ("2024-02".into(), day("2024-03-01")));
        assert_eq!((LocalDay::of_month("2024-02"), LocalDay::of_month("2024-13")), (Some(day("2024-02-01")), None));
    }

    #[test]
    fn days_have_one_spelling_and_stay_in_their_range() {
        for text in ["2026-1-31", "2026-02-30", "20260131", "2026-01-31T00", "-026-01-31", "1969-12-31", "２026-01-31"]
        {
            assert_eq!(text.parse::<LocalDay>(), Err(DayError), "{text}");
        }
        assert_eq!((day("9999-12-31").plus(1), day("1970-01-01").plus(i32::MIN)), (LAST, FIRST));
        assert_eq!(day("2024-03-01").days_since(day("2023-03-01")), 366);
    }

    #[test]
    fn days_are_those_of_the_time_zone_library_in_every_year_and_beside_every_change_of_a_clock() {
        for name in ["Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca", "UTC"]
        {
            let (days, zone) = (LocalDays::of_zone(name), TimeZone::get(name).unwrap());
            let begin = |day: LocalDay| {
                let zoned = day.date().to_zoned(zone.clone()).unwrap().start_of_day().unwrap();
                Timestamp::from_millis(zoned.timestamp().as_millisecond())
            };
            let mut day = day("1970-01-01");
            // The library knows some zones' rules without end, others' not.
            while day < self::day("2105-01-01") {
                let at = begin(day);
                assert_eq!(days.begin(day), at, "{day} in {name}");
                let in_zone = |at: Timestamp| {
                    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap();
                    LocalDay::of_date(zone.to_datetime(at).date()).clamp(FIRST, LAST)
                };
                for moment in [at, at.plus_millis(-1), at.plus_millis(DAY_MS / 2), at.plus_millis(DAY_MS - 1)] {
                    assert_eq!(days.day(moment), in_zone(moment), "{moment} in {name}");
                }
                day = day.plus(1);
            }
        }
    }

    #[test]
    fn a_day_has_its_number_and_its_monday() {
        for (text, number, monday) in [
            ("1970-01-08", 7, "1970-01-05"),
            ("2026-01-31", 20_484, "2026-01-26"),
            ("9999-12-31", 2_932_896, "9999-12-27"),
        ] {
            assert_eq!(day(text), LocalDay(number));
            assert_eq!((day(text).to_string(), day(text).monday().to_string()), (text.to_owned(), monday.to_owned()));
        }
        assert_eq!(day("1970-01-01").monday(), day("1970-01-01"), "no day is earlier");
    }
}
