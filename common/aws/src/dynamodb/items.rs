//! Reads an item with its levels as of one moment, and lists items by name.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::transact_get_items::builders::TransactGetItemsInputBuilder;
use aws_sdk_dynamodb::types::{Get, TransactGetItem};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::DynamoStore;
use super::call::CALLS_AT_ONCE;
use super::fault::unavailable;
use super::key::{self, ITEM_SK, Key, LEVEL_SK_PREFIX};
use super::lists::{self, Listing, Looked, Order, Place, Range, Scope, Spot, Walk};
use super::row::{self, Row};
use super::table::{BY_NAME, PK, SK};
use stockline_core::domain::{Claim, Item, ItemId, Level, barcode_spellings};
use stockline_core::ports::{ItemFilter, ItemWithLevels, Page, PageRequest, StoreError};

/// The most rows of one `TransactGetItems` (its documented limit).
const TRANSACTION_ROWS_MAX: usize = 100;

/// How often a changing item is read before it counts as unavailable.
const ROUNDS_MAX: usize = 10;

/// The longest prefix of a name that the index search uses, in bytes; a sort key has at most 1,024. A longer prefix is
/// compared with the items found.
const PREFIX_BYTES_MAX: usize = 900;

const LIST: &str = "items";

impl DynamoStore {
    /// Reads the levels of an item, by location.
    pub(super) async fn levels_of(&self, item_id: &ItemId, consistent: bool) -> Result<Vec<Level>, StoreError> {
        let query = self.query_partition(Key::item_pk(item_id), Some(LEVEL_SK_PREFIX)).consistent_read(consistent);
        self.pages(query).await?.iter().map(row::level).collect()
    }

    /// Reads all rows of an item, each as of some moment of the read.
    pub(super) async fn item_rows(&self, item_pk: String) -> Result<Vec<Row>, StoreError> {
        self.pages(self.query_partition(item_pk, None).consistent_read(true)).await
    }

    /// Reads an item with all its levels as of one moment.
    ///
    /// One transaction reads all rows whose keys are known. Then the keys are read again, because a new level may hold
    /// the other half of a transfer.
    pub(super) async fn item_view(&self, item_id: &ItemId) -> Result<Option<ItemWithLevels>, StoreError> {
        let mut keys = self.item_keys(item_id).await?;
        for _ in 0..ROUNDS_MAX {
            if keys.is_empty() {
                return Ok(None);
            }
            let rows = if keys.len() > TRANSACTION_ROWS_MAX { None } else { self.transaction(&keys).await? };
            let Some(rows) = rows else {
                return view(&self.settled_rows(item_id).await?);
            };
            let again = self.item_keys(item_id).await?;
            if again.len() == keys.len() {
                return view(&rows);
            }
            keys = again;
        }
        Err(too_busy(item_id))
    }

    async fn item_keys(&self, item_id: &ItemId) -> Result<Vec<Key>, StoreError> {
        let query = self.query_partition(Key::item_pk(item_id), None).consistent_read(true);
        let rows = self.pages(query.projection_expression(format!("{PK}, {SK}"))).await?;
        Ok(rows.iter().filter_map(Key::of).collect())
    }

    /// Reads rows as of one moment. Returns `None` if a write to any of them cancels the read.
    async fn transaction(&self, keys: &[Key]) -> Result<Option<Vec<Row>>, StoreError> {
        let gets = keys.iter().filter_map(|key| {
            let get = Get::builder().table_name(&self.table).set_key(Some(key.attributes())).build().ok()?;
            Some(TransactGetItem::builder().get(get).build())
        });
        let gets = TransactGetItemsInputBuilder::default().set_transact_items(Some(gets.collect()));
        match self.wire.transact_get_items(gets).await {
            Ok(answer) => Ok(Some(answer.responses.unwrap_or_default().into_iter().filter_map(|r| r.item).collect())),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_transaction_canceled_exception()) => Ok(None),
            Err(error) => Err(unavailable("TransactGetItems", &error)),
        }
    }

    /// Reads all rows of an item as of one moment without a transaction, which can't read too many rows or rows that
    /// are written constantly. It repeats plain reads until the versions prove such a moment.
    async fn settled_rows(&self, item_id: &ItemId) -> Result<Vec<Row>, StoreError> {
        let (mut older, mut old) = (None, self.item_rows(Key::item_pk(item_id)).await?);
        for _ in 1..ROUNDS_MAX {
            let new = self.item_rows(Key::item_pk(item_id)).await?;
            if is_one_moment(older.as_deref(), &old, &new) {
                return Ok(old);
            }
            older = Some(std::mem::replace(&mut old, new));
        }
        Err(too_busy(item_id))
    }
}

fn too_busy(item_id: &ItemId) -> StoreError {
    StoreError::Unavailable(format!("item {item_id} changes faster than all its levels can be read"))
}

/// Builds an item with its levels from all its rows.
pub(super) fn view(rows: &[Row]) -> Result<Option<ItemWithLevels>, StoreError> {
    let (mut item, mut levels) = (None, Vec::new());
    for row in rows {
        match Key::of(row) {
            Some(key) if key.sk == ITEM_SK => item = Some(row::item(row)?),
            _ => levels.push(row::level(row)?),
        }
    }
    levels.sort_unstable_by(|a, b| a.location_id.cmp(&b.location_id));
    Ok(item.map(|item| ItemWithLevels { item, levels }))
}

/// Returns whether the rows of `old` existed together at one moment, from consecutive reads of the same rows.
///
/// Versions only grow, so a row with the same version before and after a moment had it at that moment. Such a moment
/// lies between `old` and `new` if they agree. If `older`, `old` and `new` differ in one row only, it is the moment
/// when `old` read that row.
fn is_one_moment(older: Option<&[Row]>, old: &[Row], new: &[Row]) -> bool {
    let mut changed = changed_rows(old, new);
    if changed.is_empty() {
        return true;
    }
    let Some(older) = older else {
        return false;
    };
    changed.extend(changed_rows(older, old));
    changed.iter().all(|sk| *sk == changed[0])
}

/// Returns the sort keys of the new or changed rows between two reads. Rows are never deleted.
fn changed_rows<'a>(before: &'a [Row], after: &'a [Row]) -> Vec<&'a str> {
    let of = |row: &'a Row| Some((row.get(SK)?.as_s().ok()?.as_str(), row.get(row::VERSION)?.as_n().ok()));
    let versions: HashMap<_, _> = before.iter().filter_map(of).collect();
    let changed = after.iter().filter_map(of).filter(|(sk, version)| versions.get(sk) != Some(version));
    changed.map(|(sk, _)| sk).collect()
}

/// The list of items by name.
struct Items<'a> {
    store: &'a DynamoStore,
    filter: &'a ItemFilter,
    /// The prefix in lower case.
    name_prefix: Option<String>,
}

impl Items<'_> {
    fn keeps(&self, item: &Item) -> bool {
        let Self { filter, name_prefix, .. } = self;
        let name = item.catalogue.name.to_lowercase();
        filter.wants_archived(item.is_archived())
            && name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
            && filter.has_part(&name)
            && filter.barcode.as_ref().is_none_or(|barcode| item.catalogue.barcode(barcode).is_some())
            && filter.is_of(&item.catalogue)
            && filter.updated_since.is_none_or(|since| item.updated_at >= since)
    }

    async fn with_levels(&self, place: Place, item: Item) -> Result<(Place, ItemWithLevels), StoreError> {
        let levels = self.store.levels_of(&item.item_id, false).await?;
        Ok((place, ItemWithLevels { item, levels }))
    }
}

impl Listing for Items<'_> {
    const LIST: &'static str = LIST;
    /// Each item found needs a read of its own, of as many levels as there are locations.
    const SPOTS_AT_ONCE_MAX: usize = 64;
    type Entry = ItemWithLevels;

    fn levels(view: &ItemWithLevels) -> usize {
        view.places()
    }

    async fn read(&self, spots: Vec<Spot>) -> Result<Looked<ItemWithLevels>, StoreError> {
        let found = self.store.get_many(spots.iter().filter_map(|spot| Key::of(&spot.row)), false).await;
        let (rows, mut kept) = (spots.len(), Vec::new());
        for Spot { place, row } in spots {
            let Some(key) = Key::of(&row) else {
                continue;
            };
            if let Some(item) = found.read(&key, row::item)?
                && self.keeps(&item)
            {
                kept.push(self.with_levels(place, item));
            }
        }
        let found: Vec<(Place, ItemWithLevels)> = stream::iter(kept).buffered(CALLS_AT_ONCE).try_collect().await?;
        let rows = rows + found.iter().map(|(_, view)| view.levels.len()).sum::<usize>();
        Ok(Looked { found, rows })
    }
}

impl DynamoStore {
    /// Lists items by lower-cased name, then id.
    pub(super) async fn list_items(
        &self,
        filter: &ItemFilter,
        asked: PageRequest<'_>,
    ) -> Result<Page<ItemWithLevels>, StoreError> {
        let PageRequest { cursor, limit } = asked;
        let listing = Items { store: self, filter, name_prefix: filter.name_prefix.as_ref().map(|p| p.to_lowercase()) };
        let after = Place::of_cursor(LIST, cursor)?;
        if let Some(barcode) = &filter.barcode {
            let entries = self.item_of_barcode(&listing, barcode).await?;
            return Ok(Page { entries, next_cursor: None });
        }
        let range = listing.name_prefix.as_deref().map(names_from).unwrap_or_default();
        let scope = Scope::new(self, BY_NAME, range, Order::Ascending, after.as_ref(), limit);
        let mut spots = Walk::merged(self, &scope, key::item_shards());
        lists::page(&listing, &mut spots, &scope, after.as_ref()).await
    }

    /// Returns the first of these codes that an item holds, with the item.
    pub(super) async fn holder_of(
        &self,
        codes: &[String],
        consistent: bool,
    ) -> Result<Option<(String, ItemId)>, StoreError> {
        let claims = codes.iter().map(|code| (code, Key::claim(&Claim::Barcode(code.clone()))));
        // The claim's key is the sort key too.
        let claims: Vec<_> = claims.filter(|(_, claim)| claim.sk.len() <= lists::SORT_KEY_BYTES_MAX).collect();
        let found = self.get_many(claims.iter().map(|(_, claim)| claim.clone()), consistent).await;
        for (code, claim) in claims {
            if let Some(holder) = found.read(&claim, row::holder)? {
                return Ok(Some((code.clone(), holder)));
            }
        }
        Ok(None)
    }

    /// Finds the item that holds a barcode, if the rest of the filter accepts it.
    async fn item_of_barcode(&self, listing: &Items<'_>, barcode: &str) -> Result<Vec<ItemWithLevels>, StoreError> {
        let Some((_, holder)) = self.holder_of(&barcode_spellings(barcode), false).await? else {
            return Ok(Vec::new());
        };
        let spot = Spot { place: Place::default(), row: Key::item(&holder).attributes() };
        Ok(listing.read(vec![spot]).await?.found.into_iter().map(|(_, view)| view).collect())
    }
}

/// Returns the range of names with a prefix.
fn names_from(prefix: &str) -> Range {
    let prefix = &prefix[..prefix.floor_char_boundary(PREFIX_BYTES_MAX)];
    Range { from: Some(prefix.to_owned()), to: Some(format!("{prefix}{}", char::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(versions: &[u64]) -> Vec<Row> {
        let row = |(sk, version): (String, &u64)| {
            Row::from([(SK.into(), row::text(sk)), (row::VERSION.into(), row::number(version))])
        };
        versions.iter().zip('a'..).map(|(version, sk)| row((sk.into(), version))).collect()
    }

    #[test]
    fn reads_prove_one_moment_only_where_every_other_row_stood_still_around_it() {
        for (older, old, new, expected) in [
            (None, &[1, 1][..], &[1, 1][..], true),
            (None, &[1, 1], &[2, 1], false),
            (None, &[1], &[1, 1], false),
            (Some(&[1, 1][..]), &[2, 2], &[2, 2], true),
            (Some(&[1, 1]), &[2, 1], &[3, 1], true),
            (Some(&[1, 1]), &[1, 1], &[2, 1], true),
            (Some(&[1]), &[1, 1], &[1, 2], true),
            // The moment of one row is not that of another.
            (Some(&[1, 1]), &[2, 1], &[2, 2], false),
            (Some(&[1, 1]), &[2, 2], &[2, 3], false),
            (Some(&[1, 1]), &[1, 1], &[2, 2], false),
            (Some(&[1]), &[2], &[2, 1], false),
        ] {
            let older = older.map(rows);
            let found = is_one_moment(older.as_deref(), &rows(old), &rows(new));
            assert_eq!(found, expected, "{older:?} {old:?} {new:?}");
        }
    }
}
