//! Reads a CSV file and checks it before anything is sent.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use stockline_core::domain::CommandId;

use super::mapping::{Mapping, NoColumn};
use super::recipe::{Recipe, first_64_bits};
use super::text;
use crate::exit::Usage;

/// The most repeated lines that are remembered.
const REPEATED_LISTED_MAX: usize = 100;

/// A file that can be read twice.
#[derive(Debug)]
pub struct OnDisk {
    /// Its place.
    pub path: PathBuf,
    _copy: Option<tempfile::NamedTempFile>,
}

impl OnDisk {
    /// Copies standard input (`-`) or a pipe to a temporary file; every other file is read where it is.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let standard_input = path == Path::new("-");
        if !standard_input && std::fs::metadata(path).map_or(true, |meta| meta.is_file()) {
            return Ok(Self { path: path.to_owned(), _copy: None });
        }
        let at = || format!("can't read {}", path.display());
        let mut copy = tempfile::NamedTempFile::new().context("can't make a temporary file")?;
        if standard_input {
            std::io::copy(&mut std::io::stdin().lock(), &mut copy).with_context(at)?;
        } else {
            std::io::copy(&mut File::open(path).with_context(at)?, &mut copy).with_context(at)?;
        }
        Ok(Self { path: copy.path().to_owned(), _copy: Some(copy) })
    }
}

/// The lines of a CSV file.
pub struct Lines {
    reader: csv::Reader<UntilEnd>,
    columns: usize,
    delimiter: u8,
    lines_before: u64,
    /// The last byte of the text is read, and the one after it was asked for.
    ended: Arc<AtomicBool>,
}

/// Notes when the end of a text is met.
struct UntilEnd {
    text: Box<dyn Read + Send>,
    ended: Arc<AtomicBool>,
}

impl Read for UntilEnd {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.text.read(out)?;
        self.ended.fetch_or(count == 0 && !out.is_empty(), Ordering::Relaxed);
        Ok(count)
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("position", self.reader.position()).finish_non_exhaustive()
    }
}

/// Opens a file and reads its headings; `bar` shows how many bytes are read.
pub fn open(path: &Path, bar: Option<&ProgressBar>) -> anyhow::Result<(csv::ByteRecord, Lines)> {
    let text = text::open(path, bar)?;
    let ended = Arc::new(AtomicBool::new(false));
    let until_end = UntilEnd { text: text.bytes, ended: Arc::clone(&ended) };
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(text.delimiter).from_reader(until_end);
    let lines_before = text.lines_before;
    let mut headers = reader.byte_headers().map_err(|error| explained(path, &error, lines_before + 1))?.clone();
    if headers.is_empty() {
        bail!(Usage(format!("{} is empty: its first line must name the columns", path.display())));
    }
    headers.trim();
    let columns = headers.len();
    Ok((headers, Lines { reader, columns, delimiter: text.delimiter, lines_before, ended }))
}

/// Reads the next line that has a cell with content into `record`. Returns its number in the file, in which the headings
/// are line 1; `None` at the end.
pub fn next(path: &Path, lines: &mut Lines, record: &mut csv::ByteRecord) -> anyhow::Result<Option<u64>> {
    loop {
        let found = lines.reader.read_byte_record(record);
        let after = lines.reader.position().line() + lines.lines_before;
        if !found.map_err(|error| explained(path, &error, after))? {
            return Ok(None);
        }
        if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
            continue;
        }
        let breaks = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        // A quote that is never closed ends with the file, not with a line end of its own.
        let open_quote = lines.ended.load(Ordering::Relaxed) && record.as_slice().ends_with(b"\n");
        let line = after - breaks - u64::from(!open_quote);
        if record.len() != lines.columns {
            bail!(
                "{}, line {line}: {} fields where the first line names {} columns; is a quote or a comma missing?",
                path.display(),
                record.len(),
                lines.columns
            );
        }
        return Ok(Some(line));
    }
}

/// How many lines are looked through for headings that come late.
const HEADINGS_SOUGHT_LINES: usize = 20;

/// Adds to an error about a missing column where the headings seem to be.
pub fn with_place_of_headings(path: &Path, error: anyhow::Error) -> anyhow::Error {
    let Some(NoColumn { name, .. }) = error.downcast_ref() else { return error };
    let Ok((_, mut lines)) = open(path, None) else { return error };
    let mut record = csv::ByteRecord::new();
    for _ in 0..HEADINGS_SOUGHT_LINES {
        let before = lines.reader.position().line() + lines.lines_before;
        if !matches!(lines.reader.read_byte_record(&mut record), Ok(true)) {
            break;
        }
        if record.iter().any(|cell| cell.trim_ascii() == name.as_bytes()) {
            let advice =
                format!("{error}. Line {before} names it: remove the lines above, so that the headings come first");
            return Usage(advice).into();
        }
    }
    Usage(error.to_string()).into()
}

/// Makes an error that says what is wrong with the file, where, and what to do.
fn explained(path: &Path, error: &csv::Error, line: u64) -> anyhow::Error {
    let path = path.display();
    match error.kind() {
        csv::ErrorKind::Io(io) => match io.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                anyhow::anyhow!("{path} is truncated: the gzip data ends at about line {line}; copy the file again")
            }
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                anyhow::anyhow!(
                    "{path} is damaged: the gzip data can't be read at about line {line} ({io}); copy the file again"
                )
            }
            _ => anyhow::anyhow!("{path} can't be read at about line {line}: {io}"),
        },
        _ => anyhow::anyhow!("{path}, about line {line}: {error}"),
    }
}

/// The result of the first pass.
#[derive(Debug, Default)]
pub struct Scan {
    /// The number of lines after the headings, without those that are left out by their type.
    pub lines: u64,
    /// The numbers of a repeated line and of the line that it repeats, for the first [`REPEATED_LISTED_MAX`].
    pub repeated: Vec<(u64, u64)>,
    /// The number of all repeated lines.
    pub repeated_count: u64,
}

/// Reads the whole file before anything is sent. Checks that every line is complete and UTF-8 and that every time has an
/// offset, and finds repeated ids. Needs about 20 bytes of memory per line.
pub fn scan(path: &Path, mapping: &Mapping, mut recipe: Recipe, bar: &ProgressBar) -> anyhow::Result<Scan> {
    let (headers, mut lines) = open(path, Some(bar))?;
    let name = |column: usize| String::from_utf8_lossy(headers.get(column).unwrap_or_default()).into_owned();
    let mut first_lines: HashMap<u64, u64> = HashMap::new();
    let mut found = Scan::default();
    let mut record = csv::ByteRecord::new();
    while let Some(line) = next(path, &mut lines, &mut record)? {
        let at = |column: usize| format!("{}, line {line}, column {}", path.display(), name(column));
        for (column, value) in record.iter().enumerate() {
            if std::str::from_utf8(value).is_err() {
                bail!("{}: is not UTF-8: convert the file, for example with iconv -f latin1 -t utf-8", at(column));
            }
            if value.contains(&b'\n') && !mapping.may_hold_line_break(column, value, record.len(), lines.delimiter) {
                bail!("{}: holds a line break; is its closing quote missing?", at(column));
            }
        }
        let refused = |column: usize, advice: &dyn std::fmt::Display| {
            let value = String::from_utf8_lossy(record.get(column).unwrap_or_default());
            Usage(format!("{}: {value:?} {advice}", at(column)))
        };
        let kind = mapping.kind(&record).map_err(|(column, unknown)| refused(column, &unknown))?;
        let Some(kind) = kind else { continue };
        if let Some((column, unclear)) = mapping.unclear(kind, &record) {
            bail!(refused(column, &unclear.advice()));
        }
        if let Some(id) = recipe.carried(&record).filter(|id| id.parse::<CommandId>().is_err()) {
            bail!(Usage(format!(
                "{}, line {line}: the command id {id:?} is no UUID: leave this column as it was written",
                path.display()
            )));
        }
        let id = recipe.next(kind, &record);
        let first = *first_lines.entry(first_64_bits(id.0)).or_insert(line);
        if first != line {
            found.repeated_count += 1;
            if found.repeated.len() < REPEATED_LISTED_MAX {
                found.repeated.push((line, first));
            }
        }
        found.lines += 1;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use stockline_core::domain::CommandKind;

    use super::*;
    use crate::lines::format::Format;
    use crate::lines::recipe::{NAMESPACE, Part};

    fn scanned(content: &[u8]) -> anyhow::Result<Scan> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sales.csv");
        std::fs::write(&path, content).unwrap();
        let (headers, _) = open(&path, None)?;
        let map = ["item_id=item", "quantity=quantity", "occurred_at=at"].map(String::from);
        let format = Format { zone: None, decimal: None, date_means: None };
        let mapping = Mapping::new(CommandKind::Sell, &map, &[], format, &headers)?;
        let recipe = Recipe::new(NAMESPACE, vec![Part::Column(0), Part::Column(1)]);
        scan(&path, &mapping, recipe, &ProgressBar::hidden())
    }

    fn gzipped(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    const HEADINGS: &str = "basket,item,quantity,at\n";

    fn refusal(lines: &str) -> String {
        scanned(format!("{HEADINGS}{lines}").as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn ids_that_repeat_are_found_by_line() {
        let scan = scanned(format!("{HEADINGS}1,a,1,\n1,b,1,\n1,a,2,\n\n2,a,1,\n1,a,1,\n").as_bytes()).unwrap();
        assert_eq!((scan.lines, scan.repeated_count), (5, 2));
        assert_eq!(scan.repeated, [(4, 2), (7, 2)]);
    }

    #[test]
    fn an_open_quote_swallows_no_lines() {
        let refused = refusal("1,a,1,\"\n2,b,1,\n3,c,1,\n");
        assert!(refused.contains("line 2") && refused.contains("closing quote"), "{refused}");
    }

    #[test]
    fn a_gzip_file_is_read_and_a_truncated_one_says_so() {
        let mut content = HEADINGS.to_owned();
        for n in 0..20_000 {
            content.push_str(&format!("{n},item-{},1,\n", n * 7_919 % 1_000));
        }
        let whole = gzipped(content.as_bytes());
        assert_eq!(scanned(&whole).unwrap().lines, 20_000);
        let cut = scanned(&whole[..whole.len() / 2]).unwrap_err().to_string();
        assert!(cut.contains("is truncated") && cut.contains("line"), "{cut}");
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0xff;
        assert!(scanned(&damaged).is_err());
    }

    #[test]
    fn line_numbers_are_those_of_an_editor_whatever_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let lines =
                ["basket,item,quantity,at,x", "1,a,1,,\"two", "lines\"", "", ",,,,", "2,b,1,,", "2,b,1,,", "3,c"];
            let refused = scanned(lines[..8].join(end).as_bytes()).unwrap_err().to_string();
            assert!(refused.contains("line 8: 2 fields"), "{end:?}: {refused}");
            let scan = scanned(lines[..7].join(end).as_bytes()).unwrap();
            assert_eq!((scan.lines, &scan.repeated[..]), (3, &[(7, 6)][..]), "{end:?}");
        }
    }

    #[test]
    fn headings_below_a_title_are_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, "Stock report,,\nPrinted 2026-11-28,,\nsku,pieces,note\ntea,4,\n").unwrap();
        let (headers, _) = open(&path, None).unwrap();
        let error = crate::lines::mapping::column(&headers, "sku").unwrap_err();
        let error = with_place_of_headings(&path, error);
        assert!(
            error.to_string().ends_with("Line 3 names it: remove the lines above, so that the headings come first"),
            "{error}"
        );
        assert!(error.is::<Usage>());
    }

    #[test]
    fn a_broken_line_is_named() {
        assert!(refusal("1,a,1,\n1,b\n").contains("line 3: 2 fields where the first line names 4"));
        assert!(refusal("1,a,1,2017-01-01T08:12:00\n").contains("line 2, column at"));
        let latin1 = [HEADINGS.as_bytes(), b"1,caf\xe9,1,\n"].concat();
        let text = scanned(&latin1).unwrap_err().to_string();
        assert!(text.contains("line 2, column item: is not UTF-8"), "{text}");
        assert!(scanned(b"").unwrap_err().to_string().contains("must name the columns"));
        assert!(scanned(b"a,b\n1,2\n").unwrap_err().to_string().contains("no column \"item\"; it has a, b"));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, b"\xef\xbb\xbfitem,quantity\na,1\n").unwrap();
        let (headers, _) = open(&path, None).unwrap();
        assert_eq!(&headers[0], b"item");
    }
}
