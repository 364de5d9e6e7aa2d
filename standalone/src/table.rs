//! Aligned tables for people, in colour on a terminal.

use std::io::IsTerminal as _;

use stockline_service::output::{self, OutputError};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// The meaning of a cell's colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// No colour.
    #[default]
    Plain,
    /// Healthy.
    Good,
    /// Needs attention.
    Warning,
    /// Wrong.
    Bad,
}

impl Tone {
    const fn escape(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{1b}[32m",
            Self::Warning => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
        }
    }

    /// Returns the tone of a stock state or a command's status.
    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "normal" | "applied" => Self::Good,
            "low" | "out" | "queued" => Self::Warning,
            "oversold" | "rejected" | "dead_lettered" => Self::Bad,
            _ => Self::Plain,
        }
    }
}

/// The widest cell, in columns of a terminal; a wider text is cut with an ellipsis.
const MAX_CELL_COLUMNS: usize = 60;
const RESET: &str = "\u{1b}[0m";

/// Rows of cells under headings.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<(&'static str, Align)>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// Creates an empty table with these columns.
    pub(crate) fn new(headings: &[(&'static str, Align)]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of plain cells.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) -> &mut Self {
        self.rows.push(cells.into_iter().map(|cell| (printable(&cell), Tone::Plain)).collect());
        self
    }

    /// Sets the tone of a cell in the latest row.
    pub(crate) fn toned(&mut self, column: usize, tone: Tone) -> &mut Self {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.get_mut(column)) {
            cell.1 = tone;
        }
        self
    }

    /// Returns the table as text; every line ends with a line break.
    pub(crate) fn render(&self, colours: bool) -> String {
        let widths: Vec<usize> = self
            .headings
            .iter()
            .enumerate()
            .map(|(column, (heading, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.0.width());
                cells.chain([heading.width()]).max().unwrap_or(0)
            })
            .collect();
        let headings: Vec<_> = self.headings.iter().map(|(heading, _)| ((*heading).to_owned(), Tone::Plain)).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let line: Vec<String> = row
                .iter()
                .zip(widths.iter().zip(&self.headings))
                .map(|((cell, tone), (width, (_, align)))| {
                    let padded = padded(cell, *width, *align);
                    let escape = if colours { tone.escape() } else { "" };
                    if escape.is_empty() { padded } else { format!("{escape}{padded}{RESET}") }
                })
                .collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// Prints the table to standard output.
    pub(crate) fn print(&self) -> Result<(), OutputError> {
        output::print(self.render(std::io::stdout().is_terminal()))
    }

    /// Returns the number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

fn padded(cell: &str, width: usize, align: Align) -> String {
    let padding = " ".repeat(width.saturating_sub(cell.width()));
    match align {
        Align::Left => format!("{cell}{padding}"),
        Align::Right => format!("{padding}{cell}"),
    }
}

/// Replaces control characters, which could break the line or steer the terminal, and shortens a long text.
fn printable(cell: &str) -> String {
    let clean: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.width() <= MAX_CELL_COLUMNS {
        return clean;
    }
    let mut columns = 1;
    let fits = |c: &char| {
        columns += c.width().unwrap_or(0);
        columns <= MAX_CELL_COLUMNS
    };
    clean.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_are_aligned_right() {
        let mut table = Table::new(&[("ITEM", Align::Left), ("ON HAND", Align::Right), ("STATE", Align::Left)]);
        table.row(["cola", "12", "normal"].map(String::from)).toned(2, Tone::Good);
        table.row(["water-still", "-3.5", "oversold"].map(String::from)).toned(2, Tone::Bad);
        assert_eq!(
            table.render(false),
            "ITEM         ON HAND  STATE\ncola              12  normal\nwater-still     -3.5  oversold\n"
        );
        assert!(table.render(true).contains("\u{1b}[31moversold\u{1b}[0m"));
    }

    #[test]
    fn a_cell_neither_breaks_the_line_nor_steers_the_terminal() {
        let mut table = Table::new(&[("NOTE", Align::Left)]);
        table.row(["a\n\u{1b}[2Jb".to_owned()]).row(["é".repeat(100)]);
        let text = table.render(false);
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{1b}') && text.contains('…'));
    }

    #[test]
    fn columns_line_up_under_wide_and_combining_characters() {
        let mut table = Table::new(&[("ITEM", Align::Left), ("N", Align::Right)]);
        table.row(["茶".to_owned(), "1".to_owned()]).row(["e\u{301}".to_owned(), "2".to_owned()]);
        assert_eq!(table.render(false), "ITEM  N\n茶    1\ne\u{301}     2\n");
        let mut table = Table::new(&[("NOTE", Align::Left)]);
        table.row(["茶".repeat(100)]);
        assert_eq!(table.render(false).lines().nth(1), Some(format!("{}…", "茶".repeat(29)).as_str()));
    }
}
