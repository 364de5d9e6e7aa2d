//! A tail or a chunk of the ledger: damaged bytes in the store.

use stockline_core::domain::{decode_entries, encode_entries};

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Ok(entries) = decode_entries(bytes) else { return false };
    // There is one way to write each ledger, so that a chunk that reads is one that was written.
    assert_eq!(encode_entries(&entries), bytes);
    assert!(entries.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    // An entry costs at least its flags, its id and five numbers: what is read can't outgrow what is stored.
    assert!(entries.len() <= bytes.len() / 22);
    !entries.is_empty()
}
