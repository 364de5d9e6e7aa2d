//! Tests that one id finds the logs of a sale, from the till's request to the mail.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use stockline_service::testing::Collector;

use crate::server::Server;

const SALE: &str =
    r#"{"type":"sell","command_id":"01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b","item_id":"cola","quantity":"6"}"#;

/// Starts a server that logs spans as JSON, with ten bottles and a threshold of five.
fn shop(options: &[&str]) -> Server {
    let common = ["--log-json", "--alert-email", "owner@example.com"];
    let server = Server::start_logging("stockline::trace=debug,error", &[&common, options].concat());
    server.run(&["submit", "register_item", "--item", "cola", "--name", "Cola", "--threshold", "5"]).ok();
    server.run(&["submit", "receive", "--item", "cola", "--quantity", "10"]).ok();
    server
}

/// Sells with a header that names the request, waits for the outcome, and returns the head of the answer in lower case.
fn sell(server: &Server, named: &str) -> String {
    let token = server.run(&["token", "--till", "till-3"]).ok().stdout;
    let address = server.said("API").trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /v1/commands HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Prefer: wait=20\r\nConnection: close\r\n{named}\r\nContent-Length: {}\r\n\r\n{SALE}",
        token.trim(),
        SALE.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split("\r\n\r\n").next().unwrap().to_lowercase()
}

/// Waits until the alert that the sale raised is marked as mailed.
fn wait_for_the_mail(server: &Server) {
    let until = Instant::now() + Duration::from_secs(30);
    while server.run(&["alerts", "--json"]).ok().json()[0]["sent_at"].is_null() {
        assert!(Instant::now() < until, "the alert was not mailed");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn one_id_finds_the_logs_of_a_sale_from_the_request_to_the_mail() {
    let mut server = shop(&[]);
    let head = sell(&server, "X-Request-Id: sale-4711");
    assert!(head.contains("x-request-id: sale-4711"), "{head}");
    wait_for_the_mail(&server);
    assert!(server.terminate().success());
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_the_sale = lines.iter().filter(|line| line.to_string().contains("sale-4711"));
    let messages: Vec<&str> = of_the_sale.filter_map(|line| line["fields"]["message"].as_str()).collect();
    assert_eq!(messages, ["commands are sent to the queue", "a command is settled", "an alert is mailed"], "{log}");
}

#[test]
fn without_a_name_a_request_gets_one() {
    let server = shop(&[]);
    let head = sell(&server, "X-Request-Id: not an id");
    let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{head}");
}

#[test]
fn spans_are_exported_to_a_collector_under_the_trace_of_the_till() {
    const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
    let collector = Collector::start();
    let mut server = shop(&["--otlp-endpoint", &collector.url]);
    let head = sell(&server, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert!(head.contains("x-request-id: 4bf92f3577b34da6a3ce929d0e0e4736"), "{head}");
    wait_for_the_mail(&server);
    // The server exports its remaining spans before the process ends.
    assert!(server.terminate().success());
    assert_eq!(collector.spans_of(TRACE), 3, "the request, its command and the alert are in the till's trace");
    assert!(collector.count(b"cola:main:1") > 0 && collector.count(b"/v1/commands") > 0);
}
