//! What a shop may write as the id of an item or a location (design.md §3).

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

/// Why a text can't be the id of an item or a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrintableFault {
    /// The text is empty or too long.
    #[error("must be 1 to {max} characters")]
    Length {
        /// The longest allowed id, in characters.
        max: usize,
    },
    /// A space stands where nobody sees it.
    #[error("must not begin or end with a space, or have two in a row")]
    Space,
    /// The text is `.` or `..` or more of them, which paths give another meaning.
    #[error("must not be dots alone")]
    Dots,
    /// A character is a control, format, private-use or unassigned one, or a space other than the usual one.
    #[error("must not contain the character U+{:04X}: only letters, digits, punctuation, symbols and single spaces are allowed", u32::from(*.0))]
    Character(char),
    /// The same text can be written in other characters, which are the usual ones.
    #[error("must be in Unicode's composed form (NFC), in which ö is one character and not o with a mark behind it")]
    NotComposed,
}

/// Returns whether a text has only letters, digits and `.`, `_` and `-` of ASCII, and begins with a letter or digit. All
/// carriers allow it.
pub(super) fn is_plain(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && text.bytes().all(allowed)
}

/// Checks the id of an item or a location of at most `max` characters.
pub(super) fn check(text: &str, max: usize) -> Result<(), PrintableFault> {
    let length = || PrintableFault::Length { max };
    if is_plain(text) {
        return if text.len() <= max { Ok(()) } else { Err(length()) };
    }
    if text.is_empty() || text.len() > 4 * max || text.chars().count() > max {
        return Err(length());
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    if let Some(bad) = text.chars().find(|c| *c != ' ' && !is_visible(categories.get(*c))) {
        return Err(PrintableFault::Character(bad));
    }
    if text.starts_with(' ') || text.ends_with(' ') || text.contains("  ") {
        return Err(PrintableFault::Space);
    }
    if text.bytes().all(|byte| byte == b'.') {
        return Err(PrintableFault::Dots);
    }
    let composed = ComposingNormalizerBorrowed::new_nfc().is_normalized(text);
    if composed { Ok(()) } else { Err(PrintableFault::NotComposed) }
}

fn is_visible(category: GeneralCategory) -> bool {
    use GeneralCategory as Of;
    let invisible = matches!(
        category,
        Of::Control
            | Of::Format
            | Of::PrivateUse
            | Of::Surrogate
            | Of::Unassigned
            | Of::SpaceSeparator
            | Of::LineSeparator
            | Of::ParagraphSeparator
    );
    !invisible
}

/// Returns the text under Unicode's simple case folding, character by character.
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mapper = CaseMapper::new();
    text.chars().map(|c| mapper.simple_fold(c)).collect()
}

/// Returns the text in Unicode's composed form (NFC), in which ids are.
pub fn composed(text: &str) -> std::borrow::Cow<'_, str> {
    if text.is_ascii() { text.into() } else { ComposingNormalizerBorrowed::new_nfc().normalize(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_is_allowed() {
        for good in
            ["AB/12 x", "№5", "Größe-L", "#7", "=1+1", "りんご 緑", "a:b", "100%", "\"x\"", "🍎", "-", "...a", "~"]
        {
            assert_eq!(check(good, 64), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_nobody_sees_is_refused() {
        let character = PrintableFault::Character;
        for (bad, fault) in [
            ("a\tb", character('\t')),
            ("a\u{7f}", character('\u{7f}')),
            ("a\u{a0}b", character('\u{a0}')),
            ("a\u{200d}b", character('\u{200d}')),
            ("\u{202e}a", character('\u{202e}')),
            ("\u{feff}a", character('\u{feff}')),
            ("a\u{ad}", character('\u{ad}')),
            ("\u{e000}", character('\u{e000}')),
            ("\u{378}", character('\u{378}')),
            ("\u{2028}", character('\u{2028}')),
            (" a", PrintableFault::Space),
            ("a ", PrintableFault::Space),
            ("ä  b", PrintableFault::Space),
            (" ", PrintableFault::Space),
            (".", PrintableFault::Dots),
            ("....", PrintableFault::Dots),
            ("Gro\u{308}ße", PrintableFault::NotComposed),
            ("\u{212b}", PrintableFault::NotComposed),
            ("", PrintableFault::Length { max: 64 }),
        ] {
            assert_eq!(check(bad, 64), Err(fault), "{bad:?}");
        }
        assert_eq!(check(&"語".repeat(64), 64), Ok(()));
        assert_eq!(check(&"語".repeat(65), 64), Err(PrintableFault::Length { max: 64 }));
        assert_eq!(check(&"x".repeat(65), 64), Err(PrintableFault::Length { max: 64 }));
    }

    #[test]
    fn case_is_folded_character_by_character() {
        for (text, is) in
            [("AB/12 X", "ab/12 x"), ("GRÖẞE", "größe"), ("ΣΑΣ", "σασ"), ("σας", "σασ"), ("İ", "İ"), ("ﬃ", "ﬃ")]
        {
            assert_eq!(folded(text), is, "{text}");
        }
        assert_ne!(folded("STRASSE"), folded("straße"), "simple folding leaves the length as it is");
    }

    #[test]
    fn a_text_of_another_program_is_composed() {
        assert_eq!(composed("Gro\u{308}ße"), "Größe");
        assert_eq!(composed("AB/12 x"), "AB/12 x");
    }
}
