use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::segment::HASHED;
use super::{
    Command, CommandId, CommandKey, DeadLetter, ItemId, Json, ParseContext, Queued, Reach, Record, Seal, Slot,
    Timestamp, Trace, parse, parse_command, seal, seal_of, trace,
};

/// The most commands of one message (design.md §6).
pub const MAX_PACK_COMMANDS: usize = 100;

/// The most bytes of one message, so that it bills as one request (design.md §6).
pub const MAX_PACK_BYTES: usize = 60 * 1024;

/// The most bytes of a body that a dead letter keeps. Even if JSON writes each as six (`\u0001`), the record stays
/// below the 400 KB of a DynamoDB item.
pub const DEAD_BODY_MAX_BYTES: usize = 60 * 1024;

/// The most bytes of a dead letter's reason, which may quote the message.
pub const DEAD_REASON_MAX_BYTES: usize = 2 * 1024;

/// The longest `by` of a command in a message, in bytes. The ingress accepts 128 characters from a token.
pub(super) const MAX_BY_BYTES: usize = 512;

const VERSION: i64 = 1;

/// Why this version must leave a whole message alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A later version wrote it, so it is not poison. The worker returns it and stops receiving.
    #[error("message version {0} is newer than this worker reads (1): deploy workers before ingress")]
    Newer(i64),
}

#[derive(Serialize)]
struct EnvelopeOut<'a> {
    command: &'a Command,
    accepted_at: Timestamp,
    by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resubmits: Option<&'a CommandKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_accepted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<&'a Reach>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a Trace>,
}

/// Writes one command in the form of a message, with its checksum, for [`join_message`].
pub fn encode_command(queued: &Queued) -> String {
    let envelope = EnvelopeOut {
        command: &queued.command,
        accepted_at: queued.accepted_at,
        by: &queued.submitted_by,
        retry: (queued.retry > 0).then_some(queued.retry),
        resubmits: queued.resubmits.as_ref(),
        first_accepted_at: queued.first_accepted_at,
        reach: queued.reach.as_ref(),
        trace: queued.trace.as_ref(),
    };
    // These types have no map with other keys than strings and no failing Serialize.
    seal(serde_json::to_string(&envelope).unwrap_or_default())
}

/// The most bytes of a message besides its commands and one comma after each.
pub const MESSAGE_FRAME_BYTES: usize = 40 + ItemId::MAX_BYTES;

/// Joins commands of one item, each written by [`encode_command`], into the body of one message.
///
/// The caller keeps to [`MAX_PACK_COMMANDS`] and [`MAX_PACK_BYTES`].
pub fn join_message<S: AsRef<str>>(item_id: &ItemId, commands: &[S]) -> String {
    let bytes: usize = commands.iter().map(|command| command.as_ref().len() + 1).sum();
    let mut body = String::with_capacity(MESSAGE_FRAME_BYTES + bytes);
    body.push_str(r#"{"v":1,"item_id":"#);
    // A text has no failing Serialize.
    body.push_str(&serde_json::to_string(item_id).unwrap_or_default());
    body.push_str(r#","commands":["#);
    for (index, command) in commands.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(command.as_ref());
    }
    body.push_str("]}");
    body
}

/// Writes commands of one item as the body of one message.
///
/// The caller keeps to [`MAX_PACK_COMMANDS`] and [`MAX_PACK_BYTES`].
pub fn encode_message<'a>(item_id: &ItemId, commands: impl IntoIterator<Item = &'a Queued>) -> String {
    let commands: Vec<_> = commands.into_iter().map(encode_command).collect();
    join_message(item_id, &commands)
}

#[derive(Deserialize)]
struct Head {
    v: i64,
}

#[derive(Deserialize)]
struct MessageIn<'a> {
    #[serde(borrow)]
    commands: Vec<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct EnvelopeIn<'a> {
    #[serde(borrow)]
    command: Json<'a>,
    accepted_at: Timestamp,
    #[serde(borrow)]
    by: Cow<'a, str>,
    #[serde(default)]
    retry: u32,
    resubmits: Option<CommandKey>,
    first_accepted_at: Option<Timestamp>,
    reach: Option<Reach>,
    #[serde(default, deserialize_with = "trace::lenient")]
    trace: Option<Trace>,
}

/// Reads a message command by command. An undecodable command becomes a dead letter in its place and harms only itself
/// (P8). `group` is the message group, which is the item. Undecodable commands without an id get one made from
/// `message_id`, and the time `now`.
///
/// Each command has a checksum of its own, and a message of a later version has one of the whole, at its end. Without
/// it a later version is not believed. Where bytes of the frame around the commands have changed, the commands are
/// still found.
pub fn decode_message(group: &ItemId, message_id: &str, body: &str, now: Timestamp) -> Result<Vec<Slot>, MessageError> {
    if let Ok(head) = serde_json::from_str::<Head>(body) {
        if head.v > VERSION && seal_of(body) == Seal::Right {
            return Err(MessageError::Newer(head.v));
        }
        if head.v == VERSION
            && let Ok(message) = serde_json::from_str::<MessageIn<'_>>(body)
        {
            return Ok(message
                .commands
                .iter()
                .enumerate()
                .map(|(index, raw)| decode_command(group, message_id, index, raw.get(), now))
                .collect());
        }
    }
    let found = find_commands(body);
    if found.iter().any(|raw| seal_of(raw) == Seal::Right) {
        let slot = |(index, raw)| decode_sealed_command(group, message_id, index, raw, now);
        return Ok(found.into_iter().enumerate().map(slot).collect());
    }
    Ok(vec![poison(group, message_id, 0, body, "the message is not one of Stockline's".into(), now)])
}

/// Finds the item of a message whose group carries its id as a hash ([`carried`](super::carried)): the one that the message
/// names and that has this hash. It is found in a damaged message too, as long as one of its commands names it. `None` if the
/// group is the id itself, or if the message names no such item.
pub fn item_of_carried(group: &str, body: &str) -> Option<ItemId> {
    const NAME: &str = r#""item_id":"#;
    if !group.starts_with(HASHED) {
        return None;
    }
    let texts = body.match_indices(NAME).filter_map(|(at, _)| {
        let behind = body.get(at + NAME.len()..)?;
        serde_json::Deserializer::from_str(behind).into_iter::<String>().next()?.ok()
    });
    texts.filter_map(|text| text.parse::<ItemId>().ok()).find(|item_id| item_id.carried() == group)
}

/// Returns the commands of a message whose frame can't be read; together they have every byte but those of the frame.
/// The separator has quotes, which JSON escapes within texts, so it stands between commands only.
fn find_commands(body: &str) -> Vec<&str> {
    const SEPARATOR: &str = r#"},{"command":"#;
    let mut found = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find(SEPARATOR) {
        found.push(&rest[..=at]);
        rest = &rest[at + "},".len()..];
    }
    // Before the first command stands `…"commands":[`, behind the last `]}`.
    let without_end = rest.len().checked_sub("]}".len()).and_then(|end| rest.get(..end));
    found.push(without_end.filter(|raw| raw.ends_with(r#""}"#)).unwrap_or(rest));
    if let Some(first) = found.first_mut()
        && let Some(at) = first.find(r#"{"command":"#)
    {
        *first = &first[at..];
    }
    found
}

/// Returns the item of a message's commands, as the first command says whose checksum is right.
pub fn item_of_message(body: &str) -> Option<ItemId> {
    let sealed = find_commands(body).into_iter().find(|raw| seal_of(raw) == Seal::Right)?;
    let value: serde_json::Value = serde_json::from_str(sealed).ok()?;
    value.pointer("/command/item_id")?.as_str()?.parse().ok()
}

/// Reads a command of a message whose frame can't be read.
fn decode_sealed_command(group: &ItemId, message_id: &str, index: usize, raw: &str, now: Timestamp) -> Slot {
    if seal_of(raw) == Seal::Absent {
        return poison(group, message_id, index, raw, CHANGED.into(), now);
    }
    decode_command(group, message_id, index, raw, now)
}

/// The reason of a dead letter whose bytes have changed.
const CHANGED: &str = "the command's checksum is wrong: its bytes have changed since it was queued";

fn decode_command(group: &ItemId, message_id: &str, index: usize, raw: &str, now: Timestamp) -> Slot {
    if seal_of(raw) == Seal::Wrong {
        return poison(group, message_id, index, raw, CHANGED.into(), now);
    }
    let envelope = match serde_json::from_str::<EnvelopeIn<'_>>(raw) {
        Ok(envelope) => envelope,
        Err(error) => {
            return poison(group, message_id, index, raw, format!("the command can't be read: {error}"), now);
        }
    };
    if envelope.by.len() > MAX_BY_BYTES {
        let reason = format!("by is longer than {MAX_BY_BYTES} bytes");
        return poison(group, message_id, index, raw, reason, now);
    }
    match parse_command(&envelope.command, &ParseContext::stored()) {
        Ok(command) if command.item_id == *group => Slot::Command(Box::new(Queued {
            command,
            accepted_at: envelope.accepted_at,
            submitted_by: Arc::from(envelope.by),
            retry: envelope.retry,
            resubmits: envelope.resubmits,
            first_accepted_at: envelope.first_accepted_at,
            reach: envelope.reach,
            trace: envelope.trace,
        })),
        Ok(command) => {
            let reason = format!("the command is for item {}, its message for {group}", command.item_id);
            poison(group, message_id, index, raw, reason, now)
        }
        Err(faults) => {
            let reason = format!("the command is not valid: {}", parse::describe(&faults));
            poison(group, message_id, index, raw, reason, now)
        }
    }
}

/// Makes a dead letter, under the command's own id if it can be read, else under a UUIDv5 of message id and index
/// (design.md §6).
fn poison(group: &ItemId, message_id: &str, index: usize, raw: &str, reason: String, now: Timestamp) -> Slot {
    let own_id = serde_json::from_str::<serde_json::Value>(raw)
        .ok()
        .and_then(|value| value.pointer("/command/command_id")?.as_str()?.parse::<CommandId>().ok());
    let id = own_id.unwrap_or_else(|| made_id(message_id, index));
    Slot::Dead(Box::new(Record::dead_letter(None, DeadLetter::of(reason, raw.to_owned()), (group.clone(), id), now)))
}

fn made_id(message_id: &str, index: usize) -> CommandId {
    CommandId(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{message_id}/{index}").as_bytes()))
}

/// Sets a whole message aside as one dead letter without reading it, under the id made for its first command.
pub fn set_message_aside(group: &ItemId, message_id: &str, body: &str, reason: &str, now: Timestamp) -> Slot {
    let letter = DeadLetter::of(reason.to_owned(), body.to_owned());
    Slot::Dead(Box::new(Record::dead_letter(None, letter, (group.clone(), made_id(message_id, 0)), now)))
}
