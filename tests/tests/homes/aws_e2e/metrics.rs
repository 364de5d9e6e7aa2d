use std::time::Instant;

use aws_sdk_sesv2::types::MailType;
use serde_json::json;
use stockline_deploy_checks::metric_names::{OURS, emitted, fault};
use stockline_deploy_checks::{templates, watched::watched};
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::PATIENCE;
use stockline_tests::sdk::clients;
use stockline_tests::stack::ALERT_EMAILS;

/// Puts the account back into SES's sandbox, where a recipient is no longer verified. The alert is retried for as long
/// as its queue keeps it, so this part must run after all other alerts.
pub(crate) async fn a_refused_mail_is_counted_as_such(home: &Installation) {
    let ses = clients(&home.server).ses;
    let sandbox = ses.put_account_details().mail_type(MailType::Transactional).website_url("https://example.com");
    sandbox.production_access_enabled(false).send().await.unwrap();
    ses.delete_email_identity().email_identity(ALERT_EMAILS).send().await.unwrap();
    home.stock_up("salt", "3", Some("2")).await;
    let sale = json!({"type": "sell", "item_id": "salt", "location_id": "main", "quantity": "2"});
    home.settle(&home.till, sale).await;
    let deadline = Instant::now() + PATIENCE;
    let refused = || emitted(&home.emf_lines()).iter().any(|metric| metric.is_under("alerter", "kind", "refused"));
    while !refused() {
        assert!(Instant::now() < deadline, "no mail was refused:\n{}", home.server.log());
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// A killed worker loses the counts of its last minute, so this sale is refused after all kills.
pub(crate) async fn a_refused_sale_is_counted_by_who_lives(home: &Installation) {
    home.stock_up("mustard", "1", None).await;
    let sale = json!({
        "type": "sell", "item_id": "mustard", "location_id": "main", "quantity": "2", "on_shortage": "reject",
    });
    assert_eq!(home.settle(&home.till, sale).await["rejection"]["code"], "insufficient_stock");
}

/// Checks that these processes emitted every metric of ours that alarms, scaling and dashboard name, under the same
/// dimensions. Every emitted metric must be in the list of `metric_names.rs`. (From the start each program emits a zero
/// for events that have not happened.)
pub(crate) fn what_is_watched_was_told(home: &Installation) {
    let emitted = emitted(&home.emf_lines());
    let mut ours = 0;
    for file in ["watch.yaml", "scaling.yaml"] {
        for reference in watched(&templates::read(file)).unwrap().references {
            if reference.namespace == OURS {
                ours += 1;
                assert!(
                    emitted.iter().any(|metric| metric.is(&reference)),
                    "nobody told {reference:?} in\n{emitted:#?}"
                );
            }
        }
    }
    assert!(ours > 40, "{ours}");
    let unknown: Vec<String> = emitted.iter().filter_map(|metric| fault(&metric.reference())).collect();
    assert_eq!(unknown, Vec::<String>::new());
}
