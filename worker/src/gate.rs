//! Whether the worker receives: not in an outage (P9), and not once it met messages of a later version.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockline_core::domain::{Alert, ItemId, LoadRequest};
use stockline_core::ports::{CommandReceiver, QueueDepth, StoreError};
use stockline_service::{Retry, Shutdown};

use crate::metrics::Meters;
use crate::{Adapters, Condition, Health};

/// The first pause before a probe; doubles with every failed one.
const PROBE_FIRST: Duration = Duration::from_millis(100);

/// The longest pause between probes, before jitter.
const PROBE_MOST: Duration = Duration::from_secs(20);

/// What the next receive may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Receive.
    Open,
    /// The outage seems over: receive one message, keep it, and see. (A store may read and not write.)
    Trial,
    /// Don't receive; probe.
    Outage,
    /// Never receive again.
    Closed,
}

/// What a later version wrote.
#[derive(Debug)]
pub(crate) enum Newer {
    /// A message of this version.
    Message(i64),
    /// A row of the store.
    Stored(StoreError),
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// An item that could not be loaded or committed: loading it is the probe.
    item_id: Option<ItemId>,
    /// An alert that could not be published: publishing it, harmless as often as one likes, is the probe.
    alert: Option<Alert>,
    /// Goes on growing over trials that fail.
    pauses: Retry,
}

#[derive(Debug)]
pub(crate) struct Gate {
    health: Arc<Health>,
    meters: Meters,
    state: Mutex<State>,
}

impl Gate {
    pub(crate) fn new(health: Arc<Health>, meters: Meters) -> Self {
        let pauses = Retry::new(PROBE_FIRST, PROBE_MOST);
        Self { health, meters, state: Mutex::new(State { mode: Mode::Open, item_id: None, alert: None, pauses }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mode(&self) -> Mode {
        self.state().mode
    }

    /// The store did not answer for this item, nor for any other of the same call.
    pub(crate) fn store_failed(&self, item_id: &ItemId, error: &StoreError) {
        let mut state = self.state();
        state.item_id = Some(item_id.clone());
        self.fail(&mut state, error);
    }

    /// The alert topic took this alert not, nor any other of the same call.
    pub(crate) fn alerts_failed(&self, alert: &Alert, error: &impl std::fmt::Display) {
        let mut state = self.state();
        state.alert = Some(alert.clone());
        self.fail(&mut state, error);
    }

    fn fail(&self, state: &mut State, error: &impl std::fmt::Display) {
        if state.mode != Mode::Open {
            tracing::debug!(%error, "the outage is not over");
            return;
        }
        tracing::warn!(%error, "an outage: no more messages are received until it is over");
        state.mode = Mode::Outage;
        self.tell_outage();
    }

    /// How long to wait before the next probe or the next attempt of a trial.
    pub(crate) fn next_pause(&self) -> Duration {
        self.state().pauses.next_pause()
    }

    /// A trial ended, and the outage had not.
    pub(crate) fn trial_failed(&self) {
        let mut state = self.state();
        if state.mode == Mode::Trial {
            state.mode = Mode::Outage;
            self.tell_outage();
        }
    }

    /// Before a trial: where the queue holds nothing at all, given-back messages counted, no more can be known until a
    /// message comes, which is then tried alone; a worker without work is not unready for that.
    pub(crate) async fn nothing_to_try(&self, queue: &dyn CommandReceiver) {
        if self.mode() != Mode::Trial || self.health.is_ready() {
            return;
        }
        if let Ok(QueueDepth { visible: 0, in_flight: 0, .. }) = queue.depth().await {
            let state = self.state();
            if state.mode != Mode::Trial {
                return;
            }
            tracing::info!("store and topic answer again; the next message tells whether the outage is over");
            self.meters.outage.set(0.0);
            self.health.set(Condition::Ready);
        }
    }

    fn tell_outage(&self) {
        self.meters.outage.set(1.0);
        self.health.set(Condition::Outage);
    }

    /// A round ended well.
    pub(crate) fn proved(&self) {
        let mut state = self.state();
        if state.mode == Mode::Trial {
            tracing::info!("the outage is over");
            state.mode = Mode::Open;
            state.pauses.reset();
            self.meters.outage.set(0.0);
            self.health.set(Condition::Ready);
        }
    }

    /// Something of a later version came: this worker must not touch it, nor get in the way of those that can.
    pub(crate) fn close(&self, newer: &Newer) {
        let mut state = self.state();
        if state.mode == Mode::Closed {
            return;
        }
        state.mode = Mode::Closed;
        match newer {
            Newer::Message(version) => {
                tracing::error!(
                    version,
                    "a message is of a later version: this worker receives no more; deploy a later one"
                );
                self.health.set(Condition::NewerMessages(*version));
            }
            Newer::Stored(error) => {
                tracing::error!(%error, "this worker receives no more; deploy a later one");
                self.health.set(Condition::NewerStore);
            }
        }
    }

    /// Probes with growing pauses until store and topic answer or shutdown is asked for. No message is held here.
    pub(crate) async fn probe_until_back(&self, adapters: &Adapters, shutdown: &Shutdown) {
        let probing = async {
            while self.mode() == Mode::Outage {
                tokio::time::sleep(self.next_pause()).await;
                self.probe(adapters).await;
            }
        };
        tokio::select! {
            biased;
            () = probing => {}
            () = shutdown.requested() => {}
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
                Some(Err(error @ StoreError::Newer(_))) => return self.close(&Newer::Stored(error)),
                _ => {}
            }
        }
        if let Some(alert) = alert {
            let answers = adapters.alerts.publish(std::slice::from_ref(&alert)).await;
            if answers.iter().any(Result::is_err) {
                return;
            }
        }
        let mut state = self.state();
        if state.mode == Mode::Outage {
            state.mode = Mode::Trial;
            (state.item_id, state.alert) = (None, None);
        }
    }
}
