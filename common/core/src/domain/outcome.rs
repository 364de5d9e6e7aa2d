use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Alert, Command, CommandId, CommandKey, DEAD_BODY_MAX_BYTES, DEAD_REASON_MAX_BYTES, EntryKind, Fingerprint, ItemId,
    LocationId, Quantity, Queued, Timestamp,
};

/// Where a command stands. `queued` is never stored: it is what a receipt proves while no record exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It took effect.
    Applied,
    /// A business refusal, final for this id.
    Rejected,
    /// Set aside: no effect, kept whole, may be retried.
    DeadLettered,
}

impl Status {
    /// The word used in JSON.
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
    FractionalQuantity,
    OccurredAtOutOfRange,
    CountTooLate,
    PreconditionFailed,
    InsufficientStock,
    QuantityOverflow,
}

impl RejectionCode {
    /// All of them, in order of precedence.
    pub const ALL: [Self; 13] = [
        Self::UnknownItem,
        Self::ItemExists,
        Self::ItemArchived,
        Self::UnknownLocation,
        Self::LocationClosed,
        Self::BarcodeTaken,
        Self::DecimalsInUse,
        Self::FractionalQuantity,
        Self::OccurredAtOutOfRange,
        Self::CountTooLate,
        Self::PreconditionFailed,
        Self::InsufficientStock,
        Self::QuantityOverflow,
    ];

    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownItem => "unknown_item",
            Self::ItemExists => "item_exists",
            Self::ItemArchived => "item_archived",
            Self::UnknownLocation => "unknown_location",
            Self::LocationClosed => "location_closed",
            Self::BarcodeTaken => "barcode_taken",
            Self::DecimalsInUse => "decimals_in_use",
            Self::FractionalQuantity => "fractional_quantity",
            Self::OccurredAtOutOfRange => "occurred_at_out_of_range",
            Self::CountTooLate => "count_too_late",
            Self::PreconditionFailed => "precondition_failed",
            Self::InsufficientStock => "insufficient_stock",
            Self::QuantityOverflow => "quantity_overflow",
        }
    }
}

/// Why a command was refused, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The name of the refusal.
    pub code: RejectionCode,
    /// For people: what was wrong and what to do.
    pub detail: String,
    /// `precondition_failed`: the balance that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Quantity>,
    /// `insufficient_stock`: what was available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Quantity>,
    /// `item_exists`, `barcode_taken`: the item that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<ItemId>,
    /// The location it is about, where there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
}

/// One ledger entry that a command made; with the command it makes the full movement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Where.
    pub location_id: LocationId,
    /// The ledger entry's number there.
    pub seq: u64,
    /// What it records.
    pub kind: EntryKind,
    /// What it changed the balance by.
    pub delta: Quantity,
    /// The balance after it.
    pub after: Quantity,
    /// When it happened, corrected and clamped.
    pub occurred_at: Timestamp,
    /// When it was committed.
    pub recorded_at: Timestamp,
    /// The last count already saw it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// It claimed to come from the future.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock_ahead: bool,
}

/// What could not be applied, kept whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Why it was set aside, for people.
    pub reason: String,
    /// The body as it came, lossily as text where it was not UTF-8; cut where it is long.
    pub body: String,
    /// Set by `dead-letters discard`: final, the status stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded_at: Option<Timestamp>,
}

impl DeadLetter {
    /// A new one. What is longer than [`DEAD_BODY_MAX_BYTES`] or [`DEAD_REASON_MAX_BYTES`] is cut, and the reason says
    /// so: a record that no store takes would block its item.
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

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which command.
    pub command_id: CommandId,
    /// Of which item.
    pub item_id: ItemId,
    /// Applied, rejected or dead-lettered.
    pub status: Status,
    /// When the ingress accepted it.
    pub accepted_at: Timestamp,
    /// When this was decided.
    pub settled_at: Timestamp,
    /// The token's `sub` or `client_id`; empty where it could not be read.
    pub submitted_by: Arc<str>,
    /// As submitted; absent where it could not be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// The ledger entries it made, the giving side first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// Set when rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    /// Set when dead-lettered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
}

/// The stored `CMD#` record: the outcome and what the protocol needs beside it. Kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this layout, 1.
    pub v: u8,
    /// What became of the command.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Of the command as parsed; absent where it could not be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// The retry that made this record: 0 for the first decision (see [`super::Queued::retry`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry: u32,
    /// The alerts its command raised, published after the commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// Of a command that sets the default threshold: did it change it? See [`Record::rejudges`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_default: Option<bool>,
    /// The refused command that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resubmits: Option<CommandKey>,
    /// Of a resubmission (see [`super::Queued::first_accepted_at`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_accepted_at: Option<Timestamp>,
    /// The command that replaces this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resubmitted_as: Option<CommandKey>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Why a stored record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A later version of this program wrote it.
    #[error("the record of a command has version {0}; this program reads version {version}", version = Record::VERSION)]
    Newer(u64),
    /// It is no record.
    #[error("the record of a command: {0}")]
    Damaged(#[from] serde_json::Error),
}

/// What every version of a record has.
#[derive(Deserialize)]
struct RecordHead {
    v: u64,
}

impl Record {
    /// The layout version that is written.
    pub const VERSION: u8 = 1;

    /// Reads a record from the JSON that it is stored as.
    ///
    /// # Errors
    /// [`RecordError::Newer`] wherever the version is a later one, whether or not the rest could be read.
    pub fn from_json(text: &str) -> Result<Self, RecordError> {
        let error = match serde_json::from_str::<Self>(text) {
            Ok(record) if record.v <= Self::VERSION => return Ok(record),
            Ok(record) => return Err(RecordError::Newer(record.v.into())),
            Err(error) => error,
        };
        match serde_json::from_str::<RecordHead>(text) {
            Ok(head) if head.v > u64::from(Self::VERSION) => Err(RecordError::Newer(head.v)),
            _ => Err(error.into()),
        }
    }

    /// The command, as one that replaces it names it.
    pub fn reference(&self) -> CommandKey {
        CommandKey { item_id: self.outcome.item_id.clone(), command_id: self.outcome.command_id }
    }

    /// When the command was accepted; a resubmission, when the command that nobody had sent before was.
    pub fn first_accepted_at(&self) -> Timestamp {
        self.first_accepted_at.unwrap_or(self.outcome.accepted_at)
    }

    /// Does this record settle a message with `retry`? A dead letter of fewer tries does not, unless it was
    /// discarded or resubmitted: then it is final.
    pub fn decides(&self, retry: u32) -> bool {
        let open_dead_letter = self.outcome.status == Status::DeadLettered
            && self.resubmitted_as.is_none()
            && self.outcome.dead_letter.as_ref().is_none_or(|letter| letter.discarded_at.is_none());
        !(open_dead_letter && self.retry < retry)
    }

    /// Is every level re-judged after it: also by whoever meets this record, for its decider may have died before that?
    /// Records of before [`Record::changed_default`] do not say whether it was a change; one re-judging too many loses
    /// nothing.
    pub fn rejudges(&self) -> bool {
        let sets_default = || self.outcome.command.as_ref().is_some_and(|command| command.action.sets_default());
        self.outcome.status == Status::Applied && self.changed_default.unwrap_or_else(sets_default)
    }

    /// A record of a command set aside.
    pub fn dead_letter(queued: Option<&Queued>, letter: DeadLetter, id: (ItemId, CommandId), now: Timestamp) -> Self {
        Self {
            v: Self::VERSION,
            outcome: Outcome {
                command_id: id.1,
                item_id: id.0,
                status: Status::DeadLettered,
                accepted_at: queued.map_or(now, |q| q.accepted_at),
                settled_at: queued.map_or(now, |q| now.max(q.accepted_at)),
                submitted_by: queued.map_or_else(|| "".into(), |q| q.submitted_by.clone()),
                command: queued.map(|q| q.command.clone()),
                effects: Vec::new(),
                rejection: None,
                dead_letter: Some(letter),
            },
            fingerprint: queued.map(|q| Fingerprint::of(&q.command)),
            retry: queued.map_or(0, |q| q.retry),
            alerts: Vec::new(),
            changed_default: None,
            resubmits: queued.and_then(|q| q.resubmits.clone()),
            first_accepted_at: queued.and_then(|q| q.first_accepted_at),
            resubmitted_as: None,
        }
    }
}
