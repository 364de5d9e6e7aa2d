use std::fmt::Display;

use super::super::barcode::{ONE, canonical, check};
use super::super::{
    Barcode, Fixed, FixedError, Json, LocationId, MAX_BARCODES, MAX_COMMAND_MONEY, MAX_COMMAND_QUANTITY,
    MAX_LEAD_TIME_DAYS, MAX_SERVICE_LEVEL, MIN_SERVICE_LEVEL, Money, Percent, Quantity, Reason, ShortagePolicy,
    Timestamp,
};
use super::Reader;

const MAX_BARCODE_CHARS: usize = 64;
const MAX_DECIMALS: u8 = 3;
/// 2^63, the first float beyond an `i64`.
const MAX_INTEGER: f64 = 9_223_372_036_854_775_808.0;

/// Readers of single values. Each reports a fault of its field and returns `None`.
impl<'a> Reader<'a> {
    pub(super) fn str(&mut self, field: &str, json: &'a Json<'a>) -> Option<&'a str> {
        if let Json::Str(text) = json {
            return Some(text);
        }
        self.fault(field, "wrong_type", format!("must be a string, not {}", json.kind()));
        None
    }

    pub(super) fn id<T: std::str::FromStr>(&mut self, field: &str, json: &'a Json<'a>) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.str(field, json)?;
        text.parse().map_err(|error: T::Err| self.fault(field, "invalid_value", error.to_string())).ok()
    }

    pub(super) fn time(&mut self, field: &str, json: &'a Json<'a>) -> Option<Timestamp> {
        self.id(field, json)
    }

    /// Reads a text of 1 to `max` characters without control characters; `lines` allows line breaks and tabs.
    pub(super) fn text(&mut self, field: &str, json: &'a Json<'a>, max: usize, lines: bool) -> Option<String> {
        let text = self.str(field, json)?;
        let allowed_break = |c: char| lines && matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(|c| c.is_control() && !allowed_break(c)) {
            self.fault(field, "invalid_value", "has a control character");
            return None;
        }
        let chars = text.chars().count();
        if chars > 0 && text.trim().is_empty() {
            self.fault(field, "invalid_value", "is blank");
            return None;
        }
        if chars == 0 || chars > max {
            self.fault(field, "invalid_value", format!("must be 1 to {max} characters, not {chars}"));
            return None;
        }
        Some(text.to_owned())
    }

    pub(super) fn fixed<const P: u32>(&mut self, field: &str, json: &'a Json<'a>) -> Option<Fixed<P>> {
        let range = |reader: &mut Self| {
            reader.fault(field, "out_of_range", "is out of range");
            None
        };
        match json {
            Json::Int(units) => Fixed::from_units(*units).map_or_else(|| range(self), Some),
            Json::Str(text) => match text.parse() {
                Ok(number) => Some(number),
                Err(FixedError::Range) => range(self),
                Err(error) => {
                    self.fault(field, "invalid_value", error.to_string());
                    None
                }
            },
            // A number of this size without a fraction is an integer beyond 64 bits, such as two barcodes in one field.
            Json::Float(number) if number.abs() >= MAX_INTEGER => range(self),
            Json::Float(number) => {
                let detail = format!("must be a decimal string, because a JSON float is not exact: write \"{number}\"");
                self.fault(field, "float", detail);
                None
            }
            other => {
                self.fault(
                    field,
                    "wrong_type",
                    format!("must be a decimal string such as \"2\", not {}", other.kind()),
                );
                None
            }
        }
    }

    /// Reads a quantity that one command may move, in either direction.
    pub(super) fn quantity(&mut self, field: &str, json: &'a Json<'a>) -> Option<Quantity> {
        let before = self.faults.len();
        let quantity = self.fixed(field, json);
        if let Some(fault) = self.faults.get_mut(before).filter(|fault| fault.code == "out_of_range") {
            fault.code = "quantity_too_large";
        }
        let quantity: Quantity = quantity?;
        if quantity > MAX_COMMAND_QUANTITY || quantity < Quantity::from_raw(-MAX_COMMAND_QUANTITY.raw()) {
            let detail =
                format!("is more than one command moves ({MAX_COMMAND_QUANTITY}); was a barcode scanned into it?");
            self.fault(field, "quantity_too_large", detail);
            return None;
        }
        Some(quantity)
    }

    pub(super) fn checked_quantity(&mut self, field: &str, ok: fn(Quantity) -> bool, rule: &str) -> Option<Quantity> {
        let quantity = self.required(field, Self::quantity)?;
        if !ok(quantity) {
            self.fault(field, "invalid_value", format!("must be {rule}, not {quantity}"));
            return None;
        }
        Some(quantity)
    }

    pub(super) fn positive_quantity(&mut self) -> Option<Quantity> {
        self.checked_quantity("quantity", Quantity::is_positive, "above 0")
    }

    /// Reads a number from 0 to `most`.
    fn up_to<const P: u32>(&mut self, field: &str, json: &'a Json<'a>, most: Fixed<P>) -> Option<Fixed<P>> {
        let number: Fixed<P> = self.fixed(field, json)?;
        if number.is_negative() || number > most {
            self.fault(field, "invalid_value", format!("must be from 0 to {most}"));
            return None;
        }
        Some(number)
    }

    pub(super) fn threshold(&mut self, field: &str, json: &'a Json<'a>) -> Option<Quantity> {
        self.up_to(field, json, MAX_COMMAND_QUANTITY)
    }

    /// Reads the cost of a unit or the total of a line. Neither has a sign: the type of the command says who pays.
    pub(super) fn money(&mut self, field: &str, json: &'a Json<'a>) -> Option<Money> {
        self.up_to(field, json, MAX_COMMAND_MONEY)
    }

    pub(super) fn location(&mut self, field: &str) -> Option<LocationId> {
        match (self.get(field), &self.context.default_location) {
            (None | Some(Json::Null), Some(default)) => Some(default.clone()),
            _ => self.required(field, Self::id),
        }
    }

    pub(super) fn word<T>(&mut self, field: &str, json: &'a Json<'a>, words: &[(&str, T)]) -> Option<T>
    where
        T: Copy,
    {
        let text = self.str(field, json)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault(field, "invalid_value", format!("must be one of {}", list.join(", ")));
        }
        found
    }

    pub(super) fn policy(&mut self, field: &str, json: &'a Json<'a>) -> Option<ShortagePolicy> {
        let words = [ShortagePolicy::Allow, ShortagePolicy::Reject].map(|policy| (policy.as_str(), policy));
        self.word(field, json, &words)
    }

    pub(super) fn reason(&mut self, field: &str, json: &'a Json<'a>) -> Option<Reason> {
        self.word(field, json, &Reason::ALL.map(|reason| (reason.as_str(), reason)))
    }

    pub(super) fn decimals(&mut self, field: &str, json: &'a Json<'a>) -> Option<u8> {
        self.whole(field, json, MAX_DECIMALS)
    }

    pub(super) fn lead_time(&mut self, field: &str, json: &'a Json<'a>) -> Option<u16> {
        self.whole(field, json, MAX_LEAD_TIME_DAYS)
    }

    /// Reads a whole number from 0 to `most`.
    fn whole<T: TryFrom<i64> + PartialOrd + Display>(&mut self, field: &str, json: &'a Json<'a>, most: T) -> Option<T> {
        let number = match json {
            Json::Int(n) => T::try_from(*n).ok().filter(|n| *n <= most),
            _ => None,
        };
        if number.is_none() {
            let code = if matches!(json, Json::Int(_) | Json::Float(_)) { "invalid_value" } else { "wrong_type" };
            self.fault(field, code, format!("must be a whole number from 0 to {most}"));
        }
        number
    }

    pub(super) fn service_level(&mut self, field: &str, json: &'a Json<'a>) -> Option<Percent> {
        let level: Percent = self.fixed(field, json)?;
        if level < MIN_SERVICE_LEVEL || level > MAX_SERVICE_LEVEL {
            let detail = format!("must be from {MIN_SERVICE_LEVEL} to {MAX_SERVICE_LEVEL} percent, not {level}");
            self.fault(field, "invalid_value", detail);
            return None;
        }
        Some(level)
    }

    pub(super) fn barcodes(&mut self, field: &str, json: &'a Json<'a>) -> Option<Vec<Barcode>> {
        let Json::Array(values) = json else {
            self.fault(field, "wrong_type", format!("must be an array of barcodes, not {}", json.kind()));
            return None;
        };
        if values.len() > MAX_BARCODES {
            self.fault(
                field,
                "invalid_value",
                format!("has {} entries; an item has at most {MAX_BARCODES}", values.len()),
            );
            return None;
        }
        let mut barcodes: Vec<Barcode> = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let path = format!("{field}/{index}");
            let Some(barcode) = self.barcode(&path, value) else {
                continue;
            };
            let code = &barcode.code;
            if let Some(same) = barcodes.iter().find(|other| canonical(&other.code) == canonical(code)) {
                let detail = if same.code == *code {
                    format!("names {code} twice")
                } else {
                    format!("is {code}, which is the same code as {}", same.code)
                };
                self.fault(&path, "invalid_value", detail);
            } else {
                barcodes.push(barcode);
            }
        }
        (barcodes.len() == values.len()).then_some(barcodes)
    }

    /// Reads a code, or `{code, quantity}`.
    fn barcode(&mut self, path: &str, json: &'a Json<'a>) -> Option<Barcode> {
        let Json::Object(members) = json else {
            if !matches!(json, Json::Str(_)) {
                let detail = format!("must be a string, or an object with code and quantity, not {}", json.kind());
                self.fault(path, "wrong_type", detail);
                return None;
            }
            return self.code(path, json).map(Barcode::single);
        };
        let (mut code, mut quantity) = (None, None);
        for (key, value) in members {
            let slot = match key.as_ref() {
                "code" => &mut code,
                "quantity" => &mut quantity,
                _ => {
                    self.fault(path, "unknown_field", "is a barcode with other fields than code and quantity");
                    return None;
                }
            };
            if slot.replace(value).is_some() {
                self.fault(path, "duplicate_field", format!("has {key} more than once"));
                return None;
            }
        }
        let Some(code) = code else {
            self.fault(path, "missing_field", "is a barcode without its code");
            return None;
        };
        let code = self.code(&format!("{path}/code"), code);
        let quantity = match quantity {
            None | Some(Json::Null) => Some(ONE),
            Some(json) => self.multiple(&format!("{path}/quantity"), json),
        };
        Some(Barcode { code: code?, quantity: quantity? })
    }

    fn code(&mut self, path: &str, json: &'a Json<'a>) -> Option<String> {
        let code = self.text(path, json, MAX_BARCODE_CHARS, false)?;
        match check(&code) {
            Err(error) if !self.context.accepted => {
                self.fault(path, "invalid_value", format!("{code} {error}"));
                None
            }
            _ => Some(code),
        }
    }

    /// Reads a quantity above 0 that one scan or one step of an order means.
    pub(super) fn multiple(&mut self, path: &str, json: &'a Json<'a>) -> Option<Quantity> {
        let quantity = self.quantity(path, json)?;
        if !quantity.is_positive() {
            self.fault(path, "invalid_value", format!("must be above 0, not {quantity}"));
            return None;
        }
        Some(quantity)
    }
}
