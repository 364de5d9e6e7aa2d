//! Checksums of rows. Each covers the row's key as people know it, so a row that is found under another key is damaged
//! too.
//!
//! JSON bodies have their checksum inside (`domain::seal`). A level's tail and a chunk's entries begin with the mark
//! `0xC5` and the checksum. Rows of earlier versions have none: their bytes are empty or begin with 1.

use serde::de::DeserializeOwned;

use super::fault::Fault;
use stockline_core::domain::{
    CodecError, Entry, ItemId, Level, LocationId, Seal, checksum, decode_entries, encode_entries, encode_tail, seal_of,
    skim_entries,
};

const MARK: u8 = 0xC5;

/// The mark and the CRC-32.
const SEAL_BYTES: usize = 5;

/// The first byte of entries without a checksum.
const UNSEALED: u8 = 1;

/// Writes the tail of a level with the checksum of the whole row.
pub(super) fn tail(item_id: &ItemId, level: &Level) -> Vec<u8> {
    seal(&[item_id.as_str().as_bytes(), &level_columns(level)], &encode_tail(level))
}

/// Reads the tail of a level whose other columns are read, and checks the whole row.
pub(super) fn read_tail(item_id: &ItemId, level: &Level, bytes: &[u8]) -> Result<Vec<Entry>, Fault> {
    tail_by(decode_entries, item_id, level, bytes)
}

/// As [`read_tail`], without the texts of people.
pub(super) fn skim_tail(item_id: &ItemId, level: &Level, bytes: &[u8]) -> Result<Vec<Entry>, Fault> {
    tail_by(skim_entries, item_id, level, bytes)
}

fn tail_by(
    decode: fn(&[u8]) -> Result<Vec<Entry>, CodecError>,
    item_id: &ItemId,
    level: &Level,
    bytes: &[u8],
) -> Result<Vec<Entry>, Fault> {
    let place = [item_id.as_str().as_bytes(), &level_columns(level)];
    let entries = open(&place, bytes).map_err(|()| {
        Fault::Unreadable(format!(
            "the checksum of the level of {item_id} at {} is wrong: its bytes have changed since it was written",
            level.location_id
        ))
    })?;
    Ok(decode(entries)?)
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
    chunk_by(decode_entries, item_id, location_id, first_seq, bytes)
}

/// As [`read_chunk`], without the texts of people.
pub(super) fn skim_chunk(
    item_id: &ItemId,
    location_id: &LocationId,
    first_seq: u64,
    bytes: &[u8],
) -> Result<Vec<Entry>, Fault> {
    chunk_by(skim_entries, item_id, location_id, first_seq, bytes)
}

fn chunk_by(
    decode: fn(&[u8]) -> Result<Vec<Entry>, CodecError>,
    item_id: &ItemId,
    location_id: &LocationId,
    first_seq: u64,
    bytes: &[u8],
) -> Result<Vec<Entry>, Fault> {
    let damaged = || {
        Fault::Unreadable(format!(
            "the ledger of {item_id} at {location_id}, entries from {first_seq}: their bytes have changed since they \
             were written"
        ))
    };
    let place = [item_id.as_str().as_bytes(), location_id.as_str().as_bytes()];
    let entries = decode(open(&place, bytes).map_err(|()| damaged())?)?;
    if entries.first().is_none_or(|first| first.seq != first_seq) {
        return Err(damaged());
    }
    Ok(entries)
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
    let mut bytes = level.location_id.as_str().as_bytes().to_vec();
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
