//! Rules of one line each: words, limits, the names in errors.

use stockline_core::domain::{
    AlertKind, CodecError, Command, DEAD_BODY_MAX_BYTES, DEAD_REASON_MAX_BYTES, DeadLetter, Fingerprint, ItemId,
    LoadRequest, LocationId, Queued, Reason, ReceiptKeys, Record, RecordError, RejectionCode, Slot, Status, StockState,
    Timestamp, decode_entries, decode_message, encode_command, encode_message, join_message, seal,
};
use stockline_core::testing::record_json;

use super::script::{read, run};
use super::spec::{command_id, item_id};

fn queued() -> Queued {
    read("sell 1").remove(0).queued()
}

fn json<T: serde::Serialize>(value: T) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn a_word_is_the_same_in_json_and_elsewhere() {
    for state in [StockState::Normal, StockState::Low, StockState::Out, StockState::Oversold] {
        assert_eq!(state.as_str(), json(state));
    }
    for kind in [AlertKind::Low, AlertKind::Out, AlertKind::Oversold] {
        assert_eq!(kind.as_str(), json(kind));
    }
    for status in [Status::Applied, Status::Rejected, Status::DeadLettered] {
        assert_eq!(status.as_str(), json(status));
    }
    for reason in Reason::ALL {
        assert_eq!(Reason::from_word(reason.as_str()), Some(reason));
    }
    assert_eq!(Reason::from_word("broken"), None);
}

#[test]
fn entries_of_a_later_version_are_newer_and_damaged_ones_are_not() {
    let of = |version: u8| {
        let sealed = [version, 0];
        [&sealed[..], &crc32fast::hash(&sealed).to_le_bytes()].concat()
    };
    assert!(decode_entries(&of(4)).unwrap_err().is_newer());
    assert!(!decode_entries(&of(0)).unwrap_err().is_newer());
    assert!(!decode_entries(&[4, 0, 0, 0, 0, 0]).unwrap_err().is_newer(), "the checksum is wrong");
    assert!(!decode_entries(&[4, 0]).unwrap_err().is_newer());
    assert!(!decode_entries(&[1, 0x80]).unwrap_err().is_newer());
    // Ten bytes hold 64 bits and no more.
    let seq = |last: u8| [&[1][..], &[0xff; 9], &[last]].concat();
    assert_eq!(decode_entries(&seq(2)), Err(CodecError::Damaged(11)));
    assert_eq!(decode_entries(&seq(1)), Err(CodecError::Damaged(11)), "the number is read, the entry is missing");
}

#[test]
fn a_record_of_a_later_version_is_newer_whatever_is_in_it() {
    let worker = run("sell 1");
    let record = worker.store.record(&item_id(), command_id(1)).unwrap();
    let text = record_json(record).to_string();
    let read = |text: &str| Record::from_bytes(text.as_bytes(), None);
    assert_eq!(read(&text).unwrap(), *record, "earlier programs wrote no checksum");
    assert_eq!(read(&seal(text.clone())).unwrap(), *record);
    let unsealed = text.replacen(r#""v":1"#, r#""v":2"#, 1);
    assert!(matches!(read(&unsealed), Err(RecordError::Checksum)), "a later version is believed");
    let damaged = seal(text.clone()).replacen(r#""v":1"#, r#""v":3"#, 1);
    assert!(matches!(read(&damaged), Err(RecordError::Checksum)), "a later version is believed");
    let newer = |text: &str| match read(&seal(text.to_owned())) {
        Err(RecordError::Newer(version)) => Some(version),
        Err(_) => None,
        Ok(record) => panic!("{record:?} was read"),
    };
    assert_eq!(newer(&text.replacen(r#""v":1"#, r#""v":2"#, 1)), Some(2));
    assert_eq!(newer(r#"{"v":700,"new":true}"#), Some(700));
    assert_eq!(newer(r#"{"v":1,"new":true}"#), None);
    assert_eq!(newer(r#"{"v":0}"#), None);
    assert!(!text.contains("\"retry\""), "a first decision says nothing of retries: {text}");
}

/// A record may say whether it changed the default. An older record re-judges if its command could have changed it.
#[test]
fn a_command_that_may_have_changed_the_default_threshold_re_judges() {
    for (script, sets_default, changes) in [
        ("default 5", true, true),
        ("update low:5", true, true),
        ("default none", true, false),
        ("low 5", false, false),
        ("update policy:reject", false, false),
        ("sell 1", false, false),
    ] {
        let worker = run(script);
        let mut record = worker.store.record(&item_id(), command_id(1)).unwrap().clone();
        assert_eq!(record.outcome.command.as_ref().unwrap().action.sets_default(), sets_default, "{script}");
        assert_eq!(record.rejudges(), changes, "{script}");
        record.changed_default = None;
        assert_eq!(record.rejudges(), sets_default, "{script}, of before");
        record.outcome.status = Status::Rejected;
        assert!(!record.rejudges(), "{script}, refused");
    }
}

#[test]
fn a_dead_letter_is_cut_only_beyond_its_bounds() {
    let whole = DeadLetter::of("r".repeat(DEAD_REASON_MAX_BYTES), "b".repeat(DEAD_BODY_MAX_BYTES));
    assert_eq!((whole.reason.len(), whole.body.len()), (DEAD_REASON_MAX_BYTES, DEAD_BODY_MAX_BYTES));
    let reason = DeadLetter::of("r".repeat(DEAD_REASON_MAX_BYTES + 1), String::new()).reason;
    assert_eq!(reason, "r".repeat(DEAD_REASON_MAX_BYTES) + "…");
    let cut = DeadLetter::of("bad".into(), "b".repeat(DEAD_BODY_MAX_BYTES + 1));
    assert_eq!(cut.body.len(), DEAD_BODY_MAX_BYTES);
    assert_eq!(cut.reason, format!("bad; its body had {} bytes and is cut", DEAD_BODY_MAX_BYTES + 1));
    // design.md §6; six times as much is still below the limit of a row.
    assert_eq!((DEAD_BODY_MAX_BYTES, DEAD_REASON_MAX_BYTES), (61_440, 2_048));
}

#[test]
fn a_message_has_its_commands_in_order_and_names_a_retry_only_for_one() {
    let first = queued();
    let again = Queued { retry: 1, ..queued() };
    let item_id = first.command.item_id.clone();
    assert!(!encode_command(&first).contains("retry"));
    assert!(encode_command(&again).contains(r#""retry":1"#));
    let body = join_message(&item_id, &[encode_command(&first), encode_command(&again)]);
    assert_eq!(body, encode_message(&item_id, [&first, &again]));
    let slots = decode_message(&item_id, "m", &body, Timestamp::EPOCH).unwrap();
    let expected = [first, again].map(|queued| Slot::Command(Box::new(queued)));
    assert_eq!(slots, expected);
}

#[test]
fn the_submitter_has_a_limited_length() {
    let by = |bytes: usize| Queued { submitted_by: "x".repeat(bytes).into(), ..queued() };
    let read = |queued: &Queued| {
        let item_id = &queued.command.item_id;
        decode_message(item_id, "m", &encode_message(item_id, [queued]), Timestamp::EPOCH).unwrap().remove(0)
    };
    assert!(matches!(read(&by(512)), Slot::Command(_)));
    assert!(matches!(read(&by(513)), Slot::Dead(_)));
}

#[test]
fn an_invalid_command_in_a_message_names_every_fault() {
    let cola: ItemId = "cola".parse().unwrap();
    let command = r#"{"type":"sell","command_id":"01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b","item_id":"cola","location_id":"main","quantity":"x","note":7}"#;
    let body = format!(
        r#"{{"v":1,"item_id":"cola","commands":[{{"command":{command},"accepted_at":"2026-01-31T08:15:00Z","by":"a"}}]}}"#
    );
    let slots = decode_message(&cola, "m", &body, Timestamp::EPOCH).unwrap();
    let [Slot::Dead(record)] = &slots[..] else { panic!("{slots:?}") };
    let reason = &record.outcome.dead_letter.as_ref().unwrap().reason;
    assert!(reason.contains("/quantity ") && reason.contains("; /note "), "{reason}");
}

#[test]
fn a_refusal_names_its_place_and_its_bound() {
    for (script, code, place, text) in [
        ("sell 1 at:closed", RejectionCode::LocationClosed, "closed", "closed"),
        ("sell 1 at:mars", RejectionCode::UnknownLocation, "mars", "PUT /v1/locations/mars"),
        ("sell 1 expect:8", RejectionCode::PreconditionFailed, "main", "expected 8 on hand at main, found 0"),
        ("sell 1 on:reject", RejectionCode::InsufficientStock, "main", "1 wanted at main, 0 available"),
        ("count 1 @-73h", RejectionCode::CountTooLate, "", "more than 72 hours"),
        ("sell 1 @-31d", RejectionCode::OccurredAtOutOfRange, "", "more than 30 days"),
        (
            "update dec:0 | sell 1.5",
            RejectionCode::FractionalQuantity,
            "",
            "quantity 1.5 has more decimals than the 0 of item",
        ),
    ] {
        let worker = run(script);
        let last = script.split('|').count() as u32;
        let record = worker.store.record(&item_id(), command_id(last)).unwrap();
        let rejection = record.outcome.rejection.as_ref().unwrap();
        let at = rejection.location_id.as_ref().map_or("", LocationId::as_str);
        assert_eq!((rejection.code, at), (code, place), "{script}");
        assert!(rejection.detail.contains(text), "{script}: {}", rejection.detail);
    }
}

#[test]
fn an_item_remembers_its_last_change() {
    let worker = run("update policy:reject");
    let item = worker.store.load(&LoadRequest::of(item_id())).item.unwrap();
    let record = worker.store.record(&item_id(), command_id(1)).unwrap();
    assert_eq!(item.updated_at, record.outcome.settled_at);
}

#[test]
fn days_and_zones_are_those_of_a_place() {
    let late: Timestamp = "2026-01-31T23:15:00Z".parse().unwrap();
    assert_eq!(late.day_in_zone("Europe/Berlin"), "2026-02-01");
    assert_eq!(late.day_in_zone("Nowhere/Town"), "2026-01-31");
    assert!(Timestamp::knows_zone("Europe/Berlin") && !Timestamp::knows_zone("Nowhere/Town"));
    let digits = |count: usize| format!("2026-01-31T08:15:00.{}Z", "1".repeat(count)).parse::<Timestamp>();
    assert!(digits(9).is_ok() && digits(20).is_err() && digits(30).is_err());
}

#[test]
fn a_fingerprint_is_32_hexadecimal_digits() {
    let text = "00000000000000000000000000000abc";
    assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text);
    for bad in ["abc", &text.replacen('0', "+", 1), &format!("{text}0"), &text.replace('a', "g")] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
}

#[test]
fn debug_output_reads_well_and_holds_no_secret() {
    let keys = ReceiptKeys::new(&[b"a secret of thirty-two bytes ...."]).unwrap();
    assert_eq!(format!("{keys:?}"), "ReceiptKeys(1 redacted)");
    let Command { command_id, .. } = queued().command;
    assert_eq!(format!("{command_id:?}"), command_id.to_string());
    assert_eq!(format!("{:?}", Timestamp::EPOCH), "1970-01-01T00:00:00.000Z");
}

/// Nothing is lost, nothing is changed, nothing of a changed command is applied, and its neighbours are.
#[test]
fn each_flipped_bit_of_a_message_harms_one_command_at_most_two() {
    let queued = |n: u32| {
        let mut queued = queued();
        queued.command.command_id = command_id(n);
        queued
    };
    let all: Vec<_> = (1..=3).map(queued).collect();
    let group = all[0].command.item_id.clone();
    let body = encode_message(&group, &all);
    for bit in 0..body.len() * 8 {
        let mut bytes = body.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        let slots = decode_message(&group, "m", text, Timestamp::EPOCH).unwrap();
        let commands =
            slots.iter().filter_map(|slot| if let Slot::Command(queued) = slot { Some(&**queued) } else { None });
        let good: Vec<_> = commands.collect();
        assert!(good.iter().all(|read| all.iter().any(|sent| sent == *read)), "a changed command is read: {text}");
        let dead = slots.len() - good.len();
        assert!(good.len() + 2 * dead >= 3 && dead <= 1, "{slots:?}");
        let in_order = good.windows(2).all(|pair| pair[0].command.command_id < pair[1].command.command_id);
        assert!(in_order, "{slots:?}");
    }
}
