//! The auditor: predicts from the order in the queue what must be stored and told, and compares (design.md §2).
//!
//! It is written from design.md §3 to §8 and shares nothing with the fold: it reads the queue's messages and the
//! table's rows as plain JSON. Of the product it uses only [`decode_entries`](stockline_common::domain::decode_entries),
//! to read the ledger's binary, and the clock's text form.

mod aside;
mod check;
mod level;
mod mails;
mod predict;
mod read;

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
    let records = story.table.all().filter(|((_, sk), _)| sk == "CMD").map(|(_, row)| read::json(row, "record"));
    records.filter(|record| record["status"] == "applied" && record["command"]["note"] == MENDED_NOTE).count() as u64
}
