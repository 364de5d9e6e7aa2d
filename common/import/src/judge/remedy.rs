//! What to do about a fault.

use crate::kind::{Field, Kind};

/// The codes of faults, besides those of the fields of commands.
pub const FAULT_CODES: [&str; 19] = [
    "already_stocked",
    "ambiguous_number",
    "barcode_taken",
    "cell_error",
    "date_alone",
    "duplicate_barcode",
    "duplicate_line",
    "forbidden",
    "fractional_quantity",
    "item_archived",
    "item_exists",
    "location_closed",
    "missing_field",
    "missing_name",
    "shortened_number",
    "time_zone",
    "unknown_column",
    "unknown_item",
    "unknown_location",
];

/// Returns what a person can do about a fault of this code.
pub(super) fn of(code: &str, field: &Field, kind: Kind) -> String {
    match (code, field) {
        ("missing_field", Field::ItemId) => "give the line its SKU, or delete the line".into(),
        ("missing_field", Field::LocationId) => {
            "name the location in each line, or say one location for all lines".into()
        }
        ("missing_field", _) => format!("fill in {}, or delete the line", field.word()),
        ("missing_name", _) => "fill in the name".into(),
        ("shortened_number", _) => {
            "format the column as text in the spreadsheet, enter the whole number again, and save".into()
        }
        ("ambiguous_number", _) => {
            "say which mark stands before fractions (decimal . or ,), or write it without a thousands separator".into()
        }
        ("cell_error", _) => "correct the formula, or enter the value".into(),
        ("duplicate_line", _) if kind == Kind::Items => "keep one of the lines".into(),
        ("duplicate_line", _) => "add them up in one line, or delete one".into(),
        ("duplicate_barcode", _) => "a barcode belongs to one item: delete it from the other one".into(),
        ("barcode_taken", _) => "delete it here, or take it from the other item first".into(),
        ("item_exists", _) => "write the id as it is registered; ids that differ only by case are one".into(),
        ("unknown_item", _) => "register it first: import items".into(),
        ("item_archived", _) => "restore the item first, or delete the line".into(),
        ("unknown_location", _) => "register it first (import locations), or say which location the name means".into(),
        ("location_closed", _) => "open the location first, or delete the line".into(),
        ("fractional_quantity", _) => "give the item decimals first, or round the quantity".into(),
        ("already_stocked", _) => "to set the stock to this quantity, import it as counts; else delete the line".into(),
        ("time_zone", _) => "say the time zone of the times".into(),
        ("date_alone", _) => "write the time too, or say what a date means: start, end or a time such as 18:30".into(),
        ("forbidden", _) => "ask a manager who may, or delete the line".into(),
        (_, Field::CountedAt) => {
            "write the time as 2026-01-31 18:30, or with its offset: 2026-01-31T18:30:00+01:00".into()
        }
        (_, Field::ShortagePolicy) => "write allow or reject".into(),
        _ => "correct the value".into(),
    }
}
