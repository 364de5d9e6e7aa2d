//! Reads a CSV file, plain or gzip, and checks it before anything is sent.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use super::mapping::Mapping;
use super::recipe::{Recipe, first_64_bits};
use crate::exit::Usage;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 256 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";
/// The most repeated lines that are remembered.
const REPEATED_LISTED_MAX: usize = 100;

/// The lines of a CSV file.
pub type Lines = csv::Reader<Box<dyn Read + Send>>;

/// Opens a file and reads its headings; `bar` shows how many bytes are read.
pub fn open(path: &Path, bar: Option<&ProgressBar>) -> anyhow::Result<(csv::ByteRecord, Lines)> {
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
    let text: Box<dyn Read + Send> =
        if magic == GZIP_MAGIC { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut lines = csv::ReaderBuilder::new().buffer_capacity(BUFFER_BYTES).from_reader(text);
    let mut headers = lines.byte_headers().map_err(|error| explained(path, &error, 1))?.clone();
    if headers.is_empty() {
        bail!(Usage(format!("{} is empty: its first line must name the columns", path.display())));
    }
    if headers.get(0).is_some_and(|first| first.starts_with(BOM)) {
        headers = headers.iter().enumerate().map(|(i, name)| if i == 0 { &name[BOM.len()..] } else { name }).collect();
    }
    Ok((headers, lines))
}

/// Reads the next line into `record`; returns `false` at the end.
pub fn next(path: &Path, lines: &mut Lines, record: &mut csv::ByteRecord) -> anyhow::Result<bool> {
    lines.read_byte_record(record).map_err(|error| explained(path, &error, lines.position().line()))
}

/// Returns the number of a line in the file; the headings are line 1.
pub fn number(record: &csv::ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

/// Makes an error that says what is wrong with the file, where, and what to do.
fn explained(path: &Path, error: &csv::Error, line: u64) -> anyhow::Error {
    let path = path.display();
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(line, csv::Position::line);
            anyhow::anyhow!(
                "{path}, line {line}: {len} fields where the first line names {expected_len} columns; is a quote or a comma missing?"
            )
        }
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
    /// The number of lines after the headings.
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
    while next(path, &mut lines, &mut record)? {
        let line = number(&record);
        let at = |column: usize| format!("{}, line {line}, column {}", path.display(), name(column));
        for (column, value) in record.iter().enumerate() {
            if std::str::from_utf8(value).is_err() {
                bail!("{}: is not UTF-8: convert the file, for example with iconv -f latin1 -t utf-8", at(column));
            }
            if value.contains(&b'\n') && !mapping.is_note(column) {
                bail!("{}: holds a line break; is its closing quote missing?", at(column));
            }
        }
        if let Some(column) = mapping.time_without_offset(&record) {
            let value = String::from_utf8_lossy(record.get(column).unwrap_or_default());
            bail!(Usage(format!(
                "{}: {value:?} has no offset: name its time zone, such as --time-zone Europe/Berlin or --time-zone +01:00",
                at(column)
            )));
        }
        let id = recipe.next(&record);
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
    use crate::lines::recipe::{NAMESPACE, Part};

    fn scanned(content: &[u8]) -> anyhow::Result<Scan> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sales.csv");
        std::fs::write(&path, content).unwrap();
        let (headers, _) = open(&path, None)?;
        let map = ["item_id=item", "quantity=quantity", "occurred_at=at"].map(String::from);
        let mapping = Mapping::new(CommandKind::Sell, &map, &[], None, &headers)?;
        let recipe = Recipe::new(NAMESPACE, CommandKind::Sell, vec![Part::Column(0), Part::Column(1)]);
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
