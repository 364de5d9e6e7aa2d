use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::json;
use stockline_common::service::NAMESPACE;
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::PATIENCE;
use stockline_tests::stack::MAIL_FROM;
use stockline_tests::told::{Told, fault, told};
use stockline_tests::watched::watched;
use stockline_tests::{templates, watched::Reference};

/// SES refuses a mail, which no other part of this test wants: its alert is tried for as long as its queue keeps it.
pub(crate) async fn a_refused_mail_is_counted_as_such(home: &Installation) {
    let ses = home.server.clients().ses;
    ses.delete_email_identity().email_identity(MAIL_FROM).send().await.unwrap();
    home.stock_up("salt", "3", Some("2")).await;
    let sale = json!({"type": "sell", "item_id": "salt", "location_id": "main", "quantity": "2"});
    home.settle(&home.till, sale).await;
    let deadline = Instant::now() + PATIENCE;
    let refused = |told: BTreeSet<Told>| {
        let dimensions = [("Service", "alerter"), ("kind", "refused")].map(|(n, v)| (n.to_owned(), Some(v.to_owned())));
        let name = stockline_alerter::metrics::MAIL_FAILURES.to_owned();
        let place = "alerter".to_owned();
        let meant = Reference { place, namespace: NAMESPACE.to_owned(), name, dimensions: dimensions.into() };
        told.iter().any(|told| told.is(&meant))
    };
    while !refused(told(&home.told())) {
        assert!(Instant::now() < deadline, "the mail was not refused:\n{}", home.server.log());
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Every metric of ours that alarms, scaling and dashboard name was told by these very processes, under those dimensions;
/// and they told none that the list of `told.rs` lacks. (What did not happen was told as 0, from the start on.)
pub(crate) fn what_is_watched_was_told(home: &Installation) {
    let told = told(&home.told());
    let mut ours = 0;
    for file in ["watch.yaml", "scaling.yaml"] {
        for reference in watched(&templates::read(file)).unwrap().references {
            if reference.namespace == NAMESPACE {
                ours += 1;
                assert!(told.iter().any(|told| told.is(&reference)), "nobody told {reference:?} in\n{told:#?}");
            }
        }
    }
    assert!(ours > 40, "{ours}");
    let unknown: Vec<String> = told.iter().filter_map(|told| fault(&told.reference())).collect();
    assert_eq!(unknown, Vec::<String>::new());
}
