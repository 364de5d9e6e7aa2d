use proptest::prelude::*;
use serde_json::{Value, json};
use stockline_core::domain::{Command, CommandKind, Fault, Json, ParseContext, parse_command};

const ID: &str = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b";

fn parse_in(text: &str, context: &ParseContext) -> Result<Command, Vec<Fault>> {
    parse_command(&serde_json::from_str::<Json<'_>>(text).unwrap(), context)
}

fn parse(text: &str) -> Result<Command, Vec<Fault>> {
    parse_in(text, &ParseContext::stored())
}

/// Returns the faults as `pointer code`, in order.
fn faults(text: &str) -> Vec<String> {
    let faults = parse(text).err().unwrap_or_default();
    faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect()
}

/// A valid command of each type with every field it may have.
fn full(kind: CommandKind) -> Value {
    let mut command =
        json!({ "type": kind.as_str(), "command_id": ID, "item_id": "cola", "sent_at": "2026-01-31T08:15:01Z" });
    let own = match kind {
        CommandKind::RegisterItem | CommandKind::UpdateItem => json!({
            "name": "Cola", "unit": "bottle", "decimals": 1, "barcodes": ["4006381333931"], "category": "drinks",
            "low_stock_threshold": "6", "shortage_policy": "reject", "unit_cost": "0.41", "supplier": "Drinks Ltd",
            "lead_time_days": 3, "order_multiple": "12", "order_minimum": "24", "service_level": "97.5",
        }),
        CommandKind::ArchiveItem | CommandKind::RestoreItem => json!({}),
        CommandKind::SetThreshold => json!({ "location_id": "shop", "low_stock_threshold": "4" }),
        CommandKind::SetPlanning => json!({
            "location_id": "shop", "supplier": "Drinks Ltd", "lead_time_days": 3, "order_multiple": "12",
            "order_minimum": "24", "service_level": "97.5",
        }),
        CommandKind::Receive => json!({ "location_id": "shop", "quantity": "24", "unit_cost": "0.41" }),
        CommandKind::Sell => {
            json!({ "location_id": "shop", "quantity": "1", "on_shortage": "allow", "amount": "1.99" })
        }
        CommandKind::Return => json!({ "location_id": "shop", "quantity": "1", "amount": "1.99" }),
        CommandKind::Adjust => json!({ "location_id": "shop", "quantity": "1" }),
        CommandKind::Count => json!({ "location_id": "shop", "counted": "23" }),
        CommandKind::Transfer => json!({ "from_location_id": "main", "to_location_id": "shop", "quantity": "5" }),
        CommandKind::Reverse => json!({ "reverses": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6c" }),
    };
    let details = json!({
        "occurred_at": "2026-01-31T08:15:00Z", "expected_on_hand": "5", "reason": "other", "note": "n", "reference": "r",
        "device_id": "till-1", "operator": "op7",
    });
    let members = command.as_object_mut().unwrap();
    members.extend(own.as_object().unwrap().clone());
    if kind.is_movement() {
        members.extend(details.as_object().unwrap().clone());
    }
    if kind == CommandKind::Reverse {
        members.remove("occurred_at");
    }
    command
}

fn with(kind: CommandKind, field: &str, value: Value) -> String {
    let mut command = full(kind);
    command[field] = value;
    command.to_string()
}

#[test]
fn every_type_accepts_all_of_its_fields() {
    for kind in CommandKind::ALL {
        let command = parse(&full(kind).to_string()).unwrap();
        assert_eq!(command.kind(), kind);
        let written = serde_json::to_value(&command).unwrap();
        let names =
            |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names(&written), names(&full(kind)), "{kind:?}");
    }
}

#[test]
fn a_field_of_the_wrong_type_is_named_whatever_the_field_and_the_type() {
    let values = [json!(true), json!({}), json!([]), json!(7), json!("\u{1}"), json!(1.5)];
    for kind in CommandKind::ALL {
        for field in full(kind).as_object().unwrap().keys() {
            for value in &values {
                let number_field = [
                    "quantity",
                    "counted",
                    "unit_cost",
                    "amount",
                    "low_stock_threshold",
                    "expected_on_hand",
                    "lead_time_days",
                    "order_multiple",
                    "order_minimum",
                ];
                let fine = match value {
                    Value::Number(n) if n.is_i64() => number_field.contains(&field.as_str()),
                    Value::Array(_) => field == "barcodes",
                    _ => false,
                };
                let found = faults(&with(kind, field, value.clone()));
                assert_eq!(found.len(), usize::from(!fine), "{kind:?} {field} {value}: {found:?}");
                assert!(found.iter().all(|fault| fault.starts_with(&format!("/{field} "))), "{found:?}");
            }
        }
    }
}

#[test]
fn a_field_of_another_type_or_of_none_is_unknown() {
    for kind in CommandKind::ALL {
        for (field, value) in [("quantty", json!("1")), ("submitted_by", json!("me")), ("", json!(null))] {
            assert_eq!(faults(&with(kind, field, value)), [format!("/{field} unknown_field")], "{kind:?}");
        }
    }
    for (kind, field) in [
        (CommandKind::Count, "quantity"),
        (CommandKind::Sell, "counted"),
        (CommandKind::Sell, "unit_cost"),
        (CommandKind::Receive, "on_shortage"),
        (CommandKind::Transfer, "location_id"),
        (CommandKind::ArchiveItem, "note"),
        (CommandKind::RegisterItem, "location_id"),
        (CommandKind::SetThreshold, "occurred_at"),
        (CommandKind::SetPlanning, "low_stock_threshold"),
        (CommandKind::Receive, "supplier"),
        (CommandKind::Receive, "amount"),
        (CommandKind::Reverse, "occurred_at"),
        (CommandKind::Reverse, "quantity"),
        (CommandKind::Sell, "reverses"),
    ] {
        assert_eq!(faults(&with(kind, field, json!("1"))), [format!("/{field} unknown_field")], "{kind:?}");
    }
}

#[test]
fn a_missing_required_field_is_named_and_null_is_missing() {
    for (kind, required) in [
        (CommandKind::RegisterItem, vec!["name"]),
        (CommandKind::SetThreshold, vec!["low_stock_threshold"]),
        (CommandKind::SetPlanning, vec!["location_id"]),
        (CommandKind::Receive, vec!["quantity"]),
        (CommandKind::Adjust, vec!["quantity", "reason"]),
        (CommandKind::Count, vec!["counted"]),
        (CommandKind::Transfer, vec!["from_location_id", "to_location_id", "quantity"]),
        (CommandKind::Reverse, vec!["reverses"]),
    ] {
        for field in required.into_iter().chain(["type", "item_id", "command_id"]) {
            let mut command = full(kind);
            command.as_object_mut().unwrap().remove(field);
            assert_eq!(faults(&command.to_string()), [format!("/{field} missing_field")], "{kind:?}");
            let null = with(kind, field, Value::Null);
            match (kind, field) {
                (CommandKind::SetThreshold, "low_stock_threshold") => assert!(parse(&null).is_ok(), "null clears"),
                (_, "type") => assert_eq!(faults(&null), ["/type wrong_type"]),
                _ => assert_eq!(faults(&null), [format!("/{field} missing_field")], "{kind:?}"),
            }
        }
    }
}

#[test]
fn quantities_are_exact_or_refused_with_the_right_spelling() {
    let detail = |value: &str| {
        let text = with(CommandKind::Sell, "quantity", json!("@")).replace("\"@\"", value);
        parse(&text).map_err(|mut faults| (faults.len(), faults.remove(0)))
    };
    for (value, code, says) in [
        ("0.5", "float", "write \"0.5\""),
        ("1e3", "float", "write \"1000\""),
        ("2.0", "float", "write \"2\""),
        ("\"1e3\"", "invalid_value", "plain decimal"),
        ("\"0.0001\"", "invalid_value", "more decimals than the 3"),
        ("\"1,5\"", "invalid_value", "plain decimal"),
        ("\" 1\"", "invalid_value", "plain decimal"),
        ("\"\"", "invalid_value", "plain decimal"),
        ("0", "invalid_value", "above 0"),
        ("\"-1\"", "invalid_value", "above 0"),
        ("-1", "invalid_value", "above 0"),
        ("\"-0\"", "invalid_value", "above 0"),
        ("4006381333931", "quantity_too_large", "barcode"),
        ("\"10000000\"", "quantity_too_large", "barcode"),
        ("9223372036854775807", "quantity_too_large", "range"),
        ("9223372036854775808", "quantity_too_large", "range"),
        ("40063813339314006381333931", "quantity_too_large", "range"),
        ("\"40063813339314006381333931\"", "quantity_too_large", "range"),
        ("1e300", "quantity_too_large", "range"),
        ("true", "wrong_type", "not a boolean"),
    ] {
        let (count, fault) = detail(value).unwrap_err();
        assert_eq!((count, fault.pointer.as_str(), fault.code), (1, "/quantity", code), "{value}");
        assert!(fault.detail.contains(says), "{value}: {}", fault.detail);
    }
    for value in ["2", "\"2\"", "\"2.000\"", "\"0.001\"", "\"9999999.999\"", "9999999"] {
        assert!(detail(value).is_ok(), "{value}");
    }
}

#[test]
fn values_have_their_bounds() {
    let long = |n: usize| json!("é".repeat(n));
    for (kind, field, value, ok) in [
        (CommandKind::Sell, "note", long(500), true),
        (CommandKind::Sell, "note", long(501), false),
        (CommandKind::Sell, "note", json!("two\nlines\tand"), true),
        (CommandKind::Sell, "note", json!("nul\u{0}"), false),
        (CommandKind::Sell, "note", json!("   "), false),
        (CommandKind::Sell, "reference", long(200), true),
        (CommandKind::Sell, "reference", long(201), false),
        (CommandKind::Sell, "reference", json!("a\nb"), false),
        (CommandKind::Sell, "device_id", long(64), true),
        (CommandKind::Sell, "device_id", long(65), false),
        (CommandKind::Sell, "operator", long(65), false),
        (CommandKind::Sell, "location_id", json!("x".repeat(32)), true),
        (CommandKind::Sell, "location_id", json!("x".repeat(33)), false),
        (CommandKind::Sell, "location_id", json!(".."), false),
        (CommandKind::Sell, "item_id", json!("x".repeat(65)), false),
        (CommandKind::Sell, "item_id", json!("../etc"), true),
        (CommandKind::Sell, "item_id", json!("a  b"), false),
        (CommandKind::Sell, "command_id", json!("7"), false),
        (CommandKind::Sell, "on_shortage", json!("maybe"), false),
        (CommandKind::Sell, "occurred_at", json!("2026-01-31T08:15:00"), false),
        (CommandKind::Sell, "occurred_at", json!("2026-01-31T08:15:00+01:00"), true),
        (CommandKind::Sell, "sent_at", json!("yesterday"), false),
        (CommandKind::Sell, "expected_on_hand", json!("-5"), true),
        (CommandKind::Sell, "expected_on_hand", json!("-99999999999"), true),
        (CommandKind::Adjust, "quantity", json!("-1"), true),
        (CommandKind::Adjust, "quantity", json!("-9999999.999"), true),
        (CommandKind::Adjust, "quantity", json!("-10000000"), false),
        (CommandKind::Adjust, "quantity", json!("0"), false),
        (CommandKind::Adjust, "reason", json!("because"), false),
        (CommandKind::Count, "counted", json!("0"), true),
        (CommandKind::Count, "counted", json!("-1"), false),
        (CommandKind::Transfer, "to_location_id", json!("main"), false),
        (CommandKind::Receive, "unit_cost", json!("0.0001"), true),
        (CommandKind::Receive, "unit_cost", json!("0.00001"), false),
        (CommandKind::Receive, "unit_cost", json!("-1"), false),
        (CommandKind::Receive, "unit_cost", json!("9999999999.9999"), true),
        (CommandKind::Receive, "unit_cost", json!("10000000000"), false),
        (CommandKind::Sell, "amount", json!("3.98"), true),
        (CommandKind::Sell, "amount", json!(0), true),
        (CommandKind::Sell, "amount", json!("2500000"), true),
        (CommandKind::Sell, "amount", json!("-0.01"), false),
        (CommandKind::Sell, "amount", json!("1.00001"), false),
        (CommandKind::Sell, "amount", json!(1.5), false),
        (CommandKind::Sell, "amount", json!("1,50"), false),
        (CommandKind::Return, "amount", json!("1.99"), true),
        (CommandKind::Return, "amount", json!("10000000000"), false),
        (CommandKind::Reverse, "reverses", json!(ID), false),
        (CommandKind::Reverse, "reverses", json!("the last one"), false),
        (CommandKind::RegisterItem, "decimals", json!(3), true),
        (CommandKind::RegisterItem, "decimals", json!(4), false),
        (CommandKind::RegisterItem, "decimals", json!(-1), false),
        (CommandKind::RegisterItem, "decimals", json!("1"), false),
        (CommandKind::RegisterItem, "low_stock_threshold", json!("0"), true),
        (CommandKind::RegisterItem, "low_stock_threshold", json!("-1"), false),
        (CommandKind::RegisterItem, "name", long(200), true),
        (CommandKind::RegisterItem, "name", long(201), false),
        (CommandKind::RegisterItem, "name", json!(""), false),
        (CommandKind::RegisterItem, "unit", long(17), false),
        (CommandKind::RegisterItem, "category", long(65), false),
        (CommandKind::RegisterItem, "supplier", long(64), true),
        (CommandKind::RegisterItem, "supplier", long(65), false),
        (CommandKind::SetPlanning, "supplier", json!(""), false),
        (CommandKind::RegisterItem, "lead_time_days", json!(0), true),
        (CommandKind::RegisterItem, "lead_time_days", json!(365), true),
        (CommandKind::RegisterItem, "lead_time_days", json!(366), false),
        (CommandKind::SetPlanning, "lead_time_days", json!(-1), false),
        (CommandKind::UpdateItem, "lead_time_days", json!("3"), false),
        (CommandKind::UpdateItem, "order_multiple", json!("0.001"), true),
        (CommandKind::UpdateItem, "order_multiple", json!(0), false),
        (CommandKind::SetPlanning, "order_multiple", json!("-1"), false),
        (CommandKind::RegisterItem, "order_multiple", json!("10000000"), false),
        (CommandKind::RegisterItem, "order_minimum", json!(0), true),
        (CommandKind::RegisterItem, "order_minimum", json!("9999999.999"), true),
        (CommandKind::UpdateItem, "order_minimum", json!("-0.001"), false),
        (CommandKind::RegisterItem, "service_level", json!(50), true),
        (CommandKind::RegisterItem, "service_level", json!("99.9"), true),
        (CommandKind::RegisterItem, "service_level", json!("49.9"), false),
        (CommandKind::UpdateItem, "service_level", json!(100), false),
        (CommandKind::SetPlanning, "service_level", json!("95.25"), false),
        (CommandKind::SetPlanning, "service_level", json!(97.5), false),
        (
            CommandKind::RegisterItem,
            "barcodes",
            json!((0..20).collect::<Vec<_>>().iter().map(ToString::to_string).collect::<Vec<_>>()),
            true,
        ),
        (
            CommandKind::RegisterItem,
            "barcodes",
            json!((0..21).collect::<Vec<_>>().iter().map(ToString::to_string).collect::<Vec<_>>()),
            false,
        ),
    ] {
        let found = faults(&with(kind, field, value.clone()));
        assert_eq!(found.is_empty(), ok, "{kind:?} {field} {value}: {found:?}");
        assert!(found.len() <= 1 && found.iter().all(|fault| fault.starts_with(&format!("/{field} "))), "{found:?}");
    }
}

#[test]
fn all_faults_are_named_at_once() {
    let text = r#"{"type":"transfer","item_id":"..","sent_at":"now","from_location_id":"a","to_location_id":"a",
        "quantity":0.5,"colour":"red","note":7,"note":8,"occurred_at":"2026-01-31T08:15:00","reason":"x","a/b~c":1}"#;
    let mut found = faults(text);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "/a~1b~0c unknown_field",
            "/colour unknown_field",
            "/command_id missing_field",
            "/item_id invalid_value",
            "/note duplicate_field",
            "/note wrong_type",
            "/occurred_at invalid_value",
            "/quantity float",
            "/reason invalid_value",
            "/sent_at invalid_value",
            "/to_location_id invalid_value",
        ]
    );
}

#[test]
fn faults_of_barcodes_point_at_the_entry() {
    let text = with(CommandKind::RegisterItem, "barcodes", json!(["1", "", "1", 7, "2"]));
    assert_eq!(faults(&text), ["/barcodes/1 invalid_value", "/barcodes/2 invalid_value", "/barcodes/3 wrong_type"]);
}

#[test]
fn a_barcode_is_a_code_or_a_pack_and_a_ruined_one_is_refused() {
    let read = |value: Value| {
        let text = with(CommandKind::RegisterItem, "barcodes", json!([value]));
        let found = parse_in(&text, &ParseContext::submitted());
        found.err().map(|faults| {
            faults
                .into_iter()
                .map(|fault| format!("{} {}: {}", fault.pointer, fault.code, fault.detail))
                .collect::<Vec<_>>()
                .join("; ")
        })
    };
    for value in [
        json!("4006381333931"),
        json!({"code": "14006381333938", "quantity": "12"}),
        json!({"code": "A"}),
        json!({"code": "A", "quantity": 6}),
        json!({"code": "A", "quantity": null}),
        json!("AB-1"),
    ] {
        assert_eq!(read(value.clone()), None, "{value}");
    }
    for (value, fault) in [
        (json!("4.00583E+12"), "/barcodes/0 invalid_value: 4.00583E+12 is a number that a spreadsheet has shortened"),
        (
            json!("4006381333932"),
            "/barcodes/0 invalid_value: 4006381333932 has 13 digits like an EAN-13, but then its last digit would be 1",
        ),
        (json!({"code": "4006381333932", "quantity": "0"}), "/barcodes/0/code invalid_value"),
        (json!({"code": "A", "quantity": "0"}), "/barcodes/0/quantity invalid_value: must be above 0"),
        (json!({"code": "A", "quantity": "4006381333931"}), "/barcodes/0/quantity quantity_too_large"),
        (json!({"code": "A", "quantity": 1.5}), "/barcodes/0/quantity float"),
        (json!({"quantity": "2"}), "/barcodes/0 missing_field"),
        (json!({"code": "A", "pack": 2}), "/barcodes/0 unknown_field"),
        (json!({"code": 7}), "/barcodes/0/code wrong_type"),
        (json!(["A"]), "/barcodes/0 wrong_type"),
    ] {
        assert!(read(value.clone()).is_some_and(|found| found.starts_with(fault)), "{fault}: {:?}", read(value));
    }
    let twice = with(
        CommandKind::RegisterItem,
        "barcodes",
        json!(["036000291452", {"code": "0036000291452", "quantity": "2"}]),
    );
    let fault = parse_in(&twice, &ParseContext::submitted()).unwrap_err().remove(0);
    assert_eq!(fault.detail, "is 0036000291452, which is the same code as 036000291452");
    // What was accepted before is read all the same.
    let accepted = with(CommandKind::RegisterItem, "barcodes", json!(["4006381333932"]));
    assert!(parse(&accepted).is_ok());
}

#[test]
fn an_update_without_a_change_says_so_beside_other_faults() {
    let text = format!(r#"{{"type":"update_item","command_id":"{ID}","item_id":"cola"}}"#);
    assert_eq!(faults(&text), ["/name missing_field"]);
    assert_eq!(faults(&text.replace(ID, "x")), ["/command_id invalid_value", "/name missing_field"]);
    let clears = text.replace("\"cola\"", "\"cola\",\"category\":null");
    assert!(parse(&clears).is_ok(), "null clears");
    let planning = text.replace("update_item", "set_planning").replace("\"cola\"", "\"cola\",\"location_id\":\"a\"");
    assert_eq!(faults(&planning), ["/lead_time_days missing_field"]);
    for field in ["supplier", "lead_time_days", "order_multiple", "order_minimum", "service_level"] {
        let clears = |text: &str| text.replace("\"cola\"", &format!("\"cola\",\"{field}\":null"));
        assert!(parse(&clears(&planning)).is_ok() && parse(&clears(&text)).is_ok(), "null clears {field}");
    }
}

#[test]
fn pointers_begin_at_the_command() {
    let context = ParseContext { pointer: "/commands/3".into(), ..ParseContext::stored() };
    let found = parse_in(r#"{"type":"sell","a/b":1}"#, &context).unwrap_err();
    let pointers: Vec<_> = found.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(pointers, ["/commands/3/command_id", "/commands/3/item_id", "/commands/3/a~1b", "/commands/3/quantity"]);
    for (body, kind) in [("[]", "an array"), ("7", "a number"), ("null", "null"), ("\"sell\"", "a string")] {
        let found = parse_in(body, &context).unwrap_err();
        assert_eq!((found.len(), found[0].pointer.as_str(), found[0].code), (1, "/commands/3", "wrong_type"));
        assert!(found[0].detail.contains(kind));
    }
}

#[test]
fn the_context_supplies_location_clock_and_id() {
    let bare = r#"{"type":"sell","item_id":"cola","quantity":1}"#;
    let own = format!(r#"{{"type":"sell","item_id":"cola","quantity":1,"command_id":"{ID}"}}"#);
    let header = ParseContext { command_id: Some(ID.parse().unwrap()), ..ParseContext::stored() };
    assert_eq!(parse_in(bare, &header).unwrap().command_id.to_string(), ID);
    assert!(parse_in(&own, &header).is_ok(), "the same in both places");
    let other =
        ParseContext { command_id: Some("01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6c".parse().unwrap()), ..header.clone() };
    assert_eq!(parse_in(&own, &other).unwrap_err()[0].code, "idempotency_key_mismatch");
    let strict = ParseContext { default_location: None, ..header.clone() };
    assert_eq!(parse_in(bare, &strict).unwrap_err()[0].pointer, "/location_id");
    let batch = ParseContext { sent_at: Some("2026-01-31T08:15:00Z".parse().unwrap()), ..header };
    assert_eq!(parse_in(bare, &batch).unwrap().details.sent_at, batch.sent_at);
}

#[test]
fn a_command_of_thousands_of_fields_is_one_fault() {
    let many = (0..100_000).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(",");
    assert_eq!(faults(&format!("{{{many}}}")), [" too_many_fields"]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::sample::select(vec!["sell", "count", "main", ID, "2026-01-31T08:15:00Z", "1", "allow"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_stands_in_whatever_field_the_answer_is_a_command_or_faults(
        kind in prop::sample::select(CommandKind::ALL.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..4),
    ) {
        let mut command = full(kind);
        let fields: Vec<String> = command.as_object().unwrap().keys().cloned().collect();
        for (field, value) in changes {
            command[field.get(&fields)] = value;
        }
        if let Err(faults) = parse(&command.to_string()) {
            prop_assert!(!faults.is_empty());
        }
    }
}
