//! A model of SQS FIFO: groups, visibility, handles, attempts, deduplication for five minutes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockline_core::domain::item_of_carried;
use stockline_core::ports::{CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::faults::{Kind, Step};
use super::tamper::Tamper;
use super::world::{Answer, Process, World};

/// A group delivers at most this many messages before they are deleted.
const GROUP_IN_FLIGHT: usize = 10;

/// The documented time for which a repeated send or receive is recognised.
const RECOGNISED_MS: u64 = 5 * 60_000;

/// A queued message.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) id: u64,
    /// As the worker is told.
    pub(crate) group: Arc<str>,
    pub(crate) body: Arc<str>,
    /// When a worker first received it.
    pub(crate) received_ms: Option<u64>,
    pub(crate) receives: u32,
    /// Whether the queue moved it to the dead letter queue.
    pub(crate) set_aside: bool,
}

#[derive(Debug)]
struct Message {
    group: Arc<str>,
    body: Arc<str>,
    handle: Option<Handle>,
    visible_ms: u64,
    /// Whether it is in the dead letter queue.
    set_aside: bool,
}

#[derive(Debug, Default)]
struct State {
    messages: BTreeMap<u64, Message>,
    recognised: HashMap<(String, Uuid), u64>,
    attempts: HashMap<Uuid, (Vec<Delivery>, u64)>,
    /// All messages that were ever queued, in order; the id is the position, from 1.
    sent: Vec<Sent>,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    world: Arc<World>,
    /// A message that is received more often than this is moved to the dead letter queue.
    receives_max: u32,
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    pub(crate) fn new(world: &Arc<World>, receives_max: u32) -> Arc<Self> {
        Arc::new(Self { world: world.clone(), receives_max, state: Mutex::default(), changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns all messages that were ever queued, in order.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// Returns the number of messages left.
    pub(crate) fn depth(&self) -> usize {
        self.state().messages.len()
    }

    /// Waits until every message is acknowledged; returns false if the deadline passes first.
    pub(crate) async fn drained(&self, until: Instant) -> bool {
        loop {
            let changed = self.changed.notified();
            if self.depth() == 0 {
                return true;
            }
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return false;
            }
        }
    }

    /// Queues a message unless it repeats a recent one.
    pub(crate) fn put(&self, group: &str, body: &str, dedup_id: Option<Uuid>) {
        let now_ms = self.world.now_ms();
        let mut state = self.state();
        if let Some(id) = dedup_id {
            let key = (group.to_owned(), id);
            if state.recognised.get(&key).is_some_and(|at| now_ms < at + RECOGNISED_MS) {
                return;
            }
            state.recognised.insert(key, now_ms);
        }
        let id = state.sent.len() as u64 + 1;
        let (group, body): (Arc<str>, Arc<str>) = (group.into(), body.into());
        state.sent.push(Sent {
            id,
            group: item_of(&group, &body),
            body: body.clone(),
            received_ms: None,
            receives: 0,
            set_aside: false,
        });
        state.messages.insert(id, Message { group, body, handle: None, visible_ms: now_ms, set_aside: false });
        drop(state);
        self.world.note(|| format!("queued m{id}"));
        self.changed.notify_waiters();
    }

    async fn receive(self: Arc<Self>, max: usize, wait: Duration, attempt: Uuid, twice: bool) -> Vec<Delivery> {
        let until = Instant::now() + wait;
        loop {
            let changed = self.changed.notified();
            let first = self.world.rng().percent(50);
            let mut taken = self.take(first, max, attempt, twice);
            if taken.is_empty() {
                taken = self.take(!first, max, attempt, twice);
            }
            if !taken.is_empty() || Instant::now() >= until {
                return taken;
            }
            let now_ms = self.world.now_ms();
            let due = self.state().messages.values().map(|m| m.visible_ms).filter(|at| *at > now_ms).min();
            let due = due.map_or(until, |ms| (self.world.started + Duration::from_millis(ms)).min(until));
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// Receives from the queue or from its dead letter queue.
    fn take(&self, set_aside: bool, max: usize, attempt: Uuid, twice: bool) -> Vec<Delivery> {
        let now_ms = self.world.now_ms();
        let mut state = self.state();
        let State { messages, attempts, sent, .. } = &mut *state;
        if let Some((again, at)) = attempts.get(&attempt)
            && now_ms < at + RECOGNISED_MS
            && again.iter().all(|delivery| held(messages, &delivery.handle, now_ms).is_some())
        {
            return again.clone();
        }
        let busy: HashSet<_> = match self.world.is(Tamper::GroupUnlocked) {
            true => HashSet::new(),
            false => {
                let in_flight = messages.values().filter(|m| m.set_aside == set_aside && m.visible_ms > now_ms);
                in_flight.map(|m| m.group.clone()).collect()
            }
        };
        let mut order: Vec<u64> = messages.keys().copied().collect();
        if self.world.is(Tamper::GroupUnordered) {
            order.reverse();
        }
        let mut of_group: HashMap<Arc<str>, usize> = HashMap::new();
        let mut taken = Vec::new();
        for id in order {
            let message = messages.get_mut(&id).unwrap();
            let log = &mut sent[usize::try_from(id).unwrap() - 1];
            if message.set_aside != set_aside {
                continue;
            }
            let count = of_group.entry(message.group.clone()).or_default();
            if taken.len() == max
                || *count == GROUP_IN_FLIGHT
                || message.visible_ms > now_ms
                || busy.contains(&message.group)
            {
                continue;
            }
            if !set_aside && log.receives >= self.receives_max {
                (message.set_aside, message.visible_ms, log.set_aside) = (true, now_ms, true);
                continue;
            }
            *count += 1;
            log.receives += 1;
            log.received_ms.get_or_insert(now_ms);
            let handle = Handle(format!("{id}#{}", log.receives).into());
            message.handle = Some(handle.clone());
            let visibility_ms = u64::try_from(self.world.visibility.as_millis()).unwrap();
            message.visible_ms = if twice { now_ms } else { now_ms + visibility_ms };
            taken.push(Delivery {
                handle,
                message_id: format!("m{id}").into(),
                group: item_of(&message.group, &message.body),
                body: message.body.clone(),
                receives: log.receives,
                set_aside,
            });
        }
        if !taken.is_empty() {
            attempts.insert(attempt, (taken.clone(), now_ms));
        }
        if self.world.is(Tamper::AckFirst) {
            messages
                .retain(|_, message| !taken.iter().any(|delivery| Some(&delivery.handle) == message.handle.as_ref()));
        }
        taken
    }

    fn ack(&self, handle: &Handle) -> Result<(), QueueError> {
        let now_ms = self.world.now_ms();
        let mut state = self.state();
        let id = held(&state.messages, handle, now_ms).ok_or(QueueError::HandleExpired)?;
        state.messages.remove(&id);
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    fn hide(&self, handle: &Handle, for_time: Duration) -> Result<(), QueueError> {
        let now_ms = self.world.now_ms();
        let mut state = self.state();
        let id = held(&state.messages, handle, now_ms).ok_or(QueueError::HandleExpired)?;
        state.messages.get_mut(&id).unwrap().visible_ms = now_ms + u64::try_from(for_time.as_millis()).unwrap();
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }
}

/// Returns the message that a handle still holds.
fn held(messages: &BTreeMap<u64, Message>, handle: &Handle, now_ms: u64) -> Option<u64> {
    let id = handle.0.split_once('#')?.0.parse().ok()?;
    let message = messages.get(&id)?;
    (message.handle.as_ref() == Some(handle) && message.visible_ms > now_ms).then_some(id)
}

/// One process's client of the queue.
#[derive(Debug)]
pub(crate) struct QueueClient {
    pub(crate) process: Arc<Process>,
    pub(crate) queue: Arc<Queue>,
}

fn unavailable<T>() -> Result<T, QueueError> {
    Err(QueueError::Unavailable("no answer came".into()))
}

/// Returns whether an entry succeeds if only a part does: every second one.
/// Returns the group as the worker is told: the item, where the message names the one that the group carries as a hash.
fn item_of(group: &Arc<str>, body: &str) -> Arc<str> {
    item_of_carried(group, body).map_or_else(|| group.clone(), |item_id| item_id.as_str().into())
}

fn is_left_out(kind: Option<Kind>, index: usize) -> bool {
    kind == Some(Kind::Partial) && index.is_multiple_of(2)
}

#[async_trait]
impl CommandSender for QueueClient {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        let count = packs.len();
        let packs = Arc::new(packs);
        let ignored = self.queue.world.is(Tamper::FailedEntriesIgnored);
        let serve = |kind: Option<Kind>| {
            let (packs, queue) = (packs.clone(), self.queue.clone());
            async move {
                let send = |(index, pack): (usize, &Pack)| {
                    if is_left_out(kind, index) {
                        return if ignored { Ok(()) } else { unavailable() };
                    }
                    queue.put(&pack.item_id.carried(), &pack.body, Some(pack.dedup_id));
                    Ok(())
                };
                packs.iter().enumerate().map(send).collect()
            }
        };
        match self.process.call(Step::Send, serve).await {
            Answer::Received(answers) => answers,
            _ => vec![unavailable(); count],
        }
    }

    fn max_batch(&self) -> usize {
        10
    }
}

#[async_trait]
impl CommandReceiver for QueueClient {
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        let serve = |kind: Option<Kind>| self.queue.clone().receive(max, wait, attempt, kind == Some(Kind::Duplicate));
        match self.process.call(Step::Receive, serve).await {
            Answer::Received(deliveries) => {
                self.process.world.note(|| {
                    let got: Vec<_> = deliveries.iter().map(|delivery| &*delivery.handle.0).collect();
                    format!("{} received {got:?}", self.process.name)
                });
                Ok(deliveries)
            }
            _ => unavailable(),
        }
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let asked = Arc::new(handles.to_vec());
        let serve = |kind: Option<Kind>| {
            let (asked, queue) = (asked.clone(), self.queue.clone());
            async move {
                let ack = |(index, handle): (usize, &Handle)| match is_left_out(kind, index) {
                    true => unavailable(),
                    false => queue.ack(handle),
                };
                asked.iter().enumerate().map(ack).collect::<Vec<_>>()
            }
        };
        let Answer::Received(answers) = self.process.call(Step::Ack, serve).await else {
            return vec![unavailable(); handles.len()];
        };
        self.process.world.note(|| format!("{} acknowledged {handles:?}: {answers:?}", self.process.name));
        answers
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        // The worker keeps them in an unordered set, so they are sorted to make runs repeatable.
        let mut order: Vec<usize> = (0..changes.len()).collect();
        order.sort_by(|a, b| changes[*a].0.0.cmp(&changes[*b].0.0));
        let mut asked: Vec<_> = order.iter().map(|index| changes[*index].clone()).collect();
        if self.queue.world.is(Tamper::BackAtOnce) {
            // A visibility change that is not an extension is a return.
            asked
                .iter_mut()
                .filter(|(_, time)| *time != self.visibility_timeout())
                .for_each(|(_, t)| *t = Duration::ZERO);
        }
        let asked = Arc::new(asked);
        let serve = |kind: Option<Kind>| {
            let (asked, queue) = (asked.clone(), self.queue.clone());
            async move {
                let hide = |(index, (handle, for_time)): (usize, &(Handle, Duration))| match is_left_out(kind, index) {
                    true => unavailable(),
                    false => queue.hide(handle, *for_time),
                };
                asked.iter().enumerate().map(hide).collect::<Vec<_>>()
            }
        };
        let Answer::Received(sorted) = self.process.call(Step::Visibility, serve).await else {
            return vec![unavailable(); changes.len()];
        };
        self.process.world.note(|| format!("{} hid {asked:?}: {sorted:?}", self.process.name));
        let mut answers = vec![Ok(()); changes.len()];
        for (index, answer) in order.into_iter().zip(sorted) {
            answers[index] = answer;
        }
        answers
    }

    fn visibility_timeout(&self) -> Duration {
        self.process.world.visibility
    }

    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        let now_ms = self.process.world.now_ms();
        let state = self.queue.state();
        let in_flight = state.messages.values().filter(|message| message.visible_ms > now_ms).count() as u64;
        Ok(QueueDepth { visible: state.messages.len() as u64 - in_flight, in_flight, oldest_age_ms: 0 })
    }
}
