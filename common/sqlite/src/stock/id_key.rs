//! The key under which the index finds a command.

use stockline_core::domain::{CommandId, ItemId};

/// How many bits of a time-ordered key are a hash. Ids made within the same 256 ms lie together, and millions of them
/// still share few keys.
const HASH_BITS: u32 = 24;

/// Returns the key of a command. Keys are not unique, so the caller compares the records found with the command.
pub(super) fn id_key(item_id: &ItemId, command_id: CommandId) -> i64 {
    let id = command_id.0;
    let hash = hash(item_id, id.as_bytes());
    let key = match id.get_version_num() {
        6 | 7 => {
            let time_ms = id.as_u64_pair().0 >> 16;
            (time_ms >> 8) << HASH_BITS | hash >> (64 - HASH_BITS)
        }
        _ => hash,
    };
    key.cast_signed()
}

/// FNV-1a with a final mix that spreads it to the high bits. Keys are stored, so this must never change.
fn hash(item_id: &ItemId, id: &[u8; 16]) -> u64 {
    let bytes = id.iter().chain(item_id.as_str().as_bytes());
    let fnv =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (fnv ^ fnv >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_key_of_a_command_is_stored_and_never_changes() {
        let item: ItemId = "cola".parse().unwrap();
        let v4 = CommandId(Uuid::from_u128(0x9c5b_94b1_35ad_49bb_b118_8e8f_c24a_bf80));
        let v7 = CommandId(Uuid::from_u128(0x0193_6b2e_7c4a_7f10_8a5b_3c9d_2e1f_4a6b));
        assert_eq!((id_key(&item, v4), id_key(&item, v7)), (-7453207878480088222, 113552263017145823));
        let later = CommandId(Uuid::from_u128(0x0193_6b2e_7e4a_7f10_8a5b_3c9d_2e1f_4a6b));
        assert!(id_key(&item, later) > id_key(&item, v7), "ids with a time in front keep their order");
    }
}
