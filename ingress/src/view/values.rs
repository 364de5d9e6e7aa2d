//! Schemas of the values of commands and parameters: words from the lists of the domain, and numbers as strings or integers.

use serde_json::Value;
use stockline_core::domain::{CommandKind, Reason, RejectionCode, ShortagePolicy, Status, StockState};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{Object, ObjectBuilder, Type};

/// A quantity with or without a sign.
const QUANTITY: &str = "^-?[0-9]{1,7}([.][0-9]{1,3})?$";
/// A quantity without a sign.
const NOT_NEGATIVE: &str = "^[0-9]{1,7}([.][0-9]{1,3})?$";
/// The cost of one unit.
const COST: &str = "^[0-9]{1,7}([.][0-9]{1,4})?$";

/// As `domain::ItemId` reads it.
const ITEM_ID: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
/// As `domain::LocationId` reads it.
const LOCATION_ID: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$";
/// The longest page by default.
const PAGE_MAX: usize = 1_000;

/// Returns the schema of a parameter by its name; `None` if it is any text or a time.
pub(crate) fn of_parameter(name: &str) -> Option<Object> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let words = |words: &[&str]| text().enum_values(Some(words.iter().map(|word| Value::from(*word)))).build();
    Some(match name {
        "item_id" => text().pattern(Some(ITEM_ID)).build(),
        "location_id" => text().pattern(Some(LOCATION_ID)).build(),
        "limit" => {
            let number = ObjectBuilder::new().schema_type(Type::Integer);
            number.minimum(Some(1)).maximum(Some(PAGE_MAX)).build()
        }
        "cursor" | "receipt" | "barcode" | "name_prefix" | "name" | "category" => text().min_length(Some(1)).build(),
        "type" => {
            let movements = CommandKind::ALL.into_iter().filter(|kind| kind.is_movement());
            words(&movements.map(CommandKind::as_str).collect::<Vec<_>>())
        }
        "code" => words(&RejectionCode::ALL.map(RejectionCode::as_str)),
        "status" => words(&[Status::Rejected, Status::DeadLettered].map(Status::as_str)),
        "state" => words(&[StockState::Low, StockState::Out, StockState::Oversold].map(StockState::as_str)),
        _ => return None,
    })
}

pub(super) fn command_type() -> Object {
    let words = CommandKind::ALL.map(CommandKind::as_str);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("One of {}.", listed(&words))))
        .enum_values(Some(words))
        .examples(["sell"])
        .build()
}

pub(super) fn reason() -> Object {
    optional_word("Movements: the reason; required for `adjust`.", &Reason::ALL.map(Reason::as_str))
}

pub(super) fn on_shortage() -> Object {
    optional_word("`sell`: overrides the item's policy.", &policies())
}

pub(super) fn shortage_policy() -> Object {
    optional_word("`register_item`, `update_item`: `allow` by default.", &policies())
}

pub(super) fn quantity() -> Object {
    let description = "`receive`, `sell`, `return`, `transfer`: above 0; `adjust`: not 0. A decimal string or an integer, never a float.";
    optional_number(description, QUANTITY)
}

pub(super) fn counted() -> Object {
    optional_number("`count`: the counted quantity, 0 or more.", NOT_NEGATIVE)
}

pub(super) fn expected_on_hand() -> Object {
    let description =
        "Movements: the balance that is required when the command is applied (for a transfer on the giving side).";
    optional_number(description, "^-?[0-9]{1,16}([.][0-9]{1,3})?$")
}

pub(super) fn low_stock_threshold() -> Object {
    let description = "`register_item`, `update_item`, `set_threshold` (required there; null removes it).";
    optional_number(description, NOT_NEGATIVE)
}

pub(super) fn unit_cost() -> Object {
    let description =
        "`register_item`, `update_item`, `receive`: the cost of one unit, a decimal string with at most 4 decimals.";
    optional_number(description, COST)
}

fn policies() -> [&'static str; 2] {
    [ShortagePolicy::Allow, ShortagePolicy::Reject].map(ShortagePolicy::as_str)
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn optional_word(what: &str, words: &[&str]) -> Object {
    let values = words.iter().map(|word| Value::from(*word)).chain([Value::Null]);
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .description(Some(format!("{what} One of {}.", listed(words))))
        .enum_values(Some(values.collect::<Vec<_>>()))
        .build()
}

fn optional_number(what: &str, pattern: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Integer, Type::Null]))
        .description(Some(what))
        .pattern(Some(pattern))
        .build()
}
