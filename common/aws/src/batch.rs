//! What the batch calls of SQS and SNS have in common.

use std::ops::Range;
use std::sync::Arc;

/// The most entries of one call (SQS and SNS quotas).
pub(super) const MAX_ENTRIES: usize = 10;

/// Which messages go into one call. One that is too large for any goes alone, for the service to refuse.
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

/// The results of a call's `count` entries in order, from those that the answer names. The others have `unnamed`.
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

/// A body of JSON as both services take it. They take the characters of XML 1.0 only and refuse the others; in JSON
/// only these two can stand unescaped.
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
    fn what_the_services_refuse_is_escaped_and_reads_the_same() {
        let json = serde_json::to_string("a\u{fffe}\u{ffff}\u{1}\u{7f}\u{85}é\u{1f4e6}").unwrap();
        let sent = sendable(&json);
        let taken = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(sent.chars().all(taken), "{sent}");
        assert_eq!(serde_json::from_str::<String>(&sent).unwrap(), serde_json::from_str::<String>(&json).unwrap());
        assert_eq!(&*sendable("{}"), "{}");
    }
}
