//! Text with separators becomes a table.

use crate::encoding;
use crate::opened::{FileError, Opened, Sheet};
use crate::separators::other_format;
use crate::separators::{self, FirstLine};
use crate::table::{Table, TooLarge};

/// Reads a text. `delimiter` overrides what the headings say.
pub(crate) fn read(bytes: &[u8], delimiter: Option<u8>) -> Result<Opened, FileError> {
    if let Some(what) = other_format(bytes) {
        return Err(FileError::OtherFormat(what));
    }
    let (text, encoding) = encoding::decode(bytes).ok_or(FileError::OtherFormat("no text"))?;
    let (text, mut line) = (text.as_ref(), 1);
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    let (found, text) = match separators::delimiter(text.get(..end).unwrap_or_default().as_bytes()) {
        FirstLine::Says(delimiter) => {
            line += 1;
            (delimiter, behind_line_end(text.get(end..).unwrap_or_default()))
        }
        FirstLine::Headings(delimiter) => (delimiter, text),
    };
    let delimiter = delimiter.unwrap_or(found);
    let table = table(text, delimiter, line)?;
    Ok(Opened {
        table,
        format: if delimiter == b'\t' { "tsv" } else { "csv" },
        encoding: Some(encoding),
        delimiter: Some(delimiter),
        sheet: None,
        other_sheets: Vec::<Sheet>::new(),
        remarks: Vec::new(),
    })
}

fn behind_line_end(text: &str) -> &str {
    text.strip_prefix("\r\n").or_else(|| text.strip_prefix(['\n', '\r'])).unwrap_or(text)
}

/// Counts the line ends of a text as an editor does: `\r\n`, `\n` and `\r` are one each.
#[derive(Debug, Default)]
struct LineCount {
    after_return: bool,
}

impl LineCount {
    fn of(&mut self, bytes: &[u8]) -> u32 {
        let mut count = 0;
        for byte in bytes {
            let second_half = *byte == b'\n' && self.after_return;
            self.after_return = *byte == b'\r';
            count += u32::from(matches!(byte, b'\n' | b'\r') && !second_half);
        }
        count
    }
}

fn table(text: &str, delimiter: u8, first_line: u32) -> Result<Table, FileError> {
    let bytes = text.as_bytes();
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(bytes);
    let (mut record, mut table) = (csv::StringRecord::new(), None::<Table>);
    let (mut ends, mut counted, mut line) = (LineCount::default(), 0_usize, first_line);
    loop {
        let at = usize::try_from(reader.position().byte()).unwrap_or(counted);
        line += ends.of(bytes.get(counted..at).unwrap_or_default());
        counted = at;
        if !reader.read_record(&mut record).map_err(|error| FileError::Csv(line, error.to_string()))? {
            break;
        }
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        // Line ends before the record are skipped by the reader and belong to no line.
        let from = record.position().and_then(|place| usize::try_from(place.byte()).ok()).unwrap_or(counted);
        let blank =
            bytes.get(from..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let mut ahead = LineCount { after_return: ends.after_return };
        let here = line + ahead.of(bytes.get(counted..from + blank).unwrap_or_default());
        match &mut table {
            None => {
                let headings = record.iter().map(|heading| heading.trim_start_matches('\u{feff}').trim().to_owned());
                table = Some(Table::new(headings.collect())?);
            }
            Some(table) => add(table, &record, here, delimiter)?,
        }
    }
    table.ok_or(FileError::Empty)
}

fn add(table: &mut Table, record: &csv::StringRecord, line: u32, delimiter: u8) -> Result<(), FileError> {
    let columns = table.headings.len();
    // A cell with a line of the file in it is one whose closing quote is missing.
    let separators = |text: &str| text.bytes().filter(|byte| *byte == delimiter).count() + 1;
    let swallowed = |cell: &&str| {
        cell.contains(['\n', '\r']) && columns > 2 && cell.split(['\n', '\r']).any(|part| separators(part) >= columns)
    };
    if record.len() < columns && record.iter().any(|cell| swallowed(&cell)) {
        return Err(FileError::OpenQuote(line));
    }
    let more = record.iter().skip(columns).any(|cell| !cell.trim().is_empty());
    if more || (record.len() < columns && columns > 1 && record.len() == 1) {
        return Err(FileError::Ragged { line, cells: record.len(), columns });
    }
    table.push(line, record.iter().map(|cell| (cell, false)))?;
    Ok(())
}

impl From<TooLarge> for FileError {
    fn from(error: TooLarge) -> Self {
        Self::TooLarge(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, Vec<String>)> {
        let opened = read(text.as_bytes(), None).unwrap();
        opened.table.rows().map(|row| (row.line(), row.cells().map(str::to_owned).collect())).collect()
    }

    #[test]
    fn line_numbers_are_those_of_an_editor_whatever_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["sku,name,n", "a,\"two", "lines\",1", "", ",,", " b , x ,2", "c,y", "", ""].join(end);
            let found = lines(&text);
            let places: Vec<u32> = found.iter().map(|(line, _)| *line).collect();
            assert_eq!(places, [2, 6, 7], "{end:?}");
            assert_eq!(found[1].1, ["b", "x", "2"]);
            assert_eq!(found[2].1, ["c", "y", ""], "missing cells at the end are empty");
        }
        assert_eq!(lines("sep=;\r\nsku;n\r\na;1\r\n"), [(3, vec!["a".to_owned(), "1".to_owned()])]);
    }

    #[test]
    fn a_broken_line_is_named() {
        let refused = |text: &str| read(text.as_bytes(), None).unwrap_err().to_string();
        assert!(refused("a,b\n1,2\n1,2,3\n").contains("line 3"));
        assert!(refused("a,b,c\n\"1,2,3\n4,5,6\n").contains("not closed"));
        assert!(refused("").contains("empty"));
        assert!(refused("\n\n").contains("empty"));
    }

    #[test]
    fn a_note_may_have_lines() {
        assert_eq!(lines("sku,note\na,\"first\nsecond\"\n")[0].1[1], "first\nsecond");
    }
}
