//! Aligned tables for people, in colour on a terminal. They fit a terminal of 80 columns.

use std::borrow::Cow;
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
    /// Ids, which are never cut: one that is too long has a line of its own, before the rest of its row.
    Id,
    /// Texts that are shortened, to this many columns at least, where the row would be too wide.
    Flexible(usize),
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

/// The width of a line, in columns of a terminal.
const LINE_COLUMNS: usize = 80;
/// The widest id that shares its line with the rest of the row.
const ID_COLUMNS: usize = 24;
/// The widest cell of any other text; a wider one is cut with an ellipsis.
const CELL_COLUMNS: usize = 60;
const GAP: &str = "  ";
const INDENT: &str = "    ";
const RESET: &str = "\u{1b}[0m";

#[derive(Debug, Default)]
struct Row {
    cells: Vec<(String, Tone)>,
    /// Lines below the cells.
    remarks: Vec<String>,
}

/// Rows of cells under headings.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<(Cow<'static, str>, Align)>,
    rows: Vec<Row>,
    /// The columns that are left out where no row has anything in them.
    sparse: Vec<Cow<'static, str>>,
}

impl Table {
    /// Creates an empty table with these columns.
    pub(crate) fn new(headings: &[(&'static str, Align)]) -> Self {
        let headings = headings.iter().map(|(heading, align)| ((*heading).into(), *align)).collect();
        Self { headings, rows: Vec::new(), sparse: Vec::new() }
    }

    /// As [`Table::new`], with headings that are made only now.
    pub(crate) fn of(headings: Vec<(String, Align)>) -> Self {
        let headings = headings.into_iter().map(|(heading, align)| (heading.into(), align)).collect();
        Self { headings, rows: Vec::new(), sparse: Vec::new() }
    }

    /// Leaves these columns out where no row has anything in them.
    pub(crate) fn sparse(mut self, columns: &[&'static str]) -> Self {
        self.sparse = columns.iter().map(|column| (*column).into()).collect();
        self
    }

    /// As [`Table::sparse`], for headings that are made only now.
    pub(crate) fn sparse_columns(mut self, columns: Vec<String>) -> Self {
        self.sparse = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a row of plain cells.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) -> &mut Self {
        let cells = cells.into_iter().zip(&self.headings).map(|(cell, (_, align))| {
            let most = if *align == Align::Id { usize::MAX } else { CELL_COLUMNS };
            (cut(&clean(&cell), most), Tone::Plain)
        });
        self.rows.push(Row { cells: cells.collect(), remarks: Vec::new() });
        self
    }

    /// Sets the tone of a cell in the latest row.
    pub(crate) fn toned(&mut self, heading: &str, tone: Tone) -> &mut Self {
        let column = self.headings.iter().position(|(name, _)| name == heading);
        let row = self.rows.last_mut();
        if let Some(cell) = row.zip(column).and_then(|(row, column)| row.cells.get_mut(column)) {
            cell.1 = tone;
        }
        self
    }

    /// Adds lines with this text below the latest row, if there is any text.
    pub(crate) fn remark(&mut self, text: &str) -> &mut Self {
        if let Some(row) = self.rows.last_mut().filter(|_| !text.is_empty()) {
            row.remarks.extend(wrapped(&clean(text), LINE_COLUMNS - INDENT.len()));
        }
        self
    }

    /// Returns the table as text; every line ends with a line break.
    pub(crate) fn render(&self, colours: bool) -> String {
        let is_shown = |(column, (heading, _)): (usize, &(Cow<'static, str>, Align))| {
            let has_any = || self.rows.iter().any(|row| row.cells.get(column).is_some_and(|cell| !cell.0.is_empty()));
            !self.sparse.contains(heading) || has_any()
        };
        let shown: Vec<usize> =
            self.headings.iter().enumerate().filter(|entry| is_shown(*entry)).map(|(column, _)| column).collect();
        let widths = self.widths(&shown);
        let headings: Vec<_> = self.headings.iter().map(|(heading, _)| (heading.to_string(), Tone::Plain)).collect();
        let mut text = String::new();
        for row in std::iter::once(&Row { cells: headings, remarks: Vec::new() }).chain(&self.rows) {
            let mut line = Vec::new();
            for (column, width) in shown.iter().zip(&widths) {
                let Some((cell, tone)) = row.cells.get(*column) else { continue };
                let align = self.headings[*column].1;
                let alone = align == Align::Id && cell.width() > *width;
                if alone {
                    text.push_str(cell);
                    text.push('\n');
                }
                let padded = padded(&cut(if alone { "" } else { cell }, *width), *width, align);
                let escape = if colours { tone.escape() } else { "" };
                line.push(if escape.is_empty() { padded } else { format!("{escape}{padded}{RESET}") });
            }
            text.push_str(line.join(GAP).trim_end());
            text.push('\n');
            for remark in &row.remarks {
                text.push_str(&format!("{INDENT}{remark}\n"));
            }
        }
        text
    }

    /// Returns the widths of the columns: as wide as their cells. Where a line would be too wide, flexible ones are narrower,
    /// the widest first, and then those of ids.
    fn widths(&self, shown: &[usize]) -> Vec<usize> {
        let width = |column: &usize| {
            let (heading, align) = &self.headings[*column];
            let most = if *align == Align::Id { ID_COLUMNS } else { usize::MAX };
            let cells = self.rows.iter().filter_map(|row| row.cells.get(*column)).map(|cell| cell.0.width());
            cells.filter(|width| *width <= most).chain([heading.width()]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = shown.iter().map(width).collect();
        let gaps = GAP.len() * shown.len().saturating_sub(1);
        let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(LINE_COLUMNS);
        while excess > 0 {
            let room = |(column, width): (&usize, &mut usize)| match &self.headings[*column] {
                (heading, Align::Flexible(least)) => width.saturating_sub((*least).max(heading.width())),
                _ => 0,
            };
            let most = shown.iter().zip(widths.iter_mut()).enumerate().map(|(n, entry)| (room(entry), n)).max();
            let Some((1.., widest)) = most else { break };
            widths[widest] -= 1;
            excess -= 1;
        }
        for (column, width) in shown.iter().zip(&mut widths) {
            let (heading, align) = &self.headings[*column];
            if *align == Align::Id {
                let given = excess.min(width.saturating_sub(heading.width()));
                *width -= given;
                excess -= given;
            }
        }
        widths
    }

    /// Prints the table to standard output.
    pub(crate) fn print(&self) -> Result<(), OutputError> {
        // A cell has no control characters, so that the only ones are those of the colours.
        output::styled(&self.render(std::io::stdout().is_terminal()))
    }

    /// Returns the number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

fn padded(cell: &str, width: usize, align: Align) -> String {
    let padding = " ".repeat(width.saturating_sub(cell.width()));
    match align {
        Align::Right => format!("{padding}{cell}"),
        Align::Left | Align::Id | Align::Flexible(_) => format!("{cell}{padding}"),
    }
}

/// Keeps a cell in its line, and a stranger's text from steering the terminal.
fn clean(cell: &str) -> String {
    output::printable(&cell.replace(['\n', '\r', '\t'], " ")).into_owned()
}

/// Shortens a text to this many columns.
fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let mut columns = 1;
    let fits = |c: &char| {
        columns += c.width().unwrap_or(0);
        columns <= most
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// Breaks a text into lines of this many columns, between words. A longer word has a line of its own.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_are_aligned_right() {
        let mut table = Table::new(&[("ITEM", Align::Left), ("ON HAND", Align::Right), ("STATE", Align::Left)]);
        table.row(["cola", "12", "normal"].map(String::from)).toned("STATE", Tone::Good);
        table.row(["water-still", "-3.5", "oversold"].map(String::from)).toned("STATE", Tone::Bad);
        assert_eq!(
            table.render(false),
            "ITEM         ON HAND  STATE\ncola              12  normal\nwater-still     -3.5  oversold\n"
        );
        assert!(table.render(true).contains("\u{1b}[31moversold\u{1b}[0m"));
    }

    #[test]
    fn a_cell_neither_breaks_the_line_nor_steers_the_terminal() {
        let mut table = Table::new(&[("NOTE", Align::Left)]);
        table.row(["a\n\u{1b}[2Jb".to_owned()]).remark("c\r\u{9b}d").row(["é".repeat(100)]);
        let text = table.render(false);
        assert_eq!(text.lines().count(), 4);
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\r']) && text.contains('…'));
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

    #[test]
    fn a_table_fits_eighty_columns_and_keeps_its_ids_whole() {
        let columns = [
            ("ITEM", Align::Id),
            ("NAME", Align::Flexible(8)),
            ("LOCATION", Align::Flexible(12)),
            ("ON HAND", Align::Right),
            ("NEVER", Align::Left),
        ];
        let mut table = Table::new(&columns).sparse(&["NEVER"]);
        let (sku, note) = ("s".repeat(64), "word ".repeat(40));
        table.row([&sku, &"n".repeat(200), &"l".repeat(32), "9999999.999", ""].map(str::to_owned)).remark(&note);
        table.row(["cola", "Cola", "main", "1", ""].map(str::to_owned));
        let text = table.render(false);
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        assert!(text.contains(&format!("\n{sku}\n")) && !text.contains("NEVER"), "{text}");
        assert_eq!(text.matches("word").count(), 40, "a remark is shown whole: {text}");
    }
}
