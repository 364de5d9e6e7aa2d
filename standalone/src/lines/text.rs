//! Opens a table of text: plain or gzip, UTF-8 or UTF-16, with commas, semicolons or tabs, and any kind of line end.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, bail};
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use stockline_import::separators::{self, FirstLine};

use crate::exit::Usage;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 256 * 1024;
/// How many bytes of the text are read to find out what it is.
const HEAD_BYTES: usize = 64 * 1024;

/// A text, ready for the CSV reader.
pub(super) struct Text {
    /// The text from its headings on. Every line ends with a line feed.
    pub(super) bytes: Box<dyn Read + Send>,
    pub(super) delimiter: u8,
    /// The number of lines before the headings: a line `sep=;` that spreadsheets write.
    pub(super) lines_before: u64,
}

/// Opens a file; `bar` shows how many of its bytes are read.
pub(super) fn open(path: &Path, bar: Option<&ProgressBar>) -> anyhow::Result<Text> {
    let at = || format!("can't read {}", path.display());
    let mut file = File::open(path).with_context(at)?;
    let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
    (&mut file).take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic).with_context(at)?;
    file.seek(SeekFrom::Start(0)).with_context(at)?;
    let file: Box<dyn Read + Send> = match bar {
        Some(bar) => Box::new(bar.wrap_read(file)),
        None => Box::new(file),
    };
    let file = BufReader::with_capacity(BUFFER_BYTES, file);
    let plain: Box<dyn Read + Send> =
        if magic == GZIP_MAGIC { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let (start, plain) = with_head(plain, 512);
    refuse_other_formats(path, &start)?;
    // A byte order mark decides; without one the bytes pass as they are, and must be UTF-8.
    let decoded = DecodeReaderBytesBuilder::new().utf8_passthru(true).strip_bom(true).build(plain);
    let (head, bytes) = with_head(Box::new(LineFeeds::new(decoded)), HEAD_BYTES);
    table(&head, bytes).with_context(at)
}

/// Reads up to `bytes_max` bytes and puts them in front again, with the error after them if there was one: it is named
/// with its line when it is reached.
fn with_head(mut text: Box<dyn Read + Send>, bytes_max: usize) -> (Vec<u8>, Box<dyn Read + Send>) {
    let mut head = Vec::new();
    let error = (&mut text).take(bytes_max as u64).read_to_end(&mut head).err();
    (head.clone(), Box::new(Cursor::new(head).chain(Failure(error)).chain(text)))
}

/// Fails once with an error that came early.
struct Failure(Option<std::io::Error>);

impl Read for Failure {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Refuses what is no table of text, and says what it is.
fn refuse_other_formats(path: &Path, start: &[u8]) -> anyhow::Result<()> {
    let utf_16 = start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff");
    let no_text = (!utf_16 && start.contains(&0)).then_some("no text, or UTF-16 without a byte order mark");
    let Some(what) = separators::other_format(start).or(no_text) else { return Ok(()) };
    bail!(Usage(format!("{} is {what}: save the sheet as CSV (UTF-8) and load that file", path.display())))
}

/// Finds the delimiter of the headings.
fn table(head: &[u8], mut bytes: Box<dyn Read + Send>) -> std::io::Result<Text> {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match separators::delimiter(first) {
        FirstLine::Says(delimiter) => {
            std::io::copy(&mut (&mut bytes).take(first.len() as u64 + 1), &mut std::io::sink())?;
            Ok(Text { bytes, delimiter, lines_before: 1 })
        }
        FirstLine::Headings(delimiter) => Ok(Text { bytes, delimiter, lines_before: 0 }),
    }
}

/// Turns each line end, `\r\n` or `\r`, into `\n`, and ends the last line. So line numbers are right for all of them.
struct LineFeeds<R> {
    inner: R,
    after_return: bool,
    last: Option<u8>,
}

impl<R> LineFeeds<R> {
    fn new(inner: R) -> Self {
        Self { inner, after_return: false, last: None }
    }
}

impl<R: Read> Read for LineFeeds<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.inner.read(out)?;
            if count == 0 {
                if self.last.is_none_or(|last| last == b'\n') {
                    return Ok(0);
                }
                self.last = Some(b'\n');
                out[0] = b'\n';
                return Ok(1);
            }
            let mut kept = 0;
            for index in 0..count {
                let byte = out[index];
                let second_half = byte == b'\n' && self.after_return;
                self.after_return = byte == b'\r';
                if !second_half {
                    out[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
            }
            if kept > 0 {
                self.last = Some(out[kept - 1]);
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(content: &[u8]) -> anyhow::Result<(String, u8, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, content).unwrap();
        let mut text = open(&path, None)?;
        let mut read = String::new();
        text.bytes.read_to_string(&mut read).unwrap();
        Ok((read, text.delimiter, text.lines_before))
    }

    #[test]
    fn every_line_end_becomes_a_line_feed() {
        for content in ["a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\r1,2\r", "a,b\n1,2", "a,b\r\n1,2\r"] {
            assert_eq!(opened(content.as_bytes()).unwrap(), ("a,b\n1,2\n".to_owned(), b',', 0), "{content:?}");
        }
        assert_eq!(opened(b"").unwrap().0, "");
        // The two halves of a line end arrive in two reads.
        let halves = Cursor::new(b"a\r").chain(Cursor::new(b"\nb"));
        let mut joined = String::new();
        LineFeeds::new(halves).read_to_string(&mut joined).unwrap();
        assert_eq!(joined, "a\nb\n");
    }

    #[test]
    fn the_delimiter_is_the_one_of_the_headings() {
        let delimiter = |content: &str| opened(content.as_bytes()).unwrap().1;
        assert_eq!(delimiter("sku;pieces\ntea;1,5\n"), b';');
        assert_eq!(delimiter("sku\tpieces\n"), b'\t');
        assert_eq!(delimiter("sku,\"a;b;c\",pieces\n"), b',');
        assert_eq!(delimiter("sku\ntea\n"), b',');
        assert_eq!(opened(b"sep=;\r\nsku;n\r\n").unwrap(), ("sku;n\n".to_owned(), b';', 1));
    }

    #[test]
    fn utf_16_with_a_mark_is_read_and_other_formats_are_named() {
        let utf_16: Vec<u8> = "\u{feff}sku,n\r\nté,1\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(opened(&utf_16).unwrap().0, "sku,n\nté,1\n");
        assert_eq!(opened(b"\xef\xbb\xbfsku,n\n").unwrap().0, "sku,n\n");
        let refusal = |content: &[u8]| opened(content).unwrap_err().to_string();
        assert!(refusal(&utf_16[2..]).contains("without a byte order mark"));
        assert!(refusal(b"PK\x03\x04...").contains("Excel workbook"));
        assert!(refusal(b"\n<!DOCTYPE html>").contains("web page"));
    }
}
