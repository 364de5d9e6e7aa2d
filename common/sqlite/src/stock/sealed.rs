//! Checksums of rows. Each covers the row's key as people know it, so a row that is found under another key is damaged
//! too.
//!
//! JSON bodies have their checksum inside (`domain::seal`). A level's tail and a chunk's entries begin with the mark
//! `0xC5` and the checksum. Rows of earlier versions have none: their bytes are empty or begin with 1.

use serde::de::DeserializeOwned;

use super::fault::Fault;
use stockline_core::domain::analytics::Moved;
use stockline_core::domain::{
    Entry, ItemId, Level, LocationId, Seal, checksum, decode_entries, encode_entries, encode_tail, seal_of,
    skim_movements,
};

const MARK: u8 = 0xC5;

/// The mark and the CRC-32.
const SEAL_BYTES: usize = 5;

/// Room for the columns of a level beside its tail.
const LEVEL_COLUMNS_BYTES: usize = 192;

/// The first byte of entries without a checksum.
const UNSEALED: u8 = 1;

/// Writes the tail of a level with the checksum of the whole row.
pub(super) fn tail(item_id: &ItemId, level: &Level) -> Vec<u8> {
    seal(&[item_id.as_str().as_bytes(), &level_columns(level)], &encode_tail(level))
}

/// Reads the tail of a level whose other columns are read, and checks the whole row.
pub(super) fn read_tail(item_id: &ItemId, level: &Level, bytes: &[u8]) -> Result<Vec<Entry>, Fault> {
    Ok(decode_entries(open_tail(item_id, level, bytes)?)?)
}

/// Checks the whole row of a level whose other columns are read, and returns what is encoded in its tail.
pub(super) fn open_tail<'a>(item_id: &ItemId, level: &Level, bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
    let place = [item_id.as_str().as_bytes(), &level_columns(level)];
    open(&place, bytes).map_err(|()| {
        Fault::Unreadable(format!(
            "the checksum of the level of {item_id} at {} is wrong: its bytes have changed since it was written",
            level.location_id
        ))
    })
}

/// Writes the entries of a chunk with the checksum of its key.
pub(super) fn chunk(item_id: &ItemId, location_id: &LocationId, entries: &[Entry]) -> Vec<u8> {
    seal(&[item_id.as_str().as_bytes(), location_id.as_str().as_bytes()], &encode_entries(entries))
}

/// Reads the entries of a chunk. The first has `first_seq`.
pub(super) fn read_chunk(
    item_id: &ItemId,
    location_id: &LocationId,
    first_seq: u64,
    bytes: &[u8],
) -> Result<Vec<Entry>, Fault> {
    let damaged = || damaged_chunk(item_id, location_id, first_seq);
    let entries = decode_entries(open_chunk(item_id, location_id, bytes).ok_or_else(damaged)?)?;
    if entries.first().is_none_or(|first| first.seq != first_seq) {
        return Err(damaged());
    }
    Ok(entries)
}

/// Reads what sums need of the entries of a chunk. The first has `first_seq`. Some may be shown before a fault is found.
pub(super) fn skim_chunk(
    item_id: &ItemId,
    location_id: &LocationId,
    first_seq: u64,
    bytes: &[u8],
    mut each: impl FnMut(u64, Moved),
) -> Result<(), Fault> {
    let damaged = || damaged_chunk(item_id, location_id, first_seq);
    let mut first = None;
    skim_movements(open_chunk(item_id, location_id, bytes).ok_or_else(damaged)?, |seq, moved| {
        first.get_or_insert(seq);
        each(seq, moved);
    })?;
    if first == Some(first_seq) { Ok(()) } else { Err(damaged()) }
}

fn open_chunk<'a>(item_id: &ItemId, location_id: &LocationId, bytes: &'a [u8]) -> Option<&'a [u8]> {
    open(&[item_id.as_str().as_bytes(), location_id.as_str().as_bytes()], bytes).ok()
}

fn damaged_chunk(item_id: &ItemId, location_id: &LocationId, first_seq: u64) -> Fault {
    Fault::Unreadable(format!(
        "the ledger of {item_id} at {location_id}, entries from {first_seq}: their bytes have changed since they were \
         written"
    ))
}

pub(super) fn seal(key: &[&[u8]], bytes: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL_BYTES + bytes.len());
    sealed.push(MARK);
    sealed.extend_from_slice(&sum(key, bytes).to_le_bytes());
    sealed.extend_from_slice(bytes);
    sealed
}

fn open<'a>(key: &[&[u8]], bytes: &'a [u8]) -> Result<&'a [u8], ()> {
    match bytes.split_at_checked(SEAL_BYTES) {
        Some(([MARK, sum_bytes @ ..], sealed)) if *sum_bytes == sum(key, sealed).to_le_bytes() => Ok(sealed),
        _ if bytes.first().is_none_or(|first| *first == UNSEALED) => Ok(bytes),
        _ => Err(()),
    }
}

fn sum(key: &[&[u8]], bytes: &[u8]) -> u32 {
    let mut parts = key.to_vec();
    parts.push(bytes);
    checksum(&parts)
}

/// Returns every column of a level but its tail.
pub(super) fn level_columns(level: &Level) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LEVEL_COLUMNS_BYTES);
    bytes.extend_from_slice(level.location_id.as_str().as_bytes());
    let mut optional = |number: Option<i64>| {
        bytes.push(number.is_some().into());
        bytes.extend_from_slice(&number.unwrap_or(0).to_le_bytes());
    };
    optional(Some(level.on_hand.raw()));
    optional(Some(level.seq.cast_signed()));
    optional(Some(level.version.cast_signed()));
    optional(level.low_stock_threshold.map(stockline_core::domain::Quantity::raw));
    optional(Some(super::states::state_no(level.state)));
    optional(Some(level.alerted.into()));
    optional(Some(level.alert_no.cast_signed()));
    optional(Some(level.alert_epoch.cast_signed()));
    optional(level.counted_at.map(|at| at.as_millis()));
    optional(Some(level.updated_at.as_millis()));
    // Rows of earlier versions have none of these, and their checksums neither.
    if level.average_cost.is_some() || !level.value.is_zero() || level.counted_seq != 0 {
        optional(Some(level.value.raw()));
        optional(level.average_cost.map(stockline_core::domain::Money::raw));
        optional(Some(level.counted_seq.cast_signed()));
    }
    bytes
}

/// Reads a value from JSON with its checksum. `what` names it in the fault.
pub(super) fn read_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Fault> {
    if seal_of(text) == Seal::Wrong {
        return Err(Fault::Unreadable(format!(
            "the checksum of {what} is wrong: its bytes have changed since it was written"
        )));
    }
    serde_json::from_str(text).map_err(|error| Fault::Unreadable(format!("{what}: {error}")))
}
