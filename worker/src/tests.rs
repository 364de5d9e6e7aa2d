use std::collections::BTreeMap;

use stockline_core::domain::{
    CommandId, CommandKey, Fold, FoldLimits, ItemId, Loaded, MessageError, Queued, Record, Rules, Slot, Timestamp,
    decode_message, fold,
};

use crate::testing::{World, queued};

mod audit;
mod crashes;
mod dead_letters;
mod outages;
mod poison;
mod receivers;
mod rounds;

/// Judges as `domain::fold` does, but panics if a command's note is `explode`.
pub(crate) fn explosive(
    loaded: &Loaded,
    item_id: &ItemId,
    slots: &[Slot],
    decided: &BTreeMap<CommandId, Record>,
    now: Timestamp,
    rules: &Rules,
    limits: &FoldLimits,
) -> Fold {
    let note = |slot: &Slot| match slot {
        Slot::Command(queued) => queued.command.details.note.clone(),
        Slot::Dead(_) => None,
    };
    assert!(slots.iter().all(|slot| note(slot).as_deref() != Some("explode")), "a planned panic");
    fold(loaded, item_id, slots, decided, now, rules, limits)
}

/// Decodes as `domain::decode_message` does, but panics if a body contains `shatter`.
pub(crate) fn explosive_decoder(
    group: &ItemId,
    message_id: &str,
    body: &str,
    now: Timestamp,
) -> Result<Vec<Slot>, MessageError> {
    assert!(!body.contains("shatter"), "a planned panic");
    decode_message(group, message_id, body, now)
}

fn register(n: u128, item_id: &str) -> Queued {
    queued(n, &format!(r#"{{"type":"register_item","item_id":"{item_id}","name":"Cola"}}"#))
}

fn threshold(n: u128, item_id: &str, threshold: &str) -> Queued {
    queued(n, &format!(r#"{{"type":"set_threshold","item_id":"{item_id}","low_stock_threshold":{threshold}}}"#))
}

fn receive(n: u128, item_id: &str, location: &str, quantity: u32) -> Queued {
    moved(n, "receive", item_id, location, quantity)
}

fn sell(n: u128, item_id: &str, location: &str, quantity: u32) -> Queued {
    moved(n, "sell", item_id, location, quantity)
}

fn moved(n: u128, kind: &str, item_id: &str, location: &str, quantity: u32) -> Queued {
    queued(n, &format!(r#"{{"type":"{kind}","item_id":"{item_id}","location_id":"{location}","quantity":{quantity}}}"#))
}

fn noted(mut queued: Queued, note: &str) -> Queued {
    queued.command.details.note = Some(note.to_owned());
    queued
}

/// Sends an item with 10 at `main` and without a threshold: commands 1 and 2.
fn stocked(world: &World, item_id: &str) {
    world.send(&[register(1, item_id), receive(2, item_id, "main", 10)]);
}

/// Sends every kind of message: folds that are cut, duplicates inside and across messages, refusals, transfers,
/// thresholds that re-judge, garbage, and a group that is no item.
fn send_everything(world: &World) {
    let transfer =
        r#"{"type":"transfer","item_id":"cola","from_location_id":"north","to_location_id":"main","quantity":2}"#;
    let count = r#"{"type":"count","item_id":"cola","location_id":"main","counted":9}"#;
    let update = r#"{"type":"update_item","item_id":"cola","low_stock_threshold":30,"shortage_policy":"reject"}"#;
    world.send(&[
        register(1, "cola"),
        threshold(2, "cola", "5"),
        receive(3, "cola", "main", 10),
        receive(4, "cola", "north", 20),
    ]);
    world.send(&[sell(5, "cola", "main", 6), sell(6, "cola", "north", 16), queued(7, transfer)]);
    world.queue.put("cola", "not a message");
    world.send(&[sell(5, "cola", "main", 6), queued(8, count), sell(5, "cola", "main", 6)]);
    world.send(&[threshold(9, "cola", "10"), sell(10, "cola", "main", 1), threshold(11, "cola", "3")]);
    let sales: Vec<_> = (20..34).map(|n| sell(n, "cola", "main", 1)).collect();
    world.send(&sales);
    world.send(&[queued(12, update), sell(13, "cola", "north", 50), receive(14, "cola", "north", 60)]);
    world.send(&[sell(20, "cola", "main", 1), sell(15, "cola", "north", 40)]);
    world.queue.put_aside("..", "garbage");
    world.send(&[register(1, "tea"), threshold(2, "tea", "2"), receive(3, "tea", "main", 3)]);
    world.send(&[sell(4, "tea", "main", 3), sell(5, "tea", "main", 1)]);
    for n in 6..20 {
        world.send(&[receive(n, "tea", "north", 1)]);
    }
}

/// Returns the final state: balances, seqs and alert counters, outcomes, alerts.
fn ending(world: &World) -> Vec<String> {
    let stock = world.store.stock();
    let levels = stock.levels.iter().map(|((item_id, location), level)| {
        format!("{item_id} {location} {} {} {:?} {}", level.on_hand, level.seq, level.state, level.alert_no)
    });
    let records = stock.records.iter().map(|(CommandKey { item_id, command_id }, record)| {
        format!("{item_id} {command_id} {:?} {:?}", record.outcome.status, record.outcome.effects)
    });
    levels.chain(records).chain(world.published_ids()).collect()
}
