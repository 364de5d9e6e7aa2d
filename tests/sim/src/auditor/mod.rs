//! The auditor: predicts from the order in the queue what must be stored and told, and compares (design.md §2).
//!
//! It is written from design.md §3 to §8 and shares nothing with the fold: it reads the queue's messages and the
//! table's rows as plain JSON. Of the product it uses only [`decode_entries`](stockline_core::domain::decode_entries),
//! to read the ledger's binary, and the clock's text form.

mod aside;
mod check;
mod level;
mod mails;
mod predict;
mod read;

use std::collections::BTreeMap;

use serde_json::Value;

use super::run::Story;
use super::scenario::MENDED_NOTE;
pub(crate) use mails::mailed_twice;

/// What should not be; empty where every promise was kept.
pub(crate) fn judge(story: &Story) -> Vec<String> {
    let mut faults = Vec::new();
    if !story.tills_done {
        faults.push("P1: a till's request was never accepted".to_owned());
    }
    if !story.drained {
        faults.push("P9: messages are left in the queue long after the last fault".to_owned());
    }
    let predicted = predict::predict(story, &mut faults);
    check::check(story, &predicted, &mut faults);
    faults
}

/// Commands that a fold without its defect applied.
pub(crate) fn mended(story: &Story) -> u64 {
    let is_mended = |record: &Value| record["status"] == "applied" && record["command"]["note"] == MENDED_NOTE;
    records(story).filter(is_mended).count() as u64
}

/// Commands of which more than one resubmission was decided: under several items.
pub(crate) fn resubmitted_twice(story: &Story) -> u64 {
    let mut of_old: BTreeMap<String, u64> = BTreeMap::new();
    for record in records(story).filter(|record| !record["resubmits"].is_null()) {
        *of_old.entry(record["resubmits"].to_string()).or_default() += 1;
    }
    of_old.values().filter(|count| **count > 1).count() as u64
}

fn records(story: &Story) -> impl Iterator<Item = Value> {
    story.table.all().filter(|((_, sk), _)| sk == "CMD").map(|(_, row)| read::json(row, "record"))
}
