//! Permits, receives, shutdown.

use std::sync::Arc;
use std::time::Duration;

use stockline_core::ports::Delivery;
use stockline_service::{Retry, Shutdown};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use crate::gate::Mode;
use crate::held::Held;
use crate::round::{self, Worker};

/// The first pause after a failed receive; doubles with every further one.
const RECEIVE_RETRY_FIRST: Duration = Duration::from_millis(100);

/// The longest pause between failed receives, before jitter.
const RECEIVE_RETRY_MOST: Duration = Duration::from_secs(10);

/// How long giving messages back at shutdown may take; what is not given back comes when its visibility runs out.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(2);

/// Until when work in hand may go on; `None` before shutdown is asked for.
pub(crate) type DrainUntil = watch::Receiver<Option<Instant>>;

/// Receives and works until shutdown is asked for, then drains.
pub(crate) async fn run(worker: Arc<Worker>, shutdown: Shutdown) {
    let (until, drain) = watch::channel(None);
    let receiver = Receiver {
        permits: Arc::new(Semaphore::new(worker.config.permits.max(1))),
        alone: Arc::default(),
        drain,
        shutdown,
        worker,
    };
    let mut receivers = JoinSet::new();
    for _ in 0..receiver.worker.config.receivers.max(1) {
        receivers.spawn(receiver.clone().run());
    }
    receiver.shutdown.requested().await;
    until.send_replace(Some(Instant::now() + receiver.worker.config.drain));
    while let Some(ended) = receivers.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// One of those that receive side by side; all of them share the permits and the gate.
#[derive(Debug, Clone)]
struct Receiver {
    worker: Arc<Worker>,
    permits: Arc<Semaphore>,
    /// Held by the one that probes and tries while there is an outage: the others wait for it.
    alone: Arc<Mutex<()>>,
    drain: DrainUntil,
    shutdown: Shutdown,
}

impl Receiver {
    /// Receives until shutdown is asked for, then waits for its rounds.
    async fn run(self) {
        let mut rounds = JoinSet::new();
        while !self.shutdown.is_requested() {
            self.receive_round(&mut rounds).await;
            while let Some(ended) = rounds.try_join_next() {
                report(&self.worker, ended);
            }
        }
        while let Some(ended) = rounds.join_next().await {
            report(&self.worker, ended);
        }
    }

    /// One permit a round, taken before polling: back-pressure, and the bound of what is in flight.
    async fn receive_round(&self, rounds: &mut JoinSet<()>) {
        let permit = tokio::select! {
            biased;
            () = self.shutdown.requested() => return,
            permit = self.permits.clone().acquire_owned() => permit,
        };
        let Ok(permit) = permit else {
            return;
        };
        match self.worker.gate.mode() {
            Mode::Open => {
                if let Some(round) = self.next_round(self.worker.config.receive_max, permit, false).await {
                    rounds.spawn(round);
                }
            }
            Mode::Trial | Mode::Outage => self.end_outage(permit).await,
            Mode::Closed => self.shutdown.requested().await,
        }
    }

    /// Probes, or works through the one message of a trial; one receiver at a time, so that an outage burns the
    /// receives of one message and no more.
    async fn end_outage(&self, permit: OwnedSemaphorePermit) {
        let _alone = tokio::select! {
            biased;
            () = self.shutdown.requested() => return,
            alone = self.alone.lock() => alone,
        };
        // Another may have ended it meanwhile.
        match self.worker.gate.mode() {
            Mode::Outage => self.worker.gate.probe_until_back(&self.worker.adapters, &self.shutdown).await,
            Mode::Trial => {
                self.worker.gate.nothing_to_try(self.worker.adapters.queue.as_ref()).await;
                if let Some(round) = self.next_round(1, permit, true).await {
                    let mut trial = JoinSet::new();
                    trial.spawn(round);
                    while let Some(ended) = trial.join_next().await {
                        report(&self.worker, ended);
                    }
                }
            }
            Mode::Open | Mode::Closed => {}
        }
    }

    /// What becomes of the next receive; `None` where it brings nothing, or shutdown comes first.
    async fn next_round(
        &self,
        max: usize,
        permit: OwnedSemaphorePermit,
        trial: bool,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let deliveries = receive(&self.worker, max, &self.shutdown).await;
        let received = Instant::now();
        if self.shutdown.is_requested() {
            give_back_now(&self.worker, &deliveries, received).await;
            return None;
        }
        if deliveries.is_empty() {
            return None;
        }
        Some(work(self.worker.clone(), deliveries, received, self.drain.clone(), permit, trial))
    }
}

/// One logical receive under one attempt id. Its future is never dropped: it may hold messages. `receive_wait`
/// bounds it; after shutdown was asked for, a failed one is tried once more, for what its lost answer may hold.
async fn receive(worker: &Worker, max: usize, shutdown: &Shutdown) -> Vec<Delivery> {
    let attempt = fresh_attempt();
    let mut pauses = Retry::new(RECEIVE_RETRY_FIRST, RECEIVE_RETRY_MOST);
    loop {
        let last = shutdown.is_requested();
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
            () = shutdown.requested() => {}
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an attempt id names a call, it is no id of the domain")]
fn fresh_attempt() -> Uuid {
    Uuid::new_v4()
}

/// One round, its heartbeat beside it. Past the drain's end the work is dropped, as a crash would, and what it holds
/// is given back.
async fn work(
    worker: Arc<Worker>,
    deliveries: Vec<Delivery>,
    received: Instant,
    drain: DrainUntil,
    _permit: OwnedSemaphorePermit,
    trial: bool,
) {
    let handles = deliveries.iter().map(|delivery| delivery.handle.clone());
    let held = Held::new(worker.adapters.queue.clone(), handles, received);
    let in_time = tokio::select! {
        biased;
        () = round::work(&worker, deliveries, &held, trial) => true,
        never = held.keep() => match never {},
        () = passed(drain) => false,
    };
    if !in_time {
        let left = tokio::time::timeout(GIVE_BACK_TIMEOUT, held.give_back_now()).await;
        tracing::info!(messages = left.unwrap_or_default(), "given back at shutdown");
    }
}

async fn passed(mut drain: DrainUntil) {
    let until = drain.wait_for(Option::is_some).await.ok().and_then(|until| *until);
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

async fn give_back_now(worker: &Worker, deliveries: &[Delivery], received: Instant) {
    let handles = deliveries.iter().map(|delivery| delivery.handle.clone());
    let held = Held::new(worker.adapters.queue.clone(), handles, received);
    if tokio::time::timeout(GIVE_BACK_TIMEOUT, held.give_back_now()).await.is_err() {
        tracing::warn!("messages could not be given back in time; they come when their visibility runs out");
    }
}

fn report(worker: &Worker, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        worker.meters.round_panics.increment(1);
        tracing::error!(%error, "a round ended in a panic; its messages come again");
    }
}
