use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stockline_core::ports::{AlertDelivery, AlertHandle, AlertReceiver, Clock};
use stockline_service::Retry;
use tokio_util::sync::CancellationToken;

use crate::alerter::Alerter;
use crate::config::{Adapters, Config, MIN_LEASE};
use crate::failure::{RecordFailure, RetryReason};

/// The most messages of one receive. Alerts that are received together are one mail.
const RECEIVE_MAX: usize = 100;

/// How long an empty receive waits. A receive is never dropped, so shutdown waits this long for it.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// The first and the longest pause after a failure of store or queue.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The shortest pause before a mail that failed is tried again.
const MAIL_PAUSE_MIN: Duration = Duration::from_secs(1);

/// An alert with another alerter's claim is looked at again after this fraction of the lease.
const HELD_FRACTION: u32 = 4;

/// How often the feed looks for daily notices that are due.
const NOTICE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// How soon it looks again after a notice could not be mailed, at the earliest.
const NOTICE_RETRY_MIN: Duration = Duration::from_secs(5);

/// Feeds the alerter from a queue and mails the daily notices until shutdown is requested. It is the event source of the
/// standalone home.
///
/// Handled messages are acknowledged, failed ones are released until their next attempt is due, and messages that are no
/// alerts are dropped (they are logged and counted). A mail that failed is tried again within a minute during the first
/// hour of an outage, and then every five minutes; a recipient that fails alone delays nobody else. While the store is down, it does not receive. Shutdown waits for the mail in flight, at
/// most [`crate::MAIL_TIMEOUT`], and for its mark.
pub async fn run(config: Config, adapters: Adapters, queue: Arc<dyn AlertReceiver>, shutdown: CancellationToken) {
    let (clock, held_delay) = (adapters.clock.clone(), config.lease.max(MIN_LEASE) / HELD_FRACTION);
    let feed = Feed { alerter: Alerter::with_schedule(config, adapters, true), queue, held_delay, shutdown };
    match feed.alerter.has_recipient().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "alerts have no recipient: start with --alert-email, or name addresses per location (stockline locations put LOCATION --alert-email ADDRESS)"
        ),
        Err(error) => tracing::warn!(%error, "the recipients of alerts can't be checked"),
    }
    tokio::join!(feed.alerts(), feed.notices(&*clock));
}

struct Feed {
    alerter: Alerter,
    queue: Arc<dyn AlertReceiver>,
    held_delay: Duration,
    shutdown: CancellationToken,
}

/// The handles of one receive, by the result of their alerts.
#[derive(Debug, Default)]
struct Sorted {
    done: Vec<AlertHandle>,
    /// By how long they wait.
    later: BTreeMap<Duration, Vec<AlertHandle>>,
    store: Vec<AlertHandle>,
}

impl Feed {
    async fn notices(&self, clock: &dyn Clock) {
        while !self.shutdown.is_cancelled() {
            let due_in = self.alerter.daily_notices_paced(clock.now(), &self.shutdown).await;
            let pause = due_in.map_or(NOTICE_INTERVAL, |due_in| due_in.clamp(NOTICE_RETRY_MIN, NOTICE_INTERVAL));
            self.pause(pause).await;
        }
    }

    async fn alerts(&self) {
        let mut pauses = Retry::new(PAUSES.0, PAUSES.1);
        while !self.shutdown.is_cancelled() {
            let deliveries = match self.queue.receive(RECEIVE_MAX, RECEIVE_WAIT).await {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    tracing::warn!(%error, "the alert queue can't be received from");
                    self.pause(pauses.next_pause()).await;
                    continue;
                }
            };
            if deliveries.is_empty() {
                continue;
            }
            if self.shutdown.is_cancelled() {
                let handles: Vec<AlertHandle> = deliveries.into_iter().map(|delivery| delivery.handle).collect();
                self.release(&handles, Duration::ZERO).await;
                return;
            }
            let sorted = self.handle(&deliveries).await;
            self.settle(&sorted, &mut pauses).await;
        }
    }

    async fn handle(&self, deliveries: &[AlertDelivery]) -> Sorted {
        let bodies: Vec<(&str, &str)> = deliveries.iter().map(|d| (&*d.message_id, &*d.body)).collect();
        let results = self.alerter.handle_paced(&bodies, &self.shutdown).await;
        let mut sorted = Sorted::default();
        for (delivery, result) in deliveries.iter().zip(results) {
            let handles = match result {
                Ok(()) | Err((RecordFailure::Undecodable, _)) => &mut sorted.done,
                Err((RecordFailure::Retry(RetryReason::Store), _)) => &mut sorted.store,
                Err((_, due_in)) => {
                    let pause = due_in.map_or(self.held_delay, |due_in| whole_seconds(due_in).max(MAIL_PAUSE_MIN));
                    sorted.later.entry(pause).or_default()
                }
            };
            handles.push(delivery.handle.clone());
        }
        sorted
    }

    /// Acknowledges and releases. Pauses after a failure of the store.
    async fn settle(&self, sorted: &Sorted, pauses: &mut Retry) {
        if !sorted.done.is_empty()
            && let Err(error) = self.queue.ack(&sorted.done).await
        {
            // They are delivered again, are found sent, and are acknowledged then.
            tracing::warn!(%error, "handled alerts can't be acknowledged");
        }
        for (pause, handles) in &sorted.later {
            self.release(handles, *pause).await;
        }
        if sorted.store.is_empty() {
            pauses.reset();
            return;
        }
        let delay = pauses.next_pause();
        self.release(&sorted.store, delay).await;
        self.pause(delay).await;
    }

    async fn release(&self, handles: &[AlertHandle], delay: Duration) {
        if handles.is_empty() {
            return;
        }
        if let Err(error) = self.queue.release(handles, delay).await {
            // They are delivered again when their visibility timeout ends.
            tracing::warn!(%error, "alerts can't be released");
        }
    }

    /// Pauses between attempts after a failure. Shutdown ends the pause.
    async fn pause(&self, length: Duration) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = tokio::time::sleep(length) => {}
        }
    }
}

/// Rounds up, so that alerts that wait for the same moment come back together and are one mail.
fn whole_seconds(pause: Duration) -> Duration {
    Duration::from_secs(pause.as_secs() + u64::from(pause.subsec_nanos() > 0))
}
