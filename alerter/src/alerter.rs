use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, histogram};
use stockline_core::domain::{Alert, LocationId, Timestamp};
use stockline_core::ports::{Claimed, StoreError};
use stockline_service::{Retry, Shutdown};

use crate::deliver::{MIN_LEASE, Term};
use crate::metrics::{ALERT_AGE_SECONDS, ALERTS_MAILED, UNDECODABLE, WITHOUT_RECIPIENT, start_at_zero};
use crate::notices::NoticeMemory;
use crate::place::{Place, addresses};
use crate::{Adapters, Config, compose};

/// The most alerts of one mail: what a person still reads.
const ALERTS_PER_MAIL_MAX: usize = 100;

/// How often a mark is tried at once before it waits for the redelivery.
const MARK_ATTEMPTS: usize = 3;

const MARK_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Why a record was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFailure {
    /// It is no alert and never will be. The standalone feed drops it (it is logged, without its body, and
    /// counted); on AWS it is reported as failed, and the queue's dead letter queue takes it.
    #[error("the message is not one of Stockline's alerts")]
    Undecodable,
    /// It must come again.
    #[error("the alert is not mailed yet: {0}")]
    Retry(RetryReason),
}

/// Why a record must come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryReason {
    /// Claimed and unsent within its lease, by another or by an earlier attempt of ours; or our own lease is too
    /// short for one more mail, or the process is ending.
    #[error("its claim is held")]
    Held,
    /// The store did not answer.
    #[error("the store is unavailable")]
    Store,
    /// The mail provider did not take it now.
    #[error("mail is unavailable")]
    Mail,
    /// The mail provider refused every recipient; it will again until the addresses are corrected.
    #[error("every recipient was refused: correct the location's alert_emails or the configured recipients")]
    Refused,
}

/// What became of one alert.
type Told = Result<(), RetryReason>;

/// Turns alert messages into mails (design.md §8).
#[derive(Debug)]
pub struct Alerter {
    pub(crate) config: Config,
    pub(crate) adapters: Adapters,
    /// Alerts the provider took whose mark failed, by id, with the time: a redelivery only marks them. Claims fail
    /// too while the store is down, so there are never more than a few batches of them.
    unmarked: Mutex<BTreeMap<String, Timestamp>>,
    pub(crate) notices: Mutex<NoticeMemory>,
}

/// Nothing here can be half changed when a thread panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Alerter {
    /// An alerter over these adapters. Its metrics start at zero.
    pub fn new(mut config: Config, adapters: Adapters) -> Self {
        start_at_zero();
        if config.lease < MIN_LEASE {
            tracing::warn!(lease_s = config.lease.as_secs(), used_s = MIN_LEASE.as_secs(), "the lease is too short");
            config.lease = MIN_LEASE;
        }
        config.recipients = addresses(&config.recipients);
        Self { config, adapters, unmarked: Mutex::default(), notices: Mutex::default() }
    }

    /// Is there anybody who gets mail: in the configured list, or at any location?
    ///
    /// # Errors
    /// Where the locations can't be read.
    pub async fn has_recipient(&self) -> Result<bool, StoreError> {
        if !self.config.recipients.is_empty() {
            return Ok(true);
        }
        let locations = self.adapters.locations.locations().await?;
        Ok(locations.iter().any(|location| !addresses(&location.alert_emails).is_empty()))
    }

    /// Handles messages, each a `(message id, body)`, and answers one by one in input order.
    ///
    /// `Ok`: mailed and marked, or mailed before, or nobody is configured to get it (it stays in the history,
    /// unsent). A failed record must be delivered again, except [`RecordFailure::Undecodable`]. Alerts to the same
    /// recipients are one mail.
    pub async fn handle(&self, bodies: &[(&str, &str)]) -> Vec<Result<(), RecordFailure>> {
        self.handle_until(bodies, None).await
    }

    /// As [`Alerter::handle`]; once `stop` is requested no further mail begins.
    pub async fn handle_until(
        &self,
        bodies: &[(&str, &str)],
        stop: Option<&Shutdown>,
    ) -> Vec<Result<(), RecordFailure>> {
        let mut alerts = BTreeMap::new();
        let mut ids = Vec::with_capacity(bodies.len());
        for (message_id, body) in bodies {
            ids.push(decode(message_id, body).map(|alert| {
                let id = alert.id();
                alerts.entry(id.clone()).or_insert(alert);
                id
            }));
        }
        let told = self.tell(alerts, stop).await;
        let answer = |id: Option<String>| {
            let id = id.ok_or(RecordFailure::Undecodable)?;
            told.get(&id).copied().unwrap_or(Err(RetryReason::Store)).map_err(RecordFailure::Retry)
        };
        ids.into_iter().map(answer).collect()
    }

    /// Tells distinct alerts, by id.
    async fn tell(&self, alerts: BTreeMap<String, Alert>, stop: Option<&Shutdown>) -> BTreeMap<String, Told> {
        let mut told = BTreeMap::new();
        let (mailed, new): (Vec<_>, Vec<_>) = {
            let unmarked = lock(&self.unmarked);
            alerts.into_iter().partition(|(id, _)| unmarked.contains_key(id))
        };
        self.mark_mailed(mailed, &mut told).await;

        // Recipients before claims: when the locations can't be read, nothing is left claimed.
        let places = self.places(new.iter().map(|(_, alert)| &alert.location_id)).await;
        let mut ready = Vec::with_capacity(new.len());
        for (id, alert) in new {
            match places.get(&alert.location_id) {
                Some(place) => ready.push((alert, place)),
                None => {
                    told.insert(id, Err(RetryReason::Store));
                }
            }
        }
        let (ours, term) = self.claim(ready, &mut told, stop).await;

        let mut mails: BTreeMap<Vec<String>, Vec<(Alert, &Place)>> = BTreeMap::new();
        for (alert, place) in ours {
            let same = place.recipients.iter().map(|address| address.to_lowercase()).collect();
            mails.entry(same).or_default().push((alert, place));
        }
        for mut alerts in mails.into_values() {
            alerts.sort_by(|(a, _), (b, _)| {
                (&a.location_id, b.kind, &a.item_id, a.alert_no).cmp(&(&b.location_id, a.kind, &b.item_id, b.alert_no))
            });
            for part in alerts.chunks(ALERTS_PER_MAIL_MAX) {
                let to = part.first().map_or(&[][..], |(_, place)| &place.recipients);
                let result = if to.is_empty() { without_recipient(part) } else { self.mail(to, part, term).await };
                told.extend(part.iter().map(|(alert, _)| (alert.id(), result)));
            }
        }
        told
    }

    /// Marks what an earlier attempt mailed; each mail's alerts together.
    async fn mark_mailed(&self, mailed: Vec<(String, Alert)>, told: &mut BTreeMap<String, Told>) {
        let mut mails: BTreeMap<Timestamp, Vec<(String, Alert)>> = BTreeMap::new();
        {
            let unmarked = lock(&self.unmarked);
            for (id, alert) in mailed {
                let sent_at = unmarked.get(&id).copied().unwrap_or_else(|| self.adapters.clock.now());
                mails.entry(sent_at).or_default().push((id, alert));
            }
        }
        for (sent_at, mail) in mails {
            let alerts: Vec<&Alert> = mail.iter().map(|(_, alert)| alert).collect();
            let marked = self.mark(&alerts, sent_at).await;
            told.extend(mail.into_iter().map(|(id, _)| (id, marked)));
        }
    }

    /// The places that could be read.
    async fn places(&self, ids: impl Iterator<Item = &LocationId>) -> BTreeMap<LocationId, Place> {
        let ids: BTreeSet<LocationId> = ids.cloned().collect();
        let mut places = BTreeMap::new();
        for id in ids {
            match self.adapters.locations.location(&id).await {
                Ok(settings) => {
                    let place = Place::new(&id, settings.as_ref(), &self.config.recipients);
                    places.insert(id, place);
                }
                Err(error) => tracing::warn!(location = %id, %error, "a location can't be read; its alerts wait"),
            }
        }
        places
    }

    /// Claims, answers for what is not ours, and returns what is.
    async fn claim<'a, 's>(
        &self,
        ready: Vec<(Alert, &'a Place)>,
        told: &mut BTreeMap<String, Told>,
        stop: Option<&'s Shutdown>,
    ) -> (Vec<(Alert, &'a Place)>, Term<'s>) {
        let now = self.adapters.clock.now();
        let lease_until = self.lease_from(now);
        let term = Term { lease_until, stop };
        if ready.is_empty() {
            return (Vec::new(), term);
        }
        let (alerts, places): (Vec<Alert>, Vec<&Place>) = ready.into_iter().unzip();
        let claims = self.adapters.book.claim(&alerts, now, lease_until).await;
        let mut ours = Vec::new();
        for ((alert, place), claimed) in alerts.into_iter().zip(places).zip(claims) {
            let answer = match claimed {
                Ok(Claimed::Ours) => {
                    ours.push((alert, place));
                    continue;
                }
                Ok(Claimed::Sent) => Ok(()),
                Ok(Claimed::Held) => Err(RetryReason::Held),
                Err(error) => {
                    tracing::warn!(alert = alert.id(), %error, "an alert can't be claimed; it waits");
                    Err(RetryReason::Store)
                }
            };
            told.insert(alert.id(), answer);
        }
        (ours, term)
    }

    pub(crate) fn lease_from(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(i64::try_from(self.config.lease.as_millis()).unwrap_or(i64::MAX))
    }

    /// One mail for claimed alerts, then their mark.
    async fn mail(&self, to: &[String], alerts: &[(Alert, &Place)], term: Term<'_>) -> Told {
        let mail = compose::alert_mail(alerts, to, self.config.public_url.as_deref());
        self.deliver(&mail, term).await?;
        let sent_at = self.adapters.clock.now();
        {
            let mut unmarked = lock(&self.unmarked);
            unmarked.extend(alerts.iter().map(|(alert, _)| (alert.id(), sent_at)));
        }
        counter!(ALERTS_MAILED).increment(alerts.len() as u64);
        for (alert, _) in alerts {
            let age = Duration::from_millis(u64::try_from(sent_at.millis_since(alert.raised_at)).unwrap_or(0));
            histogram!(ALERT_AGE_SECONDS).record(age.as_secs_f64());
        }
        tracing::info!(mail = mail.id, alerts = alerts.len(), recipients = to.len(), "alerts mailed");
        let alerts: Vec<&Alert> = alerts.iter().map(|(alert, _)| alert).collect();
        self.mark(&alerts, sent_at).await
    }

    /// Marks what was mailed. Where that fails the redelivery marks it: it is not mailed again while we live.
    async fn mark(&self, alerts: &[&Alert], sent_at: Timestamp) -> Told {
        let owned: Vec<Alert> = alerts.iter().copied().cloned().collect();
        let mut pauses = Retry::new(MARK_PAUSE.0, MARK_PAUSE.1);
        for attempt in 1..=MARK_ATTEMPTS {
            match self.adapters.book.mark_sent(&owned, sent_at).await {
                Ok(()) => {
                    let mut unmarked = lock(&self.unmarked);
                    for alert in alerts {
                        unmarked.remove(&alert.id());
                    }
                    return Ok(());
                }
                Err(error) if attempt == MARK_ATTEMPTS => {
                    tracing::warn!(alerts = alerts.len(), %error, "mailed alerts can't be marked; tried again later");
                }
                // A store that failed is asked again after a growing pause, a bounded number of times.
                Err(_) => tokio::time::sleep(pauses.next_pause()).await,
            }
        }
        Err(RetryReason::Store)
    }
}

/// Handled: coming again would not find anybody either. It stays in the history, unsent.
fn without_recipient(alerts: &[(Alert, &Place)]) -> Told {
    counter!(WITHOUT_RECIPIENT).increment(alerts.len() as u64);
    for (alert, _) in alerts {
        tracing::warn!(
            alert = alert.id(),
            location = %alert.location_id,
            "nobody gets this alert: set the location's alert_emails (PUT /v1/locations/{{id}}) or the configured recipients"
        );
    }
    Ok(())
}

fn decode(message_id: &str, body: &str) -> Option<Alert> {
    match serde_json::from_str(body) {
        Ok(alert) => Some(alert),
        Err(error) => {
            counter!(UNDECODABLE).increment(1);
            // The error's own text may quote the body.
            tracing::error!(
                message_id,
                bytes = body.len(),
                line = error.line(),
                column = error.column(),
                "a message is no alert: something else writes to the alert queue"
            );
            None
        }
    }
}
