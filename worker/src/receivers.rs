//! The receivers: permits, receives, and the drain at shutdown.

use std::sync::Arc;
use std::time::Duration;

use stockline_core::ports::Delivery;
use stockline_service::{Retry, trace};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use crate::leases::Leases;
use crate::outage_breaker::Phase;
use crate::round::{self, Purpose};
use crate::worker::Worker;

/// The first pause after a failed receive; doubles with every further one.
const RECEIVE_RETRY_FIRST: Duration = Duration::from_millis(100);

/// The longest pause between failed receives, before jitter.
const RECEIVE_RETRY_MOST: Duration = Duration::from_secs(10);

/// How long returning messages may take at shutdown. Messages that are not returned become visible after their timeout.
const RETURN_TIMEOUT: Duration = Duration::from_secs(2);

/// Until when rounds in progress may continue; `None` before shutdown is requested.
type DrainUntil = watch::Receiver<Option<Instant>>;

/// Receives and works until shutdown is requested, then drains.
///
/// # Panics
/// If a receiver panicked outside of a round. The others drain first: a worker with fewer receivers than it should have, or
/// with none, must not live on unnoticed.
pub(crate) async fn run(worker: Arc<Worker>, shutdown: CancellationToken) {
    let (until, drain) = watch::channel(None);
    // The caller's token is left alone: if a receiver panics, only this worker stops.
    let shutdown = shutdown.child_token();
    let receiver = Receiver {
        permits: Arc::new(Semaphore::new(worker.config.permits.max(1))),
        recovery: Arc::default(),
        drain,
        shutdown,
        worker,
    };
    let mut receivers = JoinSet::new();
    for _ in 0..receiver.worker.config.receivers.max(1) {
        receivers.spawn(receiver.clone().run());
    }
    // Without a request, a receiver ends only by a panic.
    let mut panicked = tokio::select! {
        () = receiver.shutdown.cancelled() => None,
        ended = receivers.join_next() => ended.and_then(Result::err),
    };
    receiver.shutdown.cancel();
    until.send_replace(Some(Instant::now() + receiver.worker.config.drain));
    while let Some(ended) = receivers.join_next().await {
        panicked = panicked.or(ended.err());
    }
    if let Some(error) = panicked
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Receives beside other receivers, which share its permits and its breaker.
#[derive(Debug, Clone)]
struct Receiver {
    worker: Arc<Worker>,
    permits: Arc<Semaphore>,
    /// Held by the one receiver that probes or is on probation. The others wait for it.
    recovery: Arc<Mutex<()>>,
    drain: DrainUntil,
    shutdown: CancellationToken,
}

impl Receiver {
    /// Receives until shutdown is requested, then waits for its rounds.
    async fn run(self) {
        let mut rounds = JoinSet::new();
        while !self.shutdown.is_cancelled() {
            self.receive_round(&mut rounds).await;
            while let Some(ended) = rounds.try_join_next() {
                report(&self.worker, ended);
            }
        }
        while let Some(ended) = rounds.join_next().await {
            report(&self.worker, ended);
        }
    }

    /// Starts one round. Its permit is acquired before polling, which bounds the messages in flight.
    async fn receive_round(&self, rounds: &mut JoinSet<()>) {
        let permit = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return,
            permit = self.permits.clone().acquire_owned() => permit,
        };
        let Ok(permit) = permit else {
            return;
        };
        match self.worker.breaker.phase() {
            Phase::Receiving => {
                let max = self.worker.config.receive_max;
                if let Some((received, round)) = self.next_round(max, permit, Purpose::Work).await {
                    rounds.spawn(round);
                    self.pause_after(received).await;
                }
            }
            Phase::Probation | Phase::Outage => self.recover(permit).await,
            Phase::Stopped => self.shutdown.cancelled().await,
        }
    }

    /// Probes, or works through the one message of a probation. Only one receiver does so at a time, so that an outage
    /// burns the receives of one message only.
    async fn recover(&self, permit: OwnedSemaphorePermit) {
        let _recovery = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return,
            recovery = self.recovery.lock() => recovery,
        };
        // Another receiver may have ended the outage in the meantime.
        match self.worker.breaker.phase() {
            Phase::Outage => self.worker.breaker.probe_until_back(&self.worker.adapters, &self.shutdown).await,
            Phase::Probation => {
                self.worker.breaker.ready_if_queue_is_empty(self.worker.adapters.queue.as_ref()).await;
                if let Some((_, round)) = self.next_round(1, permit, Purpose::Probation).await {
                    let mut probation = JoinSet::new();
                    probation.spawn(round);
                    while let Some(ended) = probation.join_next().await {
                        report(&self.worker, ended);
                    }
                }
            }
            Phase::Receiving | Phase::Stopped => {}
        }
    }

    /// Waits for more messages to come, unless so many came that more are there already.
    async fn pause_after(&self, received: usize) {
        let pause = self.worker.config.receive_pause;
        if pause.is_zero() || received >= self.worker.config.receive_max {
            return;
        }
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Returns the round of the next receive and its number of messages, or `None` if it was empty or shutdown was requested.
    async fn next_round(
        &self,
        max: usize,
        permit: OwnedSemaphorePermit,
        purpose: Purpose,
    ) -> Option<(usize, impl Future<Output = ()> + Send + 'static)> {
        let deliveries = receive(&self.worker, max, &self.shutdown).await;
        let received = Instant::now();
        if self.shutdown.is_cancelled() {
            return_now(&self.worker, &deliveries, received).await;
            return None;
        }
        if deliveries.is_empty() {
            return None;
        }
        let count = deliveries.len();
        Some((count, work(self.worker.clone(), deliveries, received, self.drain.clone(), permit, purpose)))
    }
}

/// Makes one logical receive under one attempt id, bounded by `receive_wait`. Its future must never be dropped: it may
/// hold messages. After shutdown was requested it is retried once, for messages that a lost answer may hold.
async fn receive(worker: &Worker, max: usize, shutdown: &CancellationToken) -> Vec<Delivery> {
    let attempt = fresh_attempt();
    let mut pauses = Retry::new(RECEIVE_RETRY_FIRST, RECEIVE_RETRY_MOST);
    loop {
        let last = shutdown.is_cancelled();
        let wait = if last { Duration::ZERO } else { worker.config.receive_wait };
        match worker.adapters.queue.receive(max, wait, attempt).await {
            Ok(deliveries) => return deliveries,
            Err(error) => {
                worker.meters.receive_errors.increment(1);
                tracing::warn!(%error, "a receive failed");
            }
        }
        if last {
            return Vec::new();
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(pauses.next_pause()) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an attempt id names a call; it is no id of the domain")]
fn fresh_attempt() -> Uuid {
    Uuid::new_v4()
}

/// Runs one round and extends its leases meanwhile. At the end of the drain the round is dropped, as by a crash, and its
/// messages are returned.
async fn work(
    worker: Arc<Worker>,
    deliveries: Vec<Delivery>,
    received: Instant,
    drain: DrainUntil,
    _permit: OwnedSemaphorePermit,
    purpose: Purpose,
) {
    let handles = deliveries.iter().map(|delivery| delivery.handle.clone());
    let leases = Leases::new(worker.adapters.queue.clone(), handles, received);
    let span = trace::round(deliveries.len());
    let in_time = tokio::select! {
        biased;
        () = round::work(&worker, deliveries, &leases, purpose).instrument(span) => true,
        never = leases.keep() => match never {},
        () = passed(drain) => false,
    };
    if !in_time {
        let left = tokio::time::timeout(RETURN_TIMEOUT, leases.return_now()).await;
        tracing::info!(messages = left.unwrap_or_default(), "messages are returned at shutdown");
    }
}

async fn passed(mut drain: DrainUntil) {
    let until = drain.wait_for(Option::is_some).await.ok().and_then(|until| *until);
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn return_now(worker: &Worker, deliveries: &[Delivery], received: Instant) {
    let handles = deliveries.iter().map(|delivery| delivery.handle.clone());
    let leases = Leases::new(worker.adapters.queue.clone(), handles, received);
    if tokio::time::timeout(RETURN_TIMEOUT, leases.return_now()).await.is_err() {
        tracing::warn!("messages could not be returned in time; they become visible after their timeout");
    }
}

fn report(worker: &Worker, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        worker.meters.round_panics.increment(1);
        tracing::error!(%error, "a round ended in a panic; its messages are delivered again");
    }
}
