//! Lines that set something: a threshold, the fields of a catalogue record, what a location has instead of them. What such a line says is how the item is to be,
//! whatever was set before.

use serde_json::Value;
use stockline_core::domain::{CommandId, CommandKind, Money, canonical_barcode};

use crate::commands::submit::fresh_id;

/// Reports whether commands of this type set something.
pub(super) const fn sets(kind: CommandKind) -> bool {
    matches!(kind, CommandKind::SetThreshold | CommandKind::UpdateItem | CommandKind::SetPlanning)
}

/// Reports whether a command as JSON would change an item, as the API shows it.
pub(super) fn differs(command: &[u8], item: &Value) -> bool {
    let Ok(Value::Object(command)) = serde_json::from_slice(command) else { return false };
    let of = match command.get("location_id") {
        None => item,
        Some(place) => {
            let is_planning = command.get("type").is_some_and(|kind| kind == CommandKind::SetPlanning.as_str());
            let places = &item[if is_planning { "overrides" } else { "levels" }];
            let places = places.as_array().map(Vec::as_slice).unwrap_or_default();
            places.iter().find(|at| at["location_id"] == *place).unwrap_or(&Value::Null)
        }
    };
    let fields =
        command.iter().filter(|(name, _)| !matches!(name.as_str(), "type" | "command_id" | "item_id" | "location_id"));
    fields.into_iter().any(|(name, value)| !same(value, &of[name]))
}

/// Compares a field of a command with that of an item: `"5.0"` is `"5"`, and a barcode means one.
fn same(said: &Value, is: &Value) -> bool {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<Money>().ok());
    match (said, is) {
        (Value::Array(said), Value::Array(is)) => {
            let one = number(&Value::from("1"));
            // A GTIN is kept in its shortest form, whatever zeros the file has before it.
            let code = |value: &Value| value.as_str().map(|code| canonical_barcode(code.trim()).into_owned());
            let has =
                |said: &Value| is.iter().any(|own| code(&own["code"]) == code(said) && number(&own["quantity"]) == one);
            said.len() == is.len() && said.iter().all(has)
        }
        _ => said == is || number(said).is_some_and(|said| number(is) == Some(said)),
    }
}

/// Gives a command as JSON a new id.
pub(super) fn renew(command: &mut Vec<u8>, command_id: &mut CommandId) {
    let Ok(mut changed) = serde_json::from_slice::<Value>(command) else { return };
    *command_id = fresh_id();
    changed["command_id"] = command_id.to_string().into();
    *command = changed.to_string().into_bytes();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item() -> Value {
        json!({"item_id": "tea", "name": "Tea", "category": null, "low_stock_threshold": "5",
            "barcodes": [{"code": "4006381333931", "quantity": "1"}],
            "levels": [{"location_id": "s1", "low_stock_threshold": "8"}],
            "overrides": [{"location_id": "s1", "lead_time_days": 3}]})
    }

    #[test]
    fn a_line_differs_where_the_item_is_not_as_it_says() {
        let differs = |fields: Value| differs(fields.to_string().as_bytes(), &item());
        for same in [
            json!({"type": "set_threshold", "command_id": "x", "item_id": "tea", "low_stock_threshold": "5.0"}),
            json!({"location_id": "s1", "low_stock_threshold": "8"}),
            json!({"location_id": "s2", "low_stock_threshold": null}),
            json!({"name": "Tea", "category": null, "barcodes": ["4006381333931"]}),
            json!({"barcodes": ["04006381333931"]}),
            json!({"type": "set_planning", "location_id": "s1", "lead_time_days": 3, "supplier": null}),
            json!({"type": "set_planning", "location_id": "s2", "lead_time_days": null}),
        ] {
            assert!(!differs(same.clone()), "{same}");
        }
        for other in [
            json!({"low_stock_threshold": "8"}),
            json!({"low_stock_threshold": null}),
            json!({"location_id": "s1", "low_stock_threshold": "5"}),
            json!({"location_id": "s2", "low_stock_threshold": "8"}),
            json!({"name": "Green tea"}),
            json!({"barcodes": []}),
            json!({"type": "set_planning", "location_id": "s1", "lead_time_days": 4}),
            json!({"type": "set_planning", "location_id": "s2", "lead_time_days": 3}),
        ] {
            assert!(differs(other.clone()), "{other}");
        }
    }

    #[test]
    fn a_new_id_changes_nothing_else() {
        let mut id: CommandId = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".parse().unwrap();
        let old = json!({"type": "set_threshold", "command_id": id.to_string(), "item_id": "tea"});
        let mut bytes = old.to_string().into_bytes();
        renew(&mut bytes, &mut id);
        let mut new: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(new["command_id"], id.to_string());
        assert_ne!(new, old);
        new["command_id"] = old["command_id"].clone();
        assert_eq!(new, old);
    }
}
