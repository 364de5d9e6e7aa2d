//! Lists that follow an index: keys in order, over all partitions of the index; then the rows that they name, in
//! batches; then what the filter keeps of them. An index may lag behind its rows, so the rows decide.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::future::Future;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::DynamoStore;
use super::call::NextKey;
use super::merge::{Merge, Source};
use super::row::Row;
use super::table::{Index, PK, SK};
use stockline_core::ports::cursor;
use stockline_core::ports::{PAGE_LEVELS_MAX, Page, StoreError};

/// How many rows one page looks at, whether they match or not; then it ends early and says where to go on.
const SPOTS_PER_PAGE_MAX: usize = 5_000;

/// The fewest rows that are looked at together.
const SPOTS_AT_ONCE_MIN: usize = 25;

/// The most keys of one read of one partition.
const KEYS_PER_READ_MAX: usize = 1_000;

/// The longest sort key that DynamoDB takes, in bytes.
pub(super) const SORT_KEY_BYTES_MAX: usize = 1_024;

/// The table by itself, in the form of an index.
pub(super) const TABLE: Index = Index { name: "", partition: PK, sort: SK };

/// Where something stands in a list: by sort key, then by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) sort: String,
    pub(super) partition: String,
}

impl Place {
    /// Where the last page of this list ended.
    pub(super) fn of_cursor(list: &str, cursor: Option<&str>) -> Option<Self> {
        cursor::decode::<Self>(list, cursor).filter(|place| (1..=SORT_KEY_BYTES_MAX).contains(&place.sort.len()))
    }
}

/// What an index holds of a row (of the table itself: the row).
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) row: Row,
}

/// Which way a list goes along the sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// A range of sort keys, both ends included; `None` is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

impl Range {
    /// What of it is at the place or behind it.
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

    /// DynamoDB refuses a range whose ends are the wrong way round.
    fn is_empty(&self) -> bool {
        matches!((&self.from, &self.to), (Some(from), Some(to)) if from > to)
    }

    /// As a condition beside that of the partition, with its values.
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

/// What one page of a list reads.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// An index, or [`TABLE`].
    pub(super) index: Index,
    pub(super) range: Range,
    pub(super) order: Order,
    /// How many entries are wanted.
    pub(super) limit: usize,
    /// How many rows are looked at, about.
    pub(super) look_at: usize,
    /// How many levels the entries of a page have together; the first may have more by itself.
    pub(super) levels_max: usize,
}

impl Scope {
    /// The part of an index that is in `range` and at `after` or behind it.
    pub(super) fn new(index: Index, range: Range, order: Order, after: Option<&Place>, limit: usize) -> Self {
        let range = range.beginning(after, order);
        Self {
            index,
            range,
            order,
            limit: cursor::clamp(limit),
            look_at: SPOTS_PER_PAGE_MAX,
            levels_max: PAGE_LEVELS_MAX,
        }
    }
}

/// Keys of some partitions, one partition after the other.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    store: &'a DynamoStore,
    scope: Scope,
    keys_per_read: usize,
    /// Those not read to their end.
    partitions: VecDeque<String>,
    next: Option<NextKey>,
    in_hand: VecDeque<Spot>,
}

impl<'a> Walk<'a> {
    /// Through partitions that follow each other in the list's order.
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

    /// Through partitions side by side.
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

/// In a list all ranks are of one kind.
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

/// What a list makes of what an index holds.
pub(super) trait Listing: Sync {
    /// The list's name in cursors.
    const LIST: &'static str;
    /// The most rows that are looked at together.
    const SPOTS_AT_ONCE_MAX: usize = KEYS_PER_READ_MAX;
    /// What it is a list of.
    type Entry: Send;

    /// Reads what stands at these spots and keeps what matches, each with its place, in the order of the spots.
    fn read(&self, spots: Vec<Spot>) -> impl Future<Output = Result<Vec<(Place, Self::Entry)>, StoreError>> + Send;

    /// How many levels an entry brings along.
    fn levels(_entry: &Self::Entry) -> usize {
        0
    }

    /// The last place that belongs to a spot.
    fn end(spot: &Spot) -> Place {
        spot.place.clone()
    }
}

/// One page of a list, behind `after`.
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
    let (mut found, mut looked_at, mut ended) = (Vec::new(), 0, Some(Place::default()));
    let levels = |found: &[(Place, L::Entry)]| found.iter().map(|(_, entry)| L::levels(entry)).sum::<usize>();
    while found.len() <= limit && looked_at < scope.look_at && ended.is_some() && levels(&found) <= scope.levels_max {
        // Where few match, each batch is as large as all before it.
        let wanted = (limit + 1 - found.len()).max(looked_at).max(SPOTS_AT_ONCE_MIN).min(L::SPOTS_AT_ONCE_MAX);
        let batch = spots.take(wanted).await?;
        // Fewer than wanted are the last.
        ended = batch.last().filter(|_| batch.len() == wanted).map(L::end);
        looked_at += batch.len();
        found.extend(listing.read(batch).await?.into_iter().filter(|(place, _)| behind(place)));
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
