use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns a text as one segment of a path in an address: `AB/12 x` is `AB%2F12%20x` (RFC 3986 §3.3).
pub fn path_segment(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED).into()
}
