//! What the way of alerts must keep, from [`AlertPublisher`] to where the alerter takes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stockline_core::domain::{Alert, AlertKind, CommandId, Timestamp};
use stockline_core::ports::AlertPublisher;
use uuid::Uuid;

use crate::process::PATIENCE;

/// Where published alerts arrive.
#[async_trait]
pub trait Arrivals: Send + Sync + std::fmt::Debug {
    /// Waits a little for messages; takes and acknowledges them, and answers their bodies.
    async fn take(&self) -> Vec<Arc<str>>;
}

/// A way of alerts of a test's own, empty.
#[derive(Debug)]
pub struct Way {
    /// What the worker has of it.
    pub publisher: Arc<dyn AlertPublisher>,
    /// What the alerter has of it.
    pub arrivals: Box<dyn Arrivals>,
}

/// How long [`Arrivals::take`] waits.
pub const TAKE_WAIT: Duration = Duration::from_secs(1);

fn alert(alert_no: u64, item_name: &str) -> Alert {
    Alert {
        item_id: "cola".parse().unwrap(),
        location_id: "shop-1".parse().unwrap(),
        alert_no,
        kind: AlertKind::Low,
        on_hand: "2.5".parse().unwrap(),
        low_stock_threshold: Some("3".parse().unwrap()),
        seq: 7,
        raised_at: Timestamp::from_millis(1_769_846_400_000),
        command_id: CommandId(Uuid::from_u128(u128::from(alert_no))),
        item_name: item_name.to_owned(),
        unit: "piece".into(),
        trace: None,
    }
}

impl Way {
    async fn publish(&self, alerts: &[Alert]) {
        let results = self.publisher.publish(alerts).await;
        assert_eq!(results.len(), alerts.len());
        results.into_iter().for_each(|result| result.unwrap());
    }

    /// Takes until each of these arrived at least once; they are as they were published, and no others.
    async fn expect(&self, alerts: &[Alert]) {
        let mut missing: BTreeMap<String, &Alert> = alerts.iter().map(|alert| (alert.id(), alert)).collect();
        let deadline = Instant::now() + PATIENCE;
        while !missing.is_empty() {
            assert!(Instant::now() < deadline, "{} of {} alerts did not arrive", missing.len(), alerts.len());
            for body in self.arrivals.take().await {
                let arrived: Alert = serde_json::from_str(&body).unwrap();
                assert!(alerts.contains(&arrived), "{arrived:?} was not published");
                missing.remove(&arrived.id());
            }
        }
    }
}

/// More of them than any provider takes in one call.
pub async fn every_alert_of_a_large_call_arrives_as_it_was_published(way: Way) {
    let alerts: Vec<Alert> = (1..=25).map(|n| alert(n, "Cola 0.33 l")).collect();
    way.publish(&alerts).await;
    way.expect(&alerts).await;
}

/// The worker does so after every crash.
pub async fn publishing_again_is_harmless(way: Way) {
    let alerts = [alert(1, "Cola"), alert(2, "Cola")];
    way.publish(&alerts).await;
    way.publish(&alerts[..1]).await;
    way.expect(&alerts).await;
}

/// Characters that a provider refuses harm no alert of the call.
pub async fn any_name_arrives(way: Way) {
    let names = ["<Käse> & \"Brot\" \\ ", "\u{fffe}\u{ffff}\u{1f4e6}\u{10ffff}\u{7f}\u{85}", "x"];
    let alerts: Vec<Alert> = (1..).zip(names).map(|(n, name)| alert(n, name)).collect();
    way.publish(&alerts).await;
    way.expect(&alerts).await;
}

/// As a fold that raised none does.
pub async fn publishing_nothing_is_no_call(way: Way) {
    way.publish(&[]).await;
}

/// All claims of the contract as tests. The argument is an expression that gives an `Option<Way>`; `None` leaves the
/// test out.
#[macro_export]
macro_rules! alerts_contract {
    ($way:expr) => {
        $crate::alerts_contract! { @claims $way;
            every_alert_of_a_large_call_arrives_as_it_was_published
            publishing_again_is_harmless
            any_name_arrives
            publishing_nothing_is_no_call
        }
    };
    (@claims $way:expr; $($claim:ident)+) => {
        $(
            #[tokio::test]
            async fn $claim() {
                if let Some(way) = $way.await {
                    $crate::contract::alerts::$claim(way).await;
                }
            }
        )+
    };
}
