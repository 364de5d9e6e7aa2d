//! The auditor predicts from the order in the queue what must be stored and published, and compares (design.md §2).
//!
//! It is written from design.md §3 to §8 and shares nothing with the fold: it reads the messages of the queue and the
//! rows of the table as plain JSON. It uses only two parts of the product:
//! [`decode_entries`](stockline_core::domain::decode_entries), which reads the binary ledger, and the text form of
//! times.

mod aside;
mod check;
mod compare;
mod level;
mod mails;
mod money;
mod predict;
mod predictor;
pub(crate) mod read;

use std::collections::BTreeMap;

use serde_json::Value;

use super::evidence::Evidence;
use super::scenario::MENDED_NOTE;
pub(crate) use mails::{mailed_twice, opened_together};

/// Returns the faults; none if every promise was kept.
pub(crate) fn judge(evidence: &Evidence) -> Vec<String> {
    let mut faults = Vec::new();
    if !evidence.tills_done {
        faults.push("P1: a till's request was never accepted".to_owned());
    }
    if !evidence.drained {
        faults.push("P9: the queue still holds messages long after the last fault".to_owned());
    }
    let predicted = predict::predict(evidence, &mut faults);
    check::check(evidence, &predicted, &mut faults);
    faults
}

/// Counts the commands that a mended fold applied.
pub(crate) fn mended(evidence: &Evidence) -> u64 {
    let is_mended = |record: &Value| record["status"] == "applied" && record["command"]["note"] == MENDED_NOTE;
    records(evidence).filter(is_mended).count() as u64
}

/// Counts the commands that were set aside because their item could not be read, and were not tried again.
pub(crate) fn parked(evidence: &Evidence) -> u64 {
    let is_parked = |record: &Value| {
        let reason = record["dead_letter"]["reason"].as_str().unwrap_or_default();
        record["status"] == "dead_lettered" && reason.starts_with("the item can't be read")
    };
    records(evidence).filter(is_parked).count() as u64
}

/// Counts the commands with more than one decided resubmission, under several items.
pub(crate) fn resubmitted_twice(evidence: &Evidence) -> u64 {
    let mut of_old: BTreeMap<String, u64> = BTreeMap::new();
    for record in records(evidence).filter(|record| !record["resubmits"].is_null()) {
        *of_old.entry(record["resubmits"].to_string()).or_default() += 1;
    }
    of_old.values().filter(|count| **count > 1).count() as u64
}

/// Counts the reversals with this status.
pub(crate) fn reversals(evidence: &Evidence, status: &str) -> u64 {
    let is_one = |record: &Value| record["command"]["type"] == "reverse" && record["status"] == status;
    records(evidence).filter(is_one).count() as u64
}

fn records(evidence: &Evidence) -> impl Iterator<Item = Value> {
    evidence.table.all().filter(|((_, sk), _)| sk == "CMD").map(|(_, row)| read::record(row))
}
