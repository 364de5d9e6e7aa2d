use tokio::sync::watch;

/// Whether the worker can work, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// It receives.
    #[default]
    Ready,
    /// The store or the alert topic is down. It does not receive, and probes until they are back (P9).
    Outage,
    /// It met a message of this later version. It has stopped receiving until a later worker is deployed.
    NewerMessages(i64),
    /// It met stock that a later version wrote. It has stopped receiving until that version is deployed.
    NewerStore,
}

impl Condition {
    /// Returns why the worker does not work, for people; `None` if it does.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Ready => None,
            Self::Outage => Some("the store or the alert topic does not answer".to_owned()),
            Self::NewerMessages(version) => Some(format!("messages have version {version}: deploy a later worker")),
            Self::NewerStore => Some("a later version wrote to the store: deploy a later worker".to_owned()),
        }
    }
}

/// Shows a worker's [`Condition`] to the process around it.
#[derive(Debug, Default)]
pub struct Health(watch::Sender<Condition>);

impl Health {
    /// Returns the current condition.
    pub fn condition(&self) -> Condition {
        *self.0.borrow()
    }

    /// Returns whether this process counts as ready.
    pub fn is_ready(&self) -> bool {
        self.condition() == Condition::Ready
    }

    /// Returns a receiver that waits for changes.
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
