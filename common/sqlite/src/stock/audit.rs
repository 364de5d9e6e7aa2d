use super::fault::Fault;
use super::load;
use super::readers::{View, parts};
use super::sealed;
use stockline_core::domain::{Entry, ItemId, LocationId};
use stockline_core::ports::LedgerPage;

/// Reads the ledger of one level in whole pieces as they are stored. A page ends with the chunk that reaches `limit`,
/// and the last page has the tail.
pub(super) fn ledger(
    view: &mut View<'_>,
    item_id: &ItemId,
    location_id: &LocationId,
    from_seq: u64,
    limit: usize,
) -> Result<LedgerPage, Fault> {
    let nothing = LedgerPage { entries: Vec::new(), next_seq: None };
    let (connection, names) = parts(view);
    let (Some((item_no, _)), Some(location_no)) =
        (super::rows::find_item(connection, item_id)?, names.no(connection, location_id)?)
    else {
        return Ok(nothing);
    };
    let mut entries: Vec<Entry> = Vec::new();
    // The first piece may begin before `from_seq`.
    let mut statement = connection.prepare_cached(
        "SELECT first_seq, entries FROM chunk WHERE item_no = ?1 AND location_no = ?2 AND first_seq >= coalesce( \
         (SELECT max(first_seq) FROM chunk WHERE item_no = ?1 AND location_no = ?2 AND first_seq <= ?3), 0) \
         ORDER BY first_seq",
    )?;
    let mut rows = statement.query((item_no, location_no, from_seq.cast_signed()))?;
    while let Some(row) = rows.next()? {
        let first_seq = row.get::<_, i64>(0)?.cast_unsigned();
        if entries.len() >= limit.max(1) {
            return Ok(LedgerPage { entries, next_seq: Some(first_seq) });
        }
        let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let piece = sealed::read_chunk(item_id, location_id, first_seq, bytes)?;
        entries.extend(piece.into_iter().filter(|entry| first_seq >= from_seq || entry.seq >= from_seq));
    }
    let tail =
        load::levels(connection, names, item_id, item_no)?.into_iter().find(|level| level.location_id == *location_id);
    entries.extend(tail.into_iter().flat_map(|level| level.tail).filter(|entry| entry.seq >= from_seq));
    Ok(LedgerPage { entries, next_seq: None })
}
