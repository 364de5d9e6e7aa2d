//! Tests that every bad input gets a clear problem that says what to do, and is not queued.

use serde_json::json;

use crate::server::{Server, id, sale, streamed};

/// Returns a sale with one member added or changed.
fn with(member: &str) -> String {
    let base = [
        ("type", "\"sell\"".to_owned()),
        ("command_id", format!("\"{}\"", id(1))),
        ("item_id", "\"cola\"".to_owned()),
        ("quantity", "\"1\"".to_owned()),
    ];
    let name = member.split(':').next().unwrap().trim_matches('"');
    let members: Vec<_> =
        base.iter().filter(|(own, _)| *own != name).map(|(own, value)| format!("\"{own}\":{value}")).collect();
    format!("{{{},{member}}}", members.join(","))
}

#[tokio::test]
async fn each_fault_of_a_command_is_named_with_what_would_be_right() {
    let server = Server::start().await;
    let staff = server.staff();
    let cases = [
        (r#""colour":"red""#, "/colour unknown_field", "is not a field of sell; it takes"),
        (r#""a/b~c":1"#, "/a~1b~0c unknown_field", "is not a field"),
        (r#""quantity":0.5"#, "/quantity float", "write \"0.5\""),
        (r#""quantity":1e3"#, "/quantity float", "write \"1000\""),
        (r#""quantity":"1e3""#, "/quantity invalid_value", "plain decimal"),
        (r#""quantity":"0.0001""#, "/quantity invalid_value", "more decimals"),
        (r#""quantity":true"#, "/quantity wrong_type", "not a boolean"),
        (r#""quantity":"-1""#, "/quantity invalid_value", "must be above 0, not -1"),
        (r#""quantity":"0""#, "/quantity invalid_value", "must be above 0"),
        (r#""quantity":4006381333931"#, "/quantity quantity_too_large", "was a barcode scanned into it?"),
        (r#""quantity":"99999999999999999999""#, "/quantity quantity_too_large", "out of range"),
        (r#""quantity":null"#, "/quantity missing_field", "is required"),
        (r#""quantity":"1","quantity":"2""#, "/quantity duplicate_field", "more than once"),
        (r#""occurred_at":"2026-01-31T08:15:00""#, "/occurred_at invalid_value", "with an offset, such as"),
        (r#""note":"a\u0007""#, "/note invalid_value", "control character"),
        (r#""item_id":"..""#, "/item_id invalid_value", "must not be dots alone"),
        (r#""item_id":7"#, "/item_id wrong_type", "must be a string"),
        (r#""location_id":"a  b""#, "/location_id invalid_value", "two in a row"),
        (r#""command_id":"7""#, "/command_id invalid_value", "must be a UUID such as"),
        (r#""type":"steal""#, "/type invalid_value", "must be one of register_item"),
        (r#""on_shortage":"maybe""#, "/on_shortage invalid_value", "must be one of allow, reject"),
    ];
    for (member, fault, detail) in cases {
        let answer = staff.post_text("/v1/commands", with(member)).await;
        assert_eq!((answer.status, answer.code()), (422, "invalid_command"), "{member}: {}", answer.text);
        assert_eq!(answer.faults(), [fault], "{member}");
        let found = answer.body["errors"][0]["detail"].as_str().unwrap();
        assert!(found.contains(detail), "{member}: {found}");
    }
    assert!(server.memory.waiting().is_empty());
}

#[tokio::test]
async fn every_fault_is_named_at_once() {
    let server = Server::start().await;
    let body = json!({"type": "transfer", "item_id": "", "quantity": 1.5, "from_location_id": "a", "to_location_id": "a", "x": 1});
    let answer = server.staff().post("/v1/commands", body).await;
    let mut faults = answer.faults();
    faults.sort();
    let expected = [
        "/command_id missing_field",
        "/item_id invalid_value",
        "/quantity float",
        "/to_location_id invalid_value",
        "/x unknown_field",
    ];
    assert_eq!(faults, expected);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_400_with_the_place() {
    let server = Server::start().await;
    let staff = server.staff();
    let deep = "[".repeat(100_000);
    let cases: [(&[u8], &str); 6] = [
        (b"{\"type\":\n  sell}", "line 2 column 3"),
        (b"{\"type\":\"sell\"", "ends too early, at line 1"),
        (b"", "the body is empty"),
        (b"\xff\xfe", "UTF-16"),
        (deep.as_bytes(), "recursion limit exceeded"),
        (b"{} {}", "trailing characters"),
    ];
    for (body, detail) in cases {
        let answer = staff.post_text("/v1/commands", body.to_vec()).await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_json"), "{}", answer.text);
        assert!(answer.body["detail"].as_str().unwrap().contains(detail), "{}", answer.text);
    }
    for body in ["[]", "7", "null", "\"sell\""] {
        let answer = staff.post_text("/v1/commands", body).await;
        assert_eq!((answer.status, answer.faults()), (422, vec![" wrong_type".to_owned()]));
    }
}

#[tokio::test]
async fn a_large_body_is_413_and_its_sender_gets_the_answer() {
    let server = Server::start().await;
    let body = format!("{{\"note\":\"{}\"}}", "x".repeat(10 * 1024 * 1024));
    let answer = server.staff().post_text("/v1/commands", body.clone()).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    let chunks =
        body.into_bytes().chunks(64 * 1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
    let unannounced = streamed(futures_util::stream::iter(chunks));
    let answer = server.staff().post_text("/v1/commands", unannounced).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    let fits = format!("{{\"note\":\"{}\"}}", "x".repeat(1024 * 1024 - 11));
    assert_eq!(server.staff().post_text("/v1/commands", fits).await.status, 422);
}

#[tokio::test]
async fn only_json_is_accepted() {
    let server = Server::start().await;
    let staff = server.staff();
    let post = |kind: Option<&str>| {
        let request = staff.request(reqwest::Method::POST, "/v1/commands").body(sale(1, "main", "1").to_string());
        match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        }
    };
    for kind in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx"), Some("json")]
    {
        let answer = staff.send(post(kind)).await;
        assert_eq!((answer.status, answer.code()), (415, "unsupported_media_type"), "{kind:?}");
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.shop+json"] {
        assert_eq!(staff.send(post(Some(kind))).await.status, 202, "{kind}");
    }
    let zipped = post(Some("application/json")).header("content-encoding", "gzip");
    assert_eq!(staff.send(zipped).await.status, 415);
}

#[tokio::test]
async fn unknown_paths_methods_and_ids_are_problems() {
    let server = Server::start().await;
    let staff = server.staff();
    for path in ["/v2", "/v1/items/a/b", "/v1/commands/batch/x", "/v1//items", "/metrics"] {
        let answer = staff.get(path).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}");
    }
    let answer = staff.send(staff.request(reqwest::Method::DELETE, "/v1/commands")).await;
    assert_eq!((answer.status, answer.code()), (405, "method_not_allowed"));
    let allow = answer.header("allow");
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let long = "x".repeat(65);
    for path in [
        "/v1/items/%2e%2e%2e",
        "/v1/items/a%00b",
        "/v1/items/a%20%20b/movements",
        "/v1/items/Gro%CC%88%C3%9Fe",
        &format!("/v1/items/{long}"),
        "/v1/items/cola/commands/7",
        "/v1/locations/%E2%80%AEa",
    ] {
        let answer = staff.get(path).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_id"), "{path}: {}", answer.text);
    }
    let answer = staff.get("/v1/items/%FF").await;
    assert_eq!(answer.status, 400, "{}", answer.text);
}

#[tokio::test]
async fn a_flood_of_fields_or_parameters_is_one_fault() {
    let server = Server::stocked().await;
    let staff = server.staff();
    let flood: serde_json::Map<String, serde_json::Value> = (0..50_000).map(|n| (format!("f{n}"), json!(0))).collect();
    let mut sale = flood.clone();
    sale.insert("type".into(), json!("sell"));
    for (path, body) in
        [("/v1/commands", sale), ("/v1/commands/batch", flood.clone()), ("/v1/commands/status", flood.clone())]
    {
        let answer = staff.post(path, body.into()).await;
        assert_eq!(answer.status, 422, "{path}: {}", answer.code());
        let errors = answer.body["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["code"] == "too_many_fields"), "{path}: {}", errors.len());
        assert!(errors.len() <= 4, "{path}: {} faults", errors.len());
    }
    let query: Vec<String> = (0..1_000).map(|n| format!("p{n}=1")).collect();
    let answer = staff.get(&format!("/v1/items?{}", query.join("&"))).await;
    assert_eq!((answer.status, answer.body["errors"].as_array().unwrap().len()), (400, 1), "{}", answer.text);
}

#[tokio::test]
async fn unknown_or_wrong_query_parameters_are_refused() {
    let server = Server::stocked().await;
    let staff = server.staff();
    let cases = [
        ("/v1/items?barcod=1", "?barcod unknown_parameter", "this path takes barcode, name_prefix"),
        ("/v1/items/cola?x=1", "?x unknown_parameter", "takes no parameters"),
        ("/v1/items?limit=0", "?limit invalid_value", "from 1 to 1000"),
        ("/v1/items?limit=1001", "?limit invalid_value", "from 1 to 1000"),
        ("/v1/items?limit=ten", "?limit invalid_value", "whole number"),
        ("/v1/items?archived=yes", "?archived invalid_value", "must be one of true, false"),
        ("/v1/items?barcode=1&barcode=2", "?barcode duplicate_parameter", "more than once"),
        ("/v1/items?category=", "?category invalid_value", "is empty"),
        ("/v1/stock?state=normal", "?state invalid_value", "must be one of low, out, oversold"),
        ("/v1/stock?state=low,normal", "?state invalid_value", "must be one of low, out, oversold"),
        ("/v1/stock?state=", "?state invalid_value", "must be one of low, out, oversold"),
        ("/v1/stock?archived=true&archived=true", "?archived duplicate_parameter", "more than once"),
        ("/v1/stock?location_id=a%20", "?location_id invalid_value", "end with a space"),
        ("/v1/items/cola/movements?from=yesterday", "?from invalid_value", "RFC 3339"),
        ("/v1/items/cola/movements?type=archive_item", "?type invalid_value", "must be one of receive, sell"),
        ("/v1/commands?status=queued", "?status invalid_value", "must be one of applied, rejected, dead_lettered"),
        ("/v1/commands?status=applied&code=item_exists", "?code invalid_value", "is for refused commands"),
        ("/v1/commands?status=applied&type=sell", "?type invalid_value", "must be one of register_item"),
        ("/v1/commands?type=update_item", "?type invalid_value", "is for status=applied"),
        ("/v1/items/cola/changes?type=sell", "?type invalid_value", "must be one of register_item"),
        ("/v1/movements?operater=7", "?operater unknown_parameter", "location_id, from, to, type, operator"),
        ("/v1/commands?code=no_such", "?code invalid_value", "must be one of unknown_item"),
    ];
    for (path, fault, detail) in cases {
        let answer = staff.get(path).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"), "{path}: {}", answer.text);
        assert_eq!(answer.faults(), [fault], "{path}");
        assert!(answer.body["errors"][0]["detail"].as_str().unwrap().contains(detail), "{}", answer.text);
    }
    let answer = staff.post("/v1/commands?dry_run=true", sale(1, "main", "1")).await;
    assert_eq!(answer.code(), "invalid_parameter");
}

#[tokio::test]
async fn an_outage_is_503_and_a_panic_is_500_and_neither_reveals_its_cause() {
    use std::sync::atomic::Ordering::SeqCst;
    let server = Server::stocked().await;
    let staff = server.staff();
    server.memory.store_down.store(true, SeqCst);
    let answer = staff.get("/v1/items/cola").await;
    assert_eq!((answer.status, answer.code()), (503, "store_unavailable"));
    assert!(!answer.text.contains("told to"));
    assert_eq!(
        staff.post("/v1/commands", sale(1, "shop-1", "1")).await.status,
        202,
        "commands are accepted all the same"
    );
    server.memory.panics.store(true, SeqCst);
    let answer = staff.get("/v1/items/cola").await;
    assert_eq!((answer.status, answer.code()), (500, "internal_error"));
    assert!(!answer.text.contains("told to"));
}
