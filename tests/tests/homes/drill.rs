//! The load of `deploy/drill` against a server: it proves what it says, and it finds what is wrong.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde_json::json;
use stockline_deploy_checks::templates;
use stockline_tests::process::{PATIENCE, Server, audit, stockline_binary};

const ITEMS: &str = "5";

fn drill(server: &Server, arguments: &[&str]) -> Child {
    Command::new("python3")
        .arg(templates::folder().join("drill"))
        .args(arguments)
        .env("STOCKLINE_URL", &server.url)
        .env("STOCKLINE_TOKEN", server.token(&["--till", "drill"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ended(drill: Child) -> (bool, String) {
    let Output { status, stdout, stderr } = drill.wait_with_output().unwrap();
    (status.success(), [stdout, stderr].map(|text| String::from_utf8(text).unwrap()).concat())
}

/// Registers the load's items as the page says: by a Manager, from the CSV that the drill prints.
fn register_items(server: &Server, data: &std::path::Path) {
    let (works, items) = ended(drill(server, &["items", ITEMS]));
    assert!(works, "{items}");
    let mut load = Command::new(stockline_binary())
        .args(["load", "-", "--type", "register_item", "--map", "item_id=item_id,name=name", "--id", "item_id"])
        .args(["--url", &server.url, "--token", &server.token(&["--role", "manager"])])
        .current_dir(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    load.stdin.take().unwrap().write_all(items.as_bytes()).unwrap();
    assert!(load.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_proves_that_each_sale_took_effect_once_and_tells_when_the_stock_is_off() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;

    let (works, told) = ended(drill(&server, &["load", "50", "1", "--items", ITEMS]));
    assert!(!works && told.contains("item_not_found"), "without its items: {told}");

    register_items(&server, data.path());
    let shops: PathBuf = data.path().join("shops");
    std::fs::write(&shops, "main\nberlin\n").unwrap();
    let berlin = json!({"name": "Berlin", "time_zone": "Europe/Berlin"});
    assert_eq!(server.request("PUT", "/v1/locations/berlin", Some(&berlin)).await.unwrap().0, 201);
    let shops = shops.to_str().unwrap();
    let (works, told) = ended(drill(&server, &["load", "100", "2", "--items", ITEMS, "--locations", shops]));
    assert!(works && told.contains("accepted 200 sales") && told.contains("what they make it"), "{told}");
    assert!(told.contains(r#"{"applied": 210}"#), "10 levels are stocked, 200 are sold: {told}");

    // Another sale beside it is a difference that it must find.
    let before = server.get("/v1/items/drill-0").await["on_hand"].clone();
    let beside = drill(&server, &["load", "20", "2", "--items", ITEMS]);
    let deadline = Instant::now() + PATIENCE;
    while server.get("/v1/items/drill-0").await["on_hand"] == before {
        assert!(Instant::now() < deadline, "the load did not begin");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    server.settle(json!({"type": "sell", "item_id": "drill-0", "quantity": "1"})).await;
    let (works, told) = ended(beside);
    assert!(!works && told.contains("drill-0 has") && told.contains("and should have"), "{told}");
    audit(&server.stop());
}
