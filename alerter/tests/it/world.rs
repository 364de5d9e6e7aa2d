//! A store, a clock, an outbox, and alerters over them, for every test.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stockline_alerter::{Adapters, Alerter, Config, RecordFailure, RetryReason};
use stockline_core::domain::{Alert, LocationSettings, Record, Timestamp};
use stockline_core::ports::{Clock, FixedClock, Locations, Mailer};
use stockline_core::testing::record_of;

use crate::outbox::Outbox;
use crate::store::FaultyStore;

pub(crate) const LEASE: Duration = Duration::from_secs(120);
pub(crate) const LEASE_MS: i64 = 120_000;

pub(crate) const HELD: Result<(), RecordFailure> = Err(RecordFailure::Retry(RetryReason::Held));
pub(crate) const GATHERING: Result<(), RecordFailure> = Err(RecordFailure::Retry(RetryReason::Gathering));
pub(crate) const STORE: Result<(), RecordFailure> = Err(RecordFailure::Retry(RetryReason::Store));
pub(crate) const MAIL: Result<(), RecordFailure> = Err(RecordFailure::Retry(RetryReason::Mail));
pub(crate) const REFUSED: Result<(), RecordFailure> = Err(RecordFailure::Retry(RetryReason::Refused));

pub(crate) fn config() -> Config {
    Config { recipients: vec!["all@example.com".into()], lease: LEASE, public_url: None }
}

pub(crate) fn adapters(store: &Arc<FaultyStore>, mailer: Arc<dyn Mailer>, clock: Arc<dyn Clock>) -> Adapters {
    Adapters { book: store.clone(), locations: store.clone(), queries: store.clone(), mailer, clock }
}

/// A store, an outbox and a clock, which alerters share.
pub(crate) struct World {
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) clock: Arc<FixedClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at("2026-01-31T08:15:00Z")
    }

    pub(crate) fn at(now: &str) -> Self {
        let clock = Arc::new(FixedClock::at(now.parse().unwrap()));
        Self { store: Arc::default(), outbox: Outbox::new(), clock }
    }

    /// Returns a new alerter, as after a restart.
    pub(crate) fn alerter(&self) -> Alerter {
        self.alerter_with(config())
    }

    pub(crate) fn alerter_with(&self, config: Config) -> Alerter {
        Alerter::new(config, adapters(&self.store, self.outbox.clone(), self.clock.clone()))
    }

    pub(crate) async fn location(&self, id: &str, zone: &str, emails: &[&str]) {
        self.store.put_location(&settings(id, zone, emails)).await.unwrap();
    }

    pub(crate) fn set(&self, now: &str) {
        let now: Timestamp = now.parse().unwrap();
        self.clock.advance_ms(now.millis_since(self.clock.now()));
    }

    pub(crate) fn mails(&self) -> usize {
        self.outbox.accepted().len()
    }
}

pub(crate) fn settings(id: &str, zone: &str, emails: &[&str]) -> LocationSettings {
    serde_json::from_value(json!({
        "location_id": id, "name": format!("Shop {id}"), "time_zone": zone, "alert_emails": emails,
        "closed": false, "updated_at": "2026-01-01T00:00:00Z",
    }))
    .unwrap()
}

pub(crate) fn alert(item: &str, location: &str) -> Alert {
    serde_json::from_value(json!({
        "item_id": item, "location_id": location, "alert_no": 1, "kind": "low", "on_hand": "3",
        "low_stock_threshold": "5", "seq": 17, "raised_at": "2026-01-31T08:14:58Z",
        "command_id": "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b", "item_name": format!("Item {item}"), "unit": "piece",
    }))
    .unwrap()
}

/// Returns an alert of opening stock.
pub(crate) fn opening(item: &str, location: &str) -> Alert {
    Alert { opening: true, seq: 1, ..alert(item, location) }
}

pub(crate) fn body(alert: &Alert) -> String {
    serde_json::to_string(alert).unwrap()
}

/// Hands alerts to an alerter as one batch.
pub(crate) async fn handle(alerter: &Alerter, alerts: &[&Alert]) -> Vec<Result<(), RecordFailure>> {
    let bodies: Vec<String> = alerts.iter().map(|alert| body(alert)).collect();
    let records: Vec<(&str, &str)> = bodies.iter().map(|body| ("m", body.as_str())).collect();
    alerter.handle(&records).await
}

/// Returns a refused command: a sale of `n` at a location, or without one an archiving.
pub(crate) fn refused(n: u32, location: Option<&str>, settled_at: &str) -> Record {
    let id = format!("01936b2e-7c4a-7f10-8a5b-{n:012}");
    let command = match location {
        Some(location) => json!({
            "type": "sell", "command_id": id, "item_id": "SKU-1", "location_id": location, "quantity": n.to_string(),
        }),
        None => json!({"type": "archive_item", "command_id": id, "item_id": "SKU-1"}),
    };
    record_of(&json!({
        "v": 1, "command_id": id, "item_id": "SKU-1", "status": "rejected", "accepted_at": settled_at,
        "settled_at": settled_at, "submitted_by": "till-1", "command": command,
        "rejection": {"code": "unknown_item", "detail": "no such item"},
    }))
}
