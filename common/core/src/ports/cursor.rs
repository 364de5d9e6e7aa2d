//! The cursors of lists: where a page ends and the next begins. Both stores write them alike.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Page;

/// The most entries of a page.
const LIMIT_MAX: usize = 1_000;

/// Writes where a list goes on: the list's name and the key of the last entry.
fn encode<K: Serialize>(list: &str, key: &K) -> Option<String> {
    serde_json::to_vec(&(list, key)).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
}

/// Reads a cursor; `None` where it is absent or not this list's, which is the first page.
pub fn decode<K: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Option<K> {
    let json = URL_SAFE_NO_PAD.decode(cursor?).ok()?;
    let (of, key): (String, K) = serde_json::from_slice(&json).ok()?;
    (of == list).then_some(key)
}

/// A limit within its bounds.
pub fn clamp(limit: usize) -> usize {
    limit.clamp(1, LIMIT_MAX)
}

/// A page of what was read with one entry more than `limit`.
pub fn page<T, K: Serialize>(list: &str, mut entries: Vec<T>, limit: usize, key: impl Fn(&T) -> K) -> Page<T> {
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next_cursor = entries.last().filter(|_| more).and_then(|last| encode(list, &key(last)));
    Page { entries, next_cursor }
}

/// A page that ends at `last`, whatever comes after it.
pub fn page_until<T, K: Serialize>(list: &str, entries: Vec<T>, last: Option<K>) -> Page<T> {
    Page { entries, next_cursor: last.and_then(|key| encode(list, &key)) }
}
