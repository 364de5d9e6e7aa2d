use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stockline_core::ports::{Delivery, Handle, QueueError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

/// A FIFO group delivers at most this many messages until they are deleted.
const GROUP_IN_FLIGHT: usize = 10;

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) group: Arc<str>,
    pub(crate) body: Arc<str>,
    pub(crate) receives: u32,
    handle: Option<Handle>,
    visible_at: Instant,
    set_aside: bool,
}

/// A queue with groups, visibility, handles and attempts, as the port's contract requires.
#[derive(Debug)]
pub(crate) struct SimQueue {
    pub(crate) visibility: Duration,
    messages: Mutex<BTreeMap<u64, Message>>,
    attempts: Mutex<BTreeMap<Uuid, Vec<Delivery>>>,
    /// The number of messages.
    pub(crate) count: watch::Sender<usize>,
    /// The attempt of each receive.
    pub(crate) receives: Mutex<Vec<Uuid>>,
    changed: Notify,
    last_id: AtomicU64,
}

impl SimQueue {
    pub(crate) fn new(visibility: Duration) -> Self {
        Self {
            visibility,
            messages: Mutex::default(),
            attempts: Mutex::default(),
            count: watch::channel(0).0,
            receives: Mutex::default(),
            changed: Notify::new(),
            last_id: AtomicU64::new(0),
        }
    }

    pub(crate) fn send(&self, group: &str, body: &str, set_aside: bool) -> u64 {
        let mut messages = self.messages.lock().unwrap();
        let id = self.last_id.fetch_add(1, Ordering::SeqCst) + 1;
        let (group, body) = (group.into(), body.into());
        let visible_at = Instant::now();
        messages.insert(id, Message { group, body, receives: 0, handle: None, visible_at, set_aside });
        self.count.send_replace(messages.len());
        self.changed.notify_waiters();
        id
    }

    /// Returns how often each remaining message was received.
    pub(crate) fn left(&self) -> Vec<u32> {
        self.messages.lock().unwrap().values().map(|message| message.receives).collect()
    }

    /// Returns the time until each remaining message is visible.
    pub(crate) fn visible_in(&self) -> Vec<Duration> {
        let now = Instant::now();
        self.messages.lock().unwrap().values().map(|m| m.visible_at.saturating_duration_since(now)).collect()
    }

    pub(crate) async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Vec<Delivery> {
        self.receives.lock().unwrap().push(attempt);
        if let Some(again) = self.attempts.lock().unwrap().get(&attempt) {
            return again.clone();
        }
        let until = Instant::now() + wait;
        loop {
            let changed = self.changed.notified();
            let found = self.take(max);
            if !found.is_empty() || Instant::now() >= until {
                self.attempts.lock().unwrap().insert(attempt, found.clone());
                return found;
            }
            let now = Instant::now();
            let due = self.messages.lock().unwrap().values().map(|m| m.visible_at).filter(|at| *at > now).min();
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(due.unwrap_or(until).min(until)) => {}
            }
        }
    }

    fn take(&self, max: usize) -> Vec<Delivery> {
        let now = Instant::now();
        let mut messages = self.messages.lock().unwrap();
        let busy: HashSet<_> = messages.values().filter(|m| m.visible_at > now).map(|m| m.group.clone()).collect();
        let mut taken: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for (id, message) in messages.iter_mut().filter(|(_, message)| !busy.contains(&message.group)) {
            let of_group = taken.entry(message.group.clone()).or_default();
            if found.len() == max || *of_group == GROUP_IN_FLIGHT {
                continue;
            }
            *of_group += 1;
            message.receives += 1;
            let handle = Handle(format!("{id}#{}", message.receives).into());
            message.handle = Some(handle.clone());
            message.visible_at = now + self.visibility;
            found.push(Delivery {
                handle,
                message_id: format!("m{id}").into(),
                group: message.group.clone(),
                body: message.body.clone(),
                receives: message.receives,
                set_aside: message.set_aside,
            });
        }
        found
    }

    fn held<'m>(
        messages: &'m mut BTreeMap<u64, Message>,
        handle: &Handle,
    ) -> Result<(u64, &'m mut Message), QueueError> {
        let now = Instant::now();
        let found = messages.iter_mut().find(|(_, m)| m.handle.as_ref() == Some(handle) && m.visible_at > now);
        found.map(|(id, message)| (*id, message)).ok_or(QueueError::HandleExpired)
    }

    pub(crate) fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let mut messages = self.messages.lock().unwrap();
        let mut ack = |handle: &Handle| {
            let id = Self::held(&mut messages, handle)?.0;
            messages.remove(&id);
            Ok(())
        };
        let answers = handles.iter().map(&mut ack).collect();
        self.count.send_replace(messages.len());
        self.changed.notify_waiters();
        answers
    }

    pub(crate) fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let mut messages = self.messages.lock().unwrap();
        let mut change = |(handle, after): &(Handle, Duration)| {
            Self::held(&mut messages, handle)?.1.visible_at = Instant::now() + *after;
            Ok(())
        };
        let answers = changes.iter().map(&mut change).collect();
        self.changed.notify_waiters();
        answers
    }
}
