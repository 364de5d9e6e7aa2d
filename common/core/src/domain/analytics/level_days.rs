//! The days of a level, in the compact form in which they are kept.

use super::super::{Quantity, Timestamp};
use super::{DayTotals, LocalDay, LocalDays, Moved, Totals};

/// The bytes of a day with one movement, about.
const DAY_BYTES: usize = 16;

/// The totals of all days of one level that have movements, oldest first, in a compact form: about a dozen bytes a day.
///
/// A movement belongs to the local day on which it occurred. The balance holds from the moment of one movement to that of
/// the next one in order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LevelDays {
    bytes: Box<[u8]>,
    begins_at: Option<Timestamp>,
}

impl LevelDays {
    pub(super) fn of_moved(in_time: &[Moved], days: &LocalDays, earlier: Option<DayTotals>) -> Self {
        let mut writer = Writer { bytes: Vec::with_capacity(in_time.len() * DAY_BYTES), ..Writer::default() };
        let mut open = earlier.map(|day| Open::past(days, day));
        for entry in in_time {
            let now = match open.take() {
                Some(mut open) if entry.occurred_at < open.end => {
                    open.until(entry.occurred_at);
                    open
                }
                earlier => {
                    let balance = earlier.map_or(Quantity::ZERO, |open| writer.close(open));
                    Open::begin(days, entry.occurred_at, balance, writer.written)
                }
            };
            open = Some(now.with(entry));
        }
        if let Some(open) = open {
            writer.close(open);
        }
        let first = in_time.first().map(|entry| entry.occurred_at);
        Self { bytes: writer.bytes.into(), begins_at: earlier.map(|day| days.begin(day.day)).or(first) }
    }

    /// Returns when the first movement occurred; `None` if there is none.
    pub const fn begins_at(&self) -> Option<Timestamp> {
        self.begins_at
    }

    /// Returns the days that have movements, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = DayTotals> + '_ {
        Reader { bytes: &self.bytes, day: LocalDay::EPOCH }
    }

    /// Returns the bytes that it occupies, about.
    pub const fn size(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
}

/// A day whose movements are being added.
struct Open {
    totals: DayTotals,
    end: Timestamp,
    since: Timestamp,
}

impl Open {
    fn begin(days: &LocalDays, at: Timestamp, balance: Quantity, is_later: bool) -> Self {
        let day = days.day(at);
        let (begin, end) = (days.begin(day), days.begin(day.plus(1)));
        let totals = DayTotals { day, totals: Totals::default(), out_ms: 0, closing: balance };
        let mut open = Self { totals, end, since: if is_later { begin } else { at } };
        open.until(at);
        open
    }

    /// Opens a day that is over.
    fn past(days: &LocalDays, totals: DayTotals) -> Self {
        let end = days.begin(totals.day.plus(1));
        Self { totals, end, since: end }
    }

    /// The balance held until this moment.
    fn until(&mut self, at: Timestamp) {
        if !self.totals.closing.is_positive() {
            self.totals.out_ms += at.millis_since(self.since).max(0);
        }
        self.since = at;
    }

    fn with(mut self, entry: &Moved) -> Self {
        self.totals.totals.add_entry(entry);
        let closing = self.totals.closing;
        self.totals.closing = Quantity::from_raw(closing.raw().saturating_add(entry.delta.raw()));
        self
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    day: LocalDay,
    written: bool,
}

impl Writer {
    /// Writes the day and returns its closing balance.
    fn close(&mut self, mut open: Open) -> Quantity {
        open.until(open.end);
        let DayTotals { day, totals, out_ms, closing } = open.totals;
        let bits = totals.0.iter().zip(0..).map(|(sum, at)| u64::from(*sum != 0) << at);
        let mask = bits.fold(0, |mask, bit| mask | bit);
        self.put(day.days_since(self.day).into());
        self.put(out_ms);
        self.put(closing.raw());
        self.put(mask.cast_signed());
        for at in set_bits(mask) {
            self.put(totals.0[at]);
        }
        self.day = day;
        self.written = true;
        closing
    }

    /// Writes a LEB128 varint of the zigzag form.
    fn put(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }
}

/// Returns the places of the bits that are set. Few of the figures of a day are not zero.
fn set_bits(mask: u64) -> impl Iterator<Item = usize> {
    let rests = std::iter::successors(Some(mask), |rest| Some(rest & rest.wrapping_sub(1)));
    rests.take_while(|rest| *rest != 0).map(|rest| rest.trailing_zeros() as usize)
}

struct Reader<'a> {
    bytes: &'a [u8],
    day: LocalDay,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        None
    }
}

impl Iterator for Reader<'_> {
    type Item = DayTotals;

    fn next(&mut self) -> Option<DayTotals> {
        self.day = self.day.plus(i32::try_from(self.take()?).ok()?);
        let (out_ms, closing, mask) = (self.take()?, self.take()?, self.take()?);
        let mut totals = Totals::default();
        for at in set_bits(mask.cast_unsigned()) {
            *totals.0.get_mut(at)? = self.take()?;
        }
        Some(DayTotals { day: self.day, totals, out_ms, closing: Quantity::from_raw(closing) })
    }
}
