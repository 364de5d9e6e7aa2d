use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most bytes in one encoded word, so that it stays below the 75 characters of RFC 2047 §2.
const ENCODED_WORD_BYTES: usize = 45;

/// Encodes `address` or `Name <address>` for SES: the address in ASCII, the name quoted, or in encoded words if it is
/// not ASCII. Returns `None` for a text that is no address or that SES does not accept.
pub(super) fn encode(text: &str) -> Option<String> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return None;
    }
    let Some((name, address)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) else {
        return is_address(text).then(|| text.to_owned());
    };
    if !is_address(address) {
        return None;
    }
    let name = unquote(name.trim());
    if name.is_empty() {
        return Some(address.to_owned());
    }
    let name = if name.is_ascii() { quote(&name) } else { encoded_words(&name) };
    Some(format!("{name} <{address}>"))
}

fn is_address(text: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | ',' | ';' | '@' | '"'))
    };
    text.rsplit_once('@').is_some_and(|(local, domain)| plain(local) && plain(domain))
}

fn unquote(name: &str) -> String {
    let Some(inner) = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) else { return name.to_owned() };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    text
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn encoded_words(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in name.chars() {
        if word.len() + c.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_accepted_with_and_without_a_name() {
        for (given, sent) in [
            (" a@example.com ", "a@example.com"),
            ("<a@example.com>", "a@example.com"),
            ("Bea <b@example.com>", "\"Bea\" <b@example.com>"),
            ("Shop, Berlin <b@example.com>", "\"Shop, Berlin\" <b@example.com>"),
            (r#""Bea \"B\"" <b@example.com>"#, r#""Bea \"B\"" <b@example.com>"#),
            ("Käthe <k@example.com>", "=?utf-8?B?S8OkdGhl?= <k@example.com>"),
        ] {
            assert_eq!(encode(given).as_deref(), Some(sent));
        }
    }

    #[test]
    fn a_text_that_could_be_another_header_or_recipient_is_no_address() {
        for bad in [
            "",
            "a",
            "a@",
            "@example.com",
            "a b@example.com",
            "a@b@example.com",
            "a@example.com, b@example.com",
            "eve@example.com\r\nBcc: eve@example.com",
            "Eve\n<eve@example.com>",
            "Eve\u{1} <eve@example.com>",
            "a@ex\u{e4}mple.com",
            "k\u{e4}the@example.com",
            "<a@example.com> <b@example.com",
        ] {
            assert_eq!(encode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_long_name_is_split_into_words_of_whole_characters() {
        let name = "é\u{1f4e6}".repeat(40);
        let sent = encode(&format!("{name} <a@example.com>")).unwrap();
        let words: Vec<&str> = sent.split(' ').filter(|word| word.starts_with("=?")).collect();
        assert!(words.iter().all(|word| word.len() <= 75), "{words:?}");
        let bytes = words.iter().map(|word| STANDARD.decode(&word[10..word.len() - 2]).unwrap());
        let read: String = bytes.map(|bytes| String::from_utf8(bytes).unwrap()).collect();
        assert_eq!(read, name);
    }
}
