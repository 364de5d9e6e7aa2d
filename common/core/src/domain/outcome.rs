use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Alert, CodecError, Command, CommandId, CommandKey, Cost, DEAD_BODY_MAX_BYTES, DEAD_REASON_MAX_BYTES, EntryKind,
    Fingerprint, ItemId, LocationId, Money, Quantity, Queued, Reach, Seal, Timestamp, codec::record, level::is_nothing,
    seal_of,
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

/// The stored `CMD#` record: the outcome with the values that the protocol needs. It is never deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The outcome of the command.
    pub outcome: Outcome,
    /// The fingerprint of the parsed command; absent if it could not be decoded.
    pub fingerprint: Option<Fingerprint>,
    /// The retry that made this record: 0 for the first decision (see [`super::Queued::retry`]).
    pub retry: u32,
    /// The alerts that the command raised, published after the commit.
    pub alerts: Vec<Alert>,
    /// Whether a command that sets the default threshold changed it; see [`Record::rejudges`].
    pub changed_default: Option<bool>,
    /// The refused command that this one replaces.
    pub resubmits: Option<CommandKey>,
    /// When the first submission of a resubmission was accepted; see [`super::Queued::first_accepted_at`].
    pub first_accepted_at: Option<Timestamp>,
    /// In a dead letter of a reversal, what its submitter may take back; see [`super::Queued::reach`].
    pub reach: Option<Reach>,
    /// The command that replaces this one.
    pub resubmitted_as: Option<CommandKey>,
}

/// The fields of a [`Record`] in JSON. Serde would read a flattened outcome through a tree of all values, which takes as long
/// as everything else about a record.
#[derive(Deserialize)]
struct RecordFields {
    v: u8,
    command_id: CommandId,
    item_id: ItemId,
    status: Status,
    accepted_at: Timestamp,
    settled_at: Timestamp,
    submitted_by: Arc<str>,
    command: Option<Command>,
    #[serde(default)]
    effects: Vec<Effect>,
    reversed_by: Option<CommandId>,
    rejection: Option<Rejection>,
    dead_letter: Option<DeadLetter>,
    fingerprint: Option<Fingerprint>,
    #[serde(default)]
    retry: u32,
    #[serde(default)]
    alerts: Vec<Alert>,
    changed_default: Option<bool>,
    resubmits: Option<CommandKey>,
    first_accepted_at: Option<Timestamp>,
    reach: Option<Reach>,
    resubmitted_as: Option<CommandKey>,
}

impl From<RecordFields> for Record {
    fn from(fields: RecordFields) -> Self {
        Self {
            outcome: Outcome {
                command_id: fields.command_id,
                item_id: fields.item_id,
                status: fields.status,
                accepted_at: fields.accepted_at,
                settled_at: fields.settled_at,
                submitted_by: fields.submitted_by,
                command: fields.command,
                effects: fields.effects,
                reversed_by: fields.reversed_by,
                rejection: fields.rejection,
                dead_letter: fields.dead_letter,
            },
            fingerprint: fields.fingerprint,
            retry: fields.retry,
            alerts: fields.alerts,
            changed_default: fields.changed_default,
            resubmits: fields.resubmits,
            first_accepted_at: fields.first_accepted_at,
            reach: fields.reach,
            resubmitted_as: fields.resubmitted_as,
        }
    }
}

/// Why a stored record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A later version of this program wrote it.
    #[error("the record of a command has version {0}; this program reads versions up to {known}", known = record::VERSION)]
    Newer(u64),
    /// The text is not a record.
    #[error("the record of a command: {0}")]
    Text(#[from] serde_json::Error),
    /// The bytes are not a record.
    #[error("the record of a command: {0}")]
    Bytes(CodecError),
    /// The bytes have changed since they were written, or are those of another command.
    #[error("the checksum of a command's record is wrong: its bytes have changed since it was written")]
    Checksum,
    /// The row does not say which command it is of.
    #[error("the record of a command lies in a row without the id of an item and a command")]
    Key,
}

impl From<record::BytesError> for RecordError {
    fn from(error: record::BytesError) -> Self {
        match error {
            record::BytesError::Codec(CodecError::Newer { found, .. }) => Self::Newer(found.into()),
            record::BytesError::Codec(CodecError::Checksum) => Self::Checksum,
            record::BytesError::Codec(error) => Self::Bytes(error),
            record::BytesError::Json(error) => Self::Text(error),
        }
    }
}

/// The part of a record in JSON that every version has.
#[derive(Deserialize)]
struct RecordHead {
    v: u64,
}

/// The version of records in JSON, which earlier programs wrote.
const JSON_VERSION: u8 = 1;

/// The first byte of every record in JSON.
const JSON_BEGINS: u8 = b'{';

impl Record {
    /// Returns the record in its stored form, with a checksum that covers its key too. The item and the command id are
    /// stored beside it.
    ///
    /// # Errors
    /// Fails only if a value has no JSON form.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        record::encode(self)
    }

    /// Reads a record from its stored form. `key` is what its row says; a record in JSON has its own.
    ///
    /// # Errors
    /// Returns [`RecordError::Newer`] for every later version whose checksum is right, whether or not the rest can be
    /// read.
    pub fn from_bytes(bytes: &[u8], key: Option<CommandKey>) -> Result<Self, RecordError> {
        if bytes.first() == Some(&JSON_BEGINS) {
            return Self::from_json(&String::from_utf8_lossy(bytes));
        }
        let key = key.ok_or(RecordError::Key)?;
        Ok(record::decode(bytes, key.item_id, key.command_id)?)
    }

    /// Reads a record of an earlier program from its JSON. The first ones have no checksum.
    fn from_json(text: &str) -> Result<Self, RecordError> {
        match seal_of(text) {
            Seal::Right => Self::from_sealed(text),
            Seal::Absent => Self::from_sealed(text).map_err(|error| match error {
                RecordError::Newer(_) => RecordError::Checksum,
                error => error,
            }),
            Seal::Wrong => Err(RecordError::Checksum),
        }
    }

    fn from_sealed(text: &str) -> Result<Self, RecordError> {
        let error = match serde_json::from_str::<RecordFields>(text) {
            Ok(fields) if fields.v <= JSON_VERSION => return Ok(fields.into()),
            Ok(fields) => return Err(RecordError::Newer(fields.v.into())),
            Err(error) => error,
        };
        match serde_json::from_str::<RecordHead>(text) {
            Ok(head) if head.v > u64::from(JSON_VERSION) => Err(RecordError::Newer(head.v)),
            _ => Err(error.into()),
        }
    }

    /// Returns the key of the command.
    pub fn reference(&self) -> CommandKey {
        CommandKey { item_id: self.outcome.item_id.clone(), command_id: self.outcome.command_id }
    }

    /// Returns when the command was accepted; for a resubmission, when the first submission was accepted.
    pub fn first_accepted_at(&self) -> Timestamp {
        self.first_accepted_at.unwrap_or(self.outcome.accepted_at)
    }

    /// Returns whether this record settles a message with `retry`. A dead letter of an earlier retry does not, unless
    /// it was discarded or resubmitted, which is final.
    pub fn decides(&self, retry: u32) -> bool {
        let open_dead_letter = self.outcome.status == Status::DeadLettered
            && self.resubmitted_as.is_none()
            && self.outcome.dead_letter.as_ref().is_none_or(|letter| letter.discarded_at.is_none());
        !(open_dead_letter && self.retry < retry)
    }

    /// Returns whether nobody needs to decide about a refused command any more: it was resubmitted, discarded or dismissed.
    pub fn is_settled_otherwise(&self) -> bool {
        let letter = self.outcome.dead_letter.as_ref();
        self.resubmitted_as.is_some()
            || letter.is_some_and(|letter| letter.discarded_at.is_some())
            || self.outcome.rejection.as_ref().is_some_and(|rejection| rejection.dismissed_at.is_some())
    }

    /// Marks a rejection as dismissed. Returns `false` if there is none, or if nobody needs to decide about it.
    pub fn dismiss(&mut self, dismissal: Dismissal) -> bool {
        let is_open = self.outcome.status == Status::Rejected && !self.is_settled_otherwise();
        let Some(rejection) = self.outcome.rejection.as_mut().filter(|_| is_open) else {
            return false;
        };
        rejection.note_dismissal(dismissal);
        true
    }

    /// Returns whether every level must be re-judged after this command. A worker that finds the record does it too,
    /// because the worker that made the record may have died first. Records from before [`Record::changed_default`] do
    /// not say whether the threshold changed; one re-judging too many is harmless.
    pub fn rejudges(&self) -> bool {
        let sets_default = || self.outcome.command.as_ref().is_some_and(|command| command.action.sets_default());
        self.outcome.status == Status::Applied && self.changed_default.unwrap_or_else(sets_default)
    }

    /// Makes the record of a command that is set aside.
    pub fn dead_letter(queued: Option<&Queued>, letter: DeadLetter, id: (ItemId, CommandId), now: Timestamp) -> Self {
        Self {
            outcome: Outcome {
                command_id: id.1,
                item_id: id.0,
                status: Status::DeadLettered,
                accepted_at: queued.map_or(now, |q| q.accepted_at),
                settled_at: queued.map_or(now, |q| now.max(q.accepted_at)),
                submitted_by: queued.map_or_else(|| "".into(), |q| q.submitted_by.clone()),
                command: queued.map(|q| q.command.clone()),
                effects: Vec::new(),
                reversed_by: None,
                rejection: None,
                dead_letter: Some(letter),
            },
            fingerprint: queued.map(|q| Fingerprint::of(&q.command)),
            retry: queued.map_or(0, |q| q.retry),
            alerts: Vec::new(),
            changed_default: None,
            resubmits: queued.and_then(|q| q.resubmits.clone()),
            first_accepted_at: queued.and_then(|q| q.first_accepted_at),
            reach: queued.and_then(|q| q.reach.clone()),
            resubmitted_as: None,
        }
    }
}
