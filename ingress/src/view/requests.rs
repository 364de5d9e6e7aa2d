//! Descriptions of request bodies. The bodies are read by hand, so that every fault is named.

use utoipa::ToSchema;

use super::values;

/// A command. Its `type` decides which fields it has.
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
    /// Required here or, for a single command, as `Idempotency-Key`. You make one per command, and send the same one with every retry (version 7 recommended).
    #[schema(format = "uuid")]
    command_id: Option<String>,
    /// The SKU: 1 to 64 of `A-Za-z0-9._-`, beginning with a letter or digit; case-sensitive.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    item_id: String,
    /// Movements: the location; `main` by default if the installation allows it. `set_threshold`: the location; without it the item's default is set.
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
    /// `register_item`, `update_item`: the unit of a quantity; `piece` by default.
    #[schema(min_length = 1, max_length = 16)]
    unit: Option<String>,
    /// `register_item`, `update_item`: how many decimals a quantity may have, 0 to 3; 0 by default.
    #[schema(maximum = 3)]
    decimals: Option<u8>,
    /// `register_item`, `update_item`: at most 20 barcodes; each belongs to one item.
    #[schema(max_items = 20)]
    barcodes: Option<Vec<String>>,
    /// `register_item`, `update_item` (null removes it): at most 64 characters.
    #[schema(min_length = 1, max_length = 64)]
    category: Option<String>,
    #[schema(schema_with = values::low_stock_threshold)]
    low_stock_threshold: Option<String>,
    #[schema(schema_with = values::shortage_policy)]
    shortage_policy: Option<String>,
    /// Movements: when it happened, RFC 3339 with an offset; the time of acceptance by default.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// The time of your clock when you send the command. It corrects `occurred_at`.
    #[schema(format = DateTime)]
    sent_at: Option<String>,
    #[schema(schema_with = values::expected_on_hand)]
    expected_on_hand: Option<String>,
    #[schema(schema_with = values::reason)]
    reason: Option<String>,
    /// Movements: at most 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    note: Option<String>,
    /// Movements: a receipt, an order, or the address of a document; at most 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    reference: Option<String>,
    /// Movements: the till, a code of at most 64 characters.
    #[schema(min_length = 1, max_length = 64)]
    device_id: Option<String>,
    /// Movements: the person at the till, a code of at most 64 characters, not a name.
    #[schema(min_length = 1, max_length = 64)]
    operator: Option<String>,
}

/// A batch of commands.
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
    /// The time of your clock when you send the batch. It corrects each `occurred_at`.
    #[schema(format = DateTime)]
    sent_at: Option<String>,
    /// 1 to 500 commands, each with an id of its own.
    #[schema(min_items = 1, max_items = 500)]
    commands: Vec<CommandSchema>,
    /// At most 500 refused commands that commands of this batch replace, which takes a Manager. The id of such a command is
    /// the UUIDv5 of the refused one's id and `resubmit ITEM`, as a resubmission has it.
    #[schema(max_items = 500)]
    resubmits: Option<Vec<RefusedSchema>>,
}

/// A refused command that another one replaces.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefusedCommand)]
#[expect(dead_code, reason = "describes what routes::batch reads")]
pub(crate) struct RefusedSchema {
    /// Its item.
    item_id: String,
    /// Its id.
    #[schema(format = "uuid")]
    command_id: String,
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
    /// At most 500 commands.
    #[schema(max_items = 500)]
    commands: Vec<StatusesLineSchema>,
}

/// The fields to correct. Without a body the command is resubmitted as it was.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Correction, example = json!({"on_shortage": "allow"}))]
#[expect(dead_code, reason = "describes what routes::resubmit reads")]
pub(crate) struct CorrectionSchema {
    /// The right item.
    item_id: Option<String>,
    /// The right location; not for transfers.
    location_id: Option<String>,
    #[schema(schema_with = values::on_shortage)]
    on_shortage: Option<String>,
}
