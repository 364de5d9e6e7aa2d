//! What separates columns, and what a file is if it is no text: for imports and for `stockline load`.

/// The separators of columns. Of equal counts the first one wins.
pub const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// What the first line of a file says about its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstLine {
    /// The line is `sep=;`, which spreadsheets write: the headings follow.
    Says(u8),
    /// The line has the headings, with this separator.
    Headings(u8),
}

/// Finds the separator of columns in the first line.
pub fn delimiter(first: &[u8]) -> FirstLine {
    if let Some(&[delimiter]) = first.trim_ascii_end().strip_prefix(b"sep=") {
        return FirstLine::Says(delimiter);
    }
    if first.starts_with(b"sep=\t") {
        return FirstLine::Says(b'\t');
    }
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in first {
        quoted ^= *byte == b'"';
        if let Some(index) = DELIMITERS.iter().position(|delimiter| delimiter == byte && !quoted) {
            counts[index] += 1;
        }
    }
    let most = (0..counts.len()).rev().max_by_key(|index| counts[*index]).unwrap_or_default();
    FirstLine::Headings(DELIMITERS[most])
}

/// Returns the word for a separator.
pub const fn word(delimiter: u8) -> &'static str {
    match delimiter {
        b',' => "comma",
        b';' => "semicolon",
        b'\t' => "tab",
        _ => "another character",
    }
}

/// Returns what a file is by its first bytes, if it is no table of text.
pub fn other_format(start: &[u8]) -> Option<&'static str> {
    let lower = start.get(..512.min(start.len())).unwrap_or_default().to_ascii_lowercase();
    let text = lower.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&lower).trim_ascii_start();
    if is_zip(start) {
        Some("an Excel workbook or a zip archive")
    } else if start.starts_with(b"\xd0\xcf\x11\xe0") {
        Some("an old Excel workbook, or one with a password")
    } else if start.starts_with(b"%PDF") {
        Some("a PDF")
    } else if [&b"<html"[..], b"<!doctype", b"<table", b"<?xml"].iter().any(|tag| text.starts_with(tag)) {
        Some("a web page, whatever its name says")
    } else {
        None
    }
}

/// Returns whether a file is a zip archive, as every XLSX is.
pub fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_one_of_the_headings() {
        assert_eq!(delimiter(b"sku;pieces"), FirstLine::Headings(b';'));
        assert_eq!(delimiter(b"sku\tpieces"), FirstLine::Headings(b'\t'));
        assert_eq!(delimiter(b"sku,\"a;b;c\",pieces"), FirstLine::Headings(b','));
        assert_eq!(delimiter(b"sku"), FirstLine::Headings(b','));
        assert_eq!(delimiter(b"sep=;\r"), FirstLine::Says(b';'));
        assert_eq!(delimiter(b"sep=\t"), FirstLine::Says(b'\t'));
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert!(other_format(b"PK\x03\x04..").unwrap().contains("zip"));
        assert!(other_format(b"\n<!DOCTYPE html>").unwrap().contains("web page"));
        assert!(other_format(b"\xd0\xcf\x11\xe0...").unwrap().contains("password"));
        assert_eq!(other_format(b"sku,name"), None);
    }
}
