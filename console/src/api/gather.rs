//! Lists that are read on until a screen is full. A page of the API is bounded in work, so it may be short or empty and still
//! have a cursor: one page alone would say that nothing is there.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{Caller, CommandPage, CommandStatus, Item, ItemPage, Level, LevelPage, Movement, MovementPage, segment};
use crate::fault::Fault;

/// How long a list is read on for one screen. After this time no further page is begun.
pub(crate) const GATHER_S: u64 = 1;

/// A page of a list of the API.
pub(crate) trait ListPage: DeserializeOwned {
    type Entry;

    /// Returns its entries, and the cursor of the next page.
    fn into_parts(self) -> (Vec<Self::Entry>, Option<String>);
}

impl ListPage for ItemPage {
    type Entry = Item;

    fn into_parts(self) -> (Vec<Item>, Option<String>) {
        (self.items, self.next_cursor)
    }
}

impl ListPage for LevelPage {
    type Entry = Level;

    fn into_parts(self) -> (Vec<Level>, Option<String>) {
        (self.levels, self.next_cursor)
    }
}

impl ListPage for CommandPage {
    type Entry = CommandStatus;

    fn into_parts(self) -> (Vec<CommandStatus>, Option<String>) {
        (self.commands, self.next_cursor)
    }
}

impl ListPage for MovementPage {
    type Entry = Movement;

    fn into_parts(self) -> (Vec<Movement>, Option<String>) {
        (self.movements, self.next_cursor)
    }
}

/// What fills a screen.
#[derive(Debug)]
pub(crate) struct Gathered<T> {
    pub(crate) rows: Vec<T>,
    /// Where the list goes on; `None` at its end.
    pub(crate) next: Option<String>,
    /// Whether the time was over before the screen was full.
    pub(crate) is_cut: bool,
}

impl Caller {
    /// Reads a list from `cursor` on (empty for its begin), until there are `most` rows, the list ends, or [`GATHER_S`] are
    /// over. `filters` are written as `&name=value`. Each page becomes rows before the next one is read, so one page is in
    /// memory at a time.
    pub(crate) async fn gather<P: ListPage, T>(
        &self,
        list: &str,
        filters: &str,
        cursor: &str,
        most: usize,
        row: impl Fn(&P::Entry) -> T,
    ) -> Result<Gathered<T>, Fault> {
        let until = Instant::now() + Duration::from_secs(GATHER_S);
        let mut rows = Vec::new();
        let mut from = cursor.to_owned();
        loop {
            let left = most.saturating_sub(rows.len());
            let cursor = if from.is_empty() { String::new() } else { format!("&cursor={}", segment(&from)) };
            let (entries, next) = self.get::<P>(&format!("{list}?limit={left}{filters}{cursor}")).await?.into_parts();
            rows.extend(entries.iter().map(&row));
            let is_cut = next.is_some() && rows.len() < most;
            match next {
                Some(next) if is_cut && Instant::now() < until => from = next,
                next => return Ok(Gathered { rows, next, is_cut }),
            }
        }
    }
}
