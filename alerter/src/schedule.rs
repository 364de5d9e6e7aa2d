use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockline_service::Retry;
use tokio::time::Instant;

use crate::metrics::Meters;

/// The first and the longest pause between two attempts in the first hour of an outage, each ± 50 %, counted from the
/// beginning of the attempt. With the wait of a receive, the next attempt begins within a minute.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(33));

/// The shortest pause after an attempt, however long it took.
const REST: Duration = Duration::from_secs(1);

/// How long retries are that frequent.
const FREQUENT_FOR: Duration = Duration::from_secs(3_600);

/// The pause between two attempts after that.
const SLOW_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The most recipients whose failures are remembered. Beyond it the one that failed first is forgotten: it is tried
/// again with the others.
const RECIPIENTS_MAX: usize = 1_000;

/// Decides when mails that failed are tried again. The provider as a whole has a schedule, and each recipient has one, so
/// that one full mailbox delays nobody else.
///
/// It lives in memory: a new process tries everything at once. It counts monotonic time, so a stepped clock delays
/// nothing.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Whether attempts wait until they are due. Otherwise the queue decides, as on Lambda.
    paced: bool,
    outages: Arc<Mutex<Outages>>,
    meters: Meters,
}

#[derive(Debug, Default)]
struct Outages {
    provider: Option<Outage>,
    recipients: BTreeMap<String, Outage>,
}

/// One series of failures.
#[derive(Debug)]
struct Outage {
    since: Instant,
    next: Instant,
    pauses: Retry,
}

impl Outage {
    fn new(now: Instant) -> Self {
        Self { since: now, next: now, pauses: Retry::new(PAUSES.0, PAUSES.1) }
    }

    /// Plans the attempt after one that `began` and failed `now`.
    fn failed(&mut self, began: Instant, now: Instant) {
        let is_recent = now.duration_since(self.since) < FREQUENT_FOR;
        let pause = if is_recent { self.pauses.next_pause() } else { SLOW_PAUSE };
        self.next = (began + pause).max(now + REST);
    }
}

/// The attempts for one mail.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The recipients of one mail together.
    pub(crate) together: Vec<String>,
    /// Recipients whose last mail failed. Each has its own mail.
    pub(crate) apart: Vec<String>,
    /// Recipients whose retry is not due.
    pub(crate) waiting: Vec<String>,
}

/// Returns the number for a gauge.
fn count(recipients: usize) -> f64 {
    f64::from(u32::try_from(recipients).unwrap_or(u32::MAX))
}

fn key(recipient: &str) -> String {
    recipient.to_lowercase()
}

impl Schedule {
    pub(crate) fn new(paced: bool, meters: Meters) -> Self {
        Self { paced, outages: Arc::default(), meters }
    }

    /// Plans a mail to these recipients.
    pub(crate) fn plan(&self, to: &[String]) -> Plan {
        let (outages, now) = (self.outages(), Instant::now());
        let is_due = |outage: Option<&Outage>| !self.paced || outage.is_none_or(|outage| outage.next <= now);
        let mut plan = Plan::default();
        let provider_is_due = is_due(outages.provider.as_ref());
        for recipient in to {
            let outage = outages.recipients.get(&key(recipient));
            let list = match outage {
                _ if !provider_is_due => &mut plan.waiting,
                None => &mut plan.together,
                Some(_) if is_due(outage) => &mut plan.apart,
                Some(_) => &mut plan.waiting,
            };
            list.push(recipient.clone());
        }
        plan
    }

    /// Returns whether a mail to any of these recipients may be tried now.
    pub(crate) fn is_due(&self, recipients: &[String]) -> bool {
        let plan = self.plan(recipients);
        !(plan.together.is_empty() && plan.apart.is_empty())
    }

    /// Returns how long the first of these recipients still waits for its retry.
    pub(crate) fn due_in(&self, recipients: &[String]) -> Duration {
        let (outages, now) = (self.outages(), Instant::now());
        let next = |recipient: &String| outages.recipients.get(&key(recipient)).map_or(now, |outage| outage.next);
        let first = recipients.iter().map(next).min().unwrap_or(now);
        let first = outages.provider.as_ref().map_or(first, |provider| first.max(provider.next));
        first.saturating_duration_since(now)
    }

    /// Notes an attempt, begun then, for which the provider could not be used. Returns whether the outage is new.
    pub(crate) fn provider_failed(&self, began: Instant) -> bool {
        let (mut outages, now) = (self.outages(), Instant::now());
        let is_new = outages.provider.is_none();
        outages.provider.get_or_insert_with(|| Outage::new(now)).failed(began, now);
        self.meters.provider_down.set(1.0);
        is_new
    }

    /// Notes that the provider answered. Returns how long it was down, if it was.
    pub(crate) fn provider_answered(&self) -> Option<Duration> {
        let outage = self.outages().provider.take()?;
        self.meters.provider_down.set(0.0);
        Some(outage.since.elapsed())
    }

    /// Notes an attempt, begun then, at which this recipient did not get its mail. Returns whether the outage is new.
    pub(crate) fn recipient_failed(&self, recipient: &str, began: Instant) -> bool {
        let (mut outages, now) = (self.outages(), Instant::now());
        let recipients = &mut outages.recipients;
        let is_new = !recipients.contains_key(&key(recipient));
        if is_new && recipients.len() >= RECIPIENTS_MAX {
            let first = recipients.iter().min_by_key(|(_, outage)| outage.since).map(|(key, _)| key.clone());
            first.map(|first| recipients.remove(&first));
        }
        recipients.entry(key(recipient)).or_insert_with(|| Outage::new(now)).failed(began, now);
        self.meters.failing_recipients.set(count(recipients.len()));
        is_new
    }

    /// Notes that these recipients got a mail. Returns how many of them had failed before.
    pub(crate) fn recipients_reached(&self, recipients: &[String]) -> usize {
        let mut outages = self.outages();
        let again = recipients.iter().filter(|recipient| outages.recipients.remove(&key(recipient)).is_some()).count();
        self.meters.failing_recipients.set(count(outages.recipients.len()));
        again
    }

    /// No thread can leave the outages half changed when it panics.
    fn outages(&self) -> MutexGuard<'_, Outages> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
