use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockline_core::domain::{Alert, LocationId, Seal, Timestamp, seal_of};
use stockline_core::ports::Claimed;
use stockline_service::{Retry, trace};
use tokio_util::sync::CancellationToken;

use crate::compose;
use crate::config::{Adapters, Config};
use crate::contact::Contact;
use crate::deliveries::{Deliveries, SendWindow};
use crate::failure::{RecordFailure, RetryReason};
use crate::metrics::Meters;

/// The most alerts of one mail: as many as a person still reads.
const ALERTS_PER_MAIL_MAX: usize = 100;

/// How often a mark is attempted at once before it waits for the redelivery.
const MARK_ATTEMPTS: usize = 3;

/// The first and the longest pause between such attempts.
const MARK_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// The result for one alert.
type Notified = Result<(), RetryReason>;

/// Mails alerts, each once: claims them, sends their mails, and marks them as sent.
#[derive(Debug)]
pub(crate) struct Alerts {
    config: Config,
    adapters: Adapters,
    deliveries: Deliveries,
    meters: Meters,
    /// Alerts that were mailed but could not be marked, by id, with the time of the mail. A redelivery only marks them.
    /// While the store is down claims fail too, so there are never more than a few batches of them.
    unmarked: Mutex<BTreeMap<String, Timestamp>>,
}

impl Alerts {
    pub(crate) fn new(config: Config, adapters: Adapters, deliveries: Deliveries, meters: Meters) -> Self {
        Self { config, adapters, deliveries, meters, unmarked: Mutex::default() }
    }

    /// Handles messages, each a `(message id, body)`. See [`Alerter::handle`](crate::Alerter::handle).
    pub(crate) async fn handle(
        &self,
        bodies: &[(&str, &str)],
        stop: Option<&CancellationToken>,
    ) -> Vec<Result<(), RecordFailure>> {
        let mut alerts = BTreeMap::new();
        let mut ids = Vec::with_capacity(bodies.len());
        for (message_id, body) in bodies {
            ids.push(self.decode(message_id, body).map(|alert| {
                let id = alert.id();
                alerts.entry(id.clone()).or_insert(alert);
                id
            }));
        }
        let notified = self.notify(alerts, stop).await;
        let answer = |id: Option<String>| {
            let id = id.ok_or(RecordFailure::Undecodable)?;
            notified.get(&id).copied().unwrap_or(Err(RetryReason::Store)).map_err(RecordFailure::Retry)
        };
        ids.into_iter().map(answer).collect()
    }

    fn decode(&self, message_id: &str, body: &str) -> Option<Alert> {
        if seal_of(body) == Seal::Wrong {
            self.meters.undecodable.increment(1);
            tracing::error!(message_id, bytes = body.len(), "an alert's bytes have changed since it was queued");
            return None;
        }
        match serde_json::from_str(body) {
            Ok(alert) => Some(alert),
            Err(error) => {
                self.meters.undecodable.increment(1);
                // The error's own text may quote the body.
                tracing::error!(
                    message_id,
                    bytes = body.len(),
                    line = error.line(),
                    column = error.column(),
                    "a message is no alert: another program writes to the alert queue"
                );
                None
            }
        }
    }

    /// Mails distinct alerts, given by id. Returns the result of each.
    async fn notify(
        &self,
        alerts: BTreeMap<String, Alert>,
        stop: Option<&CancellationToken>,
    ) -> BTreeMap<String, Notified> {
        let mut notified = BTreeMap::new();
        let (mailed, new): (Vec<_>, Vec<_>) = {
            let unmarked = self.unmarked();
            alerts.into_iter().partition(|(id, _)| unmarked.contains_key(id))
        };
        self.mark_mailed(mailed, &mut notified).await;

        // Recipients are read before claims: if the locations can't be read, nothing stays claimed.
        let contacts = self.contacts(new.iter().map(|(_, alert)| &alert.location_id)).await;
        let mut ready = Vec::with_capacity(new.len());
        for (id, alert) in new {
            match contacts.get(&alert.location_id) {
                Some(contact) => ready.push((alert, contact)),
                None => {
                    notified.insert(id, Err(RetryReason::Store));
                }
            }
        }
        let (ours, window) = self.claim(ready, &mut notified, stop).await;

        let mut mails: BTreeMap<Vec<String>, Vec<(Alert, &Contact)>> = BTreeMap::new();
        for (alert, contact) in ours {
            let recipients = contact.recipients.iter().map(|address| address.to_lowercase()).collect();
            mails.entry(recipients).or_default().push((alert, contact));
        }
        for mut alerts in mails.into_values() {
            alerts.sort_by(|(a, _), (b, _)| {
                (&a.location_id, b.kind, &a.item_id, a.alert_no).cmp(&(&b.location_id, a.kind, &b.item_id, b.alert_no))
            });
            for part in alerts.chunks(ALERTS_PER_MAIL_MAX) {
                let to = part.first().map_or(&[][..], |(_, contact)| &contact.recipients);
                let result =
                    if to.is_empty() { self.without_recipient(part) } else { self.mail(to, part, window).await };
                notified.extend(part.iter().map(|(alert, _)| (alert.id(), result)));
            }
        }
        notified
    }

    /// Marks alerts that an earlier attempt mailed, the alerts of each mail together.
    async fn mark_mailed(&self, mailed: Vec<(String, Alert)>, notified: &mut BTreeMap<String, Notified>) {
        let mut mails: BTreeMap<Timestamp, Vec<(String, Alert)>> = BTreeMap::new();
        {
            let unmarked = self.unmarked();
            for (id, alert) in mailed {
                let sent_at = unmarked.get(&id).copied().unwrap_or_else(|| self.adapters.clock.now());
                mails.entry(sent_at).or_default().push((id, alert));
            }
        }
        for (sent_at, mail) in mails {
            let alerts: Vec<&Alert> = mail.iter().map(|(_, alert)| alert).collect();
            let marked = self.mark(&alerts, sent_at).await;
            notified.extend(mail.into_iter().map(|(id, _)| (id, marked)));
        }
    }

    /// Returns the contacts of the locations that could be read.
    async fn contacts(&self, ids: impl Iterator<Item = &LocationId>) -> BTreeMap<LocationId, Contact> {
        let ids: BTreeSet<LocationId> = ids.cloned().collect();
        let mut contacts = BTreeMap::new();
        for id in ids {
            match self.adapters.locations.location(&id).await {
                Ok(settings) => {
                    let contact = Contact::new(&id, settings.as_ref(), &self.config.recipients);
                    contacts.insert(id, contact);
                }
                Err(error) => tracing::warn!(location = %id, %error, "a location can't be read; its alerts wait"),
            }
        }
        contacts
    }

    /// Claims alerts. Returns the claimed ones, and adds the results of the others.
    async fn claim<'a, 's>(
        &self,
        ready: Vec<(Alert, &'a Contact)>,
        notified: &mut BTreeMap<String, Notified>,
        stop: Option<&'s CancellationToken>,
    ) -> (Vec<(Alert, &'a Contact)>, SendWindow<'s>) {
        let now = self.adapters.clock.now();
        let lease_until = self.config.lease_from(now);
        let window = SendWindow { lease_until, stop };
        if ready.is_empty() {
            return (Vec::new(), window);
        }
        let (alerts, contacts): (Vec<Alert>, Vec<&Contact>) = ready.into_iter().unzip();
        let claims = self.adapters.book.claim(&alerts, now, lease_until).await;
        let mut ours = Vec::new();
        for ((alert, contact), claimed) in alerts.into_iter().zip(contacts).zip(claims) {
            let answer = match claimed {
                Ok(Claimed::Ours) => {
                    ours.push((alert, contact));
                    continue;
                }
                Ok(Claimed::Sent) => Ok(()),
                Ok(Claimed::Held) => Err(RetryReason::Held),
                Err(error) => {
                    tracing::warn!(alert = alert.id(), %error, "an alert can't be claimed; it waits");
                    Err(RetryReason::Store)
                }
            };
            notified.insert(alert.id(), answer);
        }
        (ours, window)
    }

    /// Sends one mail for claimed alerts, then marks them.
    async fn mail(&self, to: &[String], alerts: &[(Alert, &Contact)], window: SendWindow<'_>) -> Notified {
        let spans: Vec<_> = alerts.iter().filter_map(|(alert, _)| trace::alert(alert)).collect();
        let mail = compose::alert_mail(alerts, to, self.config.public_url.as_deref());
        self.deliveries.deliver(&mail, window).await?;
        for span in spans {
            tracing::debug!(target: trace::TARGET, parent: &span, "an alert is mailed");
        }
        let sent_at = self.adapters.clock.now();
        self.unmarked().extend(alerts.iter().map(|(alert, _)| (alert.id(), sent_at)));
        self.meters.alerts_mailed.increment(alerts.len() as u64);
        for (alert, _) in alerts {
            let age = Duration::from_millis(u64::try_from(sent_at.millis_since(alert.raised_at)).unwrap_or(0));
            self.meters.alert_age_seconds.record(age.as_secs_f64());
        }
        tracing::info!(mail = mail.id, alerts = alerts.len(), recipients = to.len(), "alerts mailed");
        let alerts: Vec<&Alert> = alerts.iter().map(|(alert, _)| alert).collect();
        self.mark(&alerts, sent_at).await
    }

    /// Marks mailed alerts. If that fails, the redelivery marks them; this process does not mail them again.
    async fn mark(&self, alerts: &[&Alert], sent_at: Timestamp) -> Notified {
        let owned: Vec<Alert> = alerts.iter().copied().cloned().collect();
        let mut pauses = Retry::new(MARK_PAUSES.0, MARK_PAUSES.1);
        for attempt in 1..=MARK_ATTEMPTS {
            match self.adapters.book.mark_sent(&owned, sent_at).await {
                Ok(()) => {
                    let mut unmarked = self.unmarked();
                    for alert in alerts {
                        unmarked.remove(&alert.id());
                    }
                    return Ok(());
                }
                Err(error) if attempt == MARK_ATTEMPTS => {
                    tracing::warn!(alerts = alerts.len(), %error, "mailed alerts can't be marked; this is retried later");
                }
                // The store may need a moment: a mark now spares the redelivery. The attempts are bounded.
                Err(_) => tokio::time::sleep(pauses.next_pause()).await,
            }
        }
        Err(RetryReason::Store)
    }

    /// Counts alerts without a recipient as handled: a redelivery would find none either. They stay in the history,
    /// unsent.
    fn without_recipient(&self, alerts: &[(Alert, &Contact)]) -> Notified {
        self.meters.without_recipient.increment(alerts.len() as u64);
        for (alert, _) in alerts {
            tracing::warn!(
                alert = alert.id(),
                location = %alert.location_id,
                "an alert has no recipient: set the location's alert_emails (PUT /v1/locations/{{id}}) or the configured recipients"
            );
        }
        Ok(())
    }

    /// No thread can leave the map half changed when it panics.
    fn unmarked(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.unmarked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
