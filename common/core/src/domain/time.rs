use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time in milliseconds since 1970-01-01T00:00:00Z, written as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 time with an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an RFC 3339 time with an offset, such as \"2026-01-31T08:15:00Z\" or \"2026-01-31T09:15:00+01:00\"")]
pub struct TimeError;

/// The years 1970 to 9999, which RFC 3339 can write.
const RANGE_MS: std::ops::RangeInclusive<i64> = 0..=253_402_300_799_999;

impl Timestamp {
    /// The earliest time.
    pub const EPOCH: Self = Self(0);

    /// Makes a time from milliseconds since 1970, clamped to the years 1970 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(*RANGE_MS.start(), *RANGE_MS.end()))
    }

    /// Returns the milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the time `millis` later (earlier if negative), within the range.
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Returns the milliseconds from `earlier` to `self`.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// Returns the local time in a zone, such as `2026-01-31 09:15 CET`; in UTC if the zone is unknown.
    pub fn in_zone(self, time_zone: &str) -> String {
        let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
        self.to_jiff().to_zoned(zone).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// Returns the local day in a zone, such as `2026-01-31`; in UTC if the zone is unknown.
    pub fn day_in_zone(self, time_zone: &str) -> String {
        let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
        self.to_jiff().to_zoned(zone).strftime("%Y-%m-%d").to_string()
    }

    /// Returns whether [`Timestamp::in_zone`] knows this IANA time zone.
    pub fn knows_zone(time_zone: &str) -> bool {
        jiff::tz::TimeZone::get(time_zone).is_ok()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        // RFC 3339 has no bracketed zone, but the library's parser accepts one.
        if text.len() > 40 || text.contains('[') {
            return Err(TimeError);
        }
        let millis = text.parse::<jiff::Timestamp>().map_err(|_| TimeError)?.as_millisecond();
        if RANGE_MS.contains(&millis) { Ok(Self(millis)) } else { Err(TimeError) }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_kept_in_utc_to_the_millisecond() {
        let time: Timestamp = "2026-01-31T09:15:00.25+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T08:15:00.250Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(time.in_zone("Europe/Berlin"), "2026-01-31 09:15 CET");
        assert_eq!(time.in_zone("Nowhere/Town"), "2026-01-31 08:15 UTC");
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        for text in [
            "2026-01-31T08:15:00",
            "2026-01-31",
            "08:15",
            "",
            "1769847300",
            "1969-12-31T23:59:59Z",
            "2026-01-31T08:15:00Z[UTC]",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimeError), "{text}");
        }
    }
}
