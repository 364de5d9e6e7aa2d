use std::time::Instant;

use serde_json::json;
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::{PATIENCE, with_id};

/// The trace that the till names. The programs export its spans: the request, its command in the worker, the alert.
const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

/// Ingress, worker and alerter are three processes; what ties them is in the message and in the alert.
pub(crate) async fn one_trace_leads_from_the_request_to_the_mail(home: &Installation) {
    home.stock_up("pepper", "3", Some("2")).await;
    let sale = json!({"type": "sell", "item_id": "pepper", "location_id": "main", "quantity": "2"});
    let request = reqwest::Client::new()
        .post(format!("{}/v1/commands", home.api))
        .bearer_auth(&home.till)
        .header("traceparent", format!("00-{TRACE:032x}-00f067aa0ba902b7-01"))
        .json(&with_id(sale));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["x-request-id"], format!("{TRACE:032x}").as_str());
    let deadline = Instant::now() + PATIENCE;
    while home.collector.spans_of(TRACE) < 3 {
        let exported = home.collector.spans_of(TRACE);
        assert!(Instant::now() < deadline, "{exported} spans were exported:\n{}", home.server.log());
        tokio::time::sleep(POLL_EVERY).await;
    }
    assert_eq!(home.collector.spans_of(TRACE), 3);
}
