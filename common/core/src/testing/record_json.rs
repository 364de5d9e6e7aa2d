use serde_json::{Value, json};

use crate::domain::Record;

/// Reads a record from the JSON that earlier programs stored.
pub fn record_of(json: &Value) -> Record {
    Record::from_bytes(json.to_string().as_bytes(), None).unwrap()
}

/// Returns a record in the JSON that earlier programs stored, without its checksum.
pub fn record_json(record: &Record) -> Value {
    let mut value = serde_json::to_value(&record.outcome).unwrap();
    let object = value.as_object_mut().unwrap();
    object.insert("v".into(), json!(1));
    for (name, field) in [
        ("fingerprint", json!(record.fingerprint)),
        ("changed_default", json!(record.changed_default)),
        ("resubmits", json!(record.resubmits)),
        ("first_accepted_at", json!(record.first_accepted_at)),
        ("reach", json!(record.reach)),
        ("resubmitted_as", json!(record.resubmitted_as)),
        ("retry", if record.retry == 0 { Value::Null } else { json!(record.retry) }),
        ("alerts", if record.alerts.is_empty() { Value::Null } else { json!(record.alerts) }),
    ] {
        if !field.is_null() {
            object.insert(name.into(), field);
        }
    }
    value
}
