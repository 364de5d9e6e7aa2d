//! A file that was opened, and why one can't be.

use serde::Serialize;

use crate::table::{Table, TooLarge};

/// A file that was read, and what was found out about it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its lines.
    pub table: Table,
    /// `csv`, `tsv` or `xlsx`.
    pub format: &'static str,
    /// The encoding of a text.
    pub encoding: Option<&'static str>,
    /// The separator of a text's columns.
    pub delimiter: Option<u8>,
    /// The sheet of a workbook that was read.
    pub sheet: Option<String>,
    /// The other sheets that have cells.
    pub other_sheets: Vec<Sheet>,
    /// What a person should know: formulas, merged cells.
    pub remarks: Vec<String>,
}

/// A sheet of a workbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sheet {
    /// Its name.
    pub name: String,
}

/// Why a file can't be read. Each text is read after the file's name.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is something else.
    #[error("is {0}: save it as XLSX, or as CSV in UTF-8, and import that file")]
    OtherFormat(&'static str),
    /// It has no cell.
    #[error("is empty: its first line must name the columns")]
    Empty,
    /// A line of text that can't be split.
    #[error("can't be read at line {0}: {1}")]
    Csv(u32, String),
    /// A line has another number of cells than there are columns.
    #[error(
        "has {cells} cells in line {line} where the first line names {columns} columns; is a quote or a separator missing?"
    )]
    Ragged {
        /// The line.
        line: u32,
        /// Its cells.
        cells: usize,
        /// The columns of the headings.
        columns: usize,
    },
    /// A cell swallows further lines.
    #[error("has a quote in line {0} that is not closed before the next lines")]
    OpenQuote(u32),
    /// It is more than is read.
    #[error("{0}")]
    TooLarge(TooLarge),
    /// A zip archive that is no workbook.
    #[error(
        "is a zip archive without a workbook in it: save the sheet as XLSX, or as CSV in UTF-8, and import that file"
    )]
    NoWorkbook,
    /// A workbook with a password.
    #[error("is protected with a password: save a copy without one, and import that")]
    Password,
    /// An archive that unpacks to far more than a workbook.
    #[error("unpacks to more than {0} MB: it is no workbook, or far too large; save the sheet as CSV and import that")]
    Bomb(u64),
    /// A damaged workbook.
    #[error("is damaged: {0}; open it, save it again and import that")]
    Damaged(String),
    /// Several sheets have cells, and none was chosen.
    #[error("has several sheets ({}): choose one, with sheet", .0.join(", "))]
    Sheets(Vec<String>),
    /// There is no sheet of this name.
    #[error("has no sheet {name:?}; it has {}", .sheets.join(", "))]
    NoSheet {
        /// The name that was asked for.
        name: String,
        /// The sheets.
        sheets: Vec<String>,
    },
}
