//! Descriptions of request bodies. The bodies are read by hand, so that every fault is named.

use utoipa::ToSchema;

use super::commands::CommandSchema;
use super::words::ShortagePolicyWord;

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
    /// The `receipt` of its acceptance.
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

/// Why nothing needs to be done about a refused command.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DismissalRequest, example = json!({"reason": "typing error, nothing was sold"}))]
#[expect(dead_code, reason = "describes what routes::dismiss reads")]
pub(crate) struct DismissalSchema {
    /// 1 to 500 characters in one line.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
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
    /// For a `sell`: overrides the item's policy.
    #[schema(value_type = Option<ShortagePolicyWord>, nullable = false)]
    on_shortage: Option<String>,
}
