//! An alert's way to its mail: the topic's queue, the function with the real alerter, and the mail provider.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stockline_alerter::{Alerter, MAIL_TIMEOUT};
use stockline_core::ports::{Mail, MailError, Mailer};
use stockline_service::Shutdown;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::faults::{Kind, Step};
use super::world::{Answer, Process, World};

/// For so long messages of the alert queue are hidden, as deployed: six times the function's timeout.
const HIDDEN: Duration = Duration::from_secs(270);

/// The function's timeout, as deployed; an answer that comes later counts for nothing.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(45);

/// What the function keeps free for a mail's mark and its answer.
const MARK_ROOM: Duration = Duration::from_secs(2);

/// At most so many messages an invocation.
const BATCH_MAX: u64 = 10;

#[derive(Debug)]
struct Waiting {
    body: Arc<str>,
    visible_ms: u64,
    /// Whose delivery it is.
    receipt: u64,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<u64, Waiting>,
    made: u64,
    deliveries: u64,
    doubled: u64,
}

/// The alert queue: a standard one, so each message comes at least once, in any order.
#[derive(Debug)]
pub(crate) struct AlertQueue {
    world: Arc<World>,
    state: Mutex<State>,
    changed: Notify,
}

/// Messages of one invocation, by id.
type Batch = Vec<(u64, u64, Arc<str>)>;

impl AlertQueue {
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: world.clone(), state: Mutex::default(), changed: Notify::new() })
    }

    /// The topic hands a message over: at least once.
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
            // A standard queue may deliver a message to another while it is hidden.
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

    /// How often a message came twice though nothing went wrong.
    pub(crate) fn doubled(&self) -> u64 {
        self.state.lock().unwrap().doubled
    }

    /// Waits until every alert is handled, or until then: false.
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

/// A mail that the provider was asked to send.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    /// The process that asked.
    pub(crate) by: Arc<Process>,
    pub(crate) asked_ms: u64,
    /// When the provider took it.
    pub(crate) taken_ms: Option<u64>,
    /// The process saw that it was taken.
    pub(crate) answered: bool,
}

/// The mail provider: all that it was asked, in order.
pub(crate) type Provider = Arc<Mutex<Vec<Posted>>>;

/// One process's way to the mail provider.
#[derive(Debug)]
pub(crate) struct MailEnd {
    pub(crate) process: Arc<Process>,
    pub(crate) provider: Provider,
}

#[async_trait]
impl Mailer for MailEnd {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let world = &self.process.world;
        let index = {
            let mut provider = self.provider.lock().unwrap();
            let (to, text, by) = (mail.to.clone(), mail.text.clone(), self.process.clone());
            provider.push(Posted { to, text, by, asked_ms: world.now_ms(), taken_ms: None, answered: false });
            provider.len() - 1
        };
        let serve = |kind: Option<Kind>| {
            let (provider, world) = (self.provider.clone(), world.clone());
            async move {
                // One bad address fails the mail to all.
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
            Answer::Came(true) => {
                self.provider.lock().unwrap()[index].answered = true;
                Ok(())
            }
            Answer::Came(false) => Err(MailError::Refused("an address is none".into())),
            _ => Err(MailError::Unavailable("no answer came".into())),
        }
    }
}

/// Hands batches to a function that runs, and takes its answers: which of them are handled.
pub(crate) async fn invoke_for_ever(queue: Arc<AlertQueue>, process: Arc<Process>, alerter: Alerter) {
    loop {
        let batch = queue.batch().await;
        process.world.note(|| format!("{} is invoked with {} alerts", process.name, batch.len()));
        let over = Instant::now() + FUNCTION_TIMEOUT;
        let (trigger, stop) = Shutdown::new();
        let stopping = tokio::spawn(async move {
            sleep(FUNCTION_TIMEOUT - MAIL_TIMEOUT - MARK_ROOM).await;
            trigger.request();
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
