//! Batches of SQS and SNS, which both services limit in the same way.

use std::ops::Range;
use std::sync::Arc;

/// The most entries of one call (SQS and SNS quotas).
pub(super) const MAX_ENTRIES: usize = 10;

/// Divides messages into calls. A message that is too large for any call goes alone, and the service refuses it.
pub(super) fn calls(lengths: &[usize], max_bytes: usize) -> Vec<Range<usize>> {
    let mut calls = Vec::new();
    let (mut start, mut bytes) = (0, 0_usize);
    for (place, length) in lengths.iter().enumerate() {
        if place > start && (place - start == MAX_ENTRIES || bytes + length > max_bytes) {
            calls.push(start..place);
            (start, bytes) = (place, 0);
        }
        bytes += length;
    }
    if start < lengths.len() {
        calls.push(start..lengths.len());
    }
    calls
}

/// Orders the results of a call's `count` entries. An entry that the answer does not name gets the error `unnamed`.
pub(super) fn results<'a, E: Clone>(
    count: usize,
    unnamed: E,
    named: impl IntoIterator<Item = (&'a str, Result<(), E>)>,
) -> Vec<Result<(), E>> {
    let mut results = vec![Err(unnamed); count];
    for (id, result) in named {
        if let Some(place) = id.parse::<usize>().ok().and_then(|place| results.get_mut(place)) {
            *place = result;
        }
    }
    results
}

/// Escapes a JSON body for both services, which accept only the characters of XML 1.0. Only these two others can be
/// unescaped in JSON.
pub(super) fn sendable(json: &str) -> Arc<str> {
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff").into()
    } else {
        json.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_keeps_to_its_entries_and_its_bytes() {
        assert!(calls(&[], 100).is_empty());
        assert_eq!(calls(&[1; 10], 100).len(), 1);
        assert_eq!(calls(&[1; 21], 100), [0..10, 10..20, 20..21]);
        assert_eq!(calls(&[60, 40, 1, 200, 99, 2], 100), [0..2, 2..3, 3..4, 4..5, 5..6]);
    }

    #[test]
    fn an_entry_that_the_answer_does_not_name_has_failed() {
        let named = [("2", Ok(())), ("0", Err("full")), ("17", Ok(())), ("x", Ok(()))];
        assert_eq!(results(3, "no answer", named), [Err("full"), Err("no answer"), Ok(())]);
    }

    #[test]
    fn refused_characters_are_escaped_and_read_the_same() {
        let json = serde_json::to_string("a\u{fffe}\u{ffff}\u{1}\u{7f}\u{85}é\u{1f4e6}").unwrap();
        let sent = sendable(&json);
        let accepted = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(sent.chars().all(accepted), "{sent}");
        assert_eq!(serde_json::from_str::<String>(&sent).unwrap(), serde_json::from_str::<String>(&json).unwrap());
        assert_eq!(&*sendable("{}"), "{}");
    }
}
