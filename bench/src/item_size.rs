//! Computes the size of a row as DynamoDB counts it (its developer guide, "item sizes and formats").

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use stockline_aws::dynamodb::table::{INDEXES, Index, PK, SK};

use crate::prices::STORED_OVERHEAD_BYTES;

/// A written row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The partition key.
    pub(crate) pk: String,
    /// The sort key.
    pub(crate) sk: String,
    /// The size of the row.
    pub(crate) bytes: usize,
    /// The size of its entries in the indexes.
    pub(crate) index_bytes: usize,
}

impl Row {
    pub(crate) fn of(attributes: &HashMap<String, AttributeValue>, bytes: usize) -> Self {
        let text = |name| attributes.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        Self { pk: text(PK), sk: text(SK), bytes, index_bytes: index_bytes(attributes) }
    }

    /// Returns the kind of row: the words of the key without ids.
    pub(crate) fn kind(&self) -> String {
        let word = |key: &str| key.split('#').next().unwrap_or_default().to_owned();
        match word(&self.pk).as_str() {
            "ITEM" => word(&self.sk),
            other => other.to_owned(),
        }
    }
}

/// Returns the bytes of all attributes: the UTF-8 of each name, and its value.
pub(crate) fn item_bytes(attributes: &HashMap<String, AttributeValue>) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

/// Returns the stored bytes of a row in the indexes. A row is in every index whose keys it has.
fn index_bytes(attributes: &HashMap<String, AttributeValue>) -> usize {
    let entry_bytes = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.dedup();
        let bytes = |name: &str| attributes.get(name).map(|value| name.len() + value_bytes(value));
        let all: Option<usize> = names.into_iter().map(bytes).sum();
        all.map(|all| all + STORED_OVERHEAD_BYTES)
    };
    let names = |index: &Index| [&[PK, SK, index.partition, index.sort], index.holds].concat();
    INDEXES.iter().filter_map(|index| entry_bytes(names(index))).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    /// The overhead of a list or map, and of each of its members.
    const CONTAINER_BYTES: usize = 3;
    const MEMBER_BYTES: usize = 1;
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number_bytes(number),
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|number| number_bytes(number)).sum(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|blob| blob.as_ref().len()).sum(),
        AttributeValue::L(list) => {
            CONTAINER_BYTES + list.iter().map(|value| MEMBER_BYTES + value_bytes(value)).sum::<usize>()
        }
        AttributeValue::M(map) => CONTAINER_BYTES + MEMBER_BYTES * map.len() + item_bytes(map),
        _ => 1,
    }
}

/// Returns about one byte for two significant digits, plus one.
fn number_bytes(number: &str) -> usize {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len().div_ceil(2) + 1 + usize::from(number.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_row_is_its_names_and_values() {
        let row = HashMap::from([
            (PK.to_owned(), AttributeValue::S("ITEM#cola".into())),
            (SK.to_owned(), AttributeValue::S("LEVEL#main".into())),
            ("version".to_owned(), AttributeValue::N("1200".into())),
            ("tail".to_owned(), AttributeValue::B(vec![0; 100].into())),
        ]);
        assert_eq!(item_bytes(&row), (2 + 9) + (2 + 10) + (7 + 2) + (4 + 100));
        let row = Row::of(&row, 1);
        assert_eq!((row.pk.as_str(), row.sk.as_str(), row.kind().as_str()), ("ITEM#cola", "LEVEL#main", "LEVEL"));
        assert_eq!(row.index_bytes, 0);
    }

    #[test]
    fn an_index_keeps_the_keys_of_the_rows_that_have_them() {
        let text = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.into()));
        let mut row = HashMap::from([text(PK, "ITEM#cola"), text(SK, "LEVEL#main"), text("location", "main")]);
        let keys = (2 + 9) + (2 + 10);
        assert_eq!(index_bytes(&row), keys + (8 + 4) + 100);
        row.extend([text("unwell", "main")]);
        assert_eq!(index_bytes(&row), keys + (8 + 4) + 100 + keys + (6 + 4) + 100);
    }
}
