//! Checks that the table exists and has the keys and indexes that this program needs.

use aws_sdk_dynamodb::operation::describe_table::builders::DescribeTableInputBuilder;
use aws_sdk_dynamodb::types::{
    IndexStatus, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription, TableStatus,
};

use super::DynamoStore;
use super::table::{INDEXES, Index, PK, SK};
use crate::StartError;

const TEMPLATE: &str = "create it as deploy/template.yaml does";

impl DynamoStore {
    /// Compares the table with [`super::table`].
    ///
    /// # Errors
    /// Reports missing credentials, a missing table or index, other keys, a table in creation, or no answer.
    pub async fn check(&self) -> Result<(), StartError> {
        let answer = self.wire.describe_table(DescribeTableInputBuilder::default().table_name(&self.table)).await;
        let what = format!("the table {}", self.table);
        let answer = answer.map_err(|error| StartError::of_call(&what, "dynamodb:DescribeTable", &error))?;
        let table = answer.table.ok_or_else(|| {
            StartError::Unreachable(format!(
                "DescribeTable returned nothing for {what}; is the endpoint one of DynamoDB?"
            ))
        })?;
        compare(&self.table, &table)
    }
}

fn compare(name: &str, table: &TableDescription) -> Result<(), StartError> {
    match table.table_status() {
        // The table accepts reads and writes during an update.
        None | Some(TableStatus::Active | TableStatus::Updating) => {}
        Some(status @ TableStatus::Creating) => {
            return Err(StartError::Unreachable(format!("the table {name} is {status}: wait until it is ACTIVE")));
        }
        Some(status) => {
            return Err(StartError::Unreachable(format!("the table {name} is {status}: bring it back to ACTIVE")));
        }
    }
    let keys = keyed_by(table.key_schema());
    if keys != (Some(PK), Some(SK)) {
        return Err(StartError::WrongKind(format!(
            "the table {name} has the keys {}, not {PK} and {SK}: {TEMPLATE}, or name another",
            shown(keys)
        )));
    }
    let not_text = table
        .attribute_definitions()
        .iter()
        .find(|attribute| attribute.attribute_type() != &ScalarAttributeType::S)
        .map(|attribute| attribute.attribute_name());
    if let Some(attribute) = not_text {
        return Err(StartError::WrongKind(format!(
            "the key attribute {attribute} of the table {name} is not a string (S): {TEMPLATE}"
        )));
    }
    INDEXES.iter().try_for_each(|index| compare_index(name, table, index))
}

fn compare_index(name: &str, table: &TableDescription, index: &Index) -> Result<(), StartError> {
    let Index { name: index_name, partition, sort, .. } = index;
    let found = table.global_secondary_indexes().iter().find(|found| found.index_name() == Some(index_name));
    let Some(found) = found else {
        return Err(StartError::Missing(format!(
            "the table {name} has no index {index_name} ({partition}, {sort}): add it as in deploy/template.yaml"
        )));
    };
    let keys = keyed_by(found.key_schema());
    if keys != (Some(partition), Some(sort)) {
        return Err(StartError::WrongKind(format!(
            "the index {index_name} of the table {name} has the keys {}, not {partition} and {sort}: delete it and create it again",
            shown(keys)
        )));
    }
    match found.index_status() {
        None | Some(IndexStatus::Active | IndexStatus::Updating) => Ok(()),
        Some(status) => Err(StartError::Unreachable(format!(
            "the index {index_name} of the table {name} is {status}: wait until it is ACTIVE"
        ))),
    }
}

fn keyed_by(schema: &[KeySchemaElement]) -> (Option<&str>, Option<&str>) {
    let of = |kind: &KeyType| schema.iter().find(|key| key.key_type() == kind).map(|key| key.attribute_name());
    (of(&KeyType::Hash), of(&KeyType::Range))
}

fn shown((partition, sort): (Option<&str>, Option<&str>)) -> String {
    format!("{} and {}", partition.unwrap_or("none"), sort.unwrap_or("none"))
}
