use std::cmp::Reverse;

use super::fault::Fault;
use super::ledger::{Backwards, Place};
use super::load;
use super::readers::{View, parts};
use stockline_core::domain::{ItemId, LocationId, Timestamp};
use stockline_core::ports::cursor;
use stockline_core::ports::{Movement, MovementFilter, Page};

/// How many entries one page reads, matching or not, before it ends early with a cursor.
const ENTRIES_PER_PAGE_MAX: usize = 50_000;

const LIST: &str = "movements";

/// The last movement of a page: its time, seq and location. It stays valid when entries move from the tail into a
/// chunk.
type After = (i64, u64, LocationId);

/// The rank of an entry: its time, seq and the index of its location. The greatest comes first.
type Newness = (Timestamp, u64, Reverse<usize>);

/// Lists movements of an item over all its levels, newest recorded first.
pub(super) fn movements(
    view: &mut View<'_>,
    item_id: &ItemId,
    filter: &MovementFilter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Movement>, Fault> {
    let limit = cursor::clamp(limit);
    let after: Option<After> = cursor::decode(LIST, cursor);
    let mut walks = walks(view, item_id, filter, after.as_ref())?;
    let (connection, _) = parts(view);
    let (mut entries, mut last) = (Vec::new(), None);
    for _ in 0..ENTRIES_PER_PAGE_MAX {
        let mut newest: Option<(Newness, usize)> = None;
        for (at, (_, walk)) in walks.iter_mut().enumerate() {
            if let Some(entry) = walk.peek(connection)? {
                let key = (entry.recorded_at, entry.seq, Reverse(at));
                if newest.is_none_or(|(found, _)| key > found) {
                    newest = Some((key, at));
                }
            }
        }
        let Some(((recorded_at, _, _), at)) = newest else {
            return Ok(Page { entries, next_cursor: None });
        };
        if filter.from.is_some_and(|from| recorded_at < from) {
            return Ok(Page { entries, next_cursor: None });
        }
        if entries.len() == limit {
            break;
        }
        let (location_id, walk) = &mut walks[at];
        if let Some(entry) = walk.pop() {
            last = Some((entry.recorded_at.as_millis(), entry.seq, location_id.clone()));
            if filter.kind.is_none_or(|kind| entry.kind.command_kind() == kind) {
                entries.push(Movement { location_id: location_id.clone(), entry });
            }
        }
    }
    Ok(cursor::page_until(LIST, entries, last))
}

/// Starts a walk for each level, by location, behind the cursor.
fn walks(
    view: &mut View<'_>,
    item_id: &ItemId,
    filter: &MovementFilter,
    after: Option<&After>,
) -> Result<Vec<(LocationId, Backwards)>, Fault> {
    let (connection, names) = parts(view);
    let Some((item_no, _)) = super::rows::find_item(connection, item_id)? else {
        load::is_no_item(connection, item_id)?;
        return Ok(Vec::new());
    };
    let latest = filter.to.map(|to| to.plus_millis(-1));
    let latest = match (after, latest) {
        (Some((recorded_at, ..)), Some(latest)) => latest.min(Timestamp::from_millis(*recorded_at)),
        (Some((recorded_at, ..)), None) => Timestamp::from_millis(*recorded_at),
        (None, Some(latest)) => latest,
        (None, None) => Timestamp::from_millis(i64::MAX),
    };
    if filter.to == Some(Timestamp::EPOCH) {
        return Ok(Vec::new());
    }
    let mut walks = Vec::new();
    for level in load::levels(connection, names, item_id, item_no)? {
        if filter.location_id.as_ref().is_some_and(|only| *only != level.location_id) {
            continue;
        }
        let Some(location_no) = names.no(connection, &level.location_id)? else {
            continue;
        };
        let place = Place { item_no, location_no, item_id: item_id.clone(), location_id: level.location_id.clone() };
        let mut walk = Backwards::from_time(connection, place, &level, latest)?;
        if let Some((recorded_at, seq, location_id)) = after {
            // Earlier pages showed some of the entries recorded at the cursor's own time.
            while let Some(entry) = walk.peek(connection)? {
                let place = (entry.recorded_at.as_millis(), entry.seq, Reverse(&level.location_id));
                if place < (*recorded_at, *seq, Reverse(location_id)) {
                    break;
                }
                walk.pop();
            }
        }
        walks.push((level.location_id, walk));
    }
    Ok(walks)
}
