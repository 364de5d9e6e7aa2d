//! Target: a queue message, as anyone with write access to the queue might send it.

use serde::Deserialize;
use serde_json::value::RawValue;
use stockline_core::domain::{DEAD_BODY_MAX_BYTES, ItemId, Queued, Slot, Timestamp, decode_message, encode_message};

/// At most this many commands of a message are also read alone.
const ALONE_MAX: usize = 8;

#[derive(Deserialize)]
struct Message<'a> {
    v: i64,
    #[serde(borrow)]
    commands: Vec<&'a RawValue>,
}

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Ok(body) = std::str::from_utf8(bytes) else { return false };
    let group: ItemId = "cola".parse().unwrap();
    let decode = |body: &str, now: i64| decode_message(&group, "m-1", body, Timestamp::from_millis(now));
    let Ok(slots) = decode(body, 0) else { return false };
    // A redelivery at any time yields the same ids in the same places.
    let ids = |slots: &[Slot]| slots.iter().map(Slot::command_id).collect::<Vec<_>>();
    assert_eq!(ids(&slots), ids(&decode(body, 1_000).unwrap()));

    for slot in &slots {
        match slot {
            Slot::Command(queued) => assert_eq!(queued.command.item_id, group),
            Slot::Dead(record) => {
                let letter = record.outcome.dead_letter.as_ref().unwrap();
                assert_eq!(record.outcome.item_id, group);
                assert!(letter.body.len() <= DEAD_BODY_MAX_BYTES && !letter.reason.is_empty());
                assert!(body.contains(&letter.body), "the body is kept as received");
            }
        }
    }
    let good = commands(&slots);
    let again = decode(&encode_message(&group, good.iter().copied()), 0).unwrap();
    assert!(again.len() == good.len() && commands(&again) == good, "what was read is written and read as the same");

    // P8: a command is read as it would be alone.
    if let Ok(message) = serde_json::from_str::<Message<'_>>(body)
        && message.v == 1
    {
        assert_eq!(slots.len(), message.commands.len(), "each in its place");
        for (raw, slot) in message.commands.iter().zip(&slots).take(ALONE_MAX) {
            let alone = decode(&format!(r#"{{"v":1,"commands":[{raw}]}}"#), 0).unwrap();
            match (&alone[..], slot) {
                ([Slot::Command(alone)], Slot::Command(among)) => assert_eq!(alone, among),
                ([Slot::Dead(alone)], Slot::Dead(among)) => {
                    assert_eq!(alone.outcome.dead_letter, among.outcome.dead_letter);
                }
                (alone, among) => panic!("{alone:?} alone, {among:?} among others"),
            }
        }
    }
    !good.is_empty()
}

/// Returns the readable commands.
fn commands(slots: &[Slot]) -> Vec<&Queued> {
    let mut commands = Vec::new();
    for slot in slots {
        if let Slot::Command(queued) = slot {
            commands.push(&**queued);
        }
    }
    commands
}
