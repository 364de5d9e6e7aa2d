//! Properties of every list of faults.

use stockline_core::domain::{Fault, Json};

/// The maximum number of faults of one command: each member may be unknown and repeated, each field missing.
const FAULTS_MAX: usize = 200;

/// Checks that each fault has a code and a text, and points at a sent value or at the place of a missing one.
pub(crate) fn check(json: &Json<'_>, prefix: &str, faults: &[Fault]) {
    assert!((1..=FAULTS_MAX).contains(&faults.len()), "{} faults", faults.len());
    for Fault { pointer, code, detail } in faults {
        assert!(!detail.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        let within = pointer.strip_prefix(prefix).unwrap_or_else(|| panic!("{pointer} is not under {prefix}"));
        assert!(leads_somewhere(json, within), "{pointer} ({code}: {detail}) leads nowhere");
    }
}

/// Returns whether every part of the pointer but the last exists (RFC 6901).
fn leads_somewhere(json: &Json<'_>, pointer: &str) -> bool {
    let Some(rest) = pointer.strip_prefix('/') else { return pointer.is_empty() };
    let mut at = vec![json];
    let parts: Vec<_> = rest.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    for part in &parts[..parts.len() - 1] {
        at = at.into_iter().flat_map(|json| children(json, part)).collect();
    }
    at.iter().any(|json| matches!(json, Json::Object(_) | Json::Array(_)))
}

/// Returns the values under this name; several if the name is repeated.
fn children<'a>(json: &'a Json<'a>, part: &str) -> Vec<&'a Json<'a>> {
    match json {
        Json::Object(members) => members.iter().filter(|(key, _)| key == part).map(|(_, value)| value).collect(),
        Json::Array(values) => part.parse::<usize>().ok().and_then(|index| values.get(index)).into_iter().collect(),
        _ => Vec::new(),
    }
}
