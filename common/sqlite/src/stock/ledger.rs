//! The ledger of one level: chunks in order of seq, then the tail.

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;
use super::sealed;
use stockline_core::domain::{Entry, ItemId, Level, LocationId, Quantity, Timestamp};

/// The names of a level, and its numbers.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) item_no: i64,
    pub(super) location_no: i64,
    pub(super) item_id: ItemId,
    pub(super) location_id: LocationId,
}

/// Reads the last chunk that begins at or before `seq`.
fn chunk_at(connection: &Connection, place: &Place, seq: i64) -> Result<Option<Vec<Entry>>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT entries, first_seq FROM chunk WHERE item_no = ?1 AND location_no = ?2 AND first_seq <= ?3 \
         ORDER BY first_seq DESC LIMIT 1",
    )?;
    let mut rows = statement.query((place.item_no, place.location_no, seq))?;
    match rows.next()? {
        Some(row) => {
            let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let first_seq = row.get::<_, i64>(1)?.cast_unsigned();
            sealed::read_chunk(&place.item_id, &place.location_id, first_seq, bytes).map(Some)
        }
        None => Ok(None),
    }
}

/// Finds the first seq of the last chunk that begins at or before `at`. `recorded_at` never decreases along a ledger,
/// so a binary search finds it.
fn chunk_of_time(connection: &Connection, place: &Place, last_seq: i64, at: Timestamp) -> Result<Option<i64>, Fault> {
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
            let first_seq = chunk_of_time(connection, &walk.place, level.seq.cast_signed(), at)?;
            let piece = match first_seq {
                Some(first_seq) => chunk_at(connection, &walk.place, first_seq)?.unwrap_or_default(),
                None => Vec::new(),
            };
            walk.is_of_time(connection, level, &piece, at)?;
            if piece.is_empty() {
                walk.before_seq = 0;
            } else {
                walk.take_piece(piece);
            }
        }
        walk.piece.retain(|entry| entry.recorded_at <= at);
        Ok(walk)
    }

    /// Checks that this piece has the last entry recorded at or before `at`; if it is empty, that there is none. The
    /// search looks at times that have no checksum.
    fn is_of_time(&self, connection: &Connection, level: &Level, piece: &[Entry], at: Timestamp) -> Result<(), Fault> {
        let next_seq = piece.last().map_or(1, |last| last.seq + 1);
        let next = match level.tail.first() {
            Some(first) if first.seq == next_seq => Some(first.recorded_at),
            _ if next_seq > level.seq => None,
            _ => {
                let piece = chunk_at(connection, &self.place, next_seq.cast_signed())?.unwrap_or_default();
                Some(piece.first().filter(|first| first.seq == next_seq).map_or(at, |first| first.recorded_at))
            }
        };
        if piece.first().is_none_or(|first| first.recorded_at <= at) && next.is_none_or(|next| next > at) {
            return Ok(());
        }
        let Place { item_id, location_id, .. } = &self.place;
        Err(Fault::Unreadable(format!(
            "the ledger of {item_id} at {location_id} is not in order near entry {next_seq}"
        )))
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
            let last_seq = self.before_seq - 1;
            let piece = chunk_at(connection, &self.place, last_seq)?.unwrap_or_default();
            // A ledger begins with entry 1 and has no gap.
            if piece.last().is_none_or(|last| last.seq.cast_signed() < last_seq) {
                let Place { item_id, location_id, .. } = &self.place;
                let what = format!("the ledger of {item_id} at {location_id}: entry {last_seq} is missing");
                return Err(Fault::Unreadable(what));
            }
            self.take_piece(piece);
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
