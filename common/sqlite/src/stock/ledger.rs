//! The ledger of one level: chunks in order of seq, then the tail.

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use stockline_core::domain::{Entry, Level, Quantity, Timestamp, decode_entries};

/// The numbers that name a level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) item_no: i64,
    pub(super) location_no: i64,
}

/// Reads the last chunk that begins at or before `seq`.
fn chunk_at(connection: &Connection, place: Place, seq: i64) -> Result<Option<Vec<Entry>>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT entries FROM chunk WHERE item_no = ?1 AND location_no = ?2 AND first_seq <= ?3 \
         ORDER BY first_seq DESC LIMIT 1",
    )?;
    let mut rows = statement.query((place.item_no, place.location_no, seq))?;
    match rows.next()? {
        Some(row) => Ok(Some(decode_entries(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?)),
        None => Ok(None),
    }
}

/// Finds the first seq of the last chunk that begins at or before `at`. `recorded_at` never decreases along a ledger,
/// so a binary search finds it.
fn chunk_of_time(connection: &Connection, place: Place, last_seq: i64, at: Timestamp) -> Result<Option<i64>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT first_seq, first_recorded_at FROM chunk \
         WHERE item_no = ?1 AND location_no = ?2 AND first_seq <= ?3 ORDER BY first_seq DESC LIMIT 1",
    )?;
    let (mut low, mut high, mut best) = (1, last_seq, None);
    while low <= high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> = statement
            .query_row((place.item_no, place.location_no, middle), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((first_seq, recorded_at)) if recorded_at > at.as_millis() => high = first_seq - 1,
            Some((first_seq, _)) => {
                best = Some(first_seq);
                low = middle + 1;
            }
            None => low = middle + 1,
        }
    }
    Ok(best)
}

/// A walk over entries from the newest back. An entry that is in the tail and in a chunk appears once.
#[derive(Debug)]
pub(super) struct Backwards {
    place: Place,
    /// The buffered entries, oldest first; they are taken from the end.
    piece: Vec<Entry>,
    /// Every entry from this seq on was taken or is in `piece`.
    before_seq: i64,
}

impl Backwards {
    /// Walks from the entry before this seq.
    pub(super) fn before_seq(place: Place, level: &Level, seq: u64) -> Self {
        let mut walk = Self { place, piece: Vec::new(), before_seq: i64::MAX };
        walk.take_piece(level.tail.clone());
        walk.piece.retain(|entry| entry.seq < seq);
        walk.before_seq = walk.before_seq.min(seq.cast_signed());
        walk
    }

    /// Walks from the last entry recorded at or before this time.
    pub(super) fn from_time(
        connection: &Connection,
        place: Place,
        level: &Level,
        at: Timestamp,
    ) -> Result<Self, Fault> {
        let mut walk = Self { place, piece: Vec::new(), before_seq: i64::MAX };
        if level.tail.first().is_some_and(|first| first.recorded_at <= at) {
            walk.take_piece(level.tail.clone());
        } else {
            match chunk_of_time(connection, place, level.seq.cast_signed(), at)? {
                Some(first_seq) => walk.take_piece(chunk_at(connection, place, first_seq)?.unwrap_or_default()),
                None => walk.before_seq = 0,
            }
        }
        walk.piece.retain(|entry| entry.recorded_at <= at);
        Ok(walk)
    }

    fn take_piece(&mut self, mut piece: Vec<Entry>) {
        piece.retain(|entry| entry.seq.cast_signed() < self.before_seq);
        if let Some(first) = piece.first() {
            self.before_seq = first.seq.cast_signed();
        }
        self.piece = piece;
    }

    /// Returns the next entry without taking it.
    pub(super) fn peek(&mut self, connection: &Connection) -> Result<Option<&Entry>, Fault> {
        if self.piece.is_empty() && self.before_seq > 1 {
            match chunk_at(connection, self.place, self.before_seq - 1)? {
                Some(piece) => self.take_piece(piece),
                None => self.before_seq = 0,
            }
        }
        Ok(self.piece.last())
    }

    /// Takes the entry that [`Backwards::peek`] returned.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.piece.pop()
    }
}

/// Reads the entries before the tail that were recorded after `since`, oldest first. Returns at most the `max` newest,
/// and whether these are all.
pub(super) fn history_since(
    connection: &Connection,
    place: Place,
    level: &Level,
    since: Timestamp,
    max: usize,
) -> Result<(Vec<Entry>, bool), Fault> {
    let tail_begins = level.tail.first().map_or(level.seq + 1, |first| first.seq);
    let mut walk = Backwards::before_seq(place, &Level { tail: Vec::new(), ..level.clone() }, tail_begins);
    let mut history = Vec::new();
    let mut complete = true;
    while let Some(entry) = walk.peek(connection)? {
        if entry.recorded_at <= since {
            break;
        }
        if history.len() == max {
            complete = false;
            break;
        }
        history.extend(walk.pop());
    }
    history.reverse();
    Ok((history, complete))
}

/// Returns the balance after the last entry recorded at or before `at`, with its seq; `None` if there is no such entry.
pub(super) fn as_of(
    connection: &Connection,
    place: Place,
    level: &Level,
    at: Timestamp,
) -> Result<Option<(Quantity, u64)>, Fault> {
    let mut walk = Backwards::from_time(connection, place, level, at)?;
    Ok(walk.peek(connection)?.map(|entry| (entry.after, entry.seq)))
}
