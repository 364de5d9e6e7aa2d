use std::sync::Arc;
use std::time::Duration;

use stockline_core::ports::{AlertDelivery, AlertHandle, AlertReceiver};
use stockline_service::{Retry, Shutdown};

use crate::alerter::{Alerter, RecordFailure, RetryReason};
use crate::{Adapters, Config};

/// Messages of one receive: alerts that come together are one mail.
const RECEIVE_MAX: usize = 100;

/// How long an empty receive waits. A receive is never dropped, so shutdown waits this long for it.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// Pauses after a failure of store, queue or mail: the first and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A mail refused for every recipient comes back after this long: a person has to correct addresses.
const REFUSED_DELAY: Duration = Duration::from_secs(15 * 60);

/// A claim held by another is looked at again after this part of the lease.
const HELD_PART: u32 = 4;

/// How often it is looked whether a daily notice is due.
const NOTICE_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Feeds the alerter from a queue and mails the daily notices until shutdown is asked for: the standalone home's
/// event source. Shutdown waits for the mail being sent, at most [`crate::MAIL_TIMEOUT`] and its mark.
///
/// What is handled is acknowledged; what failed is given back with a delay; what is no alert is dropped (it was
/// logged and counted). While the store is down it stops receiving.
pub async fn run(config: Config, adapters: Adapters, queue: Arc<dyn AlertReceiver>, shutdown: Shutdown) {
    let alerter = Alerter::new(config, adapters);
    match alerter.has_recipient().await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "nobody gets alerts: configure recipients, or set alert_emails of a location (PUT /v1/locations/{{id}})"
        ),
        Err(error) => tracing::warn!(%error, "it can't be told whether anybody gets alerts"),
    }
    tokio::join!(feed_alerts(&alerter, &*queue, &shutdown), tell_refused(&alerter, &shutdown));
}

async fn tell_refused(alerter: &Alerter, shutdown: &Shutdown) {
    let mut ticks = tokio::time::interval(NOTICE_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !shutdown.is_requested() {
        tokio::select! {
            () = shutdown.requested() => return,
            _ = ticks.tick() => {}
        }
        alerter.daily_notices_until(alerter.adapters.clock.now(), Some(shutdown)).await;
    }
}

async fn feed_alerts(alerter: &Alerter, queue: &dyn AlertReceiver, shutdown: &Shutdown) {
    let mut pauses = Retry::new(PAUSE.0, PAUSE.1);
    while !shutdown.is_requested() {
        let deliveries = match queue.receive(RECEIVE_MAX, RECEIVE_WAIT).await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                tracing::warn!(%error, "the alert queue can't be received from");
                pause(pauses.next_pause(), shutdown).await;
                continue;
            }
        };
        if deliveries.is_empty() {
            continue;
        }
        if shutdown.is_requested() {
            let handles: Vec<AlertHandle> = deliveries.into_iter().map(|delivery| delivery.handle).collect();
            release(queue, &handles, Duration::ZERO).await;
            return;
        }
        let sorted = sort(alerter, &deliveries, shutdown).await;
        settle(alerter, queue, &sorted, &mut pauses, shutdown).await;
    }
}

/// The handles of one receive by what is to be done with them.
#[derive(Debug, Default)]
struct Sorted {
    done: Vec<AlertHandle>,
    held: Vec<AlertHandle>,
    refused: Vec<AlertHandle>,
    mail: Vec<AlertHandle>,
    store: Vec<AlertHandle>,
}

async fn sort(alerter: &Alerter, deliveries: &[AlertDelivery], shutdown: &Shutdown) -> Sorted {
    let bodies: Vec<(&str, &str)> = deliveries.iter().map(|d| (&*d.message_id, &*d.body)).collect();
    let results = alerter.handle_until(&bodies, Some(shutdown)).await;
    let mut sorted = Sorted::default();
    for (delivery, result) in deliveries.iter().zip(results) {
        let place = match result {
            Ok(()) | Err(RecordFailure::Undecodable) => &mut sorted.done,
            Err(RecordFailure::Retry(RetryReason::Held)) => &mut sorted.held,
            Err(RecordFailure::Retry(RetryReason::Refused)) => &mut sorted.refused,
            Err(RecordFailure::Retry(RetryReason::Mail)) => &mut sorted.mail,
            Err(RecordFailure::Retry(RetryReason::Store)) => &mut sorted.store,
        };
        place.push(delivery.handle.clone());
    }
    sorted
}

/// Acknowledges and gives back; after trouble with the store, pauses.
async fn settle(
    alerter: &Alerter,
    queue: &dyn AlertReceiver,
    sorted: &Sorted,
    pauses: &mut Retry,
    shutdown: &Shutdown,
) {
    if !sorted.done.is_empty()
        && let Err(error) = queue.ack(&sorted.done).await
    {
        // They come again, are found sent, and are acknowledged then.
        tracing::warn!(%error, "handled alerts can't be acknowledged");
    }
    release(queue, &sorted.held, alerter.config.lease / HELD_PART).await;
    release(queue, &sorted.refused, REFUSED_DELAY).await;
    if sorted.mail.is_empty() && sorted.store.is_empty() {
        if !sorted.done.is_empty() {
            pauses.reset();
        }
        return;
    }
    let delay = pauses.next_pause();
    release(queue, &sorted.mail, delay).await;
    release(queue, &sorted.store, delay).await;
    if !sorted.store.is_empty() {
        pause(delay, shutdown).await;
    }
}

async fn release(queue: &dyn AlertReceiver, handles: &[AlertHandle], delay: Duration) {
    if handles.is_empty() {
        return;
    }
    if let Err(error) = queue.release(handles, delay).await {
        // They come again when their visibility runs out.
        tracing::warn!(%error, "alerts can't be given back");
    }
}

/// Between tries of a queue that failed; ends at shutdown.
async fn pause(length: Duration, shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = tokio::time::sleep(length) => {}
    }
}
