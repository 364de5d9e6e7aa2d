use std::sync::Arc;

use serde::Deserialize;

use super::{
    Alert, CodecError, Command, CommandId, CommandKey, DeadLetter, Dismissal, Effect, Fingerprint, ItemId, Outcome,
    Queued, Reach, Rejection, Seal, Status, Timestamp, codec::record, seal_of,
};

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
