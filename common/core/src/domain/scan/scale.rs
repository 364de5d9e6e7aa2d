use std::fmt;
use std::str::FromStr;

use super::super::barcode::{self, EAN_13};
use super::super::{Cost, Fixed, Quantity};
use super::{Mass, ScanFacts};

/// The digits of a label without its check digit.
const PLACES: usize = EAN_13 - 1;

/// The most rules; there are as many prefixes.
const RULES_MAX: usize = 11;

/// What the value of a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Kilograms,
    Quantity,
    Price,
}

/// How the labels of one prefix are read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ScaleRule {
    /// Two digits, `02` or `20` to `29`.
    prefix: String,
    /// For each place, one of `0`–`9` (the prefix), `I`, `W`, `Q`, `P` and `X`.
    places: String,
    value: Value,
    /// The decimals of the value.
    decimals: u32,
}

/// How the shop's own labels are read: EAN-13 codes with the prefixes 02 and 20 to 29, whose meaning each shop decides
/// (GS1 General Specifications §2.1.11). Without a rule for its prefix, such a code is a code like any other.
///
/// A rule is a pattern of the 12 digits before the check digit: two digits of the prefix, `I` for the item's number, and
/// `W` for a weight in kilograms, `Q` for a quantity in the item's unit, or `P` for a price, with a point where the
/// decimals begin; `X` is skipped. Rules are separated by commas.
///
/// ```
/// use stockline_core::domain::ScaleRules;
///
/// let rules: ScaleRules = "21IIIIIWW.WWW,22IIIIIXPP.PP".parse().unwrap();
/// assert_eq!(rules.to_string(), "21IIIIIWW.WWW,22IIIIIXPP.PP");
/// assert!("21IIIII".parse::<ScaleRules>().is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScaleRules(Vec<ScaleRule>);

/// Why a text is no rule for labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule:?} is no rule for scale labels: {why}; write the 12 digits before the check digit as in 21IIIIIWW.WWW")]
pub struct ScaleRuleError {
    rule: String,
    why: &'static str,
}

/// A label, read.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) item_number: String,
    /// The label with zeros in place of its value, and the check digit of that.
    pub(super) without_value: String,
    pub(super) facts: ScanFacts,
}

impl ScaleRule {
    fn read(rule: &str) -> Result<Self, &'static str> {
        let mut decimals = None;
        let mut places = String::with_capacity(PLACES);
        for place in rule.chars() {
            match (place, decimals.as_mut()) {
                ('.', None) => decimals = Some(0),
                ('.', Some(_)) => return Err("it has two points"),
                ('W' | 'Q' | 'P', Some(count)) => {
                    *count += 1;
                    places.push(place);
                }
                ('0'..='9' | 'I' | 'W' | 'Q' | 'P' | 'X', _) => places.push(place),
                _ => return Err("it has another character than digits, I, W, Q, P, X and a point"),
            }
        }
        let prefix: String = places.chars().take_while(char::is_ascii_digit).collect();
        let is_own = prefix == "02" || (prefix.len() == 2 && prefix.starts_with('2'));
        if !is_own {
            return Err("it must begin with one of the prefixes 02 and 20 to 29");
        }
        if places.len() != PLACES {
            return Err("it must have 12 places");
        }
        if places.chars().skip(prefix.len()).any(|place| place.is_ascii_digit()) {
            return Err("it has digits behind the prefix");
        }
        let has = |letter: char| places.contains(letter);
        if !has('I') {
            return Err("it has no place I for the item's number");
        }
        let value = match (has('W'), has('Q'), has('P')) {
            (true, false, false) => Value::Kilograms,
            (false, true, false) => Value::Quantity,
            (false, false, true) => Value::Price,
            _ => return Err("it must have one kind of value: W, Q or P"),
        };
        let letter = value.letter();
        let (first, last) = (places.find(letter).unwrap_or(0), places.rfind(letter).unwrap_or(0));
        if places.get(first..=last).is_some_and(|run| run.contains(|place| place != letter)) {
            return Err("the places of its value must be side by side");
        }
        let decimals = decimals.unwrap_or(0);
        if decimals > value.decimals_max() {
            return Err("its value has too many decimals: a weight and a quantity have up to 3, a price up to 4");
        }
        Ok(Self { prefix, places, value, decimals })
    }

    fn label(&self, digits: &str) -> Label {
        let at = |letter: char| {
            self.places.chars().zip(digits.chars()).filter(move |(place, _)| *place == letter).map(|(_, digit)| digit)
        };
        let zeroed = |(place, digit): (char, char)| if place == self.value.letter() { '0' } else { digit };
        let without_value: String = self.places.chars().zip(digits.chars()).map(zeroed).collect();
        let value: String = at(self.value.letter()).collect();
        Label {
            item_number: at('I').collect(),
            without_value: format!("{without_value}{}", barcode::check_digit(&without_value)),
            facts: self.facts(value.parse().unwrap_or(0)),
        }
    }

    fn facts(&self, value: i64) -> ScanFacts {
        let mut facts = ScanFacts::default();
        match self.value {
            Value::Kilograms => facts.net_weight_kg = Some(self.scaled::<6>(value)).filter(|w: &Mass| w.is_positive()),
            Value::Quantity => facts.quantity = Some(self.scaled::<3>(value)).filter(|q: &Quantity| q.is_positive()),
            Value::Price => facts.price = Some(self.scaled::<4>(value)).filter(|p: &Cost| p.is_positive()),
        }
        facts
    }

    /// Returns the value, which has at most 9 digits, as a number with so many decimals.
    fn scaled<const P: u32>(&self, value: i64) -> Fixed<P> {
        Fixed::from_raw(value * 10_i64.pow(P.saturating_sub(self.decimals)))
    }
}

impl Value {
    const fn letter(self) -> char {
        match self {
            Self::Kilograms => 'W',
            Self::Quantity => 'Q',
            Self::Price => 'P',
        }
    }

    const fn decimals_max(self) -> u32 {
        match self {
            Self::Kilograms | Self::Quantity => 3,
            Self::Price => 4,
        }
    }
}

impl ScaleRules {
    /// Reports whether there is no rule.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a label; `None` if no rule has its prefix, or if it is no EAN-13 with the right check digit.
    pub(super) fn read(&self, code: &str) -> Option<Label> {
        let canonical = barcode::canonical(code);
        if !barcode::is_gtin(&canonical) || canonical.len() > EAN_13 {
            return None;
        }
        let ean = format!("{canonical:0>EAN_13$}");
        let digits = ean.get(..PLACES)?;
        let rule = self.0.iter().find(|rule| digits.starts_with(&rule.prefix))?;
        Some(rule.label(digits))
    }
}

impl FromStr for ScaleRules {
    type Err = ScaleRuleError;

    fn from_str(text: &str) -> Result<Self, ScaleRuleError> {
        let mut rules: Vec<ScaleRule> = Vec::new();
        for rule in text.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
            let fault = |why| ScaleRuleError { rule: rule.chars().take(40).collect(), why };
            let read = ScaleRule::read(rule).map_err(fault)?;
            if rules.len() == RULES_MAX || rules.iter().any(|other| other.prefix == read.prefix) {
                return Err(fault("its prefix has a rule already"));
            }
            rules.push(read);
        }
        Ok(Self(rules))
    }
}

impl fmt::Display for ScaleRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let last = rule.places.rfind(rule.value.letter()).unwrap_or(0) + 1;
            let point = last.saturating_sub(rule.decimals as usize);
            let (whole, rest) = rule.places.split_at(point);
            let dot = if rule.decimals == 0 { "" } else { "." };
            write!(f, "{comma}{whole}{dot}{rest}")?;
        }
        Ok(())
    }
}
