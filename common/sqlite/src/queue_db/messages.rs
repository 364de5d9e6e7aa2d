use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::QueueOptions;
use crate::in_flight::{Arrivals, DeliveryNo, InFlight};
use stockline_core::domain::Timestamp;
use stockline_core::ports::QueueDepth;

/// Bodies kept in memory, in bytes; what is beyond is read from the file when its turn comes.
const MAX_CACHED_BODY_BYTES: usize = 32 * 1024 * 1024;

/// Receives whose answer can be asked for again; the oldest is forgotten first.
const MAX_ATTEMPTS: usize = 256;

/// Messages queued within the same 2^7 ms are counted together.
const AGE_BUCKET_BITS: u32 = 7;

/// What is known in memory of a message: some 60 bytes, and the body where there is room.
#[derive(Debug)]
pub(super) struct Message {
    /// Its row, and its place in the order.
    pub(super) n: i64,
    /// The sender's id of it, which is the message id.
    pub(super) id: Uuid,
    /// When it was queued.
    pub(super) sent_at: Timestamp,
    /// Where it is not here, it is in the file.
    pub(super) body: Option<Arc<str>>,
    /// How often it was delivered.
    pub(super) receives: u32,
    /// Was it queued by an earlier process?
    pub(super) recovered: bool,
}

/// A message that was taken for delivery.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) delivery: DeliveryNo,
    pub(super) n: i64,
    pub(super) id: Uuid,
    pub(super) group: Arc<str>,
    pub(super) body: Option<Arc<str>>,
    pub(super) receives: u32,
    /// The file must know of this delivery before it is made. The first one in the process that queued the message
    /// goes unrecorded: it costs a write each time and could only be missed once.
    pub(super) to_be_recorded: bool,
}

/// The messages of one item.
#[derive(Debug, Default)]
struct Group {
    /// In order, none of them delivered.
    waiting: VecDeque<Message>,
    /// In order, before all that wait: delivered together. While any is in flight the group is locked.
    held: Vec<Held>,
    /// How many of `held` are in flight.
    in_flight: usize,
}

#[derive(Debug)]
struct Held {
    message: Message,
    /// `None`: it came back, and waits for the others.
    delivery: Option<DeliveryNo>,
}

/// Order, locks and deliveries of the command queue: all in memory, since one process owns the file. What is in here
/// is durable there.
#[derive(Debug)]
pub(super) struct Messages {
    groups: HashMap<Arc<str>, Group>,
    /// Groups that wait and are not locked, each once, the longest waiting first.
    ready: VecDeque<Arc<str>>,
    in_flight: InFlight<Arc<str>>,
    attempts: Attempts,
    ages: Ages,
    count: usize,
    cached_bytes: usize,
    options: QueueOptions,
}

impl Messages {
    pub(super) fn new(options: QueueOptions) -> Self {
        Self {
            groups: HashMap::new(),
            ready: VecDeque::new(),
            in_flight: InFlight::new(),
            attempts: Attempts::default(),
            ages: Ages::default(),
            count: 0,
            cached_bytes: 0,
            options,
        }
    }

    /// Adds a message that is durable now, behind all of its group.
    pub(super) fn push(&mut self, group: &str, mut message: Message) {
        let bytes = message.body.as_ref().map_or(0, |body| body.len());
        if self.cached_bytes + bytes <= MAX_CACHED_BODY_BYTES {
            self.cached_bytes += bytes;
        } else {
            message.body = None;
        }
        self.count += 1;
        self.ages.add(message.sent_at);
        if let Some(known) = self.groups.get_mut(group) {
            // A group that is known is locked, or ready already.
            known.waiting.push_back(message);
        } else {
            let name: Arc<str> = group.into();
            self.ready.push_back(Arc::clone(&name));
            self.groups.insert(name, Group { waiting: VecDeque::from([message]), ..Group::default() });
        }
    }

    /// Takes up to `max` messages; under a known `attempt` the same ones again, as far as they are still held.
    pub(super) fn receive(&mut self, now: Instant, max: usize, attempt: Uuid) -> Vec<Taken> {
        self.expire(now);
        let again: Vec<Taken> = self.attempts.get(attempt).iter().filter_map(|no| self.taken_before(*no)).collect();
        if !again.is_empty() {
            return again;
        }
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some(name) = self.ready.pop_front()
        {
            self.take_group(&name, now, max, &mut taken);
        }
        if !taken.is_empty() {
            self.attempts.remember(attempt, taken.iter().map(|taken| taken.delivery).collect());
        }
        taken
    }

    fn take_group(&mut self, name: &Arc<str>, now: Instant, max: usize, taken: &mut Vec<Taken>) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let many = self.options.messages_per_group_receive.max(1).min(max - taken.len()).min(group.waiting.len());
        for mut message in group.waiting.drain(..many) {
            message.receives = message.receives.saturating_add(1);
            let delivery = self.in_flight.add(Arc::clone(name), now, self.options.visibility_timeout);
            taken.push(Taken::of(name, &message, delivery));
            group.held.push(Held { message, delivery: Some(delivery) });
        }
        group.in_flight = group.held.len();
    }

    fn taken_before(&self, delivery: DeliveryNo) -> Option<Taken> {
        let name = self.in_flight.get(delivery)?;
        let held = self.groups.get(name)?.held.iter().find(|held| held.delivery == Some(delivery))?;
        Some(Taken::of(name, &held.message, delivery))
    }

    /// Forgets a delivered message; its row's number, or `None` where the delivery is no longer held.
    pub(super) fn ack(&mut self, now: Instant, delivery: DeliveryNo) -> Option<i64> {
        self.expire(now);
        let name = self.in_flight.remove(delivery)?;
        let group = self.groups.get_mut(&name)?;
        let at = group.held.iter().position(|held| held.delivery == Some(delivery))?;
        let Held { message, .. } = group.held.remove(at);
        group.in_flight -= 1;
        self.count -= 1;
        self.cached_bytes -= message.body.as_ref().map_or(0, |body| body.len());
        self.ages.remove(message.sent_at);
        self.unlock(&name);
        Some(message.n)
    }

    /// Holds a delivery for so long from now, or gives it back; `false` where it is no longer held.
    pub(super) fn change_visibility(&mut self, now: Instant, delivery: DeliveryNo, held_for: Duration) -> bool {
        self.expire(now);
        if !held_for.is_zero() {
            return self.in_flight.extend(delivery, now, held_for);
        }
        self.in_flight.remove(delivery).is_some_and(|name| {
            self.come_back(&name, delivery);
            true
        })
    }

    /// Takes back a delivery that was never made.
    pub(super) fn undo(&mut self, delivery: DeliveryNo) {
        let Some(name) = self.in_flight.remove(delivery) else { return };
        if let Some(group) = self.groups.get_mut(&name)
            && let Some(held) = group.held.iter_mut().find(|held| held.delivery == Some(delivery))
        {
            held.message.receives = held.message.receives.saturating_sub(1);
        }
        self.come_back(&name, delivery);
    }

    fn expire(&mut self, now: Instant) {
        while let Some((delivery, name)) = self.in_flight.pop_expired(now) {
            self.come_back(&name, delivery);
        }
    }

    fn come_back(&mut self, name: &Arc<str>, delivery: DeliveryNo) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if let Some(held) = group.held.iter_mut().find(|held| held.delivery == Some(delivery)) {
            held.delivery = None;
            group.in_flight -= 1;
        }
        self.unlock(name);
    }

    /// Once nothing of the group is in flight, what came back is first again.
    fn unlock(&mut self, name: &Arc<str>) {
        let Some(group) = self.groups.get_mut(name).filter(|group| group.in_flight == 0) else { return };
        for held in group.held.drain(..).rev() {
            group.waiting.push_front(held.message);
        }
        if group.waiting.is_empty() {
            self.groups.remove(name);
        } else {
            self.ready.push_back(Arc::clone(name));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.in_flight.next_deadline()
    }

    /// All that is not acknowledged.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn depth(&mut self, now: Instant, time_of_day: Timestamp) -> QueueDepth {
        self.expire(now);
        let age_ms = self.ages.oldest().map_or(0, |oldest| time_of_day.millis_since(oldest));
        QueueDepth {
            visible: (self.count - self.in_flight.len()) as u64,
            in_flight: self.in_flight.len() as u64,
            oldest_age_ms: u64::try_from(age_ms).unwrap_or(0),
        }
    }
}

impl Taken {
    fn of(group: &Arc<str>, message: &Message, delivery: DeliveryNo) -> Self {
        Self {
            delivery,
            n: message.n,
            id: message.id,
            group: Arc::clone(group),
            body: message.body.clone(),
            receives: message.receives,
            to_be_recorded: message.recovered || message.receives > 1,
        }
    }
}

/// What recent receives answered.
#[derive(Debug, Default)]
struct Attempts {
    order: VecDeque<Uuid>,
    deliveries: HashMap<Uuid, Vec<DeliveryNo>>,
}

impl Attempts {
    fn get(&self, attempt: Uuid) -> &[DeliveryNo] {
        self.deliveries.get(&attempt).map_or(&[], Vec::as_slice)
    }

    fn remember(&mut self, attempt: Uuid, deliveries: Vec<DeliveryNo>) {
        if self.deliveries.insert(attempt, deliveries).is_some() {
            return;
        }
        self.order.push_back(attempt);
        if self.order.len() > MAX_ATTEMPTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.deliveries.remove(&oldest);
        }
    }
}

/// How many messages were queued when, in steps of 128 ms: the oldest is found without a look at all.
#[derive(Debug, Default)]
struct Ages(BTreeMap<i64, (Timestamp, usize)>);

impl Ages {
    fn add(&mut self, sent_at: Timestamp) {
        self.0.entry(sent_at.as_millis() >> AGE_BUCKET_BITS).or_insert((sent_at, 0)).1 += 1;
    }

    fn remove(&mut self, sent_at: Timestamp) {
        let bucket = sent_at.as_millis() >> AGE_BUCKET_BITS;
        if let Some((_, count)) = self.0.get_mut(&bucket) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&bucket);
            }
        }
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.0.first_key_value().map(|(_, (first, _))| *first)
    }
}

/// The messages, shared by the writer thread and all that receive.
#[derive(Debug)]
pub(super) struct SharedMessages {
    messages: Mutex<Messages>,
    pub(super) arrivals: Arrivals,
}

impl SharedMessages {
    pub(super) fn new(messages: Messages) -> Self {
        Self { messages: Mutex::new(messages), arrivals: Arrivals::default() }
    }

    /// Looks at the messages or changes them, and wakes who waits for that.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Messages) -> T) -> T {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline_before = messages.next_deadline();
        let answer = change(&mut messages);
        let (ready, deadline) = (!messages.ready.is_empty(), messages.next_deadline());
        drop(messages);
        self.arrivals.changed(ready, deadline_before, deadline);
        answer
    }
}
