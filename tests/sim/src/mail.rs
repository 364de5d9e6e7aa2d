//! The path of an alert to its mail: the alert queue, the function with the real alerter, and the mail provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stockline_alerter::{Alerter, MAIL_TIMEOUT};
use stockline_core::ports::{Mail, MailError, Mailer};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::faults::{Kind, Step};
use super::world::{Answer, Process, World};

/// The visibility timeout of the alert queue, as deployed: six times the function's timeout.
const HIDDEN: Duration = Duration::from_secs(270);

/// The function's timeout, as deployed. A later answer is ignored.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(45);

/// The time that the function reserves for marking a mail and for its answer.
const MARK_ROOM: Duration = Duration::from_secs(2);

/// The maximum number of messages per invocation.
const BATCH_MAX: u64 = 10;

#[derive(Debug)]
struct Waiting {
    body: Arc<str>,
    visible_ms: u64,
    /// The delivery that currently holds it.
    receipt: u64,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<u64, Waiting>,
    made: u64,
    deliveries: u64,
    doubled: u64,
}

/// The alert queue. It is a standard queue: each message is delivered at least once, in any order.
#[derive(Debug)]
pub(crate) struct AlertQueue {
    world: Arc<World>,
    state: Mutex<State>,
    changed: Notify,
}

/// The messages of one invocation, by id.
type Batch = Vec<(u64, u64, Arc<str>)>;

impl AlertQueue {
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: world.clone(), state: Mutex::default(), changed: Notify::new() })
    }

    /// Takes a message from the topic, at least once.
    pub(crate) fn put(&self, body: &str) {
        let copies = 1 + u64::from(self.world.rng().percent(8));
        let mut state = self.state.lock().unwrap();
        state.doubled += copies - 1;
        for _ in 0..copies {
            let after_ms = u64::try_from(self.world.latency().as_millis()).unwrap() + self.world.rng().below(400);
            state.made += 1;
            let (id, visible_ms) = (state.made, self.world.now_ms() + after_ms);
            state.waiting.insert(id, Waiting { body: body.into(), visible_ms, receipt: 0 });
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits for messages.
    async fn batch(&self) -> Batch {
        loop {
            let changed = self.changed.notified();
            let batch = self.take();
            if !batch.is_empty() {
                return batch;
            }
            let due = self.state.lock().unwrap().waiting.values().map(|waiting| waiting.visible_ms).min();
            match due {
                None => changed.await,
                Some(ms) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(self.world.started + Duration::from_millis(ms)) => {}
                },
            }
        }
    }

    fn take(&self) -> Batch {
        let now_ms = self.world.now_ms();
        let mut state = self.state.lock().unwrap();
        let State { waiting, deliveries, doubled, .. } = &mut *state;
        let due: Vec<u64> = waiting.iter().filter(|(_, w)| w.visible_ms <= now_ms).map(|(id, _)| *id).collect();
        if due.is_empty() {
            return Batch::new();
        }
        let mut rng = self.world.rng();
        let (skipped, count) = (rng.below(due.len() as u64), rng.between(1, BATCH_MAX));
        let mut batch = Batch::new();
        for id in due.into_iter().skip(skipped as usize).take(count as usize) {
            let message = waiting.get_mut(&id).unwrap();
            *deliveries += 1;
            message.receipt = *deliveries;
            // A standard queue may deliver a hidden message to another receiver.
            let twice = rng.percent(3);
            *doubled += u64::from(twice);
            let hidden_ms = if twice { 1 } else { u64::try_from(HIDDEN.as_millis()).unwrap() };
            message.visible_ms = now_ms + hidden_ms;
            batch.push((id, message.receipt, message.body.clone()));
        }
        batch
    }

    fn delete(&self, handled: &[(u64, u64)]) {
        let mut state = self.state.lock().unwrap();
        for (id, receipt) in handled {
            if state.waiting.get(id).is_some_and(|waiting| waiting.receipt == *receipt) {
                state.waiting.remove(id);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns how often a message was delivered twice without a fault.
    pub(crate) fn doubled(&self) -> u64 {
        self.state.lock().unwrap().doubled
    }

    /// Waits until every alert is handled; returns false if the deadline passes first.
    pub(crate) async fn drained(&self, until: Instant) -> bool {
        loop {
            let changed = self.changed.notified();
            if self.state.lock().unwrap().waiting.is_empty() {
                return true;
            }
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return false;
            }
        }
    }
}

/// A mail that was handed to the provider.
#[derive(Debug, Clone)]
pub(crate) struct SentMail {
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    /// The process that handed it over.
    pub(crate) by: Arc<Process>,
    pub(crate) asked_ms: u64,
    /// When the provider accepted it.
    pub(crate) taken_ms: Option<u64>,
    /// Whether the process received the acceptance.
    pub(crate) answered: bool,
}

/// The mail provider: all mails that were handed to it, in order.
pub(crate) type Provider = Arc<Mutex<Vec<SentMail>>>;

/// One process's client of the mail provider.
#[derive(Debug)]
pub(crate) struct MailClient {
    pub(crate) process: Arc<Process>,
    pub(crate) provider: Provider,
}

#[async_trait]
impl Mailer for MailClient {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let world = &self.process.world;
        let index = {
            let mut provider = self.provider.lock().unwrap();
            let (to, text, by) = (mail.to.clone(), mail.text.clone(), self.process.clone());
            provider.push(SentMail { to, text, by, asked_ms: world.now_ms(), taken_ms: None, answered: false });
            provider.len() - 1
        };
        let serve = |kind: Option<Kind>| {
            let (provider, world) = (self.provider.clone(), world.clone());
            async move {
                // One bad address fails the mail for all recipients.
                if kind == Some(Kind::Partial) {
                    return false;
                }
                provider.lock().unwrap()[index].taken_ms = Some(world.now_ms());
                true
            }
        };
        let answer = self.process.call(Step::Mail, serve).await;
        world.note(|| format!("{} mailed {} to {:?}: {answer:?}", self.process.name, mail.id, mail.to));
        match answer {
            Answer::Received(true) => {
                self.provider.lock().unwrap()[index].answered = true;
                Ok(())
            }
            Answer::Received(false) => Err(MailError::Refused("an address is none".into())),
            _ => Err(MailError::Unavailable("no answer came".into())),
        }
    }
}

/// Invokes the function with batches, and deletes the messages that its answers name as handled.
pub(crate) async fn invoke_for_ever(queue: Arc<AlertQueue>, process: Arc<Process>, alerter: Alerter) {
    loop {
        let batch = queue.batch().await;
        process.world.note(|| format!("{} is invoked with {} alerts", process.name, batch.len()));
        let over = Instant::now() + FUNCTION_TIMEOUT;
        let stop = CancellationToken::new();
        let trigger = stop.clone();
        let stopping = tokio::spawn(async move {
            sleep(FUNCTION_TIMEOUT - MAIL_TIMEOUT - MARK_ROOM).await;
            trigger.cancel();
        });
        let ids: Vec<String> = batch.iter().map(|(id, ..)| id.to_string()).collect();
        let bodies: Vec<_> = ids.iter().zip(&batch).map(|(id, (_, _, body))| (id.as_str(), &**body)).collect();
        let results = alerter.handle_until(&bodies, Some(&stop)).await;
        stopping.abort();
        let handled = batch.iter().zip(results).filter(|(_, result)| result.is_ok());
        let handled: Vec<_> = handled.map(|((id, receipt, _), _)| (*id, *receipt)).collect();
        let answer = |_| {
            let (queue, handled) = (queue.clone(), handled.clone());
            async move {
                if Instant::now() < over {
                    queue.delete(&handled);
                }
            }
        };
        let answer = process.call(Step::Reply, answer).await;
        process.world.note(|| format!("{} handled {}: {answer:?}", process.name, handled.len()));
    }
}
