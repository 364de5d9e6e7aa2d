//! A model of DynamoDB: rows, conditional transactions, tokens, locks, and eventually consistent reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, TransactWriteItem};

use super::expression::{Bound, Row, holds, update};

/// A partition key and a sort key.
pub(crate) type Key = (String, String);

/// The documented time for which a transaction's token is known.
const TOKEN_KEPT_MS: u64 = 10 * 60_000;

/// The maximum age of an eventually consistent read.
const STALE_MS: u64 = 60_000;

#[derive(Debug, Clone)]
struct Versions {
    now: Option<Arc<Row>>,
    before: Option<Arc<Row>>,
    changed_ms: u64,
}

/// A write to a row, and its time.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) at_ms: u64,
    /// Writes of one transaction share this number.
    pub(crate) transaction: u64,
    pub(crate) key: Key,
    /// The row, or `None` if it was deleted.
    pub(crate) row: Option<Arc<Row>>,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<Key, Versions>,
    /// The locked rows of running transactions.
    locked: HashMap<Key, u64>,
    tokens: HashMap<u64, u64>,
    transactions: u64,
    /// Every write, in order.
    pub(crate) log: Vec<Written>,
}

fn text(row: &Row, name: &str) -> String {
    row.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

/// Returns the key in these attributes.
pub(crate) fn key_of(attributes: &Row) -> Key {
    (text(attributes, "pk"), text(attributes, "sk"))
}

/// Returns the key of the row that an action affects.
pub(crate) fn key_of_action(action: &TransactWriteItem) -> Key {
    let put = action.put().map(|put| key_of(put.item()));
    let delete = action.delete().map(|delete| key_of(delete.key()));
    let check = action.condition_check().map(|check| key_of(check.key()));
    let update = action.update().map(|update| key_of(update.key()));
    put.or(delete).or(check).or(update).unwrap()
}

impl Table {
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Row>> {
        self.rows.get(key).and_then(|versions| versions.now.as_ref())
    }

    /// Returns a row as an eventually consistent read may see it.
    pub(crate) fn get_old(&self, key: &Key, now_ms: u64) -> Option<&Arc<Row>> {
        let versions = self.rows.get(key)?;
        if now_ms < versions.changed_ms + STALE_MS { versions.before.as_ref() } else { versions.now.as_ref() }
    }

    /// Returns the existing rows of a partition, by sort key.
    pub(crate) fn partition(&self, pk: &str) -> impl DoubleEndedIterator<Item = (&Key, &Arc<Row>)> {
        let rows = self.rows.range((pk.to_owned(), String::new())..=(pk.to_owned(), "\u{10FFFF}".to_owned()));
        rows.filter_map(|(key, versions)| Some((key, versions.now.as_ref()?)))
    }

    /// Returns all rows.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Arc<Row>)> {
        self.rows.iter().filter_map(|(key, versions)| Some((key, versions.now.as_ref()?)))
    }

    fn set(&mut self, key: Key, row: Option<Row>, now_ms: u64) {
        let row = row.map(Arc::new);
        let transaction = self.transactions;
        self.log.push(Written { at_ms: now_ms, transaction, key: key.clone(), row: row.clone() });
        let old = self.rows.get(&key).and_then(|versions| versions.now.clone());
        self.rows.insert(key, Versions { now: row, before: old, changed_ms: now_ms });
    }

    /// Puts a row without a condition.
    pub(crate) fn put(&mut self, row: Row, now_ms: u64) {
        self.begin();
        self.set(key_of(&row), Some(row), now_ms);
    }

    /// Locks the rows for a transaction, or returns for each row whether another transaction holds it.
    pub(crate) fn lock(&mut self, actions: &[TransactWriteItem], transaction: u64) -> Result<(), Vec<bool>> {
        let keys: Vec<_> = actions.iter().map(key_of_action).collect();
        let taken: Vec<_> = keys.iter().map(|key| self.locked.contains_key(key)).collect();
        if taken.contains(&true) {
            return Err(taken);
        }
        self.locked.extend(keys.into_iter().map(|key| (key, transaction)));
        Ok(())
    }

    pub(crate) fn unlock(&mut self, transaction: u64) {
        self.locked.retain(|_, of| *of != transaction);
    }

    /// Returns whether a transaction with this token was completed recently.
    pub(crate) fn knows(&self, token: u64, now_ms: u64) -> bool {
        self.tokens.get(&token).is_some_and(|done| now_ms < done + TOKEN_KEPT_MS)
    }

    pub(crate) fn remember(&mut self, token: u64, now_ms: u64) {
        self.tokens.insert(token, now_ms);
    }

    /// Returns whether the condition of an action holds.
    pub(crate) fn allows(&self, action: &TransactWriteItem) -> bool {
        let row = self.get(&key_of_action(action)).map(Arc::as_ref);
        let (condition, names, values) = if let Some(put) = action.put() {
            (put.condition_expression(), put.expression_attribute_names(), put.expression_attribute_values())
        } else if let Some(delete) = action.delete() {
            (delete.condition_expression(), delete.expression_attribute_names(), delete.expression_attribute_values())
        } else if let Some(check) = action.condition_check() {
            (
                Some(check.condition_expression()),
                check.expression_attribute_names(),
                check.expression_attribute_values(),
            )
        } else {
            let update = action.update().unwrap();
            (update.condition_expression(), update.expression_attribute_names(), update.expression_attribute_values())
        };
        condition.is_none_or(|condition| holds(condition, Bound { names, values }, row))
    }

    /// Starts a new group of writes.
    pub(crate) fn begin(&mut self) {
        self.transactions += 1;
    }

    /// Applies an action.
    pub(crate) fn apply(&mut self, action: &TransactWriteItem, now_ms: u64) {
        let key = key_of_action(action);
        if let Some(put) = action.put() {
            self.set(key, Some(put.item().clone()), now_ms);
        } else if action.delete().is_some() {
            self.set(key, None, now_ms);
        } else if let Some(change) = action.update() {
            let bound =
                Bound { names: change.expression_attribute_names(), values: change.expression_attribute_values() };
            let mut row = self.get(&key).map_or_else(Row::new, |row| row.as_ref().clone());
            row.insert("pk".into(), AttributeValue::S(key.0.clone()));
            row.insert("sk".into(), AttributeValue::S(key.1.clone()));
            update(change.update_expression(), bound, &mut row);
            self.set(key, Some(row), now_ms);
        }
    }

    /// Returns a reason for each action of a cancelled transaction, or `None` if every condition holds.
    pub(crate) fn refusal(&self, actions: &[TransactWriteItem], with_proof: bool) -> Option<Vec<CancellationReason>> {
        let allowed: Vec<_> = actions.iter().map(|action| self.allows(action)).collect();
        if !allowed.contains(&false) {
            return None;
        }
        let reasons = actions.iter().zip(allowed).map(|(action, allowed)| {
            if allowed {
                return CancellationReason::builder().code("None").build();
            }
            let wanted = action.put().and_then(|put| put.return_values_on_condition_check_failure()).is_some();
            let stored = self.get(&key_of_action(action)).filter(|_| wanted && with_proof);
            let stored = stored.map(|row| row.as_ref().clone());
            CancellationReason::builder().code("ConditionalCheckFailed").set_item(stored).build()
        });
        Some(reasons.collect())
    }
}
