//! Describes each type of command by a schema of its own. Commands are read by hand ([`parse_command`]), so that every
//! fault is named.
//!
//! [`parse_command`]: stockline_core::domain::parse_command

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use stockline_core::domain::{CommandKind, fields_of};
use utoipa::openapi::schema::{AdditionalProperties, Discriminator, Schema, SchemaType};
use utoipa::openapi::{Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use super::values::{BALANCE, ID, MONEY, NOT_NEGATIVE, PERCENT, QUANTITY, id_chars_max};
use super::words::{ReasonWord, ShortagePolicyWord};

/// The fields of all types of command.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what domain::parse_command reads")]
struct Fields {
    /// You make one per command, and send the same one with every retry (version 7 recommended). A single command may have it in `Idempotency-Key` instead.
    #[schema(format = "uuid")]
    command_id: String,
    /// The SKU, such as `cola-033` or `AB/12 x`: 1 to 64 letters, digits, punctuation, symbols and single inner spaces, in NFC;
    /// not dots alone; case-sensitive. In a path, percent-encode it: `AB%2F12%20x`.
    item_id: String,
    /// The location; `main` by default if the installation allows it.
    location_id: String,
    /// The command to take back: a movement of the same item, and no count.
    #[schema(format = "uuid")]
    reverses: String,
    /// The giving side.
    from_location_id: String,
    /// The receiving side.
    to_location_id: String,
    /// A decimal string above 0, such as `"2"` or `"0.375"`. An integer is accepted too, a float never.
    quantity: String,
    /// The quantity on the shelf, 0 or more, as a decimal string.
    counted: String,
    /// Overrides the item's policy.
    #[schema(value_type = ShortagePolicyWord)]
    on_shortage: String,
    /// The cost of one unit, a decimal string with at most 4 decimals.
    unit_cost: String,
    /// The line's total as the customer paid it (or got it back, for `return`): 0 or more, a decimal string with at most 4
    /// decimals.
    amount: String,
    /// The name for people, 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The unit of a quantity; `piece` by default.
    #[schema(min_length = 1, max_length = 16)]
    unit: String,
    /// How many decimals a quantity may have; 0 by default.
    #[schema(minimum = 0, maximum = 3)]
    decimals: i32,
    /// At most 20 barcodes; each belongs to one item. A code alone means a quantity of 1; of a pack, give its quantity too.
    #[schema(max_items = 20, value_type = Vec<SubmittedBarcode>)]
    barcodes: Vec<String>,
    /// A category of your choice.
    #[schema(min_length = 1, max_length = 64)]
    category: String,
    /// The quantity below which a level is `low`, a decimal string; 0 means only when it is out.
    low_stock_threshold: String,
    /// What happens to a sale without `on_shortage` if there is not enough stock; `allow` by default.
    #[schema(value_type = ShortagePolicyWord)]
    shortage_policy: String,
    /// Who delivers the item.
    #[schema(min_length = 1, max_length = 64)]
    supplier: String,
    /// Days from an order to its goods; 7 where nothing is set.
    #[schema(minimum = 0, maximum = 365)]
    lead_time_days: i32,
    /// The quantity whose multiples can be ordered, a decimal string above 0; 1 where nothing is set.
    order_multiple: String,
    /// The least quantity of an order, a decimal string; 0 where nothing is set.
    order_minimum: String,
    /// The probability in percent that the stock lasts until the next goods, a decimal string from 50 to 99.9; 95 where nothing
    /// is set.
    service_level: String,
    /// When it happened, RFC 3339 with an offset; the time of acceptance by default.
    #[schema(format = DateTime)]
    occurred_at: String,
    /// The time of your clock when you send the command. It corrects `occurred_at`.
    #[schema(format = DateTime)]
    sent_at: String,
    /// The balance that is required when the command is applied (for a transfer on the giving side), a decimal string.
    expected_on_hand: String,
    /// The reason; required for `adjust`.
    #[schema(value_type = ReasonWord)]
    reason: String,
    /// A free text of at most 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    note: String,
    /// A receipt, an order, or the address of a document; at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    reference: String,
    /// The till, a code of at most 64 characters.
    #[schema(min_length = 1, max_length = 64)]
    device_id: String,
    /// The person at the till, a code of at most 64 characters, not a name.
    #[schema(min_length = 1, max_length = 64)]
    operator: String,
}

/// A barcode of a command: a code, or a code with the quantity of one scan. Items show all of theirs as `Barcode`.
struct SubmittedBarcode;

/// A barcode that stands for a quantity.
#[derive(ToSchema)]
#[schema(as = Pack)]
#[expect(dead_code, reason = "describes what domain::parse_command reads")]
struct Pack {
    /// The code.
    #[schema(min_length = 1, max_length = 64, example = "14006381333938")]
    code: String,
    /// The quantity that one scan of it means, above 0: 12 for a case of 12. An integer is accepted too, a float never.
    #[schema(pattern = "^[0-9]{1,7}([.][0-9]{1,3})?$", example = "12")]
    quantity: String,
}

impl PartialSchema for SubmittedBarcode {
    fn schema() -> RefOr<Schema> {
        let code = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(64))
            .description(Some("A code whose scan means a quantity of 1."))
            .examples(["4006381333931"]);
        let about = "A code that means a quantity of 1, or a pack. A GTIN's check digit is checked.";
        OneOfBuilder::new().item(code).item(Ref::from_schema_name("Pack")).description(Some(about)).into()
    }
}

impl ToSchema for SubmittedBarcode {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SubmittedBarcode")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("Pack".to_owned(), Pack::schema()));
    }
}

/// A command: one of all types.
#[derive(Debug)]
pub(crate) struct CommandSchema;

impl PartialSchema for CommandSchema {
    fn schema() -> RefOr<Schema> {
        let names = CommandKind::ALL.map(|kind| (kind, schema_name(kind)));
        let of = |name: &str| format!("#/components/schemas/{name}");
        let mapping = names.iter().map(|(kind, name)| (kind.as_str(), of(name)));
        let discriminator = Discriminator::with_mapping("type", mapping);
        let types = names.iter().fold(OneOfBuilder::new(), |types, (_, name)| types.item(Ref::from_schema_name(name)));
        let about = "A command. Its `type` decides which fields it has.";
        types.description(Some(about)).discriminator(Some(discriminator)).into()
    }
}

impl ToSchema for CommandSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Command")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Fields::schemas(schemas);
        let fields = fields();
        schemas.extend(CommandKind::ALL.map(|kind| (schema_name(kind), type_of(kind, &fields).into())));
    }
}

/// Returns the name of a type's schema: `sell` is a `SellCommand`.
fn schema_name(kind: CommandKind) -> String {
    let mut name = String::new();
    for word in kind.as_str().split('_').chain(["command"]) {
        let (first, rest) = word.split_at(1);
        name.push_str(&first.to_uppercase());
        name.push_str(rest);
    }
    name
}

fn fields() -> BTreeMap<String, RefOr<Schema>> {
    match Fields::schema() {
        RefOr::T(Schema::Object(object)) => object.properties.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

fn type_of(kind: CommandKind, fields: &BTreeMap<String, RefOr<Schema>>) -> Object {
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind.as_str()]));
    let mut object = ObjectBuilder::new()
        .description(Some(about(kind)))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .property("type", word)
        .examples([example(kind)]);
    for field in fields_of(kind) {
        if let Some(schema) = fields.get(field) {
            object = object.property(field, of_type(kind, field, schema.clone()));
        }
    }
    ["type", "item_id"].iter().chain(required(kind)).fold(object, |object, field| object.required(*field)).build()
}

/// Returns the fields that a type needs besides `type`, `item_id` and its id.
const fn required(kind: CommandKind) -> &'static [&'static str] {
    match kind {
        CommandKind::RegisterItem => &["name"],
        CommandKind::UpdateItem | CommandKind::ArchiveItem | CommandKind::RestoreItem => &[],
        CommandKind::SetThreshold => &["low_stock_threshold"],
        CommandKind::SetPlanning => &["location_id"],
        CommandKind::Receive | CommandKind::Sell | CommandKind::Return => &["quantity"],
        CommandKind::Adjust => &["quantity", "reason"],
        CommandKind::Count => &["counted"],
        CommandKind::Transfer => &["from_location_id", "to_location_id", "quantity"],
        CommandKind::Reverse => &["reverses"],
    }
}

/// Adapts a field to the type, where it means something else there.
fn of_type(kind: CommandKind, field: &str, mut schema: RefOr<Schema>) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(object)) = &mut schema else { return schema };
    let text = |text: &str| Some(text.to_owned());
    object.pattern = pattern(field).map(str::to_owned);
    if let Some(chars_max) = id_chars_max(field) {
        (object.min_length, object.max_length) = (Some(1), Some(chars_max));
    }
    match (kind, field) {
        (CommandKind::UpdateItem, "category" | "low_stock_threshold" | "unit_cost")
        | (CommandKind::SetThreshold, "low_stock_threshold")
        | (
            CommandKind::UpdateItem | CommandKind::SetPlanning,
            "supplier" | "lead_time_days" | "order_multiple" | "order_minimum" | "service_level",
        ) => {
            if let SchemaType::Type(kind) = &object.schema_type {
                object.schema_type = SchemaType::Array(vec![kind.clone(), Type::Null]);
            }
            let about = object.description.take().unwrap_or_default();
            object.description = Some(format!("{about} null removes it."));
        }
        (CommandKind::SetPlanning, "location_id") => object.description = text("The location."),
        (CommandKind::SetThreshold, "location_id") => {
            object.description = text("The location; without it, the item's default is set.");
        }
        (CommandKind::Adjust, "quantity") => {
            object.pattern = text(QUANTITY);
            object.description =
                text("A decimal string other than 0, such as `\"-2\"`. An integer is accepted too, a float never.");
        }
        _ => {}
    }
    schema
}

fn pattern(field: &str) -> Option<&'static str> {
    Some(match field {
        "item_id" | "location_id" | "from_location_id" | "to_location_id" => ID,
        "quantity" | "counted" | "low_stock_threshold" | "order_multiple" | "order_minimum" => NOT_NEGATIVE,
        "service_level" => PERCENT,
        "unit_cost" | "amount" => MONEY,
        "expected_on_hand" => BALANCE,
        _ => return None,
    })
}

/// Returns what a type is for.
pub(crate) const fn about(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::RegisterItem => "Creates an item. For Managers.",
        CommandKind::UpdateItem => {
            "Changes the catalogue record of an item: the fields that it names, at least one. For Managers."
        }
        CommandKind::ArchiveItem => "Takes an item out of use. For Managers.",
        CommandKind::RestoreItem => "Puts an archived item back in use. For Managers.",
        CommandKind::SetThreshold => "Sets the threshold of an item, or of one of its locations. For Managers.",
        CommandKind::SetPlanning => {
            "Sets what one location has instead of the item's supplier, lead time, multiple, minimum and service level: the fields \
             that it names, at least one. For Managers."
        }
        CommandKind::Receive => "Goods arrived.",
        CommandKind::Sell => "Goods were sold.",
        CommandKind::Return => "A customer brought goods back.",
        CommandKind::Adjust => {
            "Corrects the balance, with a reason. For Managers, and for Staff if the installation allows it."
        }
        CommandKind::Count => {
            "Sets the balance to what is on the shelf. For Managers, and for Staff if the installation allows it."
        }
        CommandKind::Transfer => "Goods moved from one location to another, both sides at once.",
        CommandKind::Reverse => {
            "Takes a movement back that was a mistake, with all its sides and at the cost that it moved at. For Managers, and for \
             Staff their own within an hour, unless the installation sets another time."
        }
    }
}

/// Returns an example of a type.
pub(crate) fn example(kind: CommandKind) -> Value {
    let mut example = json!({
        "type": kind.as_str(),
        "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b",
        "item_id": "cola-033",
    });
    let own = match kind {
        CommandKind::RegisterItem => json!({
            "name": "Cola 0.33 l", "unit": "bottle", "category": "drinks",
            "barcodes": ["4006381333931", {"code": "14006381333938", "quantity": "12"}],
            "low_stock_threshold": "6", "unit_cost": "0.41", "supplier": "Drinks Ltd", "lead_time_days": 3,
            "order_multiple": "12"
        }),
        CommandKind::UpdateItem => json!({"name": "Cola 0.33 l, glass", "category": null}),
        CommandKind::ArchiveItem | CommandKind::RestoreItem => json!({}),
        CommandKind::SetThreshold => json!({"location_id": "shop-1", "low_stock_threshold": "6"}),
        CommandKind::SetPlanning => json!({"location_id": "shop-1", "lead_time_days": 5, "service_level": null}),
        CommandKind::Receive => {
            json!({"location_id": "shop-1", "quantity": "24", "unit_cost": "0.41", "reference": "order 17"})
        }
        CommandKind::Sell => {
            json!({
                "location_id": "shop-1", "quantity": "2", "amount": "3.98", "on_shortage": "allow",
                "reference": "receipt 4711"
            })
        }
        CommandKind::Return => {
            json!({"location_id": "shop-1", "quantity": "1", "amount": "1.99", "reference": "receipt 4711"})
        }
        CommandKind::Adjust => {
            json!({"location_id": "shop-1", "quantity": "-2", "reason": "damaged", "note": "fell off the shelf"})
        }
        CommandKind::Count => {
            json!({"location_id": "shop-1", "counted": "21", "occurred_at": "2026-01-31T18:05:00+01:00"})
        }
        CommandKind::Transfer => json!({"from_location_id": "shop-1", "to_location_id": "shop-2", "quantity": "6"}),
        CommandKind::Reverse => {
            json!({"reverses": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6a", "note": "rung up twice"})
        }
    };
    if let (Value::Object(example), Value::Object(own)) = (&mut example, own) {
        example.extend(own);
    }
    example
}
