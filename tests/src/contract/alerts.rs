//! The contract of alert delivery, from [`AlertPublisher`] to the queue that the alerter reads.

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
    /// Waits up to [`TAKE_WAIT`] for messages, acknowledges them and returns their bodies.
    async fn take(&self) -> Vec<Arc<str>>;
}

/// A publisher and the queue behind it. The queue is empty and belongs to one test.
#[derive(Debug)]
pub struct Way {
    /// The worker's end.
    pub publisher: Arc<dyn AlertPublisher>,
    /// The alerter's end.
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
        opening: alert_no.is_multiple_of(2),
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

    /// Takes messages until each of these alerts has arrived at least once. No other alert may arrive, and each must be
    /// as it was published.
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

/// The call has more alerts than any provider accepts in one request.
pub async fn every_alert_of_a_large_call_arrives_as_it_was_published(way: Way) {
    let alerts: Vec<Alert> = (1..=25).map(|n| alert(n, "Cola 0.33 l")).collect();
    way.publish(&alerts).await;
    way.expect(&alerts).await;
}

/// The worker publishes again after every crash.
pub async fn publishing_again_is_harmless(way: Way) {
    let alerts = [alert(1, "Cola"), alert(2, "Cola")];
    way.publish(&alerts).await;
    way.publish(&alerts[..1]).await;
    way.expect(&alerts).await;
}

/// If a provider refuses a character, all alerts of the call arrive all the same.
pub async fn any_name_arrives(way: Way) {
    let names = ["<Käse> & \"Brot\" \\ ", "\u{fffe}\u{ffff}\u{1f4e6}\u{10ffff}\u{7f}\u{85}", "x"];
    let alerts: Vec<Alert> = (1..).zip(names).map(|(n, name)| alert(n, name)).collect();
    way.publish(&alerts).await;
    way.expect(&alerts).await;
}

/// A fold that raises no alert publishes an empty list.
pub async fn publishing_nothing_is_no_call(way: Way) {
    way.publish(&[]).await;
}

/// Makes a test of each claim of the contract. The argument is an async expression of an `Option<Way>`. `None` leaves
/// the test out.
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
