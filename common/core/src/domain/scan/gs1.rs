//! GS1 element strings and digital links (GS1 General Specifications §3 and §7.8; GS1 Digital Link: URI Syntax).

use std::borrow::Cow;

use super::super::{Timestamp, barcode};
use super::{Mass, ScanFacts};

/// Why a GS1 element string or digital link can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gs1Error {
    /// No application identifier begins so.
    #[error("is a GS1 element string, and {0:?} begins no application identifier")]
    Identifier(String),
    /// The value of an identifier is too short, too long, or of other characters than it may have.
    #[error("says ({identifier}){value}, which must be {rule}")]
    Value {
        /// The application identifier.
        identifier: String,
        /// The value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// It names no item.
    #[error("names no item: it has neither (01) nor (02)")]
    NoItem,
}

/// One element: the application identifier and its value.
pub(super) type Element<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What a scanner sends for the separator FNC1.
const GROUP_SEPARATOR: char = '\u{1d}';

/// The symbology identifiers (ISO/IEC 15424) of symbols whose text is a GS1 element string.
const GS1_SYMBOLS: [&str; 5] = ["]C1", "]d2", "]Q3", "]e0", "]J1"];

/// The longest value that ends at a separator, in characters.
const VALUE_MAX: usize = 90;

/// Returns a text without the symbology identifier that some scanners put before it, such as `]E0`.
pub(super) fn without_symbology(text: &str) -> &str {
    let is_identifier = |id: &str| {
        let mut chars = id.chars();
        chars.next() == Some(']')
            && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
            && chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
    };
    match text.split_at_checked(3) {
        Some((id, rest)) if is_identifier(id) && !rest.is_empty() => rest,
        _ => text,
    }
}

/// Reads an element string; `None` if the text is none. A text without separators and brackets is one only if it begins
/// with a GTIN's identifier and can be read to its end.
pub(super) fn element_string(text: &str) -> Option<Result<Vec<Element<'_>>, Gs1Error>> {
    let is_marked = GS1_SYMBOLS.iter().any(|symbol| text.starts_with(symbol)) || text.contains(GROUP_SEPARATOR);
    if is_marked {
        return Some(concatenated(without_symbology(text)));
    }
    if text.starts_with('(') && text.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) {
        return bracketed(text);
    }
    let gtin = text.strip_prefix("01").or_else(|| text.strip_prefix("02")).and_then(|rest| rest.get(..14))?;
    barcode::is_gtin(gtin).then(|| concatenated(text)).filter(Result::is_ok)
}

/// Reads elements one after the other, with separators behind values of no fixed length.
fn concatenated(text: &str) -> Result<Vec<Element<'_>>, Gs1Error> {
    let mut elements = Vec::new();
    let mut rest = text.trim_start_matches(GROUP_SEPARATOR);
    while !rest.is_empty() {
        let unknown = || Gs1Error::Identifier(rest.chars().take(4).collect());
        let digits = identifier_digits(rest).ok_or_else(unknown)?;
        let (identifier, behind) = rest.split_at_checked(digits).ok_or_else(unknown)?;
        if !is_digits(identifier) {
            return Err(unknown());
        }
        let (value, behind) = match fixed_length(identifier) {
            Some(length) => {
                let short = || fault(identifier, behind, "longer: the text ends within it");
                behind.split_at_checked(length).ok_or_else(short)?
            }
            None => behind.split_once(GROUP_SEPARATOR).unwrap_or((behind, "")),
        };
        elements.push((Cow::Borrowed(identifier), Cow::Borrowed(value)));
        rest = behind.trim_start_matches(GROUP_SEPARATOR);
    }
    Ok(elements)
}

/// Reads `(01)…(10)…`, as it stands in print; `None` if the brackets hold something else.
fn bracketed(text: &str) -> Option<Result<Vec<Element<'_>>, Gs1Error>> {
    let mut elements = Vec::new();
    let mut rest = text.strip_prefix('(')?;
    loop {
        let (identifier, behind) = rest.split_once(')')?;
        if !is_digits(identifier) || identifier_digits(identifier) != Some(identifier.len()) {
            return Some(Err(Gs1Error::Identifier(identifier.chars().take(4).collect())));
        }
        // A value may have brackets of its own, so only `(` and digits up to `)` begin the next identifier.
        let next = behind.match_indices('(').find(|(at, _)| {
            let inside = behind.get(at + 1..).and_then(|inside| inside.split_once(')'));
            inside.is_some_and(|(id, _)| is_digits(id) && identifier_digits(id) == Some(id.len()))
        });
        let (value, following) = match next {
            Some((at, _)) => (behind.get(..at)?, behind.get(at + 1..)),
            None => (behind, None),
        };
        elements.push((Cow::Borrowed(identifier), Cow::Borrowed(value)));
        match following {
            Some(following) => rest = following,
            None => return Some(Ok(elements)),
        }
    }
}

/// Reads a digital link, `https://shop.example/01/04006381333931/10/AB?17=261231`; `None` if the text is no address with
/// a GTIN in its path.
pub(super) fn digital_link(text: &str) -> Option<Result<Vec<Element<'_>>, Gs1Error>> {
    let address = ["https://", "http://", "HTTPS://", "HTTP://"].iter().find_map(|scheme| text.strip_prefix(scheme))?;
    let address = address.split('#').next()?;
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let at = segments.iter().position(|segment| *segment == "01")?;
    let pairs = segments.get(at..)?.chunks_exact(2).map(|pair| (pair.first(), pair.last()));
    let pairs = pairs.filter_map(|(identifier, value)| Some((*identifier?, *value?)));
    let queried = query.split(['&', ';']).filter_map(|pair| pair.split_once('='));
    let known = |(identifier, _): &(&str, &str)| {
        is_digits(identifier) && identifier_digits(identifier) == Some(identifier.len())
    };
    let mut elements = Vec::new();
    for (identifier, value) in pairs.chain(queried).filter(known) {
        let Some(value) = percent_decoded(value) else {
            return Some(Err(fault(identifier, value, "percent-encoded UTF-8")));
        };
        let value = match identifier {
            // The link may leave out leading zeros.
            "01" if is_digits(&value) && value.len() < 14 => Cow::Owned(format!("{value:0>14}")),
            _ => value,
        };
        elements.push((Cow::Borrowed(identifier), value));
    }
    Some(Ok(elements))
}

/// Decodes `%2F` and the like; `None` if the text is not well-formed.
fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            let (hex, behind) = rest.split_at_checked(2)?;
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let [high, low] = hex else { return None };
            bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Returns how many digits the identifier at the beginning of a text has; `None` if none begins so.
fn identifier_digits(text: &str) -> Option<usize> {
    Some(match text.get(..2)? {
        "00" | "01" | "02" | "03" | "04" | "10" | "11" | "12" | "13" | "15" | "16" | "17" | "20" | "21" | "22"
        | "30" | "37" | "90" | "91" | "92" | "93" | "94" | "95" | "96" | "97" | "98" | "99" => 2,
        "23" | "24" | "25" | "40" | "41" | "42" | "71" => 3,
        "31" | "32" | "33" | "34" | "35" | "36" | "39" | "43" | "70" | "72" | "80" | "81" | "82" => 4,
        _ => return None,
    })
}

/// Returns the length of a value that needs no separator behind it.
fn fixed_length(identifier: &str) -> Option<usize> {
    Some(match identifier.get(..2)? {
        "00" => 18,
        "01" | "02" | "03" => 14,
        "04" => 16,
        "11" | "12" | "13" | "15" | "16" | "17" | "31" | "32" | "33" | "34" | "35" | "36" => 6,
        "20" => 2,
        "41" => 13,
        _ => return None,
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn fault(identifier: &str, value: &str, rule: &'static str) -> Gs1Error {
    let value = value.chars().take(VALUE_MAX).filter(|c| !c.is_control()).collect();
    Gs1Error::Value { identifier: identifier.chars().take(4).collect(), value, rule }
}

/// Returns what the elements say. Identifiers that Stockline has no use for are skipped.
pub(super) fn facts(elements: &[Element<'_>], now: Timestamp) -> Result<ScanFacts, Gs1Error> {
    let mut facts = ScanFacts::default();
    for (identifier, value) in elements {
        let fault = |rule| fault(identifier, value, rule);
        match identifier.as_ref() {
            "01" | "02" => {
                let is_right = value.len() == 14 && barcode::is_gtin(value);
                if !is_right {
                    return Err(fault("14 digits with the right check digit"));
                }
                facts.gtin = Some(barcode::canonical(value).into_owned());
            }
            "10" => facts.batch = Some(text(value).ok_or_else(|| fault("1 to 20 printable ASCII characters"))?),
            "21" => facts.serial = Some(text(value).ok_or_else(|| fault("1 to 20 printable ASCII characters"))?),
            "15" => facts.best_before = Some(date(value, now).ok_or_else(|| fault("a day as YYMMDD"))?),
            "17" => facts.expires_on = Some(date(value, now).ok_or_else(|| fault("a day as YYMMDD"))?),
            "30" | "37" => facts.count = Some(count(value).ok_or_else(|| fault("1 to 8 digits"))?),
            weight if weight.starts_with("310") => {
                facts.net_weight_kg =
                    Some(mass(weight, value).ok_or_else(|| fault("6 digits, with up to 5 decimals"))?);
            }
            _ if value.is_empty() || value.chars().count() > VALUE_MAX => return Err(fault("1 to 90 characters")),
            _ => {}
        }
    }
    if facts.gtin.is_none() {
        return Err(Gs1Error::NoItem);
    }
    Ok(facts)
}

fn text(value: &str) -> Option<String> {
    let is_right = (1..=20).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    is_right.then(|| value.to_owned())
}

fn count(value: &str) -> Option<u32> {
    (is_digits(value) && value.len() <= 8).then(|| value.parse().ok()).flatten()
}

fn mass(identifier: &str, value: &str) -> Option<Mass> {
    let decimals = identifier.get(3..)?.parse::<u32>().ok().filter(|decimals| *decimals <= 5)?;
    let number = (is_digits(value) && value.len() == 6).then(|| value.parse::<i64>().ok()).flatten()?;
    number.checked_mul(10_i64.pow(6 - decimals)).map(Mass::from_raw)
}

/// Reads `YYMMDD`; the day 00 is the month's last. The year is the one within 50 years of now.
fn date(value: &str, now: Timestamp) -> Option<String> {
    if !is_digits(value) || value.len() != 6 {
        return None;
    }
    let part = |range| value.get(range).and_then(|digits: &str| digits.parse::<i16>().ok());
    let (year, month, day) = (part(0..2)?, part(2..4)?, part(4..6)?);
    let this_year: i16 = now.day_in_zone("UTC").get(..4)?.parse().ok()?;
    // GS1 General Specifications §7.12.
    let century = this_year - this_year % 100;
    let year = match year - this_year % 100 {
        51..=99 => century - 100 + year,
        -99..=-50 => century + 100 + year,
        _ => century + year,
    };
    let month = i8::try_from(month).ok()?;
    let first = jiff::civil::Date::new(year, month, 1).ok()?;
    let day = if day == 0 { first.days_in_month() } else { i8::try_from(day).ok()? };
    jiff::civil::Date::new(year, month, day).ok().map(|date| date.to_string())
}
