use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Command, CommandId, Cost, DEAD_BODY_MAX_BYTES, DEAD_REASON_MAX_BYTES, EntryKind, ItemId, LocationId, Money,
    Quantity, Timestamp, level::is_nothing,
};

/// The status of a decided command. `queued` is never stored: a receipt proves it while no record exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The command took effect.
    Applied,
    /// A business rule refused the command, which is final for this id.
    Rejected,
    /// The command was set aside. It took no effect, is kept whole and may be retried.
    DeadLettered,
}

impl Status {
    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

/// The named business refusals, in order of precedence (design.md §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name says it; design.md §4 lists them")]
pub enum RejectionCode {
    UnknownItem,
    ItemExists,
    ItemArchived,
    UnknownLocation,
    LocationClosed,
    BarcodeTaken,
    DecimalsInUse,
    TooManyOverrides,
    UnknownCommand,
    NotReversible,
    FractionalQuantity,
    OccurredAtOutOfRange,
    CountTooLate,
    PreconditionFailed,
    InsufficientStock,
    QuantityOverflow,
}

impl RejectionCode {
    /// All codes, in order of precedence.
    pub const ALL: [Self; 16] = [
        Self::UnknownItem,
        Self::ItemExists,
        Self::ItemArchived,
        Self::UnknownLocation,
        Self::LocationClosed,
        Self::BarcodeTaken,
        Self::DecimalsInUse,
        Self::TooManyOverrides,
        Self::UnknownCommand,
        Self::NotReversible,
        Self::FractionalQuantity,
        Self::OccurredAtOutOfRange,
        Self::CountTooLate,
        Self::PreconditionFailed,
        Self::InsufficientStock,
        Self::QuantityOverflow,
    ];

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownItem => "unknown_item",
            Self::ItemExists => "item_exists",
            Self::ItemArchived => "item_archived",
            Self::UnknownLocation => "unknown_location",
            Self::LocationClosed => "location_closed",
            Self::BarcodeTaken => "barcode_taken",
            Self::DecimalsInUse => "decimals_in_use",
            Self::TooManyOverrides => "too_many_overrides",
            Self::UnknownCommand => "unknown_command",
            Self::NotReversible => "not_reversible",
            Self::FractionalQuantity => "fractional_quantity",
            Self::OccurredAtOutOfRange => "occurred_at_out_of_range",
            Self::CountTooLate => "count_too_late",
            Self::PreconditionFailed => "precondition_failed",
            Self::InsufficientStock => "insufficient_stock",
            Self::QuantityOverflow => "quantity_overflow",
        }
    }
}

/// Why a command was refused, with the values that were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The name of the refusal.
    pub code: RejectionCode,
    /// A text for people: what was wrong and what to do.
    pub detail: String,
    /// `precondition_failed`: the balance that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Quantity>,
    /// `insufficient_stock`: the available quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Quantity>,
    /// `item_exists`, `barcode_taken`: the item that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<ItemId>,
    /// The location that the refusal concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
    /// When a person dismissed it, because nothing needs to be done. The status stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissed_at: Option<Timestamp>,
    /// The reason of that person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissed_because: Option<String>,
    /// That person: the token's `sub` or `client_id`. Absent if an earlier program dismissed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissed_by: Option<Arc<str>>,
}

/// The longest reason of a dismissal, in characters.
pub const DISMISSAL_REASON_MAX_CHARS: usize = 500;

/// A person's decision that nothing needs to be done about a rejected command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismissal {
    /// When.
    pub at: Timestamp,
    /// Why: 1 to [`DISMISSAL_REASON_MAX_CHARS`] characters in one line.
    pub because: String,
    /// Who: the token's `sub` or `client_id`. Absent in a dismissal of an earlier program.
    #[serde(default)]
    pub by: Option<Arc<str>>,
}

impl Dismissal {
    /// Returns whether a text can be the reason of a dismissal.
    pub fn is_reason(text: &str) -> bool {
        let fits = text.chars().count() <= DISMISSAL_REASON_MAX_CHARS;
        !text.trim().is_empty() && fits && !text.chars().any(char::is_control)
    }
}

impl Rejection {
    /// Notes the dismissal.
    pub fn note_dismissal(&mut self, dismissal: Dismissal) {
        let Dismissal { at, because, by } = dismissal;
        (self.dismissed_at, self.dismissed_because, self.dismissed_by) = (Some(at), Some(because), by);
    }
}

/// One ledger entry that a command made. Together with the command it is the full movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The location.
    pub location_id: LocationId,
    /// The ledger entry's number there.
    pub seq: u64,
    /// What it records.
    pub kind: EntryKind,
    /// The change of the balance.
    pub delta: Quantity,
    /// The balance after it.
    pub after: Quantity,
    /// When the movement happened, corrected and clamped.
    pub occurred_at: Timestamp,
    /// When it was committed.
    pub recorded_at: Timestamp,
    /// Whether the last count already included it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Whether it claimed a time in the future.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock_ahead: bool,
    /// See [`super::Entry::unit_cost`]; absent where it is the one of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_cost: Option<Cost>,
    /// See [`super::Entry::cost`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// See [`super::Entry::revaluation`].
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub revaluation: Money,
    /// In a reversal, the quantity of the movement that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// In a reversal, the opposite of the amount of the movement that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// A command or message that could not be applied, kept whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The reason for setting it aside, for people.
    pub reason: String,
    /// The body as received. Bytes that are not UTF-8 are replaced, and a long body is cut.
    pub body: String,
    /// Set by `dead-letters discard`, which is final; the status stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded_at: Option<Timestamp>,
}

impl DeadLetter {
    /// Makes a dead letter. Texts longer than [`DEAD_BODY_MAX_BYTES`] or [`DEAD_REASON_MAX_BYTES`] are cut, and the
    /// reason says so: a record that is too large for the store would block its item.
    pub fn of(mut reason: String, mut body: String) -> Self {
        if reason.len() > DEAD_REASON_MAX_BYTES {
            reason.truncate(reason.floor_char_boundary(DEAD_REASON_MAX_BYTES));
            reason.push('…');
        }
        if body.len() > DEAD_BODY_MAX_BYTES {
            reason.push_str(&format!("; its body had {} bytes and is cut", body.len()));
            body.truncate(body.floor_char_boundary(DEAD_BODY_MAX_BYTES));
        }
        Self { reason, body, discarded_at: None }
    }
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command's id.
    pub command_id: CommandId,
    /// The item.
    pub item_id: ItemId,
    /// Applied, rejected or dead-lettered.
    pub status: Status,
    /// When the ingress accepted it.
    pub accepted_at: Timestamp,
    /// When the command was decided.
    pub settled_at: Timestamp,
    /// The token's `sub` or `client_id`; empty if it could not be read.
    pub submitted_by: Arc<str>,
    /// The command as submitted; absent if it could not be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// The ledger entries that the command made, the giving side first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// The command that took this movement back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversed_by: Option<CommandId>,
    /// The rejection of a rejected command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    /// The dead letter of a dead-lettered command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
}

impl Outcome {
    /// Returns the command if it is an applied one that moves no stock: who changed what of the catalogue is listed.
    pub fn changed(&self) -> Option<&Command> {
        self.command.as_ref().filter(|command| self.status == Status::Applied && !command.kind().is_movement())
    }
}
