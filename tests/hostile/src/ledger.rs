//! Target: a tail or a chunk of the ledger, as damaged bytes in the store.

use stockline_core::domain::analytics::Moved;
use stockline_core::domain::{decode_entries, encode_entries, skim_entries, skim_movements};

pub(crate) fn run(bytes: &[u8]) -> bool {
    let skimmed = skim_entries(bytes).map(|entries| entries.len());
    let entries = decode_entries(bytes);
    assert_eq!(skimmed, entries.as_ref().map(Vec::len).map_err(Clone::clone), "what is skimmed is what is read");
    let mut moved = Vec::new();
    let skimmed = skim_movements(bytes, |seq, one| moved.push((seq, one)));
    assert_eq!(skimmed.is_ok(), entries.is_ok(), "what is shown is what is read");
    if let Ok(entries) = &entries {
        assert!(moved.iter().copied().eq(entries.iter().map(|entry| (entry.seq, Moved::of(entry)))));
    }
    let Ok(entries) = entries else { return false };
    // Each version has exactly one encoding of a ledger, so every readable chunk is one that was written. Version 2 is
    // the same without money, and version 1 also without the checksum.
    let mut written = encode_entries(&entries);
    match bytes.first() {
        Some(1) => {
            written[0] = 1;
            written.truncate(written.len() - 4);
        }
        Some(2) => {
            written[0] = 2;
            let end = written.len() - 4;
            let checksum = crc32fast::hash(&written[..end]).to_le_bytes();
            written[end..].copy_from_slice(&checksum);
        }
        Some(3) if entries.is_empty() => return false,
        _ => {}
    }
    assert_eq!(written, bytes);
    assert!(entries.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    // An entry takes at least its flags, its id and five numbers, so the result is bounded by the stored bytes.
    assert!(entries.len() <= bytes.len() / 22);
    !entries.is_empty()
}
