use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A decimal number in fixed point with `PLACES` decimals, held in an `i64`. No floats anywhere.
///
/// In JSON it is a string with no more decimals than it needs (`"2"`, `"0.375"`).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed<const PLACES: u32>(i64);

/// Stock, in thousandths of the item's unit.
pub type Quantity = Fixed<3>;

/// Money in ten-thousandths of the company's one currency (design.md §11).
pub type Money = Fixed<4>;

/// A share in percent, in tenths of a percent.
pub type Percent = Fixed<1>;

/// Money for one unit of an item.
pub type Cost = Money;

/// The most money that one command names, for a unit or for a whole line: 9,999,999,999.9999. Larger sums are mistakes in
/// every currency.
pub const MAX_COMMAND_MONEY: Money = Money::from_raw(99_999_999_999_999);

/// The most that one command moves. A greater quantity is probably a scanned barcode (design.md §3).
pub const MAX_COMMAND_QUANTITY: Quantity = Quantity::from_raw(9_999_999_999);

/// Why a text is not a number of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FixedError {
    /// The text is not an optional minus, digits, and an optional point with digits.
    #[error("is not a plain decimal number: digits, and a point before decimals, as in \"2\" or \"0.375\"")]
    Syntax,
    /// The text has more decimals than are kept.
    #[error("has more decimals than the {0} that are kept")]
    TooFine(u32),
    /// The number does not fit into 64 bits.
    #[error("is out of range")]
    Range,
}

impl<const PLACES: u32> Fixed<PLACES> {
    /// Zero.
    pub const ZERO: Self = Self(0);
    const SCALE: i64 = 10_i64.pow(PLACES);

    /// Makes a number from its smallest parts.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// Returns the number of smallest parts.
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// Makes a number from whole units; `None` outside the range.
    pub const fn from_units(units: i64) -> Option<Self> {
        match units.checked_mul(Self::SCALE) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Returns the sum; `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Returns the difference; `None` on overflow.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Returns the negated number; `None` on overflow.
    pub const fn checked_neg(self) -> Option<Self> {
        match self.0.checked_neg() {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Returns whether the number is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Returns whether the number is above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Returns whether the number is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns whether at most `decimals` decimals can write the number.
    pub fn fits_decimals(self, decimals: u8) -> bool {
        let kept = u32::from(decimals).min(PLACES);
        self.0 % 10_i64.pow(PLACES - kept) == 0
    }
}

impl<const PLACES: u32> fmt::Display for Fixed<PLACES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let scale = Self::SCALE.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", magnitude / scale)?;
        let mut part = magnitude % scale;
        if part != 0 {
            let mut width = PLACES as usize;
            while part.is_multiple_of(10) {
                part /= 10;
                width -= 1;
            }
            write!(f, ".{part:0width$}")?;
        }
        Ok(())
    }
}

impl<const PLACES: u32> fmt::Debug for Fixed<PLACES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const PLACES: u32> FromStr for Fixed<PLACES> {
    type Err = FixedError;

    fn from_str(text: &str) -> Result<Self, FixedError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, part) = match digits.split_once('.') {
            Some((_, "")) => return Err(FixedError::Syntax),
            Some((whole, part)) => (whole, part),
            None => (digits, ""),
        };
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
            return Err(FixedError::Syntax);
        }
        let kept = part.trim_end_matches('0');
        if kept.len() > PLACES as usize {
            return Err(FixedError::TooFine(PLACES));
        }
        let mut raw: i64 = 0;
        let padding = PLACES as usize - kept.len();
        for digit in whole.bytes().chain(kept.bytes()).chain(std::iter::repeat_n(b'0', padding)) {
            let signed = if negative { -i64::from(digit - b'0') } else { i64::from(digit - b'0') };
            raw = raw.checked_mul(10).and_then(|r| r.checked_add(signed)).ok_or(FixedError::Range)?;
        }
        Ok(Self(raw))
    }
}

impl<const PLACES: u32> Serialize for Fixed<PLACES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const PLACES: u32> Deserialize<'de> for Fixed<PLACES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quantity_is_written_with_no_more_decimals_than_it_needs() {
        for (raw, text) in [(0, "0"), (2000, "2"), (375, "0.375"), (-1500, "-1.5"), (i64::MIN, "-9223372036854775.808")]
        {
            assert_eq!(Quantity::from_raw(raw).to_string(), text);
            assert_eq!(text.parse(), Ok(Quantity::from_raw(raw)));
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in ["", "-", ".", "1.", ".5", "1e3", "+1", " 1", "1 ", "0x1", "1,5", "--1", "NaN", "١"] {
            assert_eq!(text.parse::<Quantity>(), Err(FixedError::Syntax), "{text}");
        }
        assert_eq!("0.0001".parse::<Quantity>(), Err(FixedError::TooFine(3)));
        assert_eq!("0.5000".parse::<Quantity>(), Ok(Quantity::from_raw(500)));
        assert_eq!("99999999999999999999".parse::<Quantity>(), Err(FixedError::Range));
    }

    #[test]
    fn decimals_are_judged_exactly() {
        let half: Quantity = Quantity::from_raw(500);
        assert!(!half.fits_decimals(0) && half.fits_decimals(1) && half.fits_decimals(3));
    }

    proptest! {
        #[test]
        fn every_quantity_reads_back(raw: i64) {
            let quantity = Quantity::from_raw(raw);
            prop_assert_eq!(quantity.to_string().parse(), Ok(quantity));
        }
    }
}
