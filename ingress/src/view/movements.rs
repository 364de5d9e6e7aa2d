use std::sync::Arc;

use serde::Serialize;
use stockline_core::domain::{CommandId, CommandKind, Cost, ItemId, LocationId, Money, Quantity, Reason, Timestamp};
use stockline_core::ports::Movement;
use utoipa::ToSchema;

use super::viewer::Viewer;
use super::words::{MovementTypeWord, ReasonWord};

/// One ledger entry with its item and location.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Movement)]
pub(crate) struct MovementView {
    /// The item.
    #[schema(value_type = String, example = "cola-033")]
    item_id: ItemId,
    /// The location.
    #[schema(value_type = String, example = "shop-1")]
    location_id: LocationId,
    /// The other side of a transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    counterpart_location_id: Option<LocationId>,
    /// The number of the entry: 1, 2, 3 … per item and location, without gaps.
    #[schema(example = 3)]
    seq: u64,
    /// The command's type. Both sides of a transfer are `transfer`, and differ by the sign of `delta`.
    #[serde(rename = "type")]
    #[schema(value_type = MovementTypeWord)]
    kind: CommandKind,
    /// The command.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
    /// The quantity that was moved or counted, as submitted.
    #[schema(value_type = String, example = "2")]
    quantity: Quantity,
    /// The change of the balance; 0 if the movement was late.
    #[schema(value_type = String, example = "-2")]
    delta: Quantity,
    /// The balance before it.
    #[schema(value_type = String, example = "24")]
    before: Quantity,
    /// The balance after it.
    #[schema(value_type = String, example = "22")]
    after: Quantity,
    /// The line's total as the customer paid it, for `sell`, or got it back, for `return`. Negative where it is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "3.98")]
    amount: Option<Money>,
    /// The cost of one unit that came with the movement: of a `receive`, of a `transfer`, or the catalogue's where the level
    /// had no cost yet. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "0.41")]
    unit_cost: Option<Cost>,
    /// The cost that the goods moved at: positive into the level, negative out of it. Absent if it is not known, and if the
    /// balance did not change. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "-0.82")]
    cost: Option<Money>,
    /// The change of the value of the goods that did not move: those sold below zero before their cost was known. Absent for
    /// most movements. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "-0.33")]
    revaluation: Option<Money>,
    /// The command that this one takes back, for `reverse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid", nullable = false)]
    reverses: Option<CommandId>,
    /// The type of the movement that this one takes back, for `reverse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MovementTypeWord>, nullable = false)]
    reversed_type: Option<CommandKind>,
    /// The command that took this movement back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid", nullable = false)]
    reversed_by: Option<CommandId>,
    /// When it happened, corrected by the difference of the clocks. A reversal has the time of what it takes back.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    /// When it was committed.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    /// Whether it happened before the last count, so that it changed nothing.
    late: bool,
    /// Whether its time was in the future, so that the time of its acceptance was used.
    clock_ahead: bool,
    /// The token's `sub` or `client_id`.
    #[schema(value_type = String)]
    submitted_by: Arc<str>,
    /// The till.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device_id: Option<String>,
    /// The person at the till, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    operator: Option<String>,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReasonWord>, nullable = false)]
    reason: Option<Reason>,
    /// A free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    note: Option<String>,
    /// A receipt, an order, or the address of a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reference: Option<String>,
}

impl MovementView {
    pub(crate) fn of(movement: Movement, viewer: &Viewer) -> Self {
        let Movement { item_id, location_id, entry, reversed_by } = movement;
        Self {
            item_id,
            location_id,
            seq: entry.seq,
            kind: entry.command_kind(),
            command_id: entry.command_id,
            quantity: entry.quantity,
            delta: entry.delta,
            before: entry.before(),
            after: entry.after,
            amount: entry.amount,
            reverses: entry.reverses,
            reversed_type: entry.reverses.map(|_| entry.kind.command_kind()),
            reversed_by,
            unit_cost: entry.unit_cost.filter(|_| viewer.costs),
            cost: entry.cost.filter(|_| viewer.costs),
            revaluation: Some(entry.revaluation).filter(|revaluation| viewer.costs && !revaluation.is_zero()),
            occurred_at: entry.occurred_at,
            recorded_at: entry.recorded_at,
            late: entry.late,
            clock_ahead: entry.clock_ahead,
            counterpart_location_id: entry.counterpart,
            submitted_by: entry.submitted_by,
            device_id: entry.device_id,
            operator: entry.operator,
            reason: entry.reason,
            note: entry.note,
            reference: entry.reference,
        }
    }
}

/// A page of movements.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MovementPage<'a> {
    /// The movements, newest first.
    pub(crate) movements: Vec<MovementView>,
    /// The cursor of the next page; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<&'a str>,
}
