//! The cursors of lists, which mark where the next page begins. Both stores write them in the same form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Page;

/// The most entries of a page.
const LIMIT_MAX: usize = 1_000;

/// Writes a cursor: the list's name and the key of the page's last entry.
fn encode<K: Serialize>(list: &str, key: &K) -> Option<String> {
    serde_json::to_vec(&(list, key)).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
}

/// Reads a cursor. Returns `None`, which means the first page, if it is absent or belongs to another list.
pub fn decode<K: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Option<K> {
    let json = URL_SAFE_NO_PAD.decode(cursor?).ok()?;
    let (of, key): (String, K) = serde_json::from_slice(&json).ok()?;
    (of == list).then_some(key)
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
