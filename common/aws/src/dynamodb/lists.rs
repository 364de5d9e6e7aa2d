//! Lists that follow an index: the keys in order over all partitions of the index, then the rows in batches, then the
//! filter. An index may lag behind its rows, so the rows decide.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::future::Future;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::call::NextKey;
use super::merge::{Merge, Source};
use super::row::Row;
use super::table::{Index, PK, SK};
use super::{DynamoOptions, DynamoStore};
use stockline_core::ports::cursor::{self, CursorError};
use stockline_core::ports::{Page, StoreError};

/// The fewest entries of the index in one batch.
const SPOTS_AT_ONCE_MIN: usize = 25;

/// The most keys of one read of one partition.
const KEYS_PER_READ_MAX: usize = 1_000;

/// The longest sort key that DynamoDB allows, in bytes.
pub(super) const SORT_KEY_BYTES_MAX: usize = 1_024;

/// The table itself, in the form of an index.
pub(super) const TABLE: Index = Index::of_keys("", PK, SK);

/// A place in a list: by sort key, then by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) sort: String,
    pub(super) partition: String,
}

impl Place {
    /// Reads the end of the last page from this list's cursor.
    pub(super) fn of_cursor(list: &str, cursor: Option<&str>) -> Result<Option<Self>, CursorError> {
        let place: Option<Self> = cursor::decode(list, cursor)?;
        match place {
            Some(place) if !(1..=SORT_KEY_BYTES_MAX).contains(&place.sort.len()) => Err(CursorError),
            place => Ok(place),
        }
    }
}

/// An entry of an index; for the table itself, the whole row.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) row: Row,
}

/// The direction of a list along the sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// A range of sort keys with both ends included; `None` is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

impl Range {
    /// Returns the part of the range at the place or behind it.
    fn beginning(mut self, at: Option<&Place>, order: Order) -> Self {
        let Some(at) = at.map(|place| place.sort.clone()) else {
            return self;
        };
        match order {
            Order::Ascending => self.from = self.from.max(Some(at)),
            Order::Descending => self.to = Some(self.to.map_or(at.clone(), |to| to.min(at))),
        }
        self
    }

    /// Returns whether the range is empty. DynamoDB refuses a query of an empty range.
    fn is_empty(&self) -> bool {
        matches!((&self.from, &self.to), (Some(from), Some(to)) if from > to)
    }

    /// Returns the condition on the sort key, with its values.
    fn condition(&self, sort: &str) -> (String, Vec<(&'static str, AttributeValue)>) {
        let from = || self.from.clone().map(|from| (":from", AttributeValue::S(from)));
        let to = || self.to.clone().map(|to| (":to", AttributeValue::S(to)));
        let condition = match (&self.from, &self.to) {
            (None, None) => String::new(),
            (Some(_), None) => format!(" AND #{sort} >= :from"),
            (None, Some(_)) => format!(" AND #{sort} <= :to"),
            (Some(_), Some(_)) => format!(" AND #{sort} BETWEEN :from AND :to"),
        };
        (condition, from().into_iter().chain(to()).collect())
    }
}

/// The scope of one page of a list.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// An index, or [`TABLE`].
    pub(super) index: Index,
    pub(super) range: Range,
    pub(super) order: Order,
    /// The most entries of the page.
    pub(super) limit: usize,
    /// About how many rows the page reads, matching or not, before it ends early with a cursor.
    pub(super) look_at: usize,
    /// The most levels in all entries of the page. The first entry alone may have more.
    pub(super) levels_max: usize,
}

impl Scope {
    /// Returns the part of an index in `range` at `after` or behind it.
    pub(super) fn new(
        store: &DynamoStore,
        index: Index,
        range: Range,
        order: Order,
        after: Option<&Place>,
        limit: usize,
    ) -> Self {
        let range = range.beginning(after, order);
        let DynamoOptions { page_rows_max: look_at, page_levels_max: levels_max, .. } = store.options;
        Self { index, range, order, limit: cursor::clamp(limit), look_at, levels_max }
    }
}

/// What the rows of some entries of an index were.
pub(super) struct Looked<E> {
    /// The matching entries with their places, in the order of the index.
    pub(super) found: Vec<(Place, E)>,
    /// The rows read, matching or not.
    pub(super) rows: usize,
}

/// The keys of some partitions, one partition after the other.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    store: &'a DynamoStore,
    scope: Scope,
    keys_per_read: usize,
    /// The partitions that are not read to their end.
    partitions: VecDeque<String>,
    next: Option<NextKey>,
    in_hand: VecDeque<Spot>,
}

impl<'a> Walk<'a> {
    /// Walks partitions that follow each other in the list's order.
    pub(super) fn along(
        store: &'a DynamoStore,
        scope: &Scope,
        partitions: impl IntoIterator<Item = String>,
        keys_per_read: usize,
    ) -> Self {
        let scope = scope.clone();
        let partitions = if scope.range.is_empty() { VecDeque::new() } else { partitions.into_iter().collect() };
        Self { store, scope, keys_per_read, partitions, next: None, in_hand: VecDeque::new() }
    }

    /// Walks partitions side by side.
    pub(super) fn merged(
        store: &'a DynamoStore,
        scope: &Scope,
        partitions: impl IntoIterator<Item = String>,
    ) -> Merge<Self> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        let share = scope.limit / partitions.len().max(1) + SPOTS_AT_ONCE_MIN;
        let keys_per_read = share.min(KEYS_PER_READ_MAX);
        Merge::new(partitions.into_iter().map(|one| Self::along(store, scope, [one], keys_per_read)).collect())
    }

    fn spot(&self, partition: &str, row: Row) -> Result<Spot, StoreError> {
        let Index { name, sort, .. } = self.scope.index;
        match row.get(sort) {
            Some(AttributeValue::S(sort)) => {
                Ok(Spot { place: Place { sort: sort.clone(), partition: partition.to_owned() }, row })
            }
            _ => Err(StoreError::Unreadable(format!("index {name:?}: a row of {partition} has no {sort}"))),
        }
    }
}

/// The rank of a place. All ranks of a list are of one kind.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank<'a> {
    Ascending(Reverse<&'a Place>),
    Descending(&'a Place),
}

impl Source for Walk<'_> {
    type Rank<'a>
        = Rank<'a>
    where
        Self: 'a;
    type Entry = Spot;

    fn head(&self) -> Option<Rank<'_>> {
        let place = &self.in_hand.front()?.place;
        Some(match self.scope.order {
            Order::Ascending => Rank::Ascending(Reverse(place)),
            Order::Descending => Rank::Descending(place),
        })
    }

    fn is_dry(&self) -> bool {
        self.in_hand.is_empty() && !self.partitions.is_empty()
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        let Some(partition) = self.partitions.front().cloned() else {
            return Ok(());
        };
        let Scope { index, range, order, .. } = &self.scope;
        let (condition, mut values) = range.condition(index.sort);
        values.push((":partition", AttributeValue::S(partition.clone())));
        let query = self
            .store
            .query(&format!("#{} = :partition{condition}", index.partition), &values)
            .set_index_name((*index != TABLE).then(|| index.name.to_owned()))
            .scan_index_forward(*order == Order::Ascending)
            .limit(i32::try_from(self.keys_per_read).unwrap_or(i32::MAX));
        let page = self.store.page(query, self.next.take()).await?;
        self.next = page.next;
        if self.next.is_none() {
            self.partitions.pop_front();
        }
        for row in page.rows {
            let spot = self.spot(&partition, row)?;
            self.in_hand.push_back(spot);
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Spot> {
        self.in_hand.pop_front()
    }
}

/// Turns the entries of an index into the entries of a list.
pub(super) trait Listing: Sync {
    /// The list's name in cursors.
    const LIST: &'static str;
    /// The most rows in one batch.
    const SPOTS_AT_ONCE_MAX: usize = KEYS_PER_READ_MAX;
    /// The entries of the list.
    type Entry: Send;

    /// Reads the rows of these spots and keeps the matching entries.
    fn read(&self, spots: Vec<Spot>) -> impl Future<Output = Result<Looked<Self::Entry>, StoreError>> + Send;

    /// Returns how many levels an entry has.
    fn levels(_entry: &Self::Entry) -> usize {
        0
    }

    /// Returns the last place that belongs to a spot.
    fn end(spot: &Spot) -> Place {
        spot.place.clone()
    }
}

/// Reads one page of a list, behind `after`.
pub(super) async fn page<L: Listing>(
    listing: &L,
    spots: &mut Merge<Walk<'_>>,
    scope: &Scope,
    after: Option<&Place>,
) -> Result<Page<L::Entry>, StoreError> {
    let limit = scope.limit;
    let behind = |place: &Place| match (after, scope.order) {
        (None, _) => true,
        (Some(after), Order::Ascending) => place > after,
        (Some(after), Order::Descending) => place < after,
    };
    let (mut found, mut looked_at, mut rows, mut ended) = (Vec::new(), 0, 0, Some(Place::default()));
    let levels = |found: &[(Place, L::Entry)]| found.iter().map(|(_, entry)| L::levels(entry)).sum::<usize>();
    while found.len() <= limit && rows < scope.look_at && ended.is_some() && levels(&found) <= scope.levels_max {
        // If few rows match, each batch is as large as all before it, as far as the rows that are left allow.
        let rows_each = rows.div_ceil(looked_at.max(1)).max(1);
        let most = ((scope.look_at - rows) / rows_each).clamp(SPOTS_AT_ONCE_MIN, L::SPOTS_AT_ONCE_MAX);
        let wanted = (limit + 1 - found.len()).max(looked_at).clamp(SPOTS_AT_ONCE_MIN, most);
        let batch = spots.take(wanted).await?;
        // A short batch is the last.
        ended = batch.last().filter(|_| batch.len() == wanted).map(L::end);
        looked_at += batch.len();
        let looked = listing.read(batch).await?;
        rows += looked.rows;
        found.extend(looked.found.into_iter().filter(|(place, _)| behind(place)));
    }
    let fits = |count: &usize| levels(&found[..*count]) <= scope.levels_max;
    let limit = (1..=found.len().min(limit)).rev().find(fits).unwrap_or(1).min(limit);
    let whole = if found.len() <= limit && ended.is_some() {
        cursor::page_until(L::LIST, found, ended)
    } else {
        cursor::page(L::LIST, found, limit, |(place, _)| place.clone())
    };
    Ok(Page { entries: whole.entries.into_iter().map(|(_, entry)| entry).collect(), next_cursor: whole.next_cursor })
}
