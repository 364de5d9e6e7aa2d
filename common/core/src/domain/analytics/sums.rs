use super::super::{Cost, Fixed, Quantity, Timestamp};
use super::{DayTotals, Figure, LevelDays, LocalDay, LocalDays, Period, Totals};

/// What the days of one level say about a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// What the movements of the period add up to.
    pub totals: Totals,
    /// What all movements before the end of the period have added to the value of the stock.
    pub value: Cost,
    /// The balance where the period begins.
    pub opening: Quantity,
    /// The balance where the period ends.
    pub closing: Quantity,
    /// Milliseconds of the period since the level's first movement.
    pub known_ms: i64,
    /// The part of `known_ms` at or below zero.
    pub out_ms: i64,
    /// The last day with a sale before the end of the period.
    pub last_sold: Option<LocalDay>,
    /// The last day with a receipt or a transfer in before the end of the period.
    pub last_received: Option<LocalDay>,
}

/// What sums are made of: a calendar, and the moment up to which it has come.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// The days of the location.
    pub days: LocalDays,
    /// The moment of the report; what is later than it has not happened yet.
    pub as_of: Timestamp,
}

impl Calendar {
    /// Returns the present day.
    pub fn today(&self) -> LocalDay {
        self.days.day(self.as_of)
    }

    /// Returns the part of the days from `from`, before `to`, that is past, in milliseconds.
    fn past_ms(&self, from: LocalDay, to: LocalDay) -> i64 {
        let end = self.days.begin(to).min(self.as_of);
        end.millis_since(self.days.begin(from)).max(0)
    }

    /// Returns the part of a day at or below zero that is past, in milliseconds.
    pub fn past_out_ms(&self, day: &DayTotals) -> i64 {
        if day.out_ms == 0 || day.closing.is_positive() {
            return day.out_ms;
        }
        let ahead = self.days.begin(day.day.plus(1)).millis_since(self.as_of).max(0);
        (day.out_ms - ahead).max(0)
    }

    /// Adds up the days of a level over a period. `each` sees every day of the period that has movements, and every run
    /// of days without any.
    pub fn sums(&self, of: &LevelDays, period: Period, mut each: impl FnMut(Seen<'_>)) -> Sums {
        let mut sums = Sums::default();
        let Some(begins_at) = of.begins_at().filter(|begins_at| *begins_at < self.days.begin(period.to)) else {
            return sums;
        };
        let begin = self.days.begin(period.from).max(begins_at);
        sums.known_ms = self.days.begin(period.to).min(self.as_of).millis_since(begin).max(0);
        // The first day that no movement was seen of yet.
        let mut next = self.days.day(begins_at);
        for day in of.iter().take_while(|day| day.day < period.to) {
            self.quiet(&mut sums, period, (next, day.day), &mut each);
            sums.add_day(&day, period);
            if period.has(day.day) {
                sums.out_ms += self.past_out_ms(&day);
                each(Seen::Day(&day, sums.value));
            }
            next = day.day.plus(1);
        }
        self.quiet(&mut sums, period, (next, period.to.min(self.today().plus(1))), &mut each);
        sums
    }

    /// Adds days without a movement, on which the balance stays as it was.
    fn quiet(&self, sums: &mut Sums, period: Period, run: (LocalDay, LocalDay), each: &mut impl FnMut(Seen<'_>)) {
        let (from, to) = (run.0.max(period.from), run.1.min(period.to));
        if from >= to {
            return;
        }
        if !sums.closing.is_positive() {
            sums.out_ms += self.past_ms(from, to);
        }
        each(Seen::Quiet { from, days: to.days_since(from), closing: sums.closing, value: sums.value });
    }
}

/// What [`Calendar::sums`] comes across in a period.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A day with movements, and the value at its end.
    Day(&'a DayTotals, Cost),
    /// Days without a movement.
    Quiet {
        /// The first one.
        from: LocalDay,
        /// How many they are.
        days: i32,
        /// The balance of each.
        closing: Quantity,
        /// The value on each.
        value: Cost,
    },
}

impl Sums {
    fn add_day(&mut self, day: &DayTotals, period: Period) {
        use Figure::{Received, Sold, TransferredIn};
        if day.day < period.from {
            self.opening = day.closing;
        } else {
            self.totals.add(&day.totals);
        }
        self.value = plus(self.value, day.totals.money(Figure::Value));
        self.closing = day.closing;
        if day.totals.units(Sold).is_positive() {
            self.last_sold = Some(day.day);
        }
        if day.totals.units(Received).is_positive() || day.totals.units(TransferredIn).is_positive() {
            self.last_received = Some(day.day);
        }
    }

    /// Returns the milliseconds in stock.
    pub const fn in_stock_ms(&self) -> i64 {
        self.known_ms.saturating_sub(self.out_ms)
    }

    /// Adds what another level says. Days of the last sale and receipt are the later ones.
    pub fn add(&mut self, other: &Self) {
        self.totals.add(&other.totals);
        self.value = plus(self.value, other.value);
        self.opening = plus(self.opening, other.opening);
        self.closing = plus(self.closing, other.closing);
        self.known_ms = self.known_ms.saturating_add(other.known_ms);
        self.out_ms = self.out_ms.saturating_add(other.out_ms);
        self.last_sold = self.last_sold.max(other.last_sold);
        self.last_received = self.last_received.max(other.last_received);
    }
}

/// Adds two sums, which stop at the bounds of 64 bits.
fn plus<const PLACES: u32>(a: Fixed<PLACES>, b: Fixed<PLACES>) -> Fixed<PLACES> {
    Fixed::from_raw(a.raw().saturating_add(b.raw()))
}
