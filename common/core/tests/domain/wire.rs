//! Messages, ledger entries and records as bytes.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use stockline_core::domain::{
    Alert, CodecError, CommandId, CommandKey, Cost, DeadLetter, Effect, Entry, EntryKind, ItemId, MessageError,
    Quantity, Queued, Reason, Record, RecordError, Slot, Status, Timestamp, decode_entries, decode_message,
    encode_entries, encode_message, item_of_carried, seal,
};
use stockline_core::testing::record_json;
use uuid::Uuid;

use super::command_json::queued;

fn decode(group: &ItemId, body: &str) -> Vec<Slot> {
    decode_message(group, "message-1", body, Timestamp::EPOCH).unwrap()
}

fn cola() -> ItemId {
    "cola".parse().unwrap()
}

fn dead(slot: &Slot) -> &Record {
    match slot {
        Slot::Dead(record) => record,
        Slot::Command(queued) => panic!("{queued:?} was read"),
    }
}

const GOOD: &str = r#"{"command":{"type":"sell","command_id":"01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b","item_id":"cola","location_id":"main","quantity":"1"},"accepted_at":"2026-01-31T08:15:00.000Z","by":"till-1"}"#;

#[test]
fn poison_harms_only_itself_and_keeps_its_place_and_its_body() {
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    let own_id = GOOD.replace("\"1\"", "\"x\"");
    let other_item = GOOD.replace("cola", "beer");
    let no_time = GOOD.replace("accepted_at", "accepted");
    let surrogate = GOOD.replace("till-1", "\\ud800");
    for poison in [
        "7",
        "null",
        "{}",
        "\"\"",
        &deep,
        &own_id,
        &other_item,
        &no_time,
        &surrogate,
        "{\"command\":{\"command_id\":1e999}}",
    ] {
        let body = format!("{{\"v\":1,\"item_id\":\"cola\",\"commands\":[{GOOD},{poison},{GOOD}]}}");
        let slots = decode(&cola(), &body);
        let [Slot::Command(_), set_aside, Slot::Command(_)] = &slots[..] else { panic!("{poison}: {slots:?}") };
        let record = dead(set_aside);
        assert_eq!((record.outcome.status, &record.outcome.item_id), (Status::DeadLettered, &cola()));
        assert_eq!(record.outcome.dead_letter.as_ref().unwrap().body, poison);
        let readable = [&own_id, &other_item, &no_time].into_iter().any(|text| text == poison);
        let own = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse::<CommandId>().unwrap();
        let made = CommandId(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"message-1/1"));
        assert_eq!(record.outcome.command_id, if readable { own } else { made }, "{poison}");
    }
}

#[test]
fn a_body_that_is_no_message_is_one_dead_letter_with_the_same_id_every_time() {
    for body in [
        "",
        "{",
        "[]",
        "7",
        "{\"v\":1}",
        "{\"v\":1,\"commands\":7}",
        "{\"v\":0,\"commands\":[]}",
        "{\"v\":\"1\"}",
        "\u{0}",
    ] {
        let first = decode(&cola(), body);
        let later = decode_message(&cola(), "message-1", body, Timestamp::from_millis(9)).unwrap();
        assert_eq!((first.len(), first[0].command_id()), (1, later[0].command_id()), "{body:?}");
        assert_eq!(dead(&first[0]).outcome.dead_letter.as_ref().unwrap().body, body);
        let other = decode_message(&cola(), "message-2", body, Timestamp::EPOCH).unwrap();
        assert_ne!(first[0].command_id(), other[0].command_id());
    }
}

#[test]
fn a_newer_message_is_returned_whatever_else_is_in_it() {
    for body in ["{\"v\":2}", "{\"v\":2,\"commands\":{}}", "{\"item\":[],\"v\":3,\"commands\":[7]}"] {
        let newer = decode_message(&cola(), "m", &seal(body.to_owned()), Timestamp::EPOCH);
        assert!(matches!(newer, Err(MessageError::Newer(2..=3))), "{body}");
        assert_eq!(
            dead(&decode(&cola(), body)[0]).outcome.status,
            Status::DeadLettered,
            "a changed digit is no version"
        );
    }
}

/// An alert as programs wrote it before there were openings, and as it is still written.
const ALERT: &str = r#"{"item_id":"cola","location_id":"main","alert_no":1,"kind":"low","on_hand":"3","low_stock_threshold":"5","seq":1,"raised_at":"2026-01-31T08:15:00.000Z","command_id":"01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b","item_name":"Cola","unit":"piece"}"#;

#[test]
fn golden_alerts_of_every_program_still_read_and_an_opening_is_one_field_more() {
    let alert: Alert = serde_json::from_str(ALERT).unwrap();
    assert!(!alert.opening);
    assert_eq!(serde_json::to_string(&alert).unwrap(), ALERT);
    let opening = ALERT.replace(r#""seq":1,"#, r#""seq":1,"opening":true,"#);
    let read: Alert = serde_json::from_str(&opening).unwrap();
    assert_eq!(read, Alert { opening: true, ..alert });
    assert_eq!(serde_json::to_string(&read).unwrap(), opening);
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..=253_402_300_799_999_i64).prop_map(Timestamp::from_millis)
}

fn entry() -> impl Strategy<Value = Entry> {
    let amount = || any::<i64>().prop_map(Quantity::from_raw);
    let texts = || weighted(0.3, ".{0,30}");
    let money = || weighted(0.4, any::<i64>().prop_map(Cost::from_raw));
    let reason = prop::sample::select(Reason::ALL.to_vec());
    (
        (prop::sample::select(EntryKind::ALL.to_vec()), any::<u128>(), amount(), amount(), amount(), time(), time()),
        (any::<bool>(), any::<bool>(), prop::sample::select(vec!["", "till-1", "tïll-2"])),
        (weighted(0.3, "[a-z][a-z0-9]{0,31}"), weighted(0.3, any::<i64>()), weighted(0.3, reason)),
        (texts(), texts(), texts(), texts()),
        (money(), money(), money(), weighted(0.2, any::<u128>())),
    )
        .prop_map(|(what, (late, clock_ahead, by), (counterpart, cost, reason), texts, money)| Entry {
            seq: 0,
            kind: what.0,
            command_id: CommandId(Uuid::from_u128(what.1)),
            quantity: what.2,
            delta: what.3,
            after: what.4,
            occurred_at: what.5,
            recorded_at: what.6,
            late,
            clock_ahead,
            submitted_by: by.into(),
            counterpart: counterpart.map(|text| text.parse().unwrap()),
            unit_cost: cost.map(Cost::from_raw),
            amount: money.0,
            cost: money.1,
            revaluation: money.2.unwrap_or_default(),
            reverses: money.3.map(|id| CommandId(Uuid::from_u128(id))),
            reason,
            note: texts.0,
            reference: texts.1,
            device_id: texts.2,
            operator: texts.3,
        })
}

/// Makes a record of a command with these movements, at the places beside them.
fn record(
    queued: &Queued,
    entries: &[(Entry, String)],
    letter: Option<String>,
    retry: u32,
    settled_at: Timestamp,
) -> Record {
    let body = DeadLetter { reason: "why".into(), body: letter.clone().unwrap_or_default(), discarded_at: None };
    let id = (queued.command.item_id.clone(), queued.command.command_id);
    let mut record = Record { retry, ..Record::dead_letter(Some(queued), body, id, settled_at) };
    if letter.is_some() {
        return record;
    }
    record.outcome.status = Status::Applied;
    record.outcome.dead_letter = None;
    record.outcome.effects = entries
        .iter()
        .map(|(entry, place)| Effect {
            location_id: place.parse().unwrap(),
            seq: entry.seq,
            kind: entry.kind,
            delta: entry.delta,
            after: entry.after,
            occurred_at: entry.occurred_at,
            recorded_at: entry.recorded_at,
            late: entry.late,
            clock_ahead: entry.clock_ahead,
            unit_cost: entry.unit_cost,
            cost: entry.cost,
            revaluation: entry.revaluation,
            quantity: entry.late.then_some(entry.quantity),
            amount: entry.amount,
        })
        .collect();
    // One effect is where the command says, and recorded when it was settled.
    let named = queued.command.action.locations().next().cloned();
    if let (Some(effect), Some(named)) = (record.outcome.effects.first_mut(), named) {
        (effect.location_id, effect.recorded_at) = (named, record.outcome.settled_at);
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_entries_read_back(first in 1..u64::MAX / 2, entries in vec(entry(), 0..20)) {
        let number = |(index, entry): (usize, Entry)| Entry { seq: first + index as u64, ..entry };
        let entries: Vec<_> = entries.into_iter().enumerate().map(number).collect();
        let bytes = encode_entries(&entries);
        prop_assert_eq!(decode_entries(&bytes), Ok(entries));
    }

    #[test]
    fn arbitrary_bytes_are_entries_or_an_error(mut bytes in vec(any::<u8>(), 0..200), versioned: bool) {
        if versioned && !bytes.is_empty() {
            bytes[0] = 1;
        }
        match decode_entries(&bytes) {
            Err(CodecError::Newer { found, .. }) => prop_assert_eq!(found, bytes[0]),
            Err(CodecError::Damaged(at)) => prop_assert!(at <= bytes.len()),
            Err(CodecError::Checksum) => prop_assert!(bytes[0] != 1),
            Ok(entries) => prop_assert!(entries.len() <= bytes.len() / 22),
        }
    }

    #[test]
    fn a_cut_never_invents_entries(entries in vec(entry(), 1..6), cut in any::<prop::sample::Index>()) {
        let number = |(index, entry): (usize, Entry)| Entry { seq: 1 + index as u64, ..entry };
        let entries: Vec<_> = entries.into_iter().enumerate().map(number).collect();
        let bytes = encode_entries(&entries);
        if let Ok(read) = decode_entries(&bytes[..cut.index(bytes.len())]) {
            prop_assert!(read.len() < entries.len() && entries.starts_with(&read));
        }
    }

    #[test]
    fn any_commands_read_back_from_their_message(commands in vec(queued(), 1..6)) {
        let item = commands[0].command.item_id.clone();
        let mut commands = commands;
        commands.iter_mut().for_each(|queued| queued.command.item_id = item.clone());
        let slots = decode(&item, &encode_message(&item, &commands));
        let expected: Vec<_> = commands.into_iter().map(|queued| Slot::Command(Box::new(queued))).collect();
        prop_assert_eq!(slots, expected);
    }

    #[test]
    fn an_arbitrary_body_never_panics_and_never_vanishes(body in ".{0,200}", inner in ".{0,50}") {
        prop_assert_eq!(decode(&cola(), &body).len(), 1);
        let message = serde_json::json!({ "v": 1, "commands": [inner, { "command": inner }] }).to_string();
        prop_assert_eq!(decode(&cola(), &message).len(), 2);
    }

    #[test]
    fn a_damaged_message_keeps_every_command_it_can(at in any::<prop::sample::Index>(), byte in 0x20..0x7f_u8) {
        let mut body = format!("{{\"v\":1,\"item_id\":\"cola\",\"commands\":[{GOOD},{GOOD}]}}").into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        let slots = decode_message(&cola(), "m", std::str::from_utf8(&body).unwrap(), Timestamp::EPOCH);
        prop_assert!(slots.map_or(true, |slots| !slots.is_empty()));
    }

    #[test]
    fn any_record_reads_back(
        queued in queued(),
        entries in vec((entry(), "[a-z]{1,8}"), 0..4),
        letter in weighted(0.3, ".{0,100}"),
        retry in 0..3_u32,
        settled in 0..2_000_000_000_000_i64,
    ) {
        let record = record(&queued, &entries, letter, retry, Timestamp::from_millis(settled));
        let bytes = record.to_bytes().unwrap();
        prop_assert_eq!(&Record::from_bytes(&bytes, Some(record.reference())).unwrap(), &record);
        prop_assert_eq!(record.to_bytes().unwrap(), bytes);
        let json = seal(record_json(&record).to_string());
        prop_assert_eq!(Record::from_bytes(json.as_bytes(), None).unwrap(), record);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_record_is_noticed(
        queued in queued(),
        entries in vec((entry(), "[a-z]{1,8}"), 0..3),
        letter in weighted(0.3, ".{0,20}"),
        at in any::<prop::sample::Index>(),
    ) {
        let record = record(&queued, &entries, letter, 1, Timestamp::EPOCH);
        let bytes = record.to_bytes().unwrap();
        let read = |bytes: &[u8]| Record::from_bytes(bytes, Some(record.reference()));
        let mut flipped = bytes.clone();
        flipped[at.index(bytes.len())] ^= 1 << (at.index(64) % 8);
        prop_assert!(!matches!(read(&flipped), Ok(_) | Err(RecordError::Newer(_))));
        prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err());
        let other = CommandKey { command_id: CommandId(Uuid::from_u128(7)), ..record.reference() };
        prop_assert!(matches!(Record::from_bytes(&bytes, Some(other)), Err(RecordError::Checksum)));
    }

    #[test]
    fn arbitrary_bytes_under_a_right_checksum_are_a_record_or_an_error(bytes in vec(any::<u8>(), 1..200), version: bool) {
        let mut bytes = bytes;
        if version {
            bytes[0] = 2;
        }
        let key = CommandKey { item_id: cola(), command_id: CommandId(Uuid::from_u128(1)) };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes);
        for part in [key.item_id.as_str().as_bytes(), key.command_id.0.as_bytes()] {
            hasher.update(part);
            hasher.update(&(part.len() as u64).to_le_bytes());
        }
        let begins = bytes[0];
        bytes.extend_from_slice(&hasher.finalize().to_le_bytes());
        match Record::from_bytes(&bytes, Some(key.clone())) {
            Err(RecordError::Newer(found)) => prop_assert!(found == u64::from(begins) && begins > 2),
            Ok(record) => {
                let again = record.to_bytes().unwrap();
                prop_assert_eq!(Record::from_bytes(&again, Some(key)).unwrap(), record);
            }
            Err(_) => {}
        }
    }
}

#[test]
fn a_hashed_group_leads_to_its_item_only() {
    let one = stockline_core::testing::queued(
        stockline_core::testing::id(1),
        "sell",
        "AB/12 x",
        r#","quantity":1,"note":"x""#,
        Timestamp::EPOCH,
    );
    let item = one.command.item_id.clone();
    let body = encode_message(&item, [&one]);
    assert!(body.starts_with(r#"{"v":1,"item_id":"AB/12 x","commands":["#), "{body}");
    assert_eq!(item_of_carried(&item.carried(), &body), Some(item.clone()));
    let damaged = body.replacen("item_id", "item_ix", 1);
    assert_eq!(item_of_carried(&item.carried(), &damaged), Some(item.clone()), "a command names it too");
    for (group, body) in
        [("cola", &*body), ("AB/12 x", &body), ("~0", &body), (&*item.carried(), "{"), (&item.carried(), "")]
    {
        assert_eq!(item_of_carried(group, body), None, "{group} {body}");
    }
    let other = encode_message(&"#7".parse().unwrap(), [&one]).replace("AB/12 x", "#7");
    assert_eq!(item_of_carried(&item.carried(), &other), None, "a message of another item");
}

#[test]
fn every_character_of_an_id_survives_in_a_message() {
    for item in stockline_core::testing::AWKWARD_ITEMS {
        let queued = stockline_core::testing::queued(
            stockline_core::testing::id(1),
            "sell",
            item,
            r#","quantity":1"#,
            Timestamp::EPOCH,
        );
        let body = encode_message(&queued.command.item_id, [&queued]);
        let slots = decode_message(&queued.command.item_id, "m", &body, Timestamp::EPOCH).unwrap();
        assert_eq!(slots, [Slot::Command(Box::new(queued))]);
    }
}
