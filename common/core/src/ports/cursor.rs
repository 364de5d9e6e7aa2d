//! The cursors of lists, which mark where the next page begins. All stores write them in the same form:
//! `[list, key, checksum]` as JSON in base64. The checksum makes a damaged cursor an error, never another page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Page, StoreError};

/// The most entries of a page.
const LIMIT_MAX: usize = 1_000;

/// The cursor is damaged, or it is a cursor of another list or of an earlier version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of this list")]
pub struct CursorError;

impl From<CursorError> for StoreError {
    fn from(_: CursorError) -> Self {
        Self::Cursor
    }
}

/// FNV-1a of the list's name and the key, with a byte between them.
fn checksum(list: &str, key: &str) -> u32 {
    let bytes = list.bytes().chain([0]).chain(key.bytes());
    bytes.fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Writes a cursor: the list's name and the key of the page's last entry.
pub fn encode<K: Serialize>(list: &str, key: &K) -> Option<String> {
    let key = serde_json::value::to_raw_value(key).ok()?;
    let json = serde_json::to_vec(&(list, &key, checksum(list, key.get()))).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json))
}

/// Reads a cursor of this list; `None` if the request has none.
pub fn decode<K: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Result<Option<K>, CursorError> {
    cursor.map(|text| read(list, text).ok_or(CursorError)).transpose()
}

fn read<K: DeserializeOwned>(list: &str, text: &str) -> Option<K> {
    let json = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (of, key, sum): (String, Box<RawValue>, u32) = serde_json::from_slice(&json).ok()?;
    let sound = of == list && sum == checksum(list, key.get());
    serde_json::from_str(key.get()).ok().filter(|_| sound)
}

/// Returns the limit within its bounds.
pub fn clamp(limit: usize) -> usize {
    limit.clamp(1, LIMIT_MAX)
}

/// Makes a page of entries that were read with one more than `limit`.
pub fn page<T, K: Serialize>(list: &str, mut entries: Vec<T>, limit: usize, key: impl Fn(&T) -> K) -> Page<T> {
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next_cursor = entries.last().filter(|_| more).and_then(|last| encode(list, &key(last)));
    Page { entries, next_cursor }
}

/// Makes a page that ends at `last`, with or without entries behind it.
pub fn page_until<T, K: Serialize>(list: &str, entries: Vec<T>, last: Option<K>) -> Page<T> {
    Page { entries, next_cursor: last.and_then(|key| encode(list, &key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_with_any_other_character_is_an_error() {
        let key = ("Coca-Cola 0,5 l".to_owned(), 7_u64);
        let cursor = encode("items", &key).unwrap();
        assert_eq!(decode("items", Some(&cursor)), Ok(Some(key)));
        assert_eq!(decode::<(String, u64)>("items", None), Ok(None));
        assert_eq!(decode::<(String, u64)>("levels", Some(&cursor)), Err(CursorError));
        for at in 0..cursor.len() {
            for other in ["A", "b", "0", "-", "=", "."] {
                let mut damaged = cursor.clone();
                damaged.replace_range(at..=at, other);
                let read = decode::<(String, u64)>("items", Some(&damaged));
                assert!(damaged == cursor || read == Err(CursorError), "{damaged}: {read:?}");
            }
            assert_eq!(decode::<(String, u64)>("items", Some(&cursor[..at])), Err(CursorError));
        }
    }
}
