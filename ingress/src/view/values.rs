//! Schemas of the parameters, and the patterns of ids and numbers.

use stockline_core::domain::{ItemId, LocationId, MAX_LEAD_TIME_DAYS};
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Type};

use super::words::{
    ChangeTypeWord, DecidedStatusWord, GroupWord, ImportTypeWord, ListedStateWord, MovementTypeWord, RejectionCodeWord,
    ReportWord,
};

/// A quantity with or without a sign.
pub(super) const QUANTITY: &str = "^-?[0-9]{1,7}([.][0-9]{1,3})?$";
/// A quantity without a sign.
pub(super) const NOT_NEGATIVE: &str = "^[0-9]{1,7}([.][0-9]{1,3})?$";
/// A balance.
pub(super) const BALANCE: &str = "^-?[0-9]{1,16}([.][0-9]{1,3})?$";
/// Money: the cost of one unit, or the total of a line.
pub(super) const MONEY: &str = "^[0-9]{1,10}([.][0-9]{1,4})?$";
/// A service level in percent.
pub(super) const PERCENT: &str = "^[5-9][0-9]([.][0-9])?$";

/// The spaces of an id: none at either end, and no two in a row. Patterns have no common word for the characters that
/// `domain::ItemId` and `domain::LocationId` refuse.
pub(super) const ID: &str = "^[^ ]+( [^ ]+)*$";

/// Returns the most characters of a field with an id.
pub(super) fn id_chars_max(field: &str) -> Option<usize> {
    match field {
        "item_id" => Some(ItemId::MAX_LEN),
        "location_id" | "from_location_id" | "to_location_id" => Some(LocationId::MAX_LEN),
        _ => None,
    }
}

/// Describes the text of an item id or a location id.
fn id(chars_max: usize) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(ID));
    text.min_length(Some(1)).max_length(Some(chars_max))
}
/// The most days of a review period, or without a sale.
pub(crate) const DAYS_MAX: u16 = 3_650;
/// The longest page by default.
const PAGE_MAX: usize = 1_000;

/// Returns the schema of a parameter of a path; `None` if it is any text or a time.
pub(crate) fn of_parameter(path: &str, name: &str) -> Option<RefOr<Schema>> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    Some(match name {
        "item_id" => id(ItemId::MAX_LEN).into(),
        "location_id" => id(LocationId::MAX_LEN).into(),
        "code" if path.contains("/barcodes/") => text().min_length(Some(1)).into(),
        "limit" => {
            let number = ObjectBuilder::new().schema_type(Type::Integer);
            number.minimum(Some(1)).maximum(Some(PAGE_MAX)).into()
        }
        "Prefer" | "Idempotency-Key" => text().into(),
        "cursor" | "receipt" | "barcode" | "name_prefix" | "name" | "category" | "supplier" | "operator" => {
            text().min_length(Some(1)).into()
        }
        "type" if path.ends_with("/movements") => named::<MovementTypeWord>(),
        "type" if path.starts_with("/v1/import") => named::<ImportTypeWord>(),
        "type" => named::<ChangeTypeWord>(),
        "code" => named::<RejectionCodeWord>(),
        "status" => named::<DecidedStatusWord>(),
        "state" => ArrayBuilder::new().items(named::<ListedStateWord>()).min_items(Some(1)).into(),
        "report" => named::<ReportWord>(),
        "group" => ArrayBuilder::new().items(named::<GroupWord>()).min_items(Some(1)).into(),
        "days" | "review_days" => {
            let number = ObjectBuilder::new().schema_type(Type::Integer);
            number.minimum(Some(1)).maximum(Some(DAYS_MAX)).into()
        }
        "lead_time_days" => {
            let number = ObjectBuilder::new().schema_type(Type::Integer);
            number.minimum(Some(0)).maximum(Some(MAX_LEAD_TIME_DAYS)).into()
        }
        "service_level" => text().pattern(Some(PERCENT)).into(),
        _ => return None,
    })
}

fn named<T: utoipa::ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}
