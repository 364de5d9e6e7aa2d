use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockline_alerter::run;
use stockline_core::domain::{Alert, Timestamp};
use stockline_core::ports::{AlertDelivery, AlertHandle, AlertReceiver, Clock, Lease, QueueError};
use stockline_core::testing::MemoryAlerts;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::outbox::Outbox;
use crate::store::FaultyStore;
use crate::world::{LEASE, adapters, alert, body, config, opening, refused};

/// A clock that follows tokio's, which the tests pause and which then advances by itself.
#[derive(Debug)]
pub(crate) struct TokioClock {
    pub(crate) began: Instant,
    pub(crate) at: Timestamp,
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.at.plus_millis(i64::try_from(self.began.elapsed().as_millis()).unwrap())
    }
}

/// Alert messages in memory, with an outage. A received message stays invisible for ten minutes.
#[derive(Debug)]
pub(crate) struct Feed {
    alerts: MemoryAlerts,
    receives: watch::Sender<usize>,
    down: AtomicBool,
}

/// Fails the test, instead of hanging it, after a day of the paused clock.
pub(crate) async fn within_a_day<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(86_400), awaited).await.expect("it has not happened within a day")
}

impl Feed {
    pub(crate) fn with(bodies: &[String]) -> Arc<Self> {
        let alerts = MemoryAlerts::new(Duration::from_secs(600));
        bodies.iter().for_each(|body| alerts.put(body));
        Arc::new(Self { alerts, receives: watch::Sender::new(0), down: AtomicBool::new(false) })
    }

    pub(crate) fn put(&self, body: &str) {
        self.alerts.put(body);
    }

    pub(crate) async fn is_empty(&self) {
        within_a_day(self.alerts.drained()).await;
    }

    async fn received(&self, times: usize) {
        within_a_day(self.receives.subscribe().wait_for(|receives| *receives >= times)).await.unwrap();
    }
}

#[async_trait]
impl AlertReceiver for Feed {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<AlertDelivery>, QueueError> {
        self.receives.send_modify(|receives| *receives += 1);
        if self.down.load(Ordering::SeqCst) {
            return Err(QueueError::Unavailable("down".into()));
        }
        self.alerts.receive(max, wait).await
    }

    async fn ack(&self, handles: &[AlertHandle]) -> Result<(), QueueError> {
        self.alerts.ack(handles).await
    }

    async fn release(&self, handles: &[AlertHandle], delay: Duration) -> Result<(), QueueError> {
        self.alerts.release(handles, delay).await
    }
}

struct Running {
    store: Arc<FaultyStore>,
    outbox: Arc<Outbox>,
    queue: Arc<Feed>,
    clock: Arc<TokioClock>,
    trigger: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(store: Arc<FaultyStore>, queue: Arc<Feed>) -> Self {
        let outbox = Outbox::new();
        let clock = Arc::new(TokioClock { began: Instant::now(), at: "2026-01-31T08:15:00Z".parse().unwrap() });
        let shutdown = CancellationToken::new();
        let trigger = shutdown.clone();
        let adapters = adapters(&store, outbox.clone(), clock.clone());
        let task = tokio::spawn(run(config(), adapters, queue.clone(), shutdown));
        Self { store, outbox, queue, clock, trigger, task }
    }

    /// Stops the feed and returns how many mails it sent.
    async fn stop(self) -> usize {
        self.trigger.cancel();
        self.task.await.unwrap();
        self.outbox.accepted().len()
    }
}

fn alerts(n: usize) -> Vec<Alert> {
    (0..n).map(|n| alert(&format!("SKU-{n}"), "main")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_queued_alert_is_mailed_and_other_messages_are_dropped() {
    let store: Arc<FaultyStore> = Arc::default();
    let alerts = alerts(250);
    let mut bodies: Vec<String> = alerts.iter().map(body).collect();
    bodies.insert(7, "not an alert".into());
    let running = Running::start(store.clone(), Feed::with(&bodies));
    running.queue.is_empty().await;
    assert_eq!(running.stop().await, 3, "100 messages a receive, one mail each");
    assert!(alerts.iter().all(|alert| store.sent_at(alert).is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_load_of_opening_stock_is_one_mail_a_few_minutes_later() {
    let store: Arc<FaultyStore> = Arc::default();
    let openings: Vec<Alert> = (0..300).map(|n| opening(&format!("SKU-{n}"), "main")).collect();
    let bodies: Vec<String> = openings.iter().map(body).collect();
    let running = Running::start(store.clone(), Feed::with(&bodies));
    running.queue.is_empty().await;
    let minutes = running.clock.began.elapsed().as_secs_f64() / 60.0;
    assert!((3.0..5.0).contains(&minutes), "after {minutes} minutes");
    assert_eq!(running.stop().await, 1);
    assert!(openings.iter().all(|alert| store.sent_at(alert).is_some()));
}

#[tokio::test(start_paused = true)]
async fn an_alert_claimed_by_an_alerter_that_died_is_mailed_after_its_lease() {
    use stockline_core::ports::AlertBook;
    let store: Arc<FaultyStore> = Arc::default();
    let low = alert("SKU-1", "main");
    let now: Timestamp = "2026-01-31T08:15:00Z".parse().unwrap();
    let lease_until = now.plus_millis(i64::try_from(LEASE.as_millis()).unwrap());
    let lease = Lease { holder: "dead".into(), from: now, until: lease_until };
    store.claim(std::slice::from_ref(&low), &lease).await[0].as_ref().unwrap();
    let running = Running::start(store, Feed::with(&[body(&low)]));
    running.queue.is_empty().await;
    assert!(running.clock.now() >= lease_until);
    assert!(running.clock.now() <= lease_until.plus_millis(60_000), "soon after: {:?}", running.clock.now());
    assert_eq!(running.stop().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_outage_stops_receiving_and_loses_nothing() {
    let store: Arc<FaultyStore> = Arc::default();
    store.faults().down = true;
    let low = alert("SKU-1", "main");
    let running = Running::start(store, Feed::with(&[body(&low)]));
    running.queue.received(20).await;
    let elapsed = running.clock.began.elapsed();
    assert!(elapsed > Duration::from_secs(120), "20 receives within {elapsed:?}: it spins");
    running.store.faults().down = false;
    running.queue.is_empty().await;
    assert_eq!(running.stop().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_outage_is_waited_out_with_growing_pauses() {
    let low = alert("SKU-1", "main");
    let queue = Feed::with(&[body(&low)]);
    queue.down.store(true, Ordering::SeqCst);
    let running = Running::start(Arc::default(), queue);
    running.queue.received(10).await;
    let elapsed = running.clock.began.elapsed();
    assert!(elapsed > Duration::from_secs(60), "10 receives within {elapsed:?}: it spins");
    running.queue.down.store(false, Ordering::SeqCst);
    running.queue.is_empty().await;
    assert_eq!(running.stop().await, 1);
}

#[tokio::test(start_paused = true)]
async fn while_mail_is_down_the_feed_keeps_receiving() {
    let low = alert("SKU-1", "main");
    let running = Running::start(Arc::default(), Feed::with(&[body(&low)]));
    running.outbox.set_down(true);
    running.queue.received(5).await;
    assert_eq!(running.store.sent_at(&low), None);
    running.outbox.set_down(false);
    running.queue.is_empty().await;
    assert!(running.store.sent_at(&low).is_some());
    assert_eq!(running.stop().await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_feed_mails_the_notice_of_refused_commands() {
    let store: Arc<FaultyStore> = Arc::default();
    let running = Running::start(store.clone(), Feed::with(&[]));
    running.queue.received(3).await;
    store.refuse([refused(1, Some("main"), "2026-01-31T08:14:00Z")]);
    within_a_day(store.marks_begun.acquire()).await.unwrap().forget();
    assert_eq!(running.stop().await, 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_an_idle_alerter_within_a_receive() {
    let running = Running::start(Arc::default(), Feed::with(&[]));
    running.queue.received(2).await;
    let asked = Instant::now();
    assert_eq!(running.stop().await, 0);
    assert!(asked.elapsed() <= Duration::from_secs(1), "{:?}", asked.elapsed());
}
