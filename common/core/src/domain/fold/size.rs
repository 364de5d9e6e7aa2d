//! Upper estimates of the rows that a fold writes.

use super::super::message::MAX_BY_BYTES;
use super::super::parse::MAX_DETAILS_BYTES;
use super::super::{Entry, Record};

/// The most bytes that one row adds to a commit, without the texts of a dead letter. A chunk's entry counts with its
/// record. A hundred such rows are the 2.4 MB of [`FoldLimits`](super::FoldLimits). The heaviest is a transfer's record
/// with its two entries: 17 KB if every text is as long as `parse.rs` and `message.rs` allow,
/// and every id has four bytes a character.
pub(super) const ACTION_MAX_BYTES: usize = 24_000;

/// The most bytes of one location's planning in the record of its item, in JSON: ids and suppliers have four bytes a
/// character.
pub(super) const OVERRIDE_MAX_BYTES: usize = 530;

/// The most bytes that JSON makes of one byte: `\u0001`.
const JSON_BYTES_PER_BYTE: usize = 6;

/// A ledger entry in binary without its free texts, with the longest ids, numbers and times.
const ENTRY_BASE_BYTES: usize = 272;

/// The longest ledger entry in binary.
pub(super) const ENTRY_MAX_BYTES: usize = ENTRY_BASE_BYTES + MAX_BY_BYTES + MAX_DETAILS_BYTES;

/// Returns the most bytes that a dead letter's texts occupy in its row.
pub(super) fn letter_bytes(record: &Record) -> usize {
    let letter = record.outcome.dead_letter.as_ref();
    JSON_BYTES_PER_BYTE * letter.map_or(0, |letter| letter.body.len() + letter.reason.len())
}

/// Returns the most bytes of a ledger entry in binary.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    let texts = [&entry.note, &entry.reference, &entry.device_id, &entry.operator];
    ENTRY_BASE_BYTES + entry.submitted_by.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
}
