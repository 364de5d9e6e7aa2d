use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::arrivals::Arrivals;
use super::in_flight::{DeliveryNo, InFlight};
use super::options::QueueOptions;
use stockline_core::domain::Timestamp;
use stockline_core::ports::QueueDepth;

/// Bodies kept in memory, in bytes. Other bodies are read from the file on delivery.
const MAX_CACHED_BODY_BYTES: usize = 32 * 1024 * 1024;

/// How many receives can be repeated. The oldest is forgotten first.
const MAX_ATTEMPTS: usize = 256;

/// Messages queued within the same 2^7 ms share a bucket.
const AGE_BUCKET_BITS: u32 = 7;

/// A message in memory: about 60 bytes, and the body if there is room.
#[derive(Debug)]
pub(super) struct Message {
    /// Its row number, which is its place in the order.
    pub(super) n: i64,
    /// The sender's id, which is the message id.
    pub(super) id: Uuid,
    /// When it was queued.
    pub(super) sent_at: Timestamp,
    /// `None` if the body is only in the file.
    pub(super) body: Option<Arc<str>>,
    /// How often it was delivered.
    pub(super) receives: u32,
    /// Whether an earlier process queued it.
    pub(super) recovered: bool,
}

/// A message taken for delivery.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) delivery: DeliveryNo,
    pub(super) n: i64,
    pub(super) id: Uuid,
    pub(super) group: Arc<str>,
    pub(super) body: Option<Arc<str>>,
    pub(super) receives: u32,
    /// Whether the file must count this delivery before it is made. The first delivery by the process that queued the
    /// message is not counted: that would cost a write each time, and only one delivery can be missed.
    pub(super) to_be_recorded: bool,
}

/// The messages of one item.
///
/// ```text
///  absent ──push──► ready ──receive──► locked ──last delivery acked or returned──► ready, or absent if empty
///                                      (in_flight > 0: nothing of the item is delivered)
/// ```
#[derive(Debug, Default)]
struct ItemQueue {
    /// Messages that are not delivered, in order.
    waiting: VecDeque<Message>,
    /// Messages that were delivered together, in order, before all that wait.
    delivered: Vec<DeliveredMessage>,
    /// How many of `delivered` are in flight.
    in_flight: usize,
}

#[derive(Debug)]
struct DeliveredMessage {
    message: Message,
    /// `None` once it came back and waits for the others.
    delivery: Option<DeliveryNo>,
}

/// The order, locks and deliveries of the command queue. They are in memory only, because one process owns the file.
/// Every message here is durable there.
#[derive(Debug)]
pub(super) struct Messages {
    items: HashMap<Arc<str>, ItemQueue>,
    /// Items with messages that are not locked, each once, the longest waiting first.
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
            items: HashMap::new(),
            ready: VecDeque::new(),
            in_flight: InFlight::new(),
            attempts: Attempts::default(),
            ages: Ages::default(),
            count: 0,
            cached_bytes: 0,
            options,
        }
    }

    /// Adds a durable message behind all others of its item.
    pub(super) fn push(&mut self, group: &str, mut message: Message) {
        let bytes = message.body.as_ref().map_or(0, |body| body.len());
        if self.cached_bytes + bytes <= MAX_CACHED_BODY_BYTES {
            self.cached_bytes += bytes;
        } else {
            message.body = None;
        }
        self.count += 1;
        self.ages.add(message.sent_at);
        if let Some(known) = self.items.get_mut(group) {
            // An item that is present is locked or ready already.
            known.waiting.push_back(message);
        } else {
            let name: Arc<str> = group.into();
            self.ready.push_back(Arc::clone(&name));
            self.items.insert(name, ItemQueue { waiting: VecDeque::from([message]), ..ItemQueue::default() });
        }
    }

    /// Takes up to `max` messages. A known `attempt` returns its messages again, as far as they are still in flight.
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
            self.take_item(&name, now, max, &mut taken);
        }
        if !taken.is_empty() {
            self.attempts.remember(attempt, taken.iter().map(|taken| taken.delivery).collect());
        }
        taken
    }

    fn take_item(&mut self, name: &Arc<str>, now: Instant, max: usize, taken: &mut Vec<Taken>) {
        let Some(item) = self.items.get_mut(name) else { return };
        let many = self.options.messages_per_group_receive.max(1).min(max - taken.len()).min(item.waiting.len());
        for mut message in item.waiting.drain(..many) {
            message.receives = message.receives.saturating_add(1);
            let delivery = self.in_flight.add(Arc::clone(name), now, self.options.visibility_timeout);
            taken.push(Taken::of(name, &message, delivery));
            item.delivered.push(DeliveredMessage { message, delivery: Some(delivery) });
        }
        item.in_flight = item.delivered.len();
    }

    fn taken_before(&self, delivery: DeliveryNo) -> Option<Taken> {
        let name = self.in_flight.get(delivery)?;
        let found = self.items.get(name)?.delivered.iter().find(|found| found.delivery == Some(delivery))?;
        Some(Taken::of(name, &found.message, delivery))
    }

    /// Forgets a delivered message and returns its row number; `None` if the delivery has expired.
    pub(super) fn ack(&mut self, now: Instant, delivery: DeliveryNo) -> Option<i64> {
        self.expire(now);
        let name = self.in_flight.remove(delivery)?;
        let item = self.items.get_mut(&name)?;
        let at = item.delivered.iter().position(|found| found.delivery == Some(delivery))?;
        let DeliveredMessage { message, .. } = item.delivered.remove(at);
        item.in_flight -= 1;
        self.count -= 1;
        self.cached_bytes -= message.body.as_ref().map_or(0, |body| body.len());
        self.ages.remove(message.sent_at);
        self.unlock(&name);
        Some(message.n)
    }

    /// Keeps a delivery open for `held_for` from now, or ends it if that is zero. Returns `false` if it has expired.
    pub(super) fn change_visibility(&mut self, now: Instant, delivery: DeliveryNo, held_for: Duration) -> bool {
        self.expire(now);
        if !held_for.is_zero() {
            return self.in_flight.extend(delivery, now, held_for);
        }
        self.in_flight.remove(delivery).is_some_and(|name| {
            self.return_message(&name, delivery);
            true
        })
    }

    /// Undoes a delivery that was never made.
    pub(super) fn undo(&mut self, delivery: DeliveryNo) {
        let Some(name) = self.in_flight.remove(delivery) else { return };
        if let Some(item) = self.items.get_mut(&name)
            && let Some(found) = item.delivered.iter_mut().find(|found| found.delivery == Some(delivery))
        {
            found.message.receives = found.message.receives.saturating_sub(1);
        }
        self.return_message(&name, delivery);
    }

    fn expire(&mut self, now: Instant) {
        while let Some((delivery, name)) = self.in_flight.pop_expired(now) {
            self.return_message(&name, delivery);
        }
    }

    fn return_message(&mut self, name: &Arc<str>, delivery: DeliveryNo) {
        let Some(item) = self.items.get_mut(name) else { return };
        if let Some(found) = item.delivered.iter_mut().find(|found| found.delivery == Some(delivery)) {
            found.delivery = None;
            item.in_flight -= 1;
        }
        self.unlock(name);
    }

    /// Once nothing of the item is in flight, puts the returned messages in front again.
    fn unlock(&mut self, name: &Arc<str>) {
        let Some(item) = self.items.get_mut(name).filter(|item| item.in_flight == 0) else { return };
        for returned in item.delivered.drain(..).rev() {
            item.waiting.push_front(returned.message);
        }
        if item.waiting.is_empty() {
            self.items.remove(name);
        } else {
            self.ready.push_back(Arc::clone(name));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.in_flight.next_deadline()
    }

    /// Returns how many messages are not acknowledged.
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

/// The deliveries of recent receives.
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

/// How many messages were queued when, in steps of 128 ms. It finds the oldest age without a scan.
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

/// The messages, shared by the writer thread and the receivers.
#[derive(Debug)]
pub(super) struct SharedMessages {
    messages: Mutex<Messages>,
    pub(super) arrivals: Arrivals,
}

impl SharedMessages {
    pub(super) fn new(messages: Messages) -> Self {
        Self { messages: Mutex::new(messages), arrivals: Arrivals::default() }
    }

    /// Reads or changes the messages, then wakes the receivers that the change concerns.
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
