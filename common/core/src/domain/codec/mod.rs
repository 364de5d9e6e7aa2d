//! The compact binary forms of what is kept for good (design.md §7): ledger entries in tails and chunks, and outcomes.
//!
//! All begin with a version and end with a checksum. Integers are LEB128 varints (signed ones zigzag), texts have their
//! length before them, and times are differences from one that was written before. Flags say which fields are there.

mod bytes;
mod entries;
pub(super) mod record;

pub use bytes::CodecError;
pub use entries::{decode_entries, encode_entries, encode_tail, skim_entries, skim_movements};
