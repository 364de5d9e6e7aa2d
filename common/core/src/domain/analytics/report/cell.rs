use std::cmp::Ordering;
use std::fmt;

use super::super::LocalDay;
use crate::domain::{Cost, Fixed, Quantity};

/// One value of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Not known, or not defined here.
    Nothing,
    /// A text.
    Text(String),
    /// Units, with up to 3 decimals.
    Units(Quantity),
    /// Money, a ratio or a number of days, with up to 4 decimals.
    Number(Cost),
    /// A whole number.
    Whole(i64),
    /// A day.
    Day(LocalDay),
}

impl Cell {
    /// Returns a number, or nothing.
    pub(super) fn number(number: Option<Cost>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }

    /// Returns a day, or nothing.
    pub(super) fn day(day: Option<LocalDay>) -> Self {
        day.map_or(Self::Nothing, Self::Day)
    }

    /// Returns whether there is nothing.
    pub const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Compares the cells of one column; nothing comes before all else.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Units(a), Self::Units(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Whole(a), Self::Whole(b)) => a.cmp(b),
            (Self::Day(a), Self::Day(b)) => a.cmp(b),
            (Self::Nothing, Self::Nothing) => Ordering::Equal,
            (Self::Nothing, _) => Ordering::Less,
            (_, Self::Nothing) => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Units(units) => units.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Day(day) => day.fmt(f),
        }
    }
}

/// Returns `dividend / divisor × 10^PLACES`, rounded half to even; `None` without a divisor above zero, and beyond 64
/// bits.
pub(super) fn ratio<const PLACES: u32>(dividend: i128, divisor: i128) -> Option<Fixed<PLACES>> {
    if divisor <= 0 {
        return None;
    }
    let scaled = dividend.checked_mul(10_i128.pow(PLACES))?;
    let (whole, rest) = (scaled.div_euclid(divisor), scaled.rem_euclid(divisor));
    let up = match rest.checked_mul(2)?.cmp(&divisor) {
        Ordering::Less => false,
        Ordering::Equal => whole % 2 != 0,
        Ordering::Greater => true,
    };
    i64::try_from(whole + i128::from(up)).ok().map(Fixed::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_rounded_half_to_even() {
        let ratio = |dividend, divisor| ratio::<4>(dividend, divisor).map(|found| found.to_string());
        assert_eq!(ratio(1, 3).as_deref(), Some("0.3333"));
        assert_eq!(ratio(2, 3).as_deref(), Some("0.6667"));
        assert_eq!(ratio(-2, 3).as_deref(), Some("-0.6667"));
        assert_eq!((ratio(1, 20_000).as_deref(), ratio(3, 20_000).as_deref()), (Some("0"), Some("0.0002")));
        assert_eq!((ratio(-1, 20_000).as_deref(), ratio(-3, 20_000).as_deref()), (Some("0"), Some("-0.0002")));
        assert_eq!((ratio(1, 0), ratio(i128::MAX, 1), ratio(i128::from(i64::MAX), 1)), (None, None, None));
    }

    #[test]
    fn nothing_comes_before_all_else() {
        let mut cells = [Cell::Whole(2), Cell::Nothing, Cell::Whole(-1)];
        cells.sort_by(Cell::order);
        assert_eq!(cells, [Cell::Nothing, Cell::Whole(-1), Cell::Whole(2)]);
    }
}
