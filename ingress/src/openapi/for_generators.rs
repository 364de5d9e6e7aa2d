//! Rewrites the document for generators of clients. OpenAPI 3.1 allows more than they understand.

use serde_json::Value;

/// Leaves out what is beside a `$ref`, and gives every operation a description.
pub(super) fn rewrite(document: &mut Value) {
    plain_references(document);
    for item in document["paths"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
            if operation["description"].is_null() {
                operation["description"] = operation["summary"].clone();
            }
        }
    }
}

/// Some generators make an anonymous type of a reference that has a description of its own.
fn plain_references(value: &mut Value) {
    match value {
        Value::Object(members) if members.contains_key("$ref") => members.retain(|name, _| name == "$ref"),
        Value::Object(members) => members.values_mut().for_each(plain_references),
        Value::Array(values) => values.iter_mut().for_each(plain_references),
        _ => {}
    }
}
