//! Shapes that are read by hand (every fault is to be named) or written by the domain: here only to be described.

use utoipa::ToSchema;

use super::values;

/// A command. Which fields it takes depends on its `type`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Command, example = json!({
    "type": "sell",
    "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b",
    "item_id": "cola-033",
    "location_id": "shop-1",
    "quantity": "2",
    "on_shortage": "allow",
    "reference": "receipt 4711"
}))]
#[expect(dead_code, reason = "describes what domain::parse_command reads")]
pub(crate) struct CommandSchema {
    #[schema(schema_with = values::command_type)]
    r#type: String,
    /// Required, here or (of a single command) as `Idempotency-Key`: made by you, once per command, and sent again on every retry (version 7 recommended).
    #[schema(format = "uuid")]
    command_id: Option<String>,
    /// The SKU: 1 to 64 of `A-Za-z0-9._-`, beginning with a letter or digit; case-sensitive.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    item_id: String,
    /// Movements, `set_threshold` (there without it: the item's default): where. `main` unless given, where the installation allows that.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
    location_id: Option<String>,
    /// `transfer`: the giving side.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
    from_location_id: Option<String>,
    /// `transfer`: the receiving side.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
    to_location_id: Option<String>,
    #[schema(schema_with = values::quantity)]
    quantity: Option<String>,
    #[schema(schema_with = values::counted)]
    counted: Option<String>,
    #[schema(schema_with = values::on_shortage)]
    on_shortage: Option<String>,
    #[schema(schema_with = values::unit_cost)]
    unit_cost: Option<String>,
    /// `register_item` (required), `update_item`: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// `register_item`, `update_item`: what one is; `piece` unless given.
    #[schema(min_length = 1, max_length = 16)]
    unit: Option<String>,
    /// `register_item`, `update_item`: how many decimals a quantity may have, 0 (unless given) to 3.
    #[schema(maximum = 3)]
    decimals: Option<u8>,
    /// `register_item`, `update_item`: at most 20; each belongs to one item.
    #[schema(max_items = 20)]
    barcodes: Option<Vec<String>>,
    /// `register_item`, `update_item` (null clears): at most 64 characters.
    #[schema(min_length = 1, max_length = 64)]
    category: Option<String>,
    #[schema(schema_with = values::low_stock_threshold)]
    low_stock_threshold: Option<String>,
    #[schema(schema_with = values::shortage_policy)]
    shortage_policy: Option<String>,
    /// Movements: when it happened, RFC 3339 with an offset. Without it, when it was accepted.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// Your clock when you send it: corrects `occurred_at`.
    #[schema(format = DateTime)]
    sent_at: Option<String>,
    #[schema(schema_with = values::expected_on_hand)]
    expected_on_hand: Option<String>,
    #[schema(schema_with = values::reason)]
    reason: Option<String>,
    /// Movements: at most 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    note: Option<String>,
    /// Movements: a receipt, an order, a document's address; at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    reference: Option<String>,
    /// Movements: the till, a code of at most 64 characters.
    #[schema(min_length = 1, max_length = 64)]
    device_id: Option<String>,
    /// Movements: the person at the till, a code of at most 64 characters, not a name.
    #[schema(min_length = 1, max_length = 64)]
    operator: Option<String>,
}

/// Several commands.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Batch, example = json!({
    "sent_at": "2026-01-31T08:15:02Z",
    "commands": [
        {"type": "sell", "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "item_id": "cola-033", "location_id": "shop-1", "quantity": "2", "occurred_at": "2026-01-31T08:14:40Z"},
        {"type": "sell", "command_id": "01936b2e-7c4b-7a21-9b6c-4d0e3f2a5b7c", "item_id": "flour-1kg", "location_id": "shop-1", "quantity": "0.375", "occurred_at": "2026-01-31T08:14:40Z"}
    ]
}))]
#[expect(dead_code, reason = "describes what routes::batch reads")]
pub(crate) struct BatchSchema {
    /// Your clock when you send it: corrects each `occurred_at`.
    #[schema(format = DateTime)]
    sent_at: Option<String>,
    /// 1 to 500, each with an id of its own.
    #[schema(min_items = 1, max_items = 500)]
    commands: Vec<CommandSchema>,
}

/// A command to look up.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StatusRequestLine)]
#[expect(dead_code, reason = "describes what routes::status reads")]
pub(crate) struct StatusesLineSchema {
    /// The item.
    item_id: String,
    /// The command.
    #[schema(format = "uuid")]
    command_id: String,
    /// The `receipt` of its `status_url`.
    receipt: Option<String>,
}

/// Commands to look up.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StatusRequest, example = json!({
    "commands": [{"item_id": "cola-033", "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b"}]
}))]
#[expect(dead_code, reason = "describes what routes::status reads")]
pub(crate) struct StatusesSchema {
    /// At most 500.
    #[schema(max_items = 500)]
    commands: Vec<StatusesLineSchema>,
}

/// What to correct; nothing where the body is left out.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Correction, example = json!({"on_shortage": "allow"}))]
#[expect(dead_code, reason = "describes what routes::resubmit reads")]
pub(crate) struct CorrectionSchema {
    /// The item that was meant.
    item_id: Option<String>,
    /// The location that was meant; not for transfers.
    location_id: Option<String>,
    #[schema(schema_with = values::on_shortage)]
    on_shortage: Option<String>,
}
