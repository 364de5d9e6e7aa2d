use tokio::sync::watch;

/// Can the worker work?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// It receives.
    #[default]
    Ready,
    /// The store or the alert topic is down: it does not receive, and probes until they are back (P9).
    Outage,
    /// It met a message of this later version: it receives no more, until a later worker is deployed.
    NewerMessages(i64),
    /// It met stock that a later version wrote: it receives no more, until that version is deployed.
    NewerStore,
}

/// Shows a worker's [`Condition`] to the process around it.
#[derive(Debug, Default)]
pub struct Health(watch::Sender<Condition>);

impl Health {
    /// As it is now.
    pub fn condition(&self) -> Condition {
        *self.0.borrow()
    }

    /// Should this process count as ready?
    pub fn is_ready(&self) -> bool {
        self.condition() == Condition::Ready
    }

    /// To wait for a change.
    pub fn subscribe(&self) -> watch::Receiver<Condition> {
        self.0.subscribe()
    }

    pub(crate) fn set(&self, condition: Condition) {
        self.0.send_if_modified(|current| {
            let changed = *current != condition;
            *current = condition;
            changed
        });
    }
}
