//! Opens a file: finds out what it is, and reads its table.

use crate::opened::{FileError, Opened};
use crate::{csv_text, separators, xlsx};

/// Reads a file. `delimiter` overrides what the headings of a text say; `sheet` chooses one of several sheets.
///
/// # Errors
/// The file is no table, is damaged, or is too large; the error says what to do.
pub fn read(bytes: &[u8], delimiter: Option<u8>, sheet: Option<&str>) -> Result<Opened, FileError> {
    if bytes.is_empty() {
        return Err(FileError::Empty);
    }
    if separators::is_zip(bytes) {
        return xlsx::read(bytes, sheet);
    }
    if xlsx::is_encrypted(bytes) {
        return Err(FileError::Password);
    }
    csv_text::read(bytes, delimiter)
}
