use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::command_lists;
use super::fault::Fault;
use super::ledger::{Backwards, Place};
use super::load;
use super::readers::{View, parts};
use stockline_core::domain::{Entry, ItemId, LocationId, Timestamp};
use stockline_core::ports::cursor;
use stockline_core::ports::{Movement, MovementFilter, Page};

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
    let after: Option<After> = cursor::decode(LIST, cursor)?;
    let (item_no, mut walks) = walks(view, item_id, filter, after.as_ref())?;
    // Every page looks for its place in each ledger, so the budget begins behind that.
    let mut budget = view.page_budget();
    let (connection, names) = parts(view);
    let mut heads = BinaryHeap::with_capacity(walks.len());
    for (at, (_, walk)) in walks.iter_mut().enumerate() {
        heads.extend(walk.peek(connection)?.map(|entry| newness(entry, at)));
    }
    let (mut entries, mut last) = (Vec::new(), None);
    while let Some((recorded_at, _, Reverse(at))) = heads.pop() {
        if filter.from.is_some_and(|from| recorded_at < from) {
            break;
        }
        if entries.len() == limit || budget.is_spent() {
            command_lists::find_reversed(connection, names, item_no, &mut entries)?;
            return Ok(cursor::page_until(LIST, entries, last));
        }
        let (location_id, walk) = &mut walks[at];
        if let Some(entry) = walk.pop() {
            budget.spend(1);
            last = Some((entry.recorded_at.as_millis(), entry.seq, location_id.clone()));
            if filter.keeps(&entry) {
                let (item_id, location_id) = (item_id.clone(), location_id.clone());
                entries.push(Movement { item_id, location_id, entry, reversed_by: None });
            }
        }
        heads.extend(walk.peek(connection)?.map(|entry| newness(entry, at)));
    }
    command_lists::find_reversed(connection, names, item_no, &mut entries)?;
    Ok(Page { entries, next_cursor: None })
}

const fn newness(entry: &Entry, at: usize) -> Newness {
    (entry.recorded_at, entry.seq, Reverse(at))
}

/// Returns the item's number, and a walk for each level, by location, behind the cursor.
fn walks(
    view: &mut View<'_>,
    item_id: &ItemId,
    filter: &MovementFilter,
    after: Option<&After>,
) -> Result<(i64, Vec<(LocationId, Backwards)>), Fault> {
    let (connection, names) = parts(view);
    let Some((item_no, _)) = super::rows::find_item(connection, item_id)? else {
        load::is_no_item(connection, item_id)?;
        return Ok((0, Vec::new()));
    };
    let latest = filter.to.map(|to| to.plus_millis(-1));
    let latest = match (after, latest) {
        (Some((recorded_at, ..)), Some(latest)) => latest.min(Timestamp::from_millis(*recorded_at)),
        (Some((recorded_at, ..)), None) => Timestamp::from_millis(*recorded_at),
        (None, Some(latest)) => latest,
        (None, None) => Timestamp::from_millis(i64::MAX),
    };
    if filter.to == Some(Timestamp::EPOCH) {
        return Ok((item_no, Vec::new()));
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
    Ok((item_no, walks))
}
