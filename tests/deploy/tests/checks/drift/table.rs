use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{KeySchemaElement, KeyType, ProjectionType};
use serde_json::{Value, json};
use stockline_aws::dynamodb::table;

use super::Faults;
use super::programs::{DATA, Deployment};

pub(crate) fn is_as_the_code_has_it(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let properties = &deployment.templates.resource(DATA, "Table")["Properties"];
    let mut differs = |what: &str, found: Value, wanted: Value| {
        if found != wanted {
            faults.push(format!("{what}: {found}, and the code has {wanted}"));
        }
    };
    let attributes: Vec<Value> = table::attribute_definitions()
        .iter()
        .map(|a| json!({"AttributeName": a.attribute_name(), "AttributeType": a.attribute_type().as_str()}))
        .collect();
    differs("the key attributes", properties["AttributeDefinitions"].clone(), attributes.into());
    differs("the key", properties["KeySchema"].clone(), key(&table::key_schema(table::PK, table::SK)));

    let found: BTreeMap<&str, Value> = properties["GlobalSecondaryIndexes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|index| (index["IndexName"].as_str().unwrap_or_default(), without_capacity(index)))
        .collect();
    let wanted: BTreeMap<&str, Value> = table::INDEXES
        .into_iter()
        .map(|index| {
            let key = key(&table::key_schema(index.partition, index.sort));
            let projection = table::projection(index);
            let mut projection_json =
                json!({"ProjectionType": projection.projection_type().map(ProjectionType::as_str)});
            if !index.holds.is_empty() {
                projection_json["NonKeyAttributes"] = json!(index.holds);
            }
            (index.name, json!({"IndexName": index.name, "KeySchema": key, "Projection": projection_json}))
        })
        .collect();
    differs("the indexes", json!(found), json!(wanted));
    // It can only rise, so a stack that rolls back could not take it back: deploy/warm sets it.
    differs("the warm throughput", properties["WarmThroughput"].clone(), Value::Null);
    // Any key but DynamoDB's own bills each use.
    differs("the key of the encryption", properties["SSESpecification"].clone(), Value::Null);
    faults
}

/// Returns an index without what decides only how it is paid for.
fn without_capacity(index: &Value) -> Value {
    let mut index = index.clone();
    index.as_object_mut().map(|fields| fields.remove("ProvisionedThroughput"));
    index
}

fn key(schema: &[KeySchemaElement]) -> Value {
    let kind = |element: &KeySchemaElement| if element.key_type() == &KeyType::Hash { "HASH" } else { "RANGE" };
    schema.iter().map(|e| json!({"AttributeName": e.attribute_name(), "KeyType": kind(e)})).collect()
}
