//! A workbook becomes a table.

use std::io::{Cursor, Read as _};

use calamine::{DataRef, Reader as _, SheetVisible, Xlsx, XlsxError};

use crate::opened::{FileError, Opened, Sheet};
use crate::table::{COLUMNS_MAX, LINES_MAX, Table, TooLarge};

/// The most bytes that all parts of a workbook may unpack to.
const UNPACKED_BYTES_MAX: u64 = 192 * 1024 * 1024;
/// The most parts of a workbook.
const PARTS_MAX: usize = 2_000;
/// The most rows without a cell that has content, before the lines end: a sheet may have a million formatted rows.
const ROWS_MAX: u32 = 1_048_576;
/// The most places that a remark names.
const NAMED_MAX: usize = 5;

/// Returns whether a file is a compound file, in which office programs wrap an encrypted workbook.
pub(crate) fn is_encrypted(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.starts_with(b"\xd0\xcf\x11\xe0") && bytes.windows(name.len()).any(|window| window == name)
}

/// Reads the only sheet with cells, or the one that is asked for.
pub(crate) fn read(bytes: &[u8], sheet: Option<&str>) -> Result<Opened, FileError> {
    check_unpacked(bytes)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(explained)?;
    let sheets: Vec<String> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.visible == SheetVisible::Visible)
        .map(|sheet| sheet.name.clone())
        .collect();
    let mut with_cells = Vec::new();
    for name in &sheets {
        if has_cells(&mut book, name)? {
            with_cells.push(name.clone());
        }
    }
    let name = match (sheet, with_cells.as_slice()) {
        (Some(asked), _) => {
            let found = sheets.iter().find(|name| name.as_str() == asked);
            found.ok_or_else(|| FileError::NoSheet { name: asked.to_owned(), sheets: sheets.clone() })?.clone()
        }
        (None, [only]) => only.clone(),
        (None, []) => return Err(FileError::Empty),
        (None, several) => return Err(FileError::Sheets(several.to_vec())),
    };
    let mut remarks = Vec::new();
    let merged = book.merge_cells_by_sheet_name(&name).map_err(explained)?;
    if !merged.is_empty() {
        let places: Vec<String> =
            merged.iter().take(NAMED_MAX).map(|area| address(area.start.0, area.start.1)).collect();
        remarks.push(format!(
            "merged cells at {}: only the first cell of each has its value",
            places.join(", ") + if merged.len() > NAMED_MAX { " and others" } else { "" }
        ));
    }
    let table = table(&mut book, &name, &mut remarks)?;
    let other_sheets = with_cells.into_iter().filter(|other| *other != name).map(|name| Sheet { name }).collect();
    Ok(Opened { table, format: "xlsx", encoding: None, delimiter: None, sheet: Some(name), other_sheets, remarks })
}

/// Unpacks every part and throws it away: what the archive says of its sizes may be a lie.
fn check_unpacked(bytes: &[u8]) -> Result<(), FileError> {
    let damaged = |error: zip::result::ZipError| FileError::Damaged(error.to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > PARTS_MAX {
        return Err(FileError::Damaged(format!("it has {} parts", archive.len())));
    }
    let is_workbook =
        archive.file_names().any(|name| name.is_ok_and(|name| name.to_ascii_lowercase().ends_with("workbook.xml")));
    if !is_workbook {
        return Err(FileError::NoWorkbook);
    }
    let mut left = UNPACKED_BYTES_MAX + 1;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(damaged)?;
        let unpacked = std::io::copy(&mut part.take(left), &mut std::io::sink());
        left -= unpacked.map_err(|error| FileError::Damaged(error.to_string()))?;
        if left == 0 {
            return Err(FileError::Bomb(UNPACKED_BYTES_MAX / (1024 * 1024)));
        }
    }
    Ok(())
}

fn explained(error: XlsxError) -> FileError {
    match error {
        XlsxError::Password => FileError::Password,
        XlsxError::FileNotFound(_) | XlsxError::RelationshipNotFound => FileError::NoWorkbook,
        other => FileError::Damaged(other.to_string()),
    }
}

fn has_cells(book: &mut Xlsx<Cursor<&[u8]>>, name: &str) -> Result<bool, FileError> {
    let mut cells = match book.worksheet_cells_reader(name) {
        Ok(cells) => cells,
        // A chart has a sheet of its own.
        Err(XlsxError::NotAWorksheet(_)) => return Ok(false),
        Err(error) => return Err(explained(error)),
    };
    while let Some(cell) = cells.next_cell().map_err(explained)? {
        if *cell.get_value() != DataRef::Empty {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A row while it fills.
#[derive(Default)]
struct Filling {
    row: u32,
    cells: Vec<(String, bool)>,
}

impl Filling {
    fn put(&mut self, column: usize, cell: (String, bool)) {
        if self.cells.len() <= column {
            self.cells.resize(column + 1, (String::new(), false));
        }
        if let Some(place) = self.cells.get_mut(column) {
            *place = cell;
        }
    }

    /// Moves the row to the table; the first one has the headings.
    fn end(&mut self, table: &mut Option<Table>) -> Result<(), FileError> {
        if self.cells.iter().all(|(text, _)| text.trim().is_empty()) {
            self.cells.clear();
            return Ok(());
        }
        let line = self.row + 1;
        match table {
            None => {
                let headings: Vec<String> = self.cells.drain(..).map(|(text, _)| text.trim().to_owned()).collect();
                *table = Some(Table::new(headings)?);
            }
            Some(table) => {
                let columns = table.headings.len();
                if self.cells.iter().skip(columns).any(|(text, _)| !text.trim().is_empty()) {
                    return Err(FileError::Ragged { line, cells: self.cells.len(), columns });
                }
                table.push(line, self.cells.iter().map(|(text, numeric)| (text.as_str(), *numeric)))?;
                self.cells.clear();
            }
        }
        Ok(())
    }
}

fn table(book: &mut Xlsx<Cursor<&[u8]>>, name: &str, remarks: &mut Vec<String>) -> Result<Table, FileError> {
    let mut reader = book.worksheet_cells_reader(name).map_err(explained)?;
    let (mut filling, mut table, mut formulas) = (Filling::default(), None, Vec::new());
    let mut formulas_more = false;
    while let Some(cell) = reader.next_cell_with_formula_metadata().map_err(explained)? {
        let (row, column) = cell.pos;
        if row != filling.row {
            filling.end(&mut table)?;
            filling.row = row;
        }
        if row >= ROWS_MAX || row as usize > LINES_MAX * 8 {
            return Err(TooLarge::Lines.into());
        }
        if cell.formula.is_some() {
            formulas_more |= formulas.len() >= NAMED_MAX;
            if formulas.len() < NAMED_MAX {
                formulas.push(address(row, column));
            }
        }
        if let Some(content) = content(&cell.value, row, column)? {
            let column = column as usize;
            if column >= COLUMNS_MAX {
                return Err(TooLarge::Columns(column + 1).into());
            }
            filling.put(column, content);
        }
    }
    filling.end(&mut table)?;
    if !formulas.is_empty() {
        let more = if formulas_more { " and others" } else { "" };
        remarks.push(format!(
            "formulas at {}{more}: their values as last saved are read; open and save the file if they are old",
            formulas.join(", ")
        ));
    }
    table.ok_or(FileError::Empty)
}

/// Returns the text of a cell and whether it is a number; `None` for an empty one.
fn content(value: &DataRef<'_>, row: u32, column: u32) -> Result<Option<(String, bool)>, FileError> {
    Ok(Some(match value {
        DataRef::Empty => return Ok(None),
        DataRef::Int(number) => (number.to_string(), true),
        DataRef::Float(number) => (plain(*number), true),
        DataRef::String(text) => (text.clone(), false),
        DataRef::SharedString(text) => ((*text).to_owned(), false),
        DataRef::Bool(yes) => (if *yes { "true" } else { "false" }.to_owned(), false),
        DataRef::DateTime(moment) if moment.is_datetime() => (date(moment.to_ymd_hms_milli()), false),
        DataRef::DateTime(duration) => (plain(duration.as_f64()), true),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => (text.clone(), false),
        // The cell keeps the error's name, and is refused where its column is read.
        DataRef::Error(error) => (format!("{error} in {}", address(row, column)), false),
    }))
}

/// Writes a number without an exponent, with no more digits than it has.
fn plain(number: f64) -> String {
    // Spreadsheets show 15 digits; 0.1 + 0.2 is 0.3 there.
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    format!("{rounded}")
}

fn date((year, month, day, hour, minute, second, _): (u16, u8, u8, u8, u8, u8, u16)) -> String {
    if (hour, minute, second) == (0, 0, 0) {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Returns the address of a cell as spreadsheets write it: `B7`.
fn address(row: u32, column: u32) -> String {
    let (mut letters, mut number) = (Vec::new(), column + 1);
    while number > 0 {
        let digit = u8::try_from((number - 1) % 26).unwrap_or_default();
        letters.push(char::from(b'A' + digit));
        number = (number - 1) / 26;
    }
    letters.iter().rev().chain(row.saturating_add(1).to_string().chars().collect::<Vec<_>>().iter()).collect()
}

#[cfg(test)]
#[path = "xlsx_tests.rs"]
mod tests;
