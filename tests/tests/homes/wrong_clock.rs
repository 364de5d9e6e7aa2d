//! The real `stockline` under a clock that steps. Tills and people have right clocks.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;
use stockline_tests::process::{PATIENCE, Server, audit, free_address, stockline, stockline_binary, stockline_ok};
use stockline_tests::wrong_clock::WrongClock;

const HOUR_S: i64 = 3_600;
const YEAR_S: i64 = 365 * 24 * HOUR_S;

/// Starts a server under this clock, ready or not, with a token that is valid for longer than a year.
async fn start(clock: &WrongClock, data: &Path) -> Server {
    let mut server = Server::spawn(clock.command(stockline_binary()), &free_address(), data, &[]);
    let deadline = Instant::now() + PATIENCE;
    while server.request("GET", "/healthz", None).await.is_err() {
        assert!(Instant::now() < deadline, "stockline was not alive in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.manager = server.token(&["--role", "manager", "--ttl", "400d"]);
    server
}

/// Returns why the server is not ready; `None` if it is.
async fn doubt(server: &Server) -> Option<String> {
    let (status, body) = server.request("GET", "/readyz", None).await.unwrap();
    (status != 200).then(|| body["detail"].as_str().unwrap().to_owned())
}

fn ago(seconds: i64) -> Timestamp {
    SystemClock.now().plus_millis(-seconds * 1_000)
}

async fn count(server: &Server, counted: &str) {
    let count = json!({"type": "count", "item_id": "cola", "counted": counted});
    assert_eq!(server.settle(count).await["status"], "applied");
}

/// A till's sale that occurred just now, by its right clock.
async fn sell(server: &Server, quantity: &str) -> Value {
    let sale = json!({
        "type": "sell", "item_id": "cola", "quantity": quantity, "on_shortage": "reject", "occurred_at": ago(0),
    });
    server.settle(sale).await
}

/// The balance at `main`, by an address that shows levels.
async fn on_hand(server: &Server, path: &str) -> Value {
    server.get(path).await["levels"][0]["on_hand"].clone()
}

/// Honest sales move the stock, nothing is oversold, and every read shows what is new.
async fn sells_honestly(server: &Server, on_hand_before: i64) {
    let sold = sell(server, "2").await;
    assert_eq!((&sold["effects"][0]["late"], &sold["effects"][0]["delta"]), (&json!(false), &json!("-2")), "{sold}");
    assert_eq!(sell(server, "1000").await["rejection"]["code"], "insufficient_stock");
    let now = (on_hand_before - 2).to_string();
    let later = ago(-60);
    for path in ["", "/stock", &format!("/stock?as_of={later}")] {
        assert_eq!(on_hand(server, &format!("/v1/items/cola{path}")).await, now, "{path}");
    }
    let shown = server.get(&format!("/v1/items/cola/movements?location_id=main&to={later}&limit=1")).await;
    assert_eq!(shown["movements"][0]["after"], now, "{shown}");
    let (status, put) = server.request("PUT", "/v1/locations/shop", Some(&json!({"name": "Shop"}))).await.unwrap();
    assert!(matches!(status, 200 | 201), "{put}");
    let moved = server
        .settle(json!({
            "type": "transfer", "item_id": "cola", "quantity": "1", "from_location_id": "main", "to_location_id": "shop",
        }))
        .await;
    assert_eq!(moved["status"], "applied", "{moved}");
    assert_eq!(moved["effects"][0]["recorded_at"], moved["effects"][1]["recorded_at"], "{moved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_a_year_ahead_is_held() {
    let (clock, data) = (WrongClock::new(), tempfile::tempdir().unwrap());
    let server = start(&clock, data.path()).await;
    assert_eq!(doubt(&server).await, None);
    server.stock_up("cola", "70").await;
    clock.set(YEAR_S);
    let why = doubt(&server).await.unwrap();
    assert!(why.contains("ahead of") && why.contains("clock --confirm"), "{why}");
    count(&server, "70").await;
    let counted_at = server.get("/v1/items/cola").await["levels"][0]["counted_at"].clone();
    let counted_at: Timestamp = counted_at.as_str().unwrap().parse().unwrap();
    assert!(counted_at <= ago(0), "{counted_at}");
    sells_honestly(&server, 70).await;
    clock.set(0);
    assert_eq!(doubt(&server).await, None, "it came back");
    sells_honestly(&server, 67).await;
    audit(&server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_shop_that_began_a_year_ahead_is_mended_by_one_word() {
    let (clock, data) = (WrongClock::new(), tempfile::tempdir().unwrap());
    clock.set(YEAR_S);
    let server = start(&clock, data.path()).await;
    server.stock_up("cola", "70").await;
    count(&server, "70").await;
    clock.set(0);
    let why = doubt(&server).await.unwrap();
    assert!(why.contains("behind"), "{why}");
    assert_eq!(stockline(&["clock"], data.path()).status.code(), Some(1));
    stockline_ok(&["clock", "--confirm"], data.path());
    stockline_ok(&["clock"], data.path());
    assert_eq!(doubt(&server).await, None);
    sells_honestly(&server, 70).await;
    count(&server, "60").await;
    assert_eq!(on_hand(&server, "/v1/items/cola").await, "60", "a later count mends");
    sells_honestly(&server, 60).await;
    audit(&server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_an_hour_behind_goes_on_from_what_is_stored() {
    let (clock, data) = (WrongClock::new(), tempfile::tempdir().unwrap());
    let server = start(&clock, data.path()).await;
    server.stock_up("cola", "70").await;
    count(&server, "70").await;
    server.stop();
    clock.set(-HOUR_S);
    let server = start(&clock, data.path()).await;
    let why = doubt(&server).await.unwrap();
    assert!(why.contains("behind"), "{why}");
    sells_honestly(&server, 70).await;
    clock.set(0);
    assert_eq!(doubt(&server).await, None);
    sells_honestly(&server, 67).await;
    audit(&server.stop());
}
