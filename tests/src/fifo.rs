//! A command queue in memory, as the port's contract says, whose time a test can turn.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockline_core::domain::Queued;
use stockline_core::domain::encode_message;
use stockline_core::ports::{CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

/// A group delivers at most so many messages until they are deleted.
const GROUP_IN_FLIGHT: usize = 10;

#[derive(Debug)]
struct Message {
    group: Arc<str>,
    body: Arc<str>,
    receives: u32,
    handle: Option<Handle>,
    visible_at: Instant,
    set_aside: bool,
}

/// FIFO groups with visibility and handles.
#[derive(Debug)]
pub struct Fifo {
    /// For how long a delivery is held.
    pub visibility: Duration,
    /// What is given back is visible at once, however long it was to stay away.
    pub hurried: bool,
    messages: Mutex<BTreeMap<u64, Message>>,
    /// The latest attempt of a receive that brought something, and what that was.
    latest: Mutex<Option<(Uuid, Vec<Handle>)>>,
    changed: Notify,
    count: watch::Sender<usize>,
}

impl Fifo {
    /// Empty.
    pub fn new(visibility: Duration, hurried: bool) -> Arc<Self> {
        let (messages, changed, count) = (Mutex::default(), Notify::new(), watch::channel(0).0);
        Arc::new(Self { visibility, hurried, messages, latest: Mutex::default(), changed, count })
    }

    fn messages(&self) -> MutexGuard<'_, BTreeMap<u64, Message>> {
        self.messages.lock().unwrap()
    }

    /// Queues any body under any group; the message's id.
    pub fn put(&self, group: &str, body: &str) -> String {
        self.add(group, body, false)
    }

    /// As [`Fifo::put`]; it comes as one that the queue itself set aside.
    pub fn put_aside(&self, group: &str, body: &str) -> String {
        self.add(group, body, true)
    }

    fn add(&self, group: &str, body: &str, set_aside: bool) -> String {
        let mut messages = self.messages();
        let n = messages.last_key_value().map_or(1, |(last, _)| last + 1);
        let (group, body, visible_at) = (group.into(), body.into(), Instant::now());
        messages.insert(n, Message { group, body, receives: 0, handle: None, visible_at, set_aside });
        self.tell(&messages);
        message_id(n)
    }

    /// Queues commands of one item as one message.
    pub fn put_commands(&self, commands: &[Queued]) {
        let item_id = &commands[0].command.item_id;
        self.put(item_id.as_str(), &encode_message(item_id, commands));
    }

    fn tell(&self, messages: &BTreeMap<u64, Message>) {
        self.count.send_replace(messages.len());
        self.changed.notify_waiters();
    }

    /// Every visibility runs out: all messages can be received again, and no handle holds any more.
    pub fn run_out(&self) {
        let mut messages = self.messages();
        for message in messages.values_mut() {
            message.handle = None;
            message.visible_at = Instant::now();
        }
        self.tell(&messages);
    }

    /// How often each message that is left was received, in order.
    pub fn left(&self) -> Vec<u32> {
        self.messages().values().map(|message| message.receives).collect()
    }

    /// Waits until every message is acknowledged.
    pub async fn drained(&self) {
        self.count.subscribe().wait_for(|count| *count == 0).await.unwrap();
    }

    fn take(&self, max: usize, attempt: Uuid) -> Vec<Delivery> {
        let now = Instant::now();
        let mut messages = self.messages();
        let mut latest = self.latest.lock().unwrap();
        if let Some((_, handles)) = latest.as_ref().filter(|(of, _)| *of == attempt) {
            let again: Vec<_> = handles.iter().filter_map(|handle| held(&messages, handle).ok()).collect();
            if !again.is_empty() {
                return again.into_iter().filter_map(|n| Some(messages.get(&n)?.delivery(n))).collect();
            }
        }
        let busy: HashSet<_> = messages.values().filter(|m| m.visible_at > now).map(|m| m.group.clone()).collect();
        let mut of_group: HashMap<Arc<str>, usize> = HashMap::new();
        let mut taken = Vec::new();
        for (n, message) in messages.iter_mut().filter(|(_, message)| !busy.contains(&message.group)) {
            let count = of_group.entry(message.group.clone()).or_default();
            if taken.len() == max || *count == GROUP_IN_FLIGHT {
                continue;
            }
            *count += 1;
            message.receives += 1;
            let handle = Handle(format!("{n}#{}", message.receives).into());
            message.handle = Some(handle);
            message.visible_at = now + self.visibility;
            taken.push(message.delivery(*n));
        }
        if !taken.is_empty() {
            *latest = Some((attempt, taken.iter().map(|delivery| delivery.handle.clone()).collect()));
        }
        taken
    }
}

fn message_id(n: u64) -> String {
    format!("message-{n}")
}

impl Message {
    fn delivery(&self, n: u64) -> Delivery {
        Delivery {
            handle: self.handle.clone().unwrap(),
            message_id: message_id(n).into(),
            group: self.group.clone(),
            body: self.body.clone(),
            receives: self.receives,
            set_aside: self.set_aside,
        }
    }
}

/// The message that a handle holds.
fn held(messages: &BTreeMap<u64, Message>, handle: &Handle) -> Result<u64, QueueError> {
    let now = Instant::now();
    let holds = |message: &Message| message.handle.as_ref() == Some(handle) && message.visible_at > now;
    messages.iter().find(|(_, message)| holds(message)).map(|(n, _)| *n).ok_or(QueueError::HandleExpired)
}

#[async_trait]
impl CommandSender for Fifo {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        packs.iter().for_each(|pack| _ = self.put(pack.item_id.as_str(), &pack.body));
        vec![Ok(()); packs.len()]
    }

    fn max_batch(&self) -> usize {
        10
    }
}

#[async_trait]
impl CommandReceiver for Fifo {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        let until = Instant::now() + wait;
        loop {
            let changed = self.changed.notified();
            let taken = self.take(max, attempt);
            let now = Instant::now();
            if !taken.is_empty() || now >= until {
                return Ok(taken);
            }
            let due = self.messages().values().map(|m| m.visible_at).filter(|at| *at > now).min();
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(due.unwrap_or(until).min(until)) => {}
            }
        }
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let mut messages = self.messages();
        let mut ack = |handle: &Handle| held(&messages, handle).map(|n| _ = messages.remove(&n));
        let answers = handles.iter().map(&mut ack).collect();
        self.tell(&messages);
        answers
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let mut messages = self.messages();
        let mut change = |(handle, after): &(Handle, Duration)| {
            let n = held(&messages, handle)?;
            let after = if self.hurried && *after < self.visibility { Duration::ZERO } else { *after };
            messages.entry(n).and_modify(|message| message.visible_at = Instant::now() + after);
            Ok(())
        };
        let answers = changes.iter().map(&mut change).collect();
        self.tell(&messages);
        answers
    }

    fn visibility_timeout(&self) -> Duration {
        self.visibility
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        let messages = self.messages();
        let now = Instant::now();
        let in_flight = messages.values().filter(|message| message.visible_at > now).count() as u64;
        Ok(QueueDepth { visible: messages.len() as u64 - in_flight, in_flight, oldest_age_ms: 0 })
    }
}
