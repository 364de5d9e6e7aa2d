//! A cell of a report.

use crate::visit::{Places, Visit};

/// Writes a cell as the person reads it.
pub(super) fn written(visit: &Visit, places: &Places, column: &str, text: &str) -> String {
    match column {
        "location_id" => places.name(text).to_owned(),
        "day" | "stock_out" | "earliest" | "latest" | "order_by" | "last_sold" | "last_received"
            if !text.is_empty() =>
        {
            visit.locale.day(&format!("{text}T12:00:00Z"), "UTC")
        }
        _ if is_number(column) => visit.locale.number(text),
        _ => text.to_owned(),
    }
}

/// Whether a column has numbers.
pub(super) fn is_number(column: &str) -> bool {
    const TEXTS: [&str; 17] = [
        "day",
        "week",
        "month",
        "item_id",
        "name",
        "category",
        "supplier",
        "unit",
        "location_id",
        "class",
        "xyz",
        "stock_out",
        "earliest",
        "latest",
        "order_by",
        "last_sold",
        "last_received",
    ];
    !TEXTS.contains(&column)
}
