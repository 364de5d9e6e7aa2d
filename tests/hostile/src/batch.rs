//! A batch as JSON, through the API's own handler.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use stockline_common::domain::{CommandId, ItemId, Slot, Timestamp, decode_message};
use stockline_common::ports::Pack;

use crate::api::{self, World};

/// Lines of a batch that are also sent alone.
const ALONE_MAX: usize = 4;

#[derive(Deserialize)]
struct Batch<'a> {
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
    is_queued(&batch, lines, &packs);
    for (at, (line, raw)) in lines.iter().zip(&batch.commands).enumerate().take(ALONE_MAX) {
        is_judged_as_alone(world, at, line, raw.get());
    }
    count("queued") > 0
}

/// What is said to be queued is in the queue, each item's commands in the order in which they came; nothing else is.
fn is_queued(batch: &Batch<'_>, lines: &[Value], packs: &[Pack]) {
    let mut said: BTreeMap<ItemId, Vec<CommandId>> = BTreeMap::new();
    for (line, raw) in lines.iter().zip(&batch.commands).filter(|(line, _)| line["status"] == "queued") {
        let command: Value = serde_json::from_str(raw.get()).unwrap();
        let id = |field: &str| command[field].as_str().unwrap().to_owned();
        assert_eq!(line["command_id"].as_str().unwrap().parse::<CommandId>(), id("command_id").parse());
        said.entry(id("item_id").parse().unwrap()).or_default().push(id("command_id").parse().unwrap());
    }
    let mut queued: BTreeMap<ItemId, Vec<CommandId>> = BTreeMap::new();
    for pack in packs {
        let slots = decode_message(&pack.item_id, "m", &pack.body, Timestamp::EPOCH).unwrap();
        assert!(slots.iter().all(|slot| matches!(slot, Slot::Command(_))), "a worker reads what the API wrote");
        queued.entry(pack.item_id.clone()).or_default().extend(slots.iter().map(Slot::command_id));
    }
    assert_eq!(said, queued);
}

/// P8: a line is answered as it would be without its neighbours.
fn is_judged_as_alone(world: &World, at: usize, line: &Value, raw: &str) {
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
