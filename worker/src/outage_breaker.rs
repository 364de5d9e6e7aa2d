//! The circuit breaker: the worker does not receive during an outage (P9), and stops for good once it meets data of a
//! later version.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockline_core::domain::{Alert, ItemId, LoadRequest};
use stockline_core::ports::{CommandReceiver, QueueDepth, StoreError};
use stockline_service::Retry;
use tokio_util::sync::CancellationToken;

use crate::config::Adapters;
use crate::health::{Condition, Health};
use crate::metrics::Meters;

/// The first pause before a probe; doubles with every failed one.
const PROBE_FIRST: Duration = Duration::from_millis(100);

/// The longest pause between probes, before jitter.
const PROBE_MOST: Duration = Duration::from_secs(20);

/// What the next receive may do.
///
/// ```text
///                  CallFailed                  LaterVersionMet
///  ┌───────────┐ ────────────► ┌────────┐      (from every phase)
///  │ Receiving │               │ Outage │ ◄─┐          │
///  └───────────┘               └────────┘   │          ▼
///        ▲                         │        │     ┌─────────┐
///        │          ProbeSucceeded │        │     │ Stopped │
///        │                         ▼        │     └─────────┘
///        │   RoundSucceeded  ┌───────────┐  │ ProbationFailed
///        └────────────────── │ Probation │ ─┘
///                            └───────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Receive.
    Receiving,
    /// The outage seems over: receive one message, keep it, and see whether its round succeeds. (A store may read and
    /// not write.)
    Probation,
    /// Don't receive; probe.
    Outage,
    /// Never receive again.
    Stopped,
}

/// What happened to the worker's calls.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The store or the topic answered for none of a call's items.
    CallFailed,
    /// Store and topic answer again.
    ProbeSucceeded,
    /// A round ended, and all its calls were answered.
    RoundSucceeded,
    /// The round of a probation ended, and not all its calls were answered.
    ProbationFailed,
    /// A message or a row of a later version was met.
    LaterVersionMet,
}

impl Phase {
    /// Returns the phase that follows, or `None` where the event changes nothing.
    const fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Receiving, Event::CallFailed) | (Self::Probation, Event::ProbationFailed) => Some(Self::Outage),
            (Self::Outage, Event::ProbeSucceeded) => Some(Self::Probation),
            (Self::Probation, Event::RoundSucceeded) => Some(Self::Receiving),
            (Self::Receiving | Self::Probation | Self::Outage, Event::LaterVersionMet) => Some(Self::Stopped),
            _ => None,
        }
    }
}

/// What a later version wrote.
#[derive(Debug)]
pub(crate) enum LaterVersion {
    /// A message of this version.
    Message(i64),
    /// A row of the store.
    Row(StoreError),
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// An item that could not be loaded or committed. The probe loads it.
    item_id: Option<ItemId>,
    /// An alert that could not be published. The probe publishes it, which is harmless however often it happens.
    alert: Option<Alert>,
    /// Pauses between probes. They go on growing over failed probations.
    pauses: Retry,
}

/// Decides whether the worker receives, and shows that to the process around it.
#[derive(Debug)]
pub(crate) struct OutageBreaker {
    health: Arc<Health>,
    meters: Meters,
    state: Mutex<State>,
}

impl OutageBreaker {
    pub(crate) fn new(health: Arc<Health>, meters: Meters) -> Self {
        let pauses = Retry::new(PROBE_FIRST, PROBE_MOST);
        let state = State { phase: Phase::Receiving, item_id: None, alert: None, pauses };
        Self { health, meters, state: Mutex::new(state) }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Returns how long to wait before the next probe, or before the next attempt of a probation.
    pub(crate) fn next_pause(&self) -> Duration {
        self.state().pauses.next_pause()
    }

    /// Records that the store answered neither for this item nor for any other of the same call.
    pub(crate) fn store_failed(&self, item_id: &ItemId, error: &StoreError) {
        self.call_failed(|state| state.item_id = Some(item_id.clone()), error);
    }

    /// Records that the alert topic accepted neither this alert nor any other of the same call.
    pub(crate) fn topic_failed(&self, alert: &Alert, error: &impl fmt::Display) {
        self.call_failed(|state| state.alert = Some(alert.clone()), error);
    }

    fn call_failed(&self, remember: impl FnOnce(&mut State), error: &impl fmt::Display) {
        let mut state = self.state();
        remember(&mut state);
        if self.step(&mut state, Event::CallFailed) {
            tracing::warn!(%error, "an outage begins: the worker stops receiving until it is over");
        } else {
            tracing::debug!(%error, "the outage is not over");
        }
    }

    /// Records that a round ended and all its calls were answered.
    pub(crate) fn round_succeeded(&self) {
        if self.step(&mut self.state(), Event::RoundSucceeded) {
            tracing::info!("the outage is over");
        }
    }

    /// Records that the round of a probation ended and the outage is not over.
    pub(crate) fn probation_failed(&self) {
        self.step(&mut self.state(), Event::ProbationFailed);
    }

    /// Records that something of a later version was met. This worker must neither touch it nor hinder a worker of
    /// that version.
    pub(crate) fn later_version_met(&self, later: &LaterVersion) {
        if !self.step(&mut self.state(), Event::LaterVersionMet) {
            return;
        }
        match later {
            LaterVersion::Message(version) => {
                tracing::error!(
                    version,
                    "a message has a later version: this worker stops receiving; deploy a later worker"
                );
                self.health.set(Condition::NewerMessages(*version));
            }
            LaterVersion::Row(error) => {
                tracing::error!(%error, "this worker stops receiving; deploy a later worker");
                self.health.set(Condition::NewerStore);
            }
        }
    }

    /// Reports the worker ready while it is on probation and the queue holds no message at all, not even an invisible
    /// one. Only a message can end the probation, and a worker without work must not count as unready.
    pub(crate) async fn ready_if_queue_is_empty(&self, queue: &dyn CommandReceiver) {
        if self.phase() != Phase::Probation || self.health.is_ready() {
            return;
        }
        if let Ok(QueueDepth { visible: 0, in_flight: 0, .. }) = queue.depth().await {
            let state = self.state();
            if state.phase != Phase::Probation {
                return;
            }
            tracing::info!("store and topic answer again; the next message shows whether the outage is over");
            self.show_ready();
        }
    }

    /// Probes with growing pauses until store and topic answer or shutdown is requested. It holds no message.
    pub(crate) async fn probe_until_back(&self, adapters: &Adapters, shutdown: &CancellationToken) {
        let probing = async {
            while self.phase() == Phase::Outage {
                tokio::time::sleep(self.next_pause()).await;
                self.probe(adapters).await;
            }
        };
        tokio::select! {
            biased;
            () = probing => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn probe(&self, adapters: &Adapters) {
        let (item_id, alert) = {
            let state = self.state();
            (state.item_id.clone(), state.alert.clone())
        };
        if let Some(item_id) = item_id {
            let request = LoadRequest { all_levels: false, ..LoadRequest::of(item_id) };
            let answers = adapters.store.load(std::slice::from_ref(&request)).await;
            match answers.into_iter().next() {
                Some(Err(StoreError::Unavailable(_))) => return,
                Some(Err(error @ StoreError::Newer(_))) => return self.later_version_met(&LaterVersion::Row(error)),
                _ => {}
            }
        }
        if let Some(alert) = alert {
            let answers = adapters.alerts.publish(std::slice::from_ref(&alert)).await;
            if answers.iter().any(Result::is_err) {
                return;
            }
        }
        self.step(&mut self.state(), Event::ProbeSucceeded);
    }

    /// Moves to the phase that follows and shows it. Returns whether there was one.
    fn step(&self, state: &mut State, event: Event) -> bool {
        let Some(next) = state.phase.after(event) else {
            return false;
        };
        state.phase = next;
        match next {
            Phase::Receiving => {
                state.pauses.reset();
                self.show_ready();
            }
            Phase::Outage => {
                self.meters.outage.set(1.0);
                self.health.set(Condition::Outage);
            }
            Phase::Probation => (state.item_id, state.alert) = (None, None),
            Phase::Stopped => {}
        }
        true
    }

    fn show_ready(&self) {
        self.meters.outage.set(0.0);
        self.health.set(Condition::Ready);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
