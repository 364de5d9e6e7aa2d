//! The forms of an id, for the places that it is written to. What has only letters, digits and `.`, `_` and `-` of ASCII is
//! the same in each of them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most characters of a text that is carried as it is: SQS allows 128 in the id of a message group.
const CARRIED_MAX: usize = 128;

/// What a text that is carried as its hash begins with. Nothing that is carried as it is begins with it.
pub(super) const HASHED: char = '~';

/// Returns a text as one segment of a path in an address: `AB/12 x` is `AB%2F12%20x` (RFC 3986 §3.3).
pub fn path_segment(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED).into()
}

/// Returns a text as a part of a stored key that has other parts behind it, after `#` or `:`. Different texts stay different:
/// only the separators and `%` are escaped. So `a#b` is `a%23b`. Keys are stored, so this must never change.
pub fn in_key(text: &str) -> Cow<'_, str> {
    if !text.contains(['#', ':', '%']) {
        return Cow::Borrowed(text);
    }
    // `%` first, so that it escapes no escape.
    Cow::Owned(text.replace('%', "%25").replace('#', "%23").replace(':', "%3A"))
}

/// Returns a text for a carrier that allows few characters: the message group of SQS, the name of a file, a mail header. A
/// text of at most 128 letters, digits and `.`, `_`, `-` and `:` of ASCII that begins with a letter or digit is carried as it
/// is, any other as `~` and 40 hexadecimal digits of its SHA-256. Messages are in queues under it, so this must never change.
pub fn carried(text: &str) -> Cow<'_, str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':');
    let begins_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if begins_well && text.len() <= CARRIED_MAX && text.bytes().all(allowed) {
        return Cow::Borrowed(text);
    }
    let hash = Sha256::digest(text.as_bytes());
    let digits = hash.iter().take(20).map(|byte| format!("{byte:02x}"));
    Cow::Owned(std::iter::once(HASHED.to_string()).chain(digits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_id_is_the_same_everywhere() {
        for id in ["cola-0.33_l", "4006381333931", "A"] {
            assert_eq!((&*path_segment(id), &*in_key(id), &*carried(id)), (id, id, id));
        }
        assert_eq!(carried("cola:main:1"), "cola:main:1");
    }

    #[test]
    fn forms_are_stored_and_never_change() {
        let forms = |id| [path_segment(id), in_key(id), carried(id)].map(Cow::into_owned);
        assert_eq!(forms("AB/12 x"), ["AB%2F12%20x", "AB/12 x", "~c6c840a16602992b6a1ffc070f17161447fd50c3"]);
        assert_eq!(
            forms("a#b:c%23"),
            ["a%23b%3Ac%2523", "a%23b%3Ac%2523", "~0622528526ed8dec7c48269ac56aab7c64f2bc66"]
        );
        assert_eq!(forms("Größe"), ["Gr%C3%B6%C3%9Fe", "Größe", "~aedc3f80989a6546962705852b2f4a481dbd1e49"]);
    }

    #[test]
    fn no_two_ids_have_one_form() {
        let ids = ["a#b", "a%23b", "a:b", "a%3Ab", "a", "~a", "~", &carried("#7"), "#7"];
        for form in [path_segment, in_key, carried] {
            let forms: std::collections::BTreeSet<_> = ids.iter().map(|id| form(id)).collect();
            assert_eq!(forms.len(), ids.len());
        }
        assert_eq!(carried(&"x".repeat(128)), "x".repeat(128));
        assert_eq!(carried(&"x".repeat(129)).len(), 41);
    }
}
