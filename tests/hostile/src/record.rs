//! Target: the record of an outcome, as bytes in the store. The checksum is made right, or nothing would pass it.

use stockline_core::domain::{CommandKey, Record};

pub(crate) fn run(bytes: &[u8]) -> bool {
    let key = CommandKey {
        item_id: "SKU-1042".parse().unwrap(),
        command_id: "01936b2e-7c4a-7f10-8a5b-000000000001".parse().unwrap(),
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes);
    for part in [key.item_id.as_str().as_bytes(), key.command_id.0.as_bytes()] {
        hasher.update(part);
        hasher.update(&(part.len() as u64).to_le_bytes());
    }
    let sealed = [bytes, &hasher.finalize().to_le_bytes()].concat();
    let Ok(record) = Record::from_bytes(&sealed, Some(key.clone())) else { return false };
    // What can be read can be written, and is the same again. Its JSON part may be written shorter than it was read.
    let written = record.to_bytes().unwrap();
    assert_eq!(Record::from_bytes(&written, Some(key)).unwrap(), record);
    // An effect takes at least its flags and five numbers, so the result is bounded by the stored bytes.
    assert!(record.outcome.effects.len() <= bytes.len() / 6);
    true
}
