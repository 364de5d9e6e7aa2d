use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{Queued, encode_message};
use crate::ports::{CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};

/// A receive returns at most this many messages of a group.
const GROUP_IN_FLIGHT_MAX: usize = 10;

#[derive(Debug)]
struct Message {
    group: Arc<str>,
    body: Arc<str>,
    receives: u32,
    handle: Option<Handle>,
    sent_at: Instant,
    visible_at: Instant,
    set_aside: bool,
}

#[derive(Debug, Default)]
struct State {
    messages: BTreeMap<u64, Message>,
    last_number: u64,
    sent: HashSet<Uuid>,
    /// The handles that each attempt received, if any.
    attempts: HashMap<Uuid, Vec<Handle>>,
}

/// The command queue in memory: FIFO groups with visibility, handles and attempts. It uses tokio's clock, so a test may
/// pause it.
#[derive(Debug)]
pub struct MemoryQueue {
    visibility: Duration,
    max_receives: u32,
    gives_back_at_once: bool,
    state: Mutex<State>,
    changed: Notify,
    count: watch::Sender<usize>,
}

impl MemoryQueue {
    /// Returns an empty queue that holds each delivery for `visibility` and sets no message aside.
    pub fn new(visibility: Duration) -> Self {
        Self {
            visibility,
            max_receives: u32::MAX,
            gives_back_at_once: false,
            state: Mutex::default(),
            changed: Notify::new(),
            count: watch::channel(0).0,
        }
    }

    /// Makes the queue set a message aside after `max_receives` deliveries.
    #[must_use]
    pub fn with_max_receives(self, max_receives: u32) -> Self {
        Self { max_receives, ..self }
    }

    /// Makes returned messages visible at once, whatever the requested delay.
    #[must_use]
    pub fn giving_back_at_once(self) -> Self {
        Self { gives_back_at_once: true, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Queues a body under a group, without checks, and returns the message's id.
    pub fn put(&self, group: &str, body: &str) -> String {
        self.add(group, body, false)
    }

    /// Queues a message as if the queue itself had set it aside, and returns its id.
    pub fn put_aside(&self, group: &str, body: &str) -> String {
        self.add(group, body, true)
    }

    /// Queues commands of one item as one message.
    pub fn put_commands(&self, commands: &[Queued]) {
        let item_id = &commands[0].command.item_id;
        self.put(item_id.as_str(), &encode_message(item_id, commands));
    }

    fn add(&self, group: &str, body: &str, set_aside: bool) -> String {
        let mut state = self.state();
        state.last_number += 1;
        let number = state.last_number;
        let now = Instant::now();
        let (group, body) = (group.into(), body.into());
        let message = Message { group, body, receives: 0, handle: None, sent_at: now, visible_at: now, set_aside };
        state.messages.insert(number, message);
        self.notify(&state);
        message_id(number)
    }

    fn notify(&self, state: &State) {
        self.count.send_replace(state.messages.len());
        self.changed.notify_waiters();
    }

    /// Ends the visibility of every delivery: all messages can be received again, and no handle is valid any more.
    pub fn expire_all(&self) {
        let mut state = self.state();
        for message in state.messages.values_mut() {
            message.handle = None;
            message.visible_at = Instant::now();
        }
        self.notify(&state);
    }

    /// Returns how often each remaining message was received, in order.
    pub fn receives(&self) -> Vec<u32> {
        self.state().messages.values().map(|message| message.receives).collect()
    }

    /// Returns the time until each remaining message becomes visible, in order.
    pub fn visible_in(&self) -> Vec<Duration> {
        let now = Instant::now();
        self.state().messages.values().map(|message| message.visible_at.saturating_duration_since(now)).collect()
    }

    /// Returns the groups and bodies of all remaining messages, in order.
    pub fn messages(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.state().messages.values().map(|message| (message.group.clone(), message.body.clone())).collect()
    }

    /// Waits until every message is acknowledged.
    pub async fn drained(&self) {
        self.shrunk_to(0).await;
    }

    /// Waits until all but `left` messages are acknowledged.
    pub async fn shrunk_to(&self, left: usize) {
        self.count.subscribe().wait_for(|count| *count <= left).await.unwrap();
    }
}

fn message_id(number: u64) -> String {
    format!("message-{number}")
}

impl Message {
    fn delivery(&self, number: u64) -> Delivery {
        Delivery {
            handle: self.handle.clone().unwrap(),
            message_id: message_id(number).into(),
            group: self.group.clone(),
            body: self.body.clone(),
            receives: self.receives,
            set_aside: self.set_aside,
        }
    }

    fn is_held_by(&self, handle: &Handle, now: Instant) -> bool {
        self.handle.as_ref() == Some(handle) && self.visible_at > now
    }
}

impl State {
    /// Returns the number of the message that a handle holds.
    fn held(&self, handle: &Handle) -> Result<u64, QueueError> {
        let now = Instant::now();
        let found = self.messages.iter().find(|(_, message)| message.is_held_by(handle, now));
        found.map(|(number, _)| *number).ok_or(QueueError::HandleExpired)
    }

    /// Returns the deliveries of an earlier call with this attempt that are still held.
    fn answered_before(&self, attempt: Uuid) -> Vec<Delivery> {
        let handles = self.attempts.get(&attempt).into_iter().flatten();
        let held = handles.filter_map(|handle| self.held(handle).ok());
        held.map(|number| self.messages[&number].delivery(number)).collect()
    }

    fn deliver(&mut self, max: usize, attempt: Uuid, visibility: Duration, max_receives: u32) -> Vec<Delivery> {
        let again = self.answered_before(attempt);
        if !again.is_empty() {
            return again;
        }
        let now = Instant::now();
        let in_flight = self.messages.values().filter(|message| message.visible_at > now);
        let locked: HashSet<_> = in_flight.map(|message| message.group.clone()).collect();
        let mut of_group: HashMap<Arc<str>, usize> = HashMap::new();
        let mut deliveries = Vec::new();
        for (number, message) in self.messages.iter_mut().filter(|(_, message)| !locked.contains(&message.group)) {
            let count = of_group.entry(message.group.clone()).or_default();
            if deliveries.len() == max || *count == GROUP_IN_FLIGHT_MAX {
                continue;
            }
            *count += 1;
            message.set_aside |= message.receives >= max_receives;
            message.receives += 1;
            message.handle = Some(Handle(format!("{number}#{}", message.receives).into()));
            message.visible_at = now + visibility;
            deliveries.push(message.delivery(*number));
        }
        if !deliveries.is_empty() {
            let handles = deliveries.iter().map(|delivery| delivery.handle.clone()).collect();
            self.attempts.insert(attempt, handles);
        }
        deliveries
    }
}

#[async_trait]
impl CommandSender for MemoryQueue {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        for pack in &packs {
            if self.state().sent.insert(pack.dedup_id) {
                self.put(pack.item_id.as_str(), &pack.body);
            }
        }
        vec![Ok(()); packs.len()]
    }

    fn max_batch(&self) -> usize {
        10
    }
}

#[async_trait]
impl CommandReceiver for MemoryQueue {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        let until = Instant::now() + wait;
        loop {
            let changed = self.changed.notified();
            let deliveries = self.state().deliver(max, attempt, self.visibility, self.max_receives);
            let now = Instant::now();
            if !deliveries.is_empty() || now >= until {
                return Ok(deliveries);
            }
            let due = self.state().messages.values().map(|message| message.visible_at).filter(|at| *at > now).min();
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(due.unwrap_or(until).min(until)) => {}
            }
        }
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let mut state = self.state();
        let mut ack = |handle: &Handle| state.held(handle).map(|number| _ = state.messages.remove(&number));
        let answers = handles.iter().map(&mut ack).collect();
        self.notify(&state);
        answers
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let mut state = self.state();
        let mut change = |(handle, after): &(Handle, Duration)| {
            let number = state.held(handle)?;
            let gives_back = self.gives_back_at_once && *after < self.visibility;
            let after = if gives_back { Duration::ZERO } else { *after };
            state.messages.entry(number).and_modify(|message| message.visible_at = Instant::now() + after);
            Ok(())
        };
        let answers = changes.iter().map(&mut change).collect();
        self.notify(&state);
        answers
    }

    fn visibility_timeout(&self) -> Duration {
        self.visibility
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        let now = Instant::now();
        let state = self.state();
        let in_flight = state.messages.values().filter(|message| message.visible_at > now).count() as u64;
        let oldest = state.messages.values().map(|message| now.saturating_duration_since(message.sent_at)).max();
        let oldest_age_ms = oldest.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        Ok(QueueDepth { visible: state.messages.len() as u64 - in_flight, in_flight, oldest_age_ms })
    }
}
