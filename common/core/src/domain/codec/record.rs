//! The compact binary form of an outcome's [`Record`].
//!
//! A movement and its ledger entries are binary. What few records have (a change of the catalogue, a rejection, alerts, the
//! marks of a resubmission) follows as one JSON object up to the checksum, so a new field of that kind needs no new version.
//! The key of the record, its item and command id, is stored beside the bytes; the checksum covers it.
//!
//! A record begins with its version and a flag word. Version 1 is the JSON of earlier programs, which begins with `{`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::{
    Action, Alert, Command, CommandId, CommandKey, CommandKind, DeadLetter, Effect, EntryKind, Fingerprint, ItemId,
    LocationId, MovementDetails, Outcome, Reach, Reason, Record, Rejection, ShortagePolicy, Status, Timestamp,
};
use super::bytes::{CodecError, Reader, flag, put_one_of, put_signed, put_text, put_time, put_unsigned, seal, unseal};

pub(in crate::domain) const VERSION: u8 = 2;

/// A status and the types below are stored as their place in their list, so a new one goes to the end.
const STATUSES: [Status; 3] = [Status::Applied, Status::Rejected, Status::DeadLettered];

/// The commands that are written in binary.
const MOVEMENTS: [CommandKind; 7] = [
    CommandKind::Receive,
    CommandKind::Sell,
    CommandKind::Return,
    CommandKind::Adjust,
    CommandKind::Count,
    CommandKind::Transfer,
    CommandKind::Reverse,
];

const POLICIES: [ShortagePolicy; 2] = [ShortagePolicy::Allow, ShortagePolicy::Reject];

const STATUS_MASK: u64 = 0b11;
/// The submitter is a UUID, as Cognito's are.
const SUBMITTER_UUID: u64 = 1 << 2;
const FINGERPRINT: u64 = 1 << 3;
const REST: u64 = 1 << 4;
const MOVEMENT: u64 = 1 << 5;
const OCCURRED: u64 = 1 << 6;
const SENT: u64 = 1 << 7;
const REASON: u64 = 1 << 8;
const NOTE: u64 = 1 << 9;
const REFERENCE: u64 = 1 << 10;
const DEVICE: u64 = 1 << 11;
const OPERATOR: u64 = 1 << 12;
const AMOUNT: u64 = 1 << 13;
const UNIT_COST: u64 = 1 << 14;
const EXPECTED: u64 = 1 << 15;
const ON_SHORTAGE: u64 = 1 << 16;
const EFFECTS: u64 = 1 << 17;
const ALL_FLAGS: u64 = (1 << 18) - 1;

const KIND_MASK: u64 = 0xf;
/// The effect is where the command says: the first at its first location, the second at its second.
const AS_COMMANDED: u64 = 1 << 4;
const COST: u64 = 1 << 5;
const RECORDED_WHEN_SETTLED: u64 = 1 << 6;
const LATE: u64 = 1 << 7;
const CLOCK_AHEAD: u64 = 1 << 8;
const EFFECT_UNIT_COST: u64 = 1 << 9;
const REVALUATION: u64 = 1 << 10;
const EFFECT_QUANTITY: u64 = 1 << 11;
const EFFECT_AMOUNT: u64 = 1 << 12;
const ALL_EFFECT_FLAGS: u64 = (1 << 13) - 1;

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BytesError {
    /// The binary part.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The JSON behind it.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What few records have.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Rest {
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reversed_by: Option<CommandId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<Rejection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<DeadLetter>,
    #[serde(skip_serializing_if = "is_zero")]
    retry: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_default: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resubmits: Option<CommandKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_accepted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<Reach>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resubmitted_as: Option<CommandKey>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Rest {
    fn of(record: &Record) -> Self {
        let Record { outcome, .. } = record;
        Self {
            command: outcome.command.as_ref().filter(|command| !command.kind().is_movement()).cloned(),
            reversed_by: outcome.reversed_by,
            rejection: outcome.rejection.clone(),
            dead_letter: outcome.dead_letter.clone(),
            retry: record.retry,
            alerts: record.alerts.clone(),
            changed_default: record.changed_default,
            resubmits: record.resubmits.clone(),
            first_accepted_at: record.first_accepted_at,
            reach: record.reach.clone(),
            resubmitted_as: record.resubmitted_as.clone(),
        }
    }
}

fn key<'a>(item_id: &'a ItemId, command_id: &'a CommandId) -> [&'a [u8]; 2] {
    [item_id.as_str().as_bytes(), command_id.0.as_bytes()]
}

/// Writes a record. It fails only if a value has no JSON form.
pub(in crate::domain) fn encode(record: &Record) -> Result<Vec<u8>, serde_json::Error> {
    let outcome = &record.outcome;
    let movement = outcome.command.as_ref().filter(|command| command.kind().is_movement());
    let submitter = uuid_of(&outcome.submitted_by);
    let rest = Rest::of(record);
    let has_rest = rest != Rest::default();
    let status = STATUSES.iter().position(|status| *status == outcome.status).unwrap_or(0) as u64;
    let flags = status
        | flag(submitter.is_some(), SUBMITTER_UUID)
        | flag(record.fingerprint.is_some(), FINGERPRINT)
        | flag(has_rest, REST)
        | flag(!outcome.effects.is_empty(), EFFECTS)
        | movement.map_or(0, movement_flags);

    let mut out = Vec::with_capacity(160);
    out.push(VERSION);
    put_unsigned(&mut out, flags);
    put_time(&mut out, outcome.accepted_at, Timestamp::EPOCH);
    put_time(&mut out, outcome.settled_at, outcome.accepted_at);
    match submitter {
        Some(id) => out.extend_from_slice(id.as_bytes()),
        None => put_text(&mut out, &outcome.submitted_by),
    }
    if let Some(fingerprint) = &record.fingerprint {
        out.extend_from_slice(fingerprint.as_bytes());
    }
    if let Some(command) = movement {
        put_movement(&mut out, command, outcome.accepted_at);
    }
    if !outcome.effects.is_empty() {
        put_unsigned(&mut out, outcome.effects.len() as u64);
        let mut commanded = movement.into_iter().flat_map(|command| command.action.locations());
        for effect in &outcome.effects {
            put_effect(&mut out, effect, commanded.next(), outcome.settled_at);
        }
    }
    if has_rest {
        serde_json::to_writer(&mut out, &rest)?;
    }
    Ok(seal(out, &key(&outcome.item_id, &outcome.command_id)))
}

/// Reads what [`encode`] wrote for this key.
pub(in crate::domain) fn decode(bytes: &[u8], item_id: ItemId, command_id: CommandId) -> Result<Record, BytesError> {
    let sealed = unseal(bytes, &key(&item_id, &command_id), VERSION)?;
    let mut reader = Reader { bytes: sealed, at: 1 };
    let flags = reader.unsigned()?;
    let has = |bit: u64| flags & bit != 0;
    let status = STATUSES.get((flags & STATUS_MASK) as usize).copied();
    let Some(status) = status.filter(|_| flags & !ALL_FLAGS == 0 && sealed[0] == VERSION) else {
        return Err(reader.damaged().into());
    };
    let accepted_at = reader.time_since(Timestamp::EPOCH)?;
    let settled_at = reader.time_since(accepted_at)?;
    let submitted_by =
        if has(SUBMITTER_UUID) { Arc::from(reader.uuid()?.to_string()) } else { reader.shared_text()? };
    let fingerprint = if has(FINGERPRINT) { Some(Fingerprint::from_bytes(reader.array()?)) } else { None };
    let command = if has(MOVEMENT) {
        Some(movement(&mut reader, flags, (item_id.clone(), command_id), accepted_at)?)
    } else {
        None
    };
    let mut effects = Vec::new();
    if has(EFFECTS) {
        let count = reader.unsigned()?;
        let mut commanded = command.iter().flat_map(|command: &Command| command.action.locations());
        for _ in 0..count {
            effects.push(effect(&mut reader, commanded.next(), settled_at)?);
        }
    }
    let rest: Rest = if has(REST) { serde_json::from_slice(reader.take_rest())? } else { Rest::default() };
    if reader.at != sealed.len() || (has(MOVEMENT) && rest.command.is_some()) {
        return Err(reader.damaged().into());
    }
    Ok(Record {
        outcome: Outcome {
            command_id,
            item_id,
            status,
            accepted_at,
            settled_at,
            submitted_by,
            command: command.or(rest.command),
            effects,
            reversed_by: rest.reversed_by,
            rejection: rest.rejection,
            dead_letter: rest.dead_letter,
        },
        fingerprint,
        retry: rest.retry,
        alerts: rest.alerts,
        changed_default: rest.changed_default,
        resubmits: rest.resubmits,
        first_accepted_at: rest.first_accepted_at,
        reach: rest.reach,
        resubmitted_as: rest.resubmitted_as,
    })
}

/// Returns the UUID of a text that is written as UUIDs usually are.
fn uuid_of(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text)
}

fn movement_flags(command: &Command) -> u64 {
    let details = &command.details;
    let (unit_cost, on_shortage) = match &command.action {
        Action::Receive { unit_cost, .. } => (unit_cost.is_some(), false),
        Action::Sell { on_shortage, .. } => (false, on_shortage.is_some()),
        _ => (false, false),
    };
    MOVEMENT
        | flag(details.occurred_at.is_some(), OCCURRED)
        | flag(details.sent_at.is_some(), SENT)
        | flag(details.reason.is_some(), REASON)
        | flag(details.note.is_some(), NOTE)
        | flag(details.reference.is_some(), REFERENCE)
        | flag(details.device_id.is_some(), DEVICE)
        | flag(details.operator.is_some(), OPERATOR)
        | flag(details.expected_on_hand.is_some(), EXPECTED)
        | flag(command.action.amount().is_some(), AMOUNT)
        | flag(unit_cost, UNIT_COST)
        | flag(on_shortage, ON_SHORTAGE)
}

fn put_movement(out: &mut Vec<u8>, command: &Command, accepted_at: Timestamp) {
    put_one_of(out, &MOVEMENTS, &command.kind());
    for location_id in command.action.locations() {
        put_text(out, location_id.as_str());
    }
    match &command.action {
        Action::Receive { quantity, .. }
        | Action::Sell { quantity, .. }
        | Action::Return { quantity, .. }
        | Action::Adjust { quantity, .. }
        | Action::Transfer { quantity, .. }
        | Action::Count { counted: quantity, .. } => put_signed(out, quantity.raw()),
        Action::Reverse { reverses } => out.extend_from_slice(reverses.0.as_bytes()),
        // These are no movements.
        Action::RegisterItem(_)
        | Action::UpdateItem(_)
        | Action::ArchiveItem
        | Action::RestoreItem
        | Action::SetThreshold { .. }
        | Action::SetPlanning { .. } => {}
    }
    if let Action::Receive { unit_cost: Some(cost), .. } = &command.action {
        put_signed(out, cost.raw());
    }
    if let Action::Sell { on_shortage: Some(policy), .. } = &command.action {
        put_one_of(out, &POLICIES, policy);
    }
    if let Some(amount) = command.action.amount() {
        put_signed(out, amount.raw());
    }
    let details = &command.details;
    for time in [details.occurred_at, details.sent_at].into_iter().flatten() {
        put_time(out, time, accepted_at);
    }
    if let Some(expected) = details.expected_on_hand {
        put_signed(out, expected.raw());
    }
    if let Some(reason) = &details.reason {
        put_one_of(out, &Reason::ALL, reason);
    }
    for text in [&details.note, &details.reference, &details.device_id, &details.operator].into_iter().flatten() {
        put_text(out, text);
    }
}

fn movement(
    reader: &mut Reader<'_>,
    flags: u64,
    (item_id, command_id): (ItemId, CommandId),
    accepted_at: Timestamp,
) -> Result<Command, CodecError> {
    let has = |bit: u64| flags & bit != 0;
    let kind = reader.one_of(&MOVEMENTS)?;
    let location_id = if kind == CommandKind::Reverse { None } else { Some(reader.location_id()?) };
    let action = match (kind, location_id) {
        (CommandKind::Receive, Some(location_id)) => {
            Action::Receive { location_id, quantity: reader.quantity()?, unit_cost: reader.some_money(has(UNIT_COST))? }
        }
        (CommandKind::Sell, Some(location_id)) => Action::Sell {
            location_id,
            quantity: reader.quantity()?,
            on_shortage: has(ON_SHORTAGE).then(|| reader.one_of(&POLICIES)).transpose()?,
            amount: reader.some_money(has(AMOUNT))?,
        },
        (CommandKind::Return, Some(location_id)) => {
            Action::Return { location_id, quantity: reader.quantity()?, amount: reader.some_money(has(AMOUNT))? }
        }
        (CommandKind::Adjust, Some(location_id)) => Action::Adjust { location_id, quantity: reader.quantity()? },
        (CommandKind::Count, Some(location_id)) => Action::Count { location_id, counted: reader.quantity()? },
        (CommandKind::Transfer, Some(from_location_id)) => {
            Action::Transfer { from_location_id, to_location_id: reader.location_id()?, quantity: reader.quantity()? }
        }
        _ => Action::Reverse { reverses: reader.command_id()? },
    };
    let mut time = |there: bool| there.then(|| reader.time_since(accepted_at)).transpose();
    let (occurred_at, sent_at) = (time(has(OCCURRED))?, time(has(SENT))?);
    let details = MovementDetails {
        occurred_at,
        sent_at,
        expected_on_hand: has(EXPECTED).then(|| reader.quantity()).transpose()?,
        reason: has(REASON).then(|| reader.one_of(&Reason::ALL)).transpose()?,
        note: reader.some_text(has(NOTE))?,
        reference: reader.some_text(has(REFERENCE))?,
        device_id: reader.some_text(has(DEVICE))?,
        operator: reader.some_text(has(OPERATOR))?,
    };
    Ok(Command { command_id, item_id, action, details })
}

fn put_effect(out: &mut Vec<u8>, effect: &Effect, commanded: Option<&LocationId>, settled_at: Timestamp) {
    let kind = EntryKind::ALL.iter().position(|kind| *kind == effect.kind).unwrap_or(0) as u64;
    let as_commanded = commanded == Some(&effect.location_id);
    let when_settled = effect.recorded_at == settled_at;
    let flags = kind
        | flag(as_commanded, AS_COMMANDED)
        | flag(effect.cost.is_some(), COST)
        | flag(when_settled, RECORDED_WHEN_SETTLED)
        | flag(effect.late, LATE)
        | flag(effect.clock_ahead, CLOCK_AHEAD)
        | flag(effect.unit_cost.is_some(), EFFECT_UNIT_COST)
        | flag(!effect.revaluation.is_zero(), REVALUATION)
        | flag(effect.quantity.is_some(), EFFECT_QUANTITY)
        | flag(effect.amount.is_some(), EFFECT_AMOUNT);
    put_unsigned(out, flags);
    if !as_commanded {
        put_text(out, effect.location_id.as_str());
    }
    put_unsigned(out, effect.seq);
    put_signed(out, effect.delta.raw());
    put_signed(out, effect.after.raw());
    if !when_settled {
        put_time(out, effect.recorded_at, settled_at);
    }
    put_time(out, effect.occurred_at, settled_at);
    let revaluation = Some(effect.revaluation).filter(|revaluation| !revaluation.is_zero());
    for money in [effect.cost, effect.unit_cost, revaluation, effect.amount].into_iter().flatten() {
        put_signed(out, money.raw());
    }
    if let Some(quantity) = effect.quantity {
        put_signed(out, quantity.raw());
    }
}

fn effect(
    reader: &mut Reader<'_>,
    commanded: Option<&LocationId>,
    settled_at: Timestamp,
) -> Result<Effect, CodecError> {
    let flags = reader.unsigned()?;
    let kind = EntryKind::ALL.get((flags & KIND_MASK) as usize).copied();
    let kind = kind.filter(|_| flags & !ALL_EFFECT_FLAGS == 0).ok_or(reader.damaged())?;
    let has = |bit: u64| flags & bit != 0;
    let location_id = match commanded.filter(|_| has(AS_COMMANDED)) {
        Some(location_id) => location_id.clone(),
        None if has(AS_COMMANDED) => return Err(reader.damaged()),
        None => reader.location_id()?,
    };
    let (seq, delta, after) = (reader.unsigned()?, reader.quantity()?, reader.quantity()?);
    let recorded_at = if has(RECORDED_WHEN_SETTLED) { settled_at } else { reader.time_since(settled_at)? };
    Ok(Effect {
        location_id,
        seq,
        kind,
        delta,
        after,
        occurred_at: reader.time_since(settled_at)?,
        recorded_at,
        late: has(LATE),
        clock_ahead: has(CLOCK_AHEAD),
        cost: reader.some_money(has(COST))?,
        unit_cost: reader.some_money(has(EFFECT_UNIT_COST))?,
        revaluation: reader.revaluation(has(REVALUATION))?,
        amount: reader.some_money(has(EFFECT_AMOUNT))?,
        quantity: has(EFFECT_QUANTITY).then(|| reader.quantity()).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as earlier programs stored them, one a line: a sale, a transfer, a costed receipt, a reversal, a rejected sale, a
    /// registered item, a dead letter that could not be decoded, an adjustment, a count, a return.
    const JSON: &str = include_str!("record.v1.golden");
    /// The same in the present form.
    const BYTES: &str = include_str!("record.v2.golden");

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn golden_bytes_of_every_version_still_read() {
        let mut written = String::new();
        for json in JSON.lines() {
            let record = Record::from_bytes(json.as_bytes(), None).unwrap();
            let bytes = record.to_bytes().unwrap();
            assert_eq!(Record::from_bytes(&bytes, Some(record.reference())).unwrap(), record);
            written += &hex(&bytes);
            written.push('\n');
        }
        assert_eq!(written, BYTES, "stored bytes must never change");
    }

    #[test]
    fn a_usual_sale_has_a_fifth_of_the_bytes_of_its_json() {
        let json = JSON.lines().next().unwrap();
        let bytes = Record::from_bytes(json.as_bytes(), None).unwrap().to_bytes().unwrap();
        assert!(bytes.len() * 5 < json.len(), "{} of {}", bytes.len(), json.len());
    }

    #[test]
    fn what_no_record_has_is_damaged() {
        let json = JSON.lines().next().unwrap();
        let record = Record::from_bytes(json.as_bytes(), None).unwrap();
        let sealed = |change: &dyn Fn(&mut Vec<u8>)| {
            let bytes = record.to_bytes().unwrap();
            let mut bytes = bytes[..bytes.len() - 4].to_vec();
            change(&mut bytes);
            let key = record.reference();
            Record::from_bytes(&seal(bytes, &self::key(&key.item_id, &key.command_id)), Some(key))
        };
        assert_eq!(sealed(&|_| {}).unwrap(), record);
        assert!(sealed(&|bytes| bytes.push(0)).is_err(), "bytes behind the last field");
        assert!(sealed(&|bytes| bytes[0] = 1).is_err(), "version 1 is JSON");
        assert!(sealed(&|bytes| bytes[1] |= 0b11).is_err(), "a fourth status");
        assert!(sealed(&|bytes| bytes[3] |= 1 << 6).is_err(), "an unknown flag");
    }
}
