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

/// An outcome, or `queued`.
#[derive(ToSchema)]
#[schema(as = Status)]
#[serde(untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "describes what routes::status writes")]
pub(crate) enum StatusSchema {
    /// It has an outcome.
    Outcome(crate::view::OutcomeView<'static>),
    /// It has none yet.
    Queued(crate::view::QueuedView<'static>),
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

/// Why a command was refused, and what was found.
#[derive(ToSchema)]
#[schema(as = Rejection, example = json!({
    "code": "insufficient_stock", "detail": "2 were asked for and 1 is available at shop-1", "available": "1"
}))]
#[expect(dead_code, reason = "describes what domain::Rejection writes")]
pub(crate) struct RejectionSchema {
    /// `unknown_item`, `item_exists`, `item_archived`, `unknown_location`, `location_closed`, `barcode_taken`, `decimals_in_use`, `fractional_quantity`, `occurred_at_out_of_range`, `count_too_late`, `precondition_failed`, `insufficient_stock` or `quantity_overflow`; the first that holds.
    code: String,
    /// What was wrong and what to do.
    detail: String,
    /// `precondition_failed`: the balance that was found.
    found: Option<String>,
    /// `insufficient_stock`: what was available.
    available: Option<String>,
    /// `item_exists`, `barcode_taken`: the item that holds it.
    held_by: Option<String>,
    /// The location it is about, where there is more than one.
    location_id: Option<String>,
}

/// A level crossed into `low`, `out` or `oversold`.
#[derive(ToSchema)]
#[schema(as = Alert, example = json!({
    "alert_id": "cola-033:shop-1:1", "item_id": "cola-033", "location_id": "shop-1", "alert_no": 1, "kind": "low",
    "on_hand": "5", "low_stock_threshold": "6", "seq": 9, "raised_at": "2026-01-31T08:15:02.120Z",
    "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "item_name": "Cola 0.33 l", "unit": "bottle",
    "sent_at": "2026-01-31T08:15:03.007Z"
}))]
#[expect(dead_code, reason = "describes what ports::AlertRecord writes")]
pub(crate) struct AlertSchema {
    /// `{item}:{location}:{alert_no}`
    alert_id: String,
    /// The item.
    item_id: String,
    /// The location.
    location_id: String,
    /// The level's own counter, from 1.
    alert_no: u64,
    /// `low`, `out` or `oversold`.
    kind: String,
    /// The balance right after the entry that crossed.
    on_hand: String,
    /// The threshold it was judged by.
    low_stock_threshold: Option<String>,
    /// The ledger entry that crossed.
    seq: u64,
    /// When it was committed.
    #[schema(format = DateTime)]
    raised_at: String,
    /// The command that caused it.
    #[schema(format = "uuid")]
    command_id: String,
    /// The item's name then.
    item_name: String,
    /// The item's unit then.
    unit: String,
    /// When the mail provider took the mail; absent until then.
    #[schema(format = DateTime)]
    sent_at: Option<String>,
}

/// The settings of a location.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LocationSettings, example = json!({
    "name": "Shop 1, High Street", "time_zone": "Europe/Berlin", "alert_emails": ["shop-1@example.com"], "closed": false
}))]
#[expect(dead_code, reason = "describes what routes::locations reads")]
pub(crate) struct LocationSchema {
    /// What people call it, 1 to 200 characters.
    name: String,
    /// IANA name; `UTC` unless given.
    time_zone: Option<String>,
    /// Who gets this location's alerts, at most 20; empty: the configured list.
    alert_emails: Option<Vec<String>>,
    /// A closed location takes no new movements.
    closed: Option<bool>,
}
