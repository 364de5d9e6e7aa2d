//! Tests the API against its own description. schemathesis makes requests from the OpenAPI document of a running
//! server, and checks every answer against it: no 5xx, and no undocumented status, type, header or field.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use stockline_deploy_checks::python;
use stockline_tests::process::{Server, audit, with_id};

/// The number of generated requests per operation and phase. schemathesis also sends the document's examples and covers
/// each field.
const EXAMPLES: &str = "20";

/// The id of a command in the document's examples.
const SALE_ID: &str = "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b";

/// Starts a server with data under every id that the document's examples name.
async fn stocked(data: &Path) -> Server {
    let server = Server::start(data, &["--alert-email", "owner@example.com"]).await;
    for shop in ["shop-1", "main"] {
        let settings = json!({"name": shop, "alert_emails": ["a@example.com"]});
        let (status, body) = server.request("PUT", &format!("/v1/locations/{shop}"), Some(&settings)).await.unwrap();
        assert!([200, 201].contains(&status), "{body}");
    }
    let item = |fields: Value| {
        let mut command = json!({"item_id": "cola-033"});
        command.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        command
    };
    for (status, command) in [
        (
            "applied",
            json!({"type": "register_item", "name": "Cola", "barcodes": ["4006381333931"], "category": "drinks", "low_stock_threshold": "6", "unit_cost": "0.41"}),
        ),
        (
            "applied",
            json!({"type": "receive", "location_id": "shop-1", "quantity": "24", "unit_cost": "0.41", "reference": "PO-1"}),
        ),
        (
            "applied",
            json!({"type": "sell", "command_id": SALE_ID, "location_id": "shop-1", "quantity": "19", "on_shortage": "allow", "note": "n", "device_id": "till-3", "operator": "7"}),
        ),
        (
            "applied",
            json!({"type": "transfer", "from_location_id": "shop-1", "to_location_id": "main", "quantity": "1"}),
        ),
        ("applied", json!({"type": "count", "location_id": "main", "counted": "2"})),
        ("applied", json!({"type": "adjust", "location_id": "main", "quantity": "-3", "reason": "theft"})),
        (
            "applied",
            json!({"type": "sell", "location_id": "main", "quantity": "1", "occurred_at": "2020-01-01T00:00:00Z", "sent_at": "2020-01-01T00:00:00Z"}),
        ),
        ("rejected", json!({"type": "sell", "location_id": "shop-1", "quantity": "100", "on_shortage": "reject"})),
        ("rejected", json!({"type": "receive", "location_id": "nowhere", "quantity": "1", "unit_cost": "0.41"})),
        ("rejected", json!({"type": "sell", "location_id": "shop-1", "quantity": "1", "expected_on_hand": "7"})),
    ] {
        let outcome = server.settle(with_id(item(command))).await;
        assert_eq!(outcome["status"], status, "{outcome}");
    }
    server
}

/// Returns the OpenAPI document with all its objects closed, so that an undocumented field fails.
async fn document(server: &Server) -> Value {
    fn close(value: &mut Value) {
        if let Some(members) = value.as_object_mut()
            && members.get("properties").is_some_and(Value::is_object)
            && members.get("type").is_some_and(|kind| kind == "object")
        {
            members.entry("additionalProperties").or_insert(json!(false));
        }
        match value {
            Value::Object(members) => members.values_mut().for_each(close),
            Value::Array(values) => values.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut document = server.get("/openapi.json").await;
    close(&mut document);
    document
}

/// Runs schemathesis, with the same requests every time.
fn schemathesis(server: &Server, document: &Value, token: &str, phases: &str) -> Output {
    let python = python::environment("schemathesis", include_str!("../../schemathesis/requirements.txt"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openapi.json");
    std::fs::write(&path, document.to_string()).unwrap();
    Command::new(python.with_file_name("st"))
        .arg("--config-file")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis/schemathesis.toml"))
        .arg("run")
        .arg(path)
        .args(["--url", &server.url, "--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", phases, "--max-examples", EXAMPLES, "--generation-deterministic"])
        .args(["--continue-on-failure", "--no-color", "--request-timeout", "30"])
        // schemathesis writes its cache into the current folder.
        .current_dir(folder.path())
        .output()
        .unwrap()
}

/// Returns the number of requests from the closing summary.
fn requests(output: &Output) -> u32 {
    let text = String::from_utf8_lossy(&output.stdout);
    let count = text.split(" generated, ").next().and_then(|before| before.split_whitespace().next_back());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count of requests in {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_a_manager_is_described() {
    let data = tempfile::tempdir().unwrap();
    let server = stocked(data.path()).await;
    let document = document(&server).await;
    let output = schemathesis(&server, &document, &server.manager, "examples,coverage,fuzzing,stateful");
    python::assert_ran(&output, "schemathesis");
    let requests = requests(&output);
    assert!(requests > 1_000, "{requests} requests");
    println!("{requests} requests");
    audit(&server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_to_staff_of_one_shop_is_described() {
    let data = tempfile::tempdir().unwrap();
    let server = stocked(data.path()).await;
    let document = document(&server).await;
    let staff = server.token(&["--role", "staff", "--location", "shop-1"]);
    let output = schemathesis(&server, &document, &staff, "examples,coverage");
    python::assert_ran(&output, "schemathesis");
    println!("{} requests", requests(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_described_would_be_found() {
    let data = tempfile::tempdir().unwrap();
    let server = stocked(data.path()).await;
    let mut document = document(&server).await;
    let paths = document["paths"].as_object_mut().unwrap();
    paths.retain(|path, _| path == "/v1/stock" || path == "/v1/alerts");
    document["paths"]["/v1/stock"]["get"]["responses"].as_object_mut().unwrap().remove("400");
    let alert = &mut document["components"]["schemas"]["Alert"];
    alert["properties"].as_object_mut().unwrap().remove("alert_no");
    alert["required"].as_array_mut().unwrap().retain(|name| name != "alert_no");
    let output = schemathesis(&server, &document, &server.manager, "examples,coverage");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    for found in ["Undocumented status code", "Response violates schema"] {
        assert!(text.contains(found), "{found} in {text}");
    }
}
