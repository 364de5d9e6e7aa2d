//! The calls that reads and writes share.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures_util::future::BoxFuture;
use futures_util::stream;
use futures_util::{FutureExt, StreamExt};

use super::DynamoStore;
use super::fault::unavailable;
use super::key::Key;
use super::row::Row;
use super::table::{PK, SK};
use stockline_core::ports::StoreError;
use stockline_service::Retry;

/// The most keys of one `BatchGetItem` (its documented limit).
const BATCH_KEYS_MAX: usize = 100;

/// The most concurrent calls of one operation of the store.
pub(super) const CALLS_AT_ONCE: usize = 32;

/// How many answers in a row may leave every key unprocessed before the read fails.
const UNPROCESSED_ANSWERS_MAX: u32 = 6;

const UNPROCESSED_PAUSE_FIRST: Duration = Duration::from_millis(20);
const UNPROCESSED_PAUSE_MOST: Duration = Duration::from_millis(500);

/// The start of a query's next page.
pub(super) type NextKey = HashMap<String, AttributeValue>;

/// One answer of a query.
#[derive(Debug, Default)]
pub(super) struct RowPage {
    pub(super) rows: Vec<Row>,
    /// `None` at the end.
    pub(super) next: Option<NextKey>,
}

/// The result of a read of many keys. Each key succeeds or fails alone.
#[derive(Debug, Default)]
pub(super) struct Found {
    rows: HashMap<Key, Row>,
    failed: HashMap<Key, StoreError>,
}

/// The result of one batch.
struct Batch {
    rows: Vec<Row>,
    /// The keys that stayed unprocessed, with the error.
    left: Vec<(Key, StoreError)>,
}

impl Found {
    /// Returns the row of a requested key; `None` if it does not exist.
    pub(super) fn row(&self, key: &Key) -> Result<Option<&Row>, StoreError> {
        match self.failed.get(key) {
            Some(error) => Err(error.clone()),
            None => Ok(self.rows.get(key)),
        }
    }

    /// Returns the row of a requested key, converted by `read`.
    pub(super) fn read<T>(
        &self,
        key: &Key,
        read: impl FnOnce(&Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.row(key)?.map(read).transpose()
    }
}

/// Returns the attribute names of an expression. Every `#name` in it means the attribute `name`, so no attribute can
/// clash with DynamoDB's reserved words.
pub(super) fn names(expression: &str) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for part in expression.split('#').skip(1) {
        let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        names.insert(format!("#{name}"), name);
    }
    names
}

/// Runs calls side by side, at most [`CALLS_AT_ONCE`] at once, and returns the answers in input order.
pub(super) async fn side_by_side<T>(calls: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await
}

impl DynamoStore {
    /// Reads one row.
    pub(super) async fn get(&self, key: &Key, consistent: bool) -> Result<Option<Row>, StoreError> {
        let get = GetItemInputBuilder::default().table_name(&self.table).set_key(Some(key.attributes()));
        let answer = self.wire.get_item(get.consistent_read(consistent)).await;
        let answer = answer.map_err(|error| unavailable("GetItem", &error))?;
        Ok(answer.item)
    }

    /// Reads many rows, in batches side by side. A repeated key is read once.
    pub(super) async fn get_many(&self, keys: impl IntoIterator<Item = Key>, consistent: bool) -> Found {
        let keys: Vec<Key> = keys.into_iter().collect::<HashSet<_>>().into_iter().collect();
        let batches: Vec<Vec<Key>> = keys.chunks(BATCH_KEYS_MAX).map(<[Key]>::to_vec).collect();
        let reads = batches.iter().map(|batch| self.get_batch(batch, consistent).boxed()).collect();
        let mut found = Found::default();
        for (batch, read) in batches.iter().zip(side_by_side(reads).await) {
            match read {
                Ok(Batch { rows, left }) => {
                    found.rows.extend(rows.into_iter().filter_map(|row| Some((Key::of(&row)?, row))));
                    found.failed.extend(left);
                }
                Err(error) => found.failed.extend(batch.iter().map(|key| (key.clone(), error.clone()))),
            }
        }
        found
    }

    /// Reads one batch and repeats its unprocessed keys: DynamoDB returns at most 16 MB at once, and less when it
    /// throttles. Only the keys that stay unprocessed fail, so that one busy partition does not fail the others.
    async fn get_batch(&self, keys: &[Key], consistent: bool) -> Result<Batch, StoreError> {
        let mut waiting: Vec<_> = keys.iter().map(Key::attributes).collect();
        let mut rows = Vec::new();
        let mut retry = Retry::new(UNPROCESSED_PAUSE_FIRST, UNPROCESSED_PAUSE_MOST);
        let mut fruitless = 0;
        loop {
            let asked = waiting.len();
            let wanted = KeysAndAttributes::builder().set_keys(Some(waiting)).consistent_read(consistent).build();
            let wanted = wanted.map_err(|error| StoreError::Unavailable(format!("BatchGetItem: {error}")))?;
            let call = BatchGetItemInputBuilder::default().request_items(&self.table, wanted);
            let mut answer =
                self.wire.batch_get_item(call).await.map_err(|error| unavailable("BatchGetItem", &error))?;
            rows.extend(answer.responses.iter_mut().filter_map(|tables| tables.remove(&self.table)).flatten());
            let left = answer.unprocessed_keys.as_mut().and_then(|tables| tables.remove(&self.table));
            waiting = left.map(|left| left.keys).unwrap_or_default();
            if waiting.is_empty() {
                return Ok(Batch { rows, left: Vec::new() });
            }
            if waiting.len() < asked {
                fruitless = 0;
                retry.reset();
            } else {
                fruitless += 1;
            }
            if fruitless == UNPROCESSED_ANSWERS_MAX {
                let count = waiting.len();
                let why = format!("BatchGetItem: {count} keys stay unprocessed (is the table throttled?)");
                // The table answered: what it held back is the matter of these keys.
                let error = StoreError::Busy(why);
                let left: Option<_> = waiting.iter().map(|key| Some((Key::of(key)?, error.clone()))).collect();
                return left.map(|left| Batch { rows, left }).ok_or(error);
            }
            tokio::time::sleep(retry.next_pause()).await;
        }
    }

    /// Starts a query of this table, for [`DynamoStore::page`] or [`DynamoStore::pages`].
    pub(super) fn query(&self, condition: &str, values: &[(&str, AttributeValue)]) -> QueryInputBuilder {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        QueryInputBuilder::default()
            .table_name(&self.table)
            .key_condition_expression(condition)
            .set_expression_attribute_names(Some(names(condition)))
            .set_expression_attribute_values(Some(values))
    }

    /// Starts a query of a partition, or of its sort keys with `prefix`.
    pub(super) fn query_partition(&self, pk: impl Into<String>, prefix: Option<&str>) -> QueryInputBuilder {
        let pk = (":pk", AttributeValue::S(pk.into()));
        match prefix {
            None => self.query(&format!("#{PK} = :pk"), &[pk]),
            Some(prefix) => self.query(
                &format!("#{PK} = :pk AND begins_with(#{SK}, :prefix)"),
                &[pk, (":prefix", AttributeValue::S(prefix.into()))],
            ),
        }
    }

    /// Reads the page of a query that begins at `from`.
    pub(super) async fn page(&self, query: QueryInputBuilder, from: Option<NextKey>) -> Result<RowPage, StoreError> {
        let query = query.set_exclusive_start_key(from);
        let answer = self.wire.query(query).await.map_err(|error| unavailable("Query", &error))?;
        let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
        Ok(RowPage { rows: answer.items.unwrap_or_default(), next })
    }

    /// Reads all pages of a query. Only for short lists: the levels of an item, the locations.
    pub(super) async fn pages(&self, query: QueryInputBuilder) -> Result<Vec<Row>, StoreError> {
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let page = self.page(query.clone(), from).await?;
            rows.extend(page.rows);
            if page.next.is_none() {
                return Ok(rows);
            }
            from = page.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_an_expression_means_the_attribute_of_that_name() {
        let found = names("attribute_not_exists(#pk) OR (#dead < :retry AND #dead>:x)");
        assert_eq!(found, HashMap::from([("#pk".into(), "pk".into()), ("#dead".into(), "dead".into())]));
        assert!(names("a = :b").is_empty());
    }
}
