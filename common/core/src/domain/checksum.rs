//! Checksums of what is stored and queued, against bits that flip at rest.
//!
//! A version number is believed only where the checksum of its bytes is right: damaged bytes never look like those of a
//! later version. CRC-32 notices every flip of up to three bits in everything that is stored here.

/// Begins the checksum at the end of a sealed JSON object.
const SEAL: &str = r#","crc":""#;

/// The bytes of a seal: its beginning, eight hexadecimal digits, and the end of the object.
const SEAL_BYTES: usize = SEAL.len() + 8 + 2;

/// What the checksum of a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// The bytes are those that were written.
    Right,
    /// The text has no checksum: an earlier version wrote it.
    Absent,
    /// The bytes have changed since they were written.
    Wrong,
}

/// Returns the CRC-32 of several parts, each with its length before it. So no two lists of parts are alike.
pub fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

/// Adds a checksum to a JSON object, as its last field `crc`. Earlier versions ignore the field.
pub fn seal(mut json: String) -> String {
    if json.len() < 3 || json.pop() != Some('}') {
        return json;
    }
    let crc = crc32fast::hash(json.as_bytes());
    json.push_str(&format!("{SEAL}{crc:08x}\"}}"));
    json
}

/// Checks the checksum of a JSON object.
pub fn seal_of(text: &str) -> Seal {
    let Some((sealed, end)) = text.len().checked_sub(SEAL_BYTES).and_then(|at| text.split_at_checked(at)) else {
        return Seal::Absent;
    };
    let Some(digits) = end.strip_prefix(SEAL).and_then(|end| end.strip_suffix("\"}")) else {
        return Seal::Absent;
    };
    if digits == format!("{:08x}", crc32fast::hash(sealed.as_bytes())) { Seal::Right } else { Seal::Wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_object_is_json_and_every_flipped_bit_of_it_is_noticed_or_harmless() {
        let sealed = seal(r#"{"v":1,"name":"Käse"}"#.to_owned());
        assert_eq!(seal_of(&sealed), Seal::Right);
        assert!(serde_json::from_str::<serde_json::Value>(&sealed).is_ok());
        for bit in 0..sealed.len() * 8 {
            let mut bytes = sealed.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = std::str::from_utf8(&bytes) else { continue };
            match seal_of(text) {
                Seal::Right => panic!("{text}"),
                Seal::Wrong => {}
                Seal::Absent => {
                    assert!(bit / 8 >= sealed.len() - SEAL_BYTES, "only the field itself can vanish: {text}")
                }
            }
        }
    }

    #[test]
    fn what_is_no_object_has_no_seal() {
        for text in ["", "{}", "7", "é", "{\"crc\":\"\"}", "long enough for a seal, and none"] {
            assert_eq!(seal_of(text), Seal::Absent);
        }
        assert_eq!(seal("{}".to_owned()), "{}");
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(checksum(&[b"ab", b"c"]), checksum(&[b"a", b"bc"]));
        assert_ne!(checksum(&[b""]), checksum(&[]));
    }
}
