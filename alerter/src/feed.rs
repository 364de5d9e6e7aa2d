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

/// The first and the longest pause after a failure of store, queue or mail.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The pause of an alert whose mail was refused for every recipient: a person must correct the addresses.
const REFUSED_DELAY: Duration = Duration::from_secs(15 * 60);

/// An alert with another alerter's claim is looked at again after this fraction of the lease.
const HELD_FRACTION: u32 = 4;

/// How often the feed looks for daily notices that are due.
const NOTICE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Feeds the alerter from a queue and mails the daily notices until shutdown is requested. It is the event source of the
/// standalone home.
///
/// Handled messages are acknowledged, failed ones are released with a delay, and messages that are no alerts are dropped
/// (they are logged and counted). While the store is down, it does not receive. Shutdown waits for the mail in flight, at
/// most [`crate::MAIL_TIMEOUT`], and for its mark.
pub async fn run(config: Config, adapters: Adapters, queue: Arc<dyn AlertReceiver>, shutdown: CancellationToken) {
    let (clock, held_delay) = (adapters.clock.clone(), config.lease.max(MIN_LEASE) / HELD_FRACTION);
    let feed = Feed { alerter: Alerter::new(config, adapters), queue, held_delay, shutdown };
    match feed.alerter.has_recipient().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "alerts have no recipient: configure recipients, or set alert_emails of a location (PUT /v1/locations/{{id}})"
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
    held: Vec<AlertHandle>,
    refused: Vec<AlertHandle>,
    mail: Vec<AlertHandle>,
    store: Vec<AlertHandle>,
}

impl Feed {
    async fn notices(&self, clock: &dyn Clock) {
        let mut ticks = tokio::time::interval(NOTICE_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.shutdown.is_cancelled() {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.alerter.daily_notices_until(clock.now(), Some(&self.shutdown)).await;
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
        let results = self.alerter.handle_until(&bodies, Some(&self.shutdown)).await;
        let mut sorted = Sorted::default();
        for (delivery, result) in deliveries.iter().zip(results) {
            let handles = match result {
                Ok(()) | Err(RecordFailure::Undecodable) => &mut sorted.done,
                Err(RecordFailure::Retry(RetryReason::Held)) => &mut sorted.held,
                Err(RecordFailure::Retry(RetryReason::Refused)) => &mut sorted.refused,
                Err(RecordFailure::Retry(RetryReason::Mail)) => &mut sorted.mail,
                Err(RecordFailure::Retry(RetryReason::Store)) => &mut sorted.store,
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
        self.release(&sorted.held, self.held_delay).await;
        self.release(&sorted.refused, REFUSED_DELAY).await;
        if sorted.mail.is_empty() && sorted.store.is_empty() {
            if !sorted.done.is_empty() {
                pauses.reset();
            }
            return;
        }
        let delay = pauses.next_pause();
        self.release(&sorted.mail, delay).await;
        self.release(&sorted.store, delay).await;
        if !sorted.store.is_empty() {
            self.pause(delay).await;
        }
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
