//! Target: a batch in JSON, sent through the API's real handler.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use stockline_core::domain::{
    Command, Fingerprint, ItemId, ParseContext, Slot, Timestamp, decode_message, parse_command,
};
use stockline_core::ports::Pack;

use crate::api::{self, World};

/// At most this many lines of a batch are also sent alone.
const ALONE_MAX: usize = 4;

#[derive(Deserialize)]
struct Batch<'a> {
    sent_at: Option<Timestamp>,
    #[serde(borrow)]
    commands: Vec<&'a RawValue>,
}

pub(crate) fn run(bytes: &[u8]) -> bool {
    api::with(|world| judge(world, bytes))
}

fn judge(world: &World, bytes: &[u8]) -> bool {
    let (status, answer, packs) = world.post("/v1/commands/batch", Bytes::copy_from_slice(bytes));
    if status != 202 {
        assert!([400, 413, 422].contains(&status), "{status} {answer}");
        assert!(packs.is_empty() && answer["code"].is_string() && answer["status"] == status, "{answer}");
        return false;
    }
    let batch: Batch<'_> = serde_json::from_slice(bytes).unwrap();
    let lines = answer["results"].as_array().unwrap();
    assert_eq!(lines.len(), batch.commands.len());
    let count = |status: &str| lines.iter().filter(|line| line["status"] == status).count();
    assert_eq!((&answer["queued"], &answer["invalid"]), (&count("queued").into(), &count("invalid").into()));
    assert_eq!(answer["failed"], 0, "the queue is up");
    assert!(lines.iter().enumerate().all(|(at, line)| line["index"] == at), "in input order");
    check_queued(&batch, lines, &packs);
    for (at, (line, raw)) in lines.iter().zip(&batch.commands).enumerate().take(ALONE_MAX) {
        assert_eq!(line["problem"]["code"] == "duplicate_in_request", shares_its_id(&batch, at), "{line}");
        check_as_if_alone(world, at, line, raw.get());
    }
    count("queued") > 0
}

/// Checks that the queue holds exactly the lines that are reported as queued, each as it would be alone, and the
/// commands of each item in input order.
fn check_queued(batch: &Batch<'_>, lines: &[Value], packs: &[Pack]) {
    let context = ParseContext { sent_at: batch.sent_at, ..ParseContext::submitted() };
    let mut said: BTreeMap<ItemId, Vec<Command>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (line, raw) in lines.iter().zip(&batch.commands).filter(|(line, _)| line["status"] == "queued") {
        let command = parse_command(&serde_json::from_str(raw.get()).unwrap(), &context).unwrap();
        assert_eq!(line["command_id"], command.command_id.to_string());
        // The same command again is answered alike, and queued once.
        if ids.insert((command.item_id.clone(), command.command_id)) {
            said.entry(command.item_id.clone()).or_default().push(command);
        }
    }
    let mut queued: BTreeMap<ItemId, Vec<Command>> = BTreeMap::new();
    for pack in packs {
        for slot in decode_message(&pack.item_id, "m", &pack.body, Timestamp::EPOCH).unwrap() {
            let Slot::Command(read) = slot else { panic!("a worker can't read what the API wrote: {slot:?}") };
            queued.entry(pack.item_id.clone()).or_default().push(read.command);
        }
    }
    assert_eq!(said, queued);
}

/// Returns whether lines with different contents have the item and id of this line.
fn shares_its_id(batch: &Batch<'_>, at: usize) -> bool {
    let read = |raw: &RawValue| parse_command(&serde_json::from_str(raw.get()).ok()?, &ParseContext::stored()).ok();
    let Some(own) = read(batch.commands[at]) else { return false };
    let same_id = batch.commands.iter().filter_map(|raw| read(raw));
    same_id
        .filter(|other| (&other.item_id, other.command_id) == (&own.item_id, own.command_id))
        .any(|other| Fingerprint::of(&other) != Fingerprint::of(&own))
}

/// P8: checks that a line is answered as it would be alone.
fn check_as_if_alone(world: &World, at: usize, line: &Value, raw: &str) {
    let (status, alone, _) = world.post("/v1/commands", raw.to_owned());
    let problem = &line["problem"];
    match (line["status"].as_str().unwrap(), problem["code"].as_str()) {
        ("queued", None) | ("invalid", Some("duplicate_in_request")) => assert_eq!(status, 202, "{alone}"),
        ("invalid", Some("invalid_command")) => {
            assert_eq!((status, &alone["code"]), (422, &problem["code"]));
            let mut faults = problem["errors"].clone();
            for fault in faults.as_array_mut().unwrap() {
                let within = fault["pointer"].as_str().unwrap().strip_prefix(&format!("/commands/{at}")).unwrap();
                fault["pointer"] = within.into();
            }
            assert_eq!(faults, alone["errors"]);
        }
        (status, code) => panic!("a Manager's line is {status} {code:?}"),
    }
}
