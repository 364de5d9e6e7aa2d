//! The ledger of one level: chunks in order of seq, then the tail.

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use stockline_core::domain::{Entry, Level, Quantity, Timestamp, decode_entries};

/// Which level, by numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) item_no: i64,
    pub(super) location_no: i64,
}

/// The last chunk whose first entry has a seq of at most `seq`: that seq, when it was recorded, and the bytes.
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

/// The chunk that begins last among those that begin at or before `at`. `recorded_at` never falls along a ledger,
/// so it is found by halving.
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

/// Entries from the newest back; what the tail and a chunk both hold comes once.
#[derive(Debug)]
pub(super) struct Backwards {
    place: Place,
    /// Oldest first; taken from the end.
    piece: Vec<Entry>,
    /// Everything from this seq on has been taken or is in `piece`.
    before_seq: i64,
}

impl Backwards {
    /// From the entry before this seq on.
    pub(super) fn before_seq(place: Place, level: &Level, seq: u64) -> Self {
        let mut walk = Self { place, piece: Vec::new(), before_seq: i64::MAX };
        walk.take_piece(level.tail.clone());
        walk.piece.retain(|entry| entry.seq < seq);
        walk.before_seq = walk.before_seq.min(seq.cast_signed());
        walk
    }

    /// From the last entry recorded at or before this time on.
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

    /// The next one, left in its place.
    pub(super) fn peek(&mut self, connection: &Connection) -> Result<Option<&Entry>, Fault> {
        if self.piece.is_empty() && self.before_seq > 1 {
            match chunk_at(connection, self.place, self.before_seq - 1)? {
                Some(piece) => self.take_piece(piece),
                None => self.before_seq = 0,
            }
        }
        Ok(self.piece.last())
    }

    /// Takes what [`Backwards::peek`] showed.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.piece.pop()
    }
}

/// Entries before the tail that were recorded after `since`, oldest first; `false` where there are more than `max`.
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

/// The balance after the last entry recorded at or before `at`, and its seq; `None` where there is none so early.
pub(super) fn as_of(
    connection: &Connection,
    place: Place,
    level: &Level,
    at: Timestamp,
) -> Result<Option<(Quantity, u64)>, Fault> {
    let mut walk = Backwards::from_time(connection, place, level, at)?;
    Ok(walk.peek(connection)?.map(|entry| (entry.after, entry.seq)))
}
