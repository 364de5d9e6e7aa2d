//! Numbers as people write them: `1.250,5`, `1,250.5`, `1 250`, `€ 4.20`.

use crate::format::{Decimal, has_thousands};

/// Why a number is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFault {
    /// `1.250` may be a thousand or a fraction.
    Ambiguous,
    /// `4.00583E+12`: a spreadsheet has shortened it.
    Exponent,
}

/// Returns a number as the API writes it. What is no number stays as it is, and is refused with its field.
pub(crate) fn plain(value: &str, decimal: Option<Decimal>, numeric: bool) -> Result<String, NumberFault> {
    if is_exponent(value) {
        return Err(NumberFault::Exponent);
    }
    if numeric {
        return Ok(value.to_owned());
    }
    let bare = value.trim_matches(['€', '$', '£', '¥', ' ', '\u{a0}']).trim();
    let value = without_spaces(bare);
    let (points, commas) = (value.matches('.').count(), value.matches(',').count());
    let mark = match decimal {
        Some(mark) => mark,
        // The last of two kinds stands before the fraction.
        None if points > 0 && commas > 0 => {
            if value.rfind('.') > value.rfind(',') {
                Decimal::Point
            } else {
                Decimal::Comma
            }
        }
        None if has_thousands(&value, '.') || has_thousands(&value, ',') => return Err(NumberFault::Ambiguous),
        None if commas == 1 => Decimal::Comma,
        None => Decimal::Point,
    };
    Ok(read(&value, mark))
}

/// Returns whether a text is a number with an exponent.
pub(crate) fn is_exponent(value: &str) -> bool {
    let Some((mantissa, exponent)) = value.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(exponent.trim_start_matches(['+', '-']))
        && (mantissa.contains(['.', ',']) || exponent.starts_with(['+', '-']))
        && digits(&mantissa.replace(['.', ',', '-'], ""))
}

/// Removes the spaces and apostrophes that separate groups of three digits.
fn without_spaces(value: &str) -> String {
    const SPACES: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '\''];
    let mut text = value.to_owned();
    for space in SPACES {
        let (whole, rest) = text.split_at(text.find(['.', ',']).unwrap_or(text.len()));
        if has_thousands(whole, space) {
            text = format!("{}{rest}", whole.replace(space, ""));
        }
    }
    text
}

fn read(value: &str, mark: Decimal) -> String {
    let (mark, thousands) = match mark {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let (whole, fraction) = value.split_once(mark).map_or((value, None), |(whole, rest)| (whole, Some(rest)));
    let whole = if has_thousands(whole, thousands) { whole.replace(thousands, "") } else { whole.to_owned() };
    let whole = whole.strip_prefix('+').unwrap_or(&whole);
    fraction.map_or_else(|| whole.to_owned(), |fraction| format!("{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("2", "2"),
            ("0.375", "0.375"),
            ("0,375", "0.375"),
            ("1,5", "1.5"),
            ("1.5", "1.5"),
            ("1.234,56", "1234.56"),
            ("1,234.56", "1234.56"),
            ("1 234,5", "1234.5"),
            ("1\u{a0}234", "1234"),
            ("1'234.5", "1234.5"),
            ("€ 4.20", "4.20"),
            ("4,20 €", "4.20"),
            ("-3", "-3"),
            ("+3", "3"),
            ("1,2345", "1.2345"),
            ("many", "many"),
            ("1,2,3", "1,2,3"),
        ] {
            assert_eq!(plain(text, None, false).as_deref(), Ok(number), "{text}");
        }
    }

    #[test]
    fn a_number_that_could_be_a_thousand_is_refused_until_it_is_said() {
        for text in ["1.250", "1,250", "2.000.000", "-1.000"] {
            assert_eq!(plain(text, None, false), Err(NumberFault::Ambiguous), "{text}");
        }
        assert_eq!(plain("1.250", Some(Decimal::Comma), false).as_deref(), Ok("1250"));
        assert_eq!(plain("1.250", Some(Decimal::Point), false).as_deref(), Ok("1.250"));
        assert_eq!(plain("1.250", None, true).as_deref(), Ok("1.250"), "the file has it as a number");
    }

    #[test]
    fn what_a_spreadsheet_has_shortened_is_refused() {
        for text in ["4.00583E+12", "4,00583E+12", "1E+05", "1.5e3"] {
            assert_eq!(plain(text, None, false), Err(NumberFault::Exponent), "{text}");
        }
        for text in ["E5", "5E", "12E5", "A1E+5"] {
            assert!(!is_exponent(text), "{text}");
        }
    }
}
