//! What the text of a scanned barcode says: a code, a GS1 element string or digital link, or the label of a scale.
//!
//! Which item it is, the store knows; [`Scan::codes`] are the barcodes to look for.

mod gs1;
mod scale;

use serde::Serialize;

use super::barcode::{self, BarcodeError};
use super::{Barcode, Cost, Fixed, MAX_COMMAND_QUANTITY, Quantity, Timestamp};

pub use gs1::Gs1Error;
pub use scale::{ScaleRuleError, ScaleRules};

/// A mass in kilograms, in millionths.
pub type Mass = Fixed<6>;

/// The longest text of a scan, in bytes: more than the longest GS1 element string or address in a QR code of a shelf.
pub const SCAN_MAX_BYTES: usize = 512;

/// The kind of a scanned text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanKind {
    /// A code as it is: a GTIN, or any text.
    Code,
    /// A GS1 element string, as in GS1-128, DataMatrix and DataBar.
    Gs1,
    /// A GS1 digital link, as in QR codes.
    DigitalLink,
    /// A label of the shop's own scale.
    ScaleLabel,
}

impl ScanKind {
    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Gs1 => "gs1",
            Self::DigitalLink => "digital_link",
            Self::ScaleLabel => "scale_label",
        }
    }
}

/// What a scanned text says besides which item it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanFacts {
    /// The GTIN in its shortest standard form (AI 01, or 02 of a logistic unit's content).
    pub gtin: Option<String>,
    /// The batch or lot (AI 10).
    pub batch: Option<String>,
    /// The serial number (AI 21).
    pub serial: Option<String>,
    /// The last day of use, such as `2026-12-31` (AI 17).
    pub expires_on: Option<String>,
    /// The last day of best quality (AI 15).
    pub best_before: Option<String>,
    /// The net weight (AI 310n, or a scale's label).
    pub net_weight_kg: Option<Mass>,
    /// The number of pieces (AI 30 or 37).
    pub count: Option<u32>,
    /// The quantity in the item's unit (a scale's label).
    pub quantity: Option<Quantity>,
    /// The price of the whole label (a scale's label).
    pub price: Option<Cost>,
}

/// A scanned text, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Its kind.
    pub kind: ScanKind,
    /// The barcodes by which an item may hold it, the best first, each in every spelling.
    pub codes: Vec<String>,
    /// What else it says.
    pub facts: ScanFacts,
    /// Why it would be refused as a new barcode. An item from before may hold it all the same.
    pub fault: Option<BarcodeError>,
}

/// Why a scanned text can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// It is too long.
    #[error("has more than {SCAN_MAX_BYTES} bytes")]
    TooLong,
    /// It has nothing to look for.
    #[error("is blank")]
    Blank,
    /// It is a GS1 element string or digital link with a fault.
    #[error("{0}")]
    Gs1(#[from] Gs1Error),
}

impl Scan {
    /// Reads a text as a scanner types it. `now` decides the century of its dates.
    ///
    /// # Errors
    /// A GS1 element string or digital link with a fault, or a text that is blank or too long.
    pub fn read(text: &str, scale: &ScaleRules, now: Timestamp) -> Result<Self, ScanError> {
        if text.len() > SCAN_MAX_BYTES {
            return Err(ScanError::TooLong);
        }
        if text.trim().is_empty() {
            return Err(ScanError::Blank);
        }
        if let Some(link) = gs1::digital_link(text) {
            return Ok(Self::of_gs1(ScanKind::DigitalLink, gs1::facts(&link?, now)?));
        }
        if let Some(elements) = gs1::element_string(text) {
            return Ok(Self::of_gs1(ScanKind::Gs1, gs1::facts(&elements?, now)?));
        }
        let code = gs1::without_symbology(text);
        Ok(Self::of_label(code, scale).unwrap_or_else(|| Self {
            kind: ScanKind::Code,
            codes: barcode::spellings(code),
            facts: ScanFacts { gtin: gtin(code), ..ScanFacts::default() },
            fault: barcode::check(code).err(),
        }))
    }

    fn of_gs1(kind: ScanKind, facts: ScanFacts) -> Self {
        let codes = facts.gtin.as_deref().map(barcode::spellings).unwrap_or_default();
        Self { kind, codes, facts, fault: None }
    }

    /// Reads the label of a scale. An item may hold the whole code, the code with zeros in place of the value, or only
    /// the scale's number of the item.
    fn of_label(code: &str, scale: &ScaleRules) -> Option<Self> {
        let label = scale.read(code)?;
        let mut codes = barcode::spellings(code);
        codes.extend(barcode::spellings(&label.without_value));
        codes.push(label.item_number);
        Some(Self { kind: ScanKind::ScaleLabel, codes, facts: label.facts, fault: None })
    }

    /// Returns the quantity of an item that the scan means, in the item's unit; `None` if a person must say it: the label
    /// has only a price, or a weight that the item's decimals can't write.
    pub fn quantity(&self, held: &Barcode, unit: &str, decimals: u8) -> Option<Quantity> {
        let facts = &self.facts;
        let of_mass = mass_unit(unit);
        let quantity = if let Some(quantity) = facts.quantity {
            quantity
        } else if let (Some(weight), Some(per_unit)) = (facts.net_weight_kg, of_mass) {
            if weight.raw() % per_unit != 0 {
                return None;
            }
            Quantity::from_raw(weight.raw() / per_unit)
        } else if facts.price.is_some() && of_mass.is_some() {
            return None;
        } else {
            let count = i64::from(facts.count.unwrap_or(1));
            Quantity::from_raw(held.quantity.raw().checked_mul(count)?)
        };
        let is_possible = quantity.is_positive() && quantity <= MAX_COMMAND_QUANTITY;
        (is_possible && quantity.fits_decimals(decimals)).then_some(quantity)
    }
}

/// Returns how many millionths of a kilogram are a thousandth of this unit; `None` if it is no unit of mass.
fn mass_unit(unit: &str) -> Option<i64> {
    match unit.to_lowercase().as_str() {
        "kg" => Some(1_000),
        "g" => Some(1),
        _ => None,
    }
}

fn gtin(code: &str) -> Option<String> {
    let canonical = barcode::canonical(code);
    barcode::is_gtin(&canonical).then(|| canonical.into_owned())
}

#[cfg(test)]
mod tests;
