//! Permits, receives, shutdown.

use std::sync::Arc;
use std::time::Duration;

use stockline_common::ports::Delivery;
use stockline_common::service::{Retry, Shutdown};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
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
    let note_shutdown = async {
        shutdown.requested().await;
        until.send_replace(Some(Instant::now() + worker.config.drain));
    };
    let mut rounds = JoinSet::new();
    tokio::join!(note_shutdown, receive_rounds(&worker, &shutdown, &drain, &mut rounds));
    while let Some(ended) = rounds.join_next().await {
        report(&worker, ended);
    }
}

/// One permit a round, taken before polling: back-pressure, and the bound of what is in flight.
async fn receive_rounds(worker: &Arc<Worker>, shutdown: &Shutdown, drain: &DrainUntil, rounds: &mut JoinSet<()>) {
    let permits = Arc::new(Semaphore::new(worker.config.permits.max(1)));
    loop {
        let permit = tokio::select! {
            biased;
            () = shutdown.requested() => return,
            permit = permits.clone().acquire_owned() => permit,
        };
        let Ok(permit) = permit else {
            return;
        };
        while let Some(ended) = rounds.try_join_next() {
            report(worker, ended);
        }
        let mode = worker.gate.mode();
        let max = match mode {
            Mode::Open => worker.config.receive_max,
            Mode::Trial => 1,
            Mode::Outage => {
                worker.gate.probe_until_back(&worker.adapters, shutdown).await;
                continue;
            }
            Mode::Closed => {
                shutdown.requested().await;
                return;
            }
        };
        let deliveries = receive(worker, max, shutdown).await;
        let received = Instant::now();
        if shutdown.is_requested() {
            give_back_now(worker, &deliveries, received).await;
            return;
        }
        if deliveries.is_empty() {
            continue;
        }
        let round = work(worker.clone(), deliveries, received, drain.clone(), permit, mode == Mode::Trial);
        if mode == Mode::Trial {
            let mut trial = JoinSet::new();
            trial.spawn(round);
            while let Some(ended) = trial.join_next().await {
                report(worker, ended);
            }
        } else {
            rounds.spawn(round);
        }
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
