//! Finds out in which characters a text file is written.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How many bytes are looked at to tell UTF-16 without a mark from UTF-8.
const LOOKED_AT: usize = 4_096;

/// Decodes a text, and names the encoding that was found: a byte order mark decides; else what is valid UTF-8 is UTF-8,
/// what has a zero in every second byte is UTF-16, and the rest is Windows-1252, in which every byte is a character.
/// Returns `None` if the bytes are no text.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Cow<'_, str>, &'static str)> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let (text, faulty) = encoding.decode_without_bom_handling(bytes.get(mark..)?);
        return (!faulty && !text.contains('\0')).then_some((text, name(encoding)));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (!text.contains('\0')).then_some((Cow::Borrowed(text), name(UTF_8)));
    }
    let head = bytes.get(..LOOKED_AT.min(bytes.len() & !1))?;
    let zeros = |at: usize| head.iter().skip(at).step_by(2).filter(|byte| **byte == 0).count();
    let encoding = match (zeros(0), zeros(1)) {
        (0, 0) => WINDOWS_1252,
        (even, odd) if odd > even => UTF_16LE,
        _ => UTF_16BE,
    };
    let (text, faulty) = encoding.decode_without_bom_handling(bytes);
    (!faulty && !text.contains('\0')).then_some((text, name(encoding)))
}

fn name(encoding: &'static Encoding) -> &'static str {
    match encoding.name() {
        "windows-1252" => "Windows-1252",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_found_by_its_mark_or_its_bytes() {
        let utf_16: Vec<u8> = "sku;größe\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark = [b"\xff\xfe".as_slice(), &utf_16].concat();
        let big: Vec<u8> = "sku;größe\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, encoding) in [
            (b"sku;gr\xc3\xb6\xc3\x9fe\n".to_vec(), "UTF-8"),
            (b"\xef\xbb\xbfsku;gr\xc3\xb6\xc3\x9fe\n".to_vec(), "UTF-8"),
            (with_mark, "UTF-16LE"),
            (utf_16, "UTF-16LE"),
            (big, "UTF-16BE"),
            (b"sku;gr\xf6\xdfe\n".to_vec(), "Windows-1252"),
        ] {
            let (text, found) = decode(&bytes).unwrap();
            assert_eq!((text.as_ref(), found), ("sku;größe\n", encoding));
        }
        assert!(decode(b"\0\0\0\x01\xff\xfe\0\0").is_none());
        assert!(decode(b"a\0b").is_none());
        assert!(decode(b"\xff\xfea\0\0\0b\0").is_none(), "a mark does not make it a text");
        assert_eq!(decode(b"").unwrap().0, "");
    }

    #[test]
    fn the_euro_of_windows_is_a_euro() {
        assert_eq!(decode(b"\x80 5").unwrap().0, "€ 5");
    }
}
