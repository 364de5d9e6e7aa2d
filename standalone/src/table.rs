//! Aligned tables for people; colours only on a terminal.

use std::io::IsTerminal as _;

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// What a cell says by its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Look at it.
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

    /// The tone of a stock state or a command's status.
    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "normal" | "applied" => Self::Good,
            "low" | "out" | "queued" => Self::Warning,
            "oversold" | "rejected" | "dead_lettered" => Self::Bad,
            _ => Self::Plain,
        }
    }
}

/// The longest cell, in characters; the rest is cut with an ellipsis.
const MAX_CELL_CHARS: usize = 60;
const RESET: &str = "\u{1b}[0m";

/// Rows of cells under headings.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<(&'static str, Align)>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// With these columns.
    pub(crate) fn new(headings: &[(&'static str, Align)]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of plain cells; the last column may be toned by [`Table::toned`].
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) -> &mut Self {
        self.rows.push(cells.into_iter().map(|cell| (printable(&cell), Tone::Plain)).collect());
        self
    }

    /// Gives a cell of the latest row a tone.
    pub(crate) fn toned(&mut self, column: usize, tone: Tone) -> &mut Self {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.get_mut(column)) {
            cell.1 = tone;
        }
        self
    }

    /// The table as text, each line ended.
    pub(crate) fn render(&self, colours: bool) -> String {
        let widths: Vec<usize> = self
            .headings
            .iter()
            .enumerate()
            .map(|(column, (heading, _))| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.0.chars().count());
                cells.chain([heading.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let headings: Vec<_> = self.headings.iter().map(|(heading, _)| ((*heading).to_owned(), Tone::Plain)).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let line: Vec<String> = row
                .iter()
                .zip(widths.iter().zip(&self.headings))
                .map(|((cell, tone), (width, (_, align)))| {
                    let padded = match align {
                        Align::Left => format!("{cell:<width$}"),
                        Align::Right => format!("{cell:>width$}"),
                    };
                    let escape = if colours { tone.escape() } else { "" };
                    if escape.is_empty() { padded } else { format!("{escape}{padded}{RESET}") }
                })
                .collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// Writes the table to standard output.
    pub(crate) fn print(&self) {
        print!("{}", self.render(std::io::stdout().is_terminal()));
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// What was stored may hold line breaks; a table cell may not, and a terminal must not be steered by it.
fn printable(cell: &str) -> String {
    let clean = cell.chars().map(|c| if c.is_control() { ' ' } else { c });
    if cell.chars().count() > MAX_CELL_CHARS {
        clean.take(MAX_CELL_CHARS - 1).chain(['…']).collect()
    } else {
        clean.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
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
}
