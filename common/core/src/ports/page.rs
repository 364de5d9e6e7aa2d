//! Pages of lists, and what bounds them.

/// The most levels and overrides in a page of items, unless its first item alone has more. An item of a chain has a level at
/// each of its locations, and a page is built in memory.
pub const PAGE_LEVELS_MAX: usize = 10_000;

/// The most rows that one page examines, whether they match its filter or not, before it ends early with a cursor.
pub const PAGE_ROWS_MAX: usize = 20_000;

/// A page of a list, with the cursor of the next page. Cursors are opaque texts of the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries in the list's order. There may be none, though a later page has some.
    pub entries: Vec<T>,
    /// The cursor of the next page; only `None` means the end.
    pub next_cursor: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The cursor of the page before; `None` asks for the first page.
    pub cursor: Option<&'a str>,
    /// The most entries wanted; the store clamps it to its bounds.
    pub limit: usize,
}

impl<'a> PageRequest<'a> {
    /// Asks for the page behind `cursor`, or for the first.
    pub fn new(cursor: Option<&'a str>, limit: usize) -> Self {
        Self { cursor, limit }
    }

    /// Asks for the first page.
    pub fn first(limit: usize) -> Self {
        Self { cursor: None, limit }
    }
}
