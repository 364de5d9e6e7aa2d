//! The barcodes of an item: which codes are one, and which are refused.
//!
//! A GTIN is one number in several spellings: an EAN-13 is a GTIN-14 without its leading zero, and a UPC-A is an EAN-13
//! without its own (GS1 General Specifications §7.11). It is held in its shortest standard form, as packages show it.
//! Every other code is a text, held as it is.

use std::borrow::Cow;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::Quantity;

/// A barcode of an item, with the quantity that one scan of it means: 1 for the bottle, 12 for the case.
///
/// In JSON it is a string if the quantity is 1, else an object; it is read from both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct Barcode {
    /// The code, 1 to 64 characters.
    pub code: String,
    /// The quantity of one scan, above 0.
    pub quantity: Quantity,
}

/// The quantity of a barcode that names none.
pub(super) const ONE: Quantity = Quantity::from_raw(1_000);

/// The forms of a barcode in JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Code(String),
    Pack { code: String, quantity: Quantity },
}

impl From<Written> for Barcode {
    fn from(written: Written) -> Self {
        match written {
            Written::Code(code) => Self::single(code),
            Written::Pack { code, quantity } => Self { code, quantity },
        }
    }
}

impl Serialize for Barcode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.quantity == ONE {
            return serializer.serialize_str(&self.code);
        }
        let mut pack = serializer.serialize_struct("Barcode", 2)?;
        pack.serialize_field("code", &self.code)?;
        pack.serialize_field("quantity", &self.quantity)?;
        pack.end()
    }
}

impl Barcode {
    /// Makes a barcode whose scan means a quantity of 1.
    pub fn single(code: impl Into<String>) -> Self {
        Self { code: code.into(), quantity: ONE }
    }

    /// Returns whether one scan means a quantity of 1.
    pub fn is_single(&self) -> bool {
        self.quantity == ONE
    }

    /// Returns the barcode in the form in which an item holds it.
    #[must_use]
    pub fn held(&self) -> Self {
        Self { code: canonical(&self.code).into_owned(), quantity: self.quantity }
    }
}

/// Why a text is refused as a new barcode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BarcodeError {
    /// A spreadsheet has shortened the number: its last digits are lost.
    #[error(
        "is a number that a spreadsheet has shortened, and its last digits are lost; format the column as text, and enter or scan the code again"
    )]
    Shortened,
    /// A program has made a decimal number of the code.
    #[error("is a decimal number, not a code; without the end it reads {0}")]
    Decimal(String),
    /// The check digit is wrong.
    #[error("has {digits} digits like {kind}, but then its last digit would be {right}; scan it again")]
    CheckDigit {
        /// The number of digits.
        digits: usize,
        /// The kind of code that has so many digits.
        kind: &'static str,
        /// The right check digit.
        right: u8,
    },
    /// The code begins or ends with a space.
    #[error("begins or ends with a space")]
    Space,
}

/// The lengths of a GTIN, in digits, with the name of each.
const GTIN_LENGTHS: [(usize, &str); 4] = [(8, "an EAN-8"), (12, "a UPC-A"), (13, "an EAN-13"), (14, "a GTIN-14")];

/// The length of an EAN-13, in digits.
pub(super) const EAN_13: usize = 13;

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the check digit of the digits before it (GS1 General Specifications §7.9): weights 3 and 1 from the right.
pub(super) fn check_digit(digits: &str) -> u8 {
    let weighted = digits.bytes().rev().zip([3, 1].into_iter().cycle());
    let sum: u32 = weighted.map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight).sum();
    ((10 - sum % 10) % 10) as u8
}

/// Returns whether a text has a GTIN's length, only digits, and the right check digit.
pub(super) fn is_gtin(text: &str) -> bool {
    GTIN_LENGTHS.iter().any(|(length, _)| *length == text.len()) && all_digits(text) && checks(text)
}

fn checks(digits: &str) -> bool {
    let (rest, last) = digits.split_at(digits.len().saturating_sub(1));
    last.bytes().next() == Some(b'0' + check_digit(rest))
}

/// Returns the UPC-A that a UPC-E stands for; `None` if the code is none. Eight digits that could be an EAN-8 as well are
/// one if they begin with 1; those that begin with 0 are no EAN-8 outside of a shop.
fn of_upc_e(code: &str) -> Option<String> {
    if code.len() != 8 || !all_digits(code) {
        return None;
    }
    let may_be = code.starts_with('0') || (code.starts_with('1') && !checks(code));
    if !may_be {
        return None;
    }
    let (system, rest) = code.split_at(1);
    let (six, check) = rest.split_at(6);
    let (five, last) = six.split_at(5);
    let upc_a = match last {
        "0" | "1" | "2" => format!("{system}{}{last}0000{}{check}", five.get(..2)?, five.get(2..)?),
        "3" => format!("{system}{}00000{}{check}", five.get(..3)?, five.get(3..)?),
        "4" => format!("{system}{}00000{}{check}", five.get(..4)?, five.get(4..)?),
        _ => format!("{system}{five}0000{last}{check}"),
    };
    checks(&upc_a).then_some(upc_a)
}

/// Returns the form of a code in which an item holds it. Codes of one form are one code.
pub fn canonical(code: &str) -> Cow<'_, str> {
    if let Some(upc_a) = of_upc_e(code) {
        return Cow::Owned(canonical(&upc_a).into_owned());
    }
    if !is_gtin(code) {
        return Cow::Borrowed(code);
    }
    let shortest = match code.trim_start_matches('0').len() {
        8 => 8,
        0..=12 => 12,
        significant => significant,
    };
    match code.len().checked_sub(shortest) {
        Some(zeros) => Cow::Borrowed(code.get(zeros..).unwrap_or(code)),
        None => Cow::Owned(format!("{code:0>shortest$}")),
    }
}

/// Returns every spelling of a code, the canonical one first. Items that were registered before codes had one form may
/// hold it in another.
pub fn spellings(code: &str) -> Vec<String> {
    let canonical = canonical(code);
    let mut spellings = vec![canonical.clone().into_owned()];
    if is_gtin(&canonical) {
        let longer = GTIN_LENGTHS.iter().filter(|(length, _)| *length > canonical.len());
        spellings.extend(longer.map(|(length, _)| format!("{canonical:0>length$}")));
    }
    if !spellings.iter().any(|spelling| spelling == code) {
        spellings.push(code.to_owned());
    }
    spellings
}

/// Checks a text as a new barcode.
///
/// # Errors
/// A number that a spreadsheet has ruined, or a wrong check digit. Texts that are no numbers are codes as they are.
pub fn check(code: &str) -> Result<(), BarcodeError> {
    if code.trim() != code {
        return Err(BarcodeError::Space);
    }
    if is_shortened(code) {
        return Err(BarcodeError::Shortened);
    }
    if let Some((whole, part)) = code.split_once(['.', ','])
        && all_digits(whole)
        && whole.len() >= 8
        && all_digits(part)
        && part.bytes().all(|digit| digit == b'0')
    {
        return Err(BarcodeError::Decimal(whole.to_owned()));
    }
    let kind = GTIN_LENGTHS.iter().find(|(length, _)| *length == code.len());
    match kind {
        Some((digits, kind)) if all_digits(code) && !checks(code) && of_upc_e(code).is_none() => {
            let (rest, _) = code.split_at(code.len() - 1);
            Err(BarcodeError::CheckDigit { digits: *digits, kind, right: check_digit(rest) })
        }
        _ => Ok(()),
    }
}

/// Returns whether a text is a number in scientific notation, such as `4.00583E+12`. (`12E3` is a code.)
fn is_shortened(code: &str) -> bool {
    let Some((number, exponent)) = code.split_once(['e', 'E']) else {
        return false;
    };
    let digits = exponent.strip_prefix('+');
    let fraction = number.split_once(['.', ',']);
    all_digits(digits.unwrap_or(exponent))
        && (digits.is_some() || fraction.is_some())
        && fraction.map_or_else(|| all_digits(number), |(whole, part)| all_digits(whole) && all_digits(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gtin_is_one_code_whatever_its_leading_zeros() {
        for (code, held) in [
            ("4006381333931", "4006381333931"),
            ("04006381333931", "4006381333931"),
            ("036000291452", "036000291452"),
            ("0036000291452", "036000291452"),
            ("00036000291452", "036000291452"),
            ("96385074", "96385074"),
            ("00000096385074", "96385074"),
            ("0000096385074", "96385074"),
            // A case of 1 to 8: another code than the bottle's.
            ("14006381333938", "14006381333938"),
            // UPC-E, by the five rules of its expansion.
            ("04252614", "042100005264"),
            ("01234531", "012300000451"),
            ("01234543", "012340000053"),
            ("01234565", "012345000065"),
            // An EAN-8 of a shop, which would be mistaken for a UPC-E with zeros before it.
            ("00123440", "000000123440"),
            // No GTIN: a wrong check digit, another length, a text.
            ("4006381333932", "4006381333932"),
            ("00123", "00123"),
            ("AB-0012", "AB-0012"),
        ] {
            assert_eq!(canonical(code), held, "{code}");
            assert_eq!(canonical(held), held, "{code}");
            assert!(spellings(held).iter().all(|spelling| canonical(spelling) == held), "{code}");
            assert!(spellings(code).iter().any(|spelling| spelling == code), "{code}");
        }
        assert_eq!(spellings("96385074").len(), 4);
        assert_eq!(spellings("AB"), ["AB"]);
    }

    #[test]
    fn ruined_codes_are_refused_with_the_reason() {
        for (code, reason) in [
            ("4.00583E+12", "spreadsheet"),
            ("4,00583e+12", "spreadsheet"),
            ("4E+12", "spreadsheet"),
            ("4.00583E12", "spreadsheet"),
            ("4006381333931.0", "4006381333931"),
            ("4006381333932", "an EAN-13, but then its last digit would be 1"),
            ("036000291453", "a UPC-A, but then its last digit would be 2"),
            ("96385075", "an EAN-8, but then its last digit would be 4"),
            ("14006381333931", "a GTIN-14, but then its last digit would be 8"),
            (" 96385074", "space"),
        ] {
            assert!(check(code).unwrap_err().to_string().contains(reason), "{code}: {:?}", check(code));
        }
        for code in ["4006381333931", "04252614", "12E3", "A.B", "1", "00123", "4711.5", "ABC-1", "123456789"] {
            assert_eq!(check(code), Ok(()), "{code}");
        }
    }

    #[test]
    fn a_single_barcode_is_a_string_and_a_pack_an_object() {
        for (text, quantity) in [(r#""96385074""#, 1_000), (r#"{"code":"14006381333938","quantity":"12"}"#, 12_000)] {
            let barcode: Barcode = serde_json::from_str(text).unwrap();
            assert_eq!(barcode.quantity.raw(), quantity);
            assert_eq!(serde_json::to_string(&barcode).unwrap(), text);
        }
        assert_eq!(Barcode::single("0036000291452").held().code, "036000291452");
    }
}
