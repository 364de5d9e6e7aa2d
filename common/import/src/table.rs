//! The cells of a file, in one piece of memory.

/// The most lines after the headings.
pub const LINES_MAX: usize = 200_000;
/// The most columns.
pub const COLUMNS_MAX: usize = 512;
/// The most bytes of one cell.
pub(crate) const CELL_BYTES_MAX: usize = 32_768;
/// The most bytes of all cells together.
pub(crate) const TEXT_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A table: headings and lines, every line with as many cells as there are headings. Cells are trimmed.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The headings, trimmed.
    pub headings: Vec<String>,
    text: String,
    /// The end of each cell in `text`, line by line.
    ends: Vec<u32>,
    /// The line or row of the file that each line begins at.
    lines: Vec<u32>,
    /// Which cells the file itself has as numbers, so that no separator is ambiguous; empty if it has none.
    numeric: Vec<bool>,
}

/// A line of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    index: usize,
}

/// A table has more than is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// More than [`LINES_MAX`] lines.
    #[error("has more than {LINES_MAX} lines: split it and import one part after the other")]
    Lines,
    /// More than [`COLUMNS_MAX`] columns.
    #[error("has {0} columns and may have {COLUMNS_MAX}: remove those that are not needed")]
    Columns(usize),
    /// A cell of more than [`CELL_BYTES_MAX`].
    #[error("has a cell of more than {CELL_BYTES_MAX} bytes in line {0}; is a closing quote missing?")]
    Cell(u32),
    /// More than [`TEXT_BYTES_MAX`] in all.
    #[error("has more than {TEXT_BYTES_MAX} bytes of text: split it and import one part after the other")]
    Text,
}

impl Table {
    /// Begins a table.
    ///
    /// # Errors
    /// There are too many columns.
    pub fn new(headings: Vec<String>) -> Result<Self, TooLarge> {
        if headings.len() > COLUMNS_MAX {
            return Err(TooLarge::Columns(headings.len()));
        }
        Ok(Self { headings, ..Self::default() })
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Returns the bytes of all cells.
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Returns whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the lines in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|index| Row { table: self, index })
    }

    /// Returns one line.
    pub fn row(&self, index: usize) -> Option<Row<'_>> {
        (index < self.len()).then_some(Row { table: self, index })
    }

    /// Adds a line; missing cells are empty. `line` is its place in the file.
    ///
    /// # Errors
    /// The table is too large.
    pub fn push<'a>(&mut self, line: u32, cells: impl IntoIterator<Item = (&'a str, bool)>) -> Result<(), TooLarge> {
        if self.lines.len() >= LINES_MAX {
            return Err(TooLarge::Lines);
        }
        let mut count = 0;
        for (cell, numeric) in cells.into_iter().take(self.headings.len()) {
            self.add(line, cell.trim(), numeric)?;
            count += 1;
        }
        for _ in count..self.headings.len() {
            self.add(line, "", false)?;
        }
        self.lines.push(line);
        Ok(())
    }

    fn add(&mut self, line: u32, cell: &str, numeric: bool) -> Result<(), TooLarge> {
        if cell.len() > CELL_BYTES_MAX {
            return Err(TooLarge::Cell(line));
        }
        if self.text.len() + cell.len() > TEXT_BYTES_MAX {
            return Err(TooLarge::Text);
        }
        if numeric && self.numeric.is_empty() {
            self.numeric = vec![false; self.ends.len()];
        }
        if numeric || !self.numeric.is_empty() {
            self.numeric.push(numeric);
        }
        self.text.push_str(cell);
        // The bound above is far below 2^32.
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        Ok(())
    }
}

impl<'a> Row<'a> {
    /// Returns its place among the lines of the table, from 0.
    pub const fn index(self) -> usize {
        self.index
    }

    /// Returns the line or row of the file.
    pub fn line(self) -> u32 {
        self.table.lines.get(self.index).copied().unwrap_or_default()
    }

    /// Returns a cell; an empty text if there is no such column.
    pub fn cell(self, column: usize) -> &'a str {
        let columns = self.table.headings.len();
        if column >= columns {
            return "";
        }
        let at = self.index * columns + column;
        let start = at.checked_sub(1).and_then(|before| self.table.ends.get(before)).copied().unwrap_or_default();
        let end = self.table.ends.get(at).copied().unwrap_or(start);
        self.table.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Returns whether the file has the cell as a number, not as text.
    pub fn is_numeric(self, column: usize) -> bool {
        self.table.numeric.get(self.index * self.table.headings.len() + column).copied().unwrap_or_default()
    }

    /// Returns all cells.
    pub fn cells(self) -> impl Iterator<Item = &'a str> {
        (0..self.table.headings.len()).map(move |column| self.cell(column))
    }
}
