use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockline_core::domain::{Alert, LocationId, Seal, Timestamp, seal_of};
use stockline_core::ports::{Claimed, Lease, Mail, MailTally, PartSent, Rest};
use stockline_service::{Retry, trace};
use tokio_util::sync::CancellationToken;

use crate::compose;
use crate::config::{Adapters, Config};
use crate::contact::Contact;
use crate::deliveries::{Delivered, Deliveries, SendWindow};
use crate::failure::{RecordFailure, RetryReason, Waiting};
use crate::metrics::Meters;

mod openings;

/// Makes a mail of alerts to some recipients, with a link to this address.
type Compose = fn(&[(Alert, &Contact)], &[String], Option<&str>) -> Mail;

/// How alerts become mails.
struct Form {
    /// The most alerts of one mail.
    alerts_max: usize,
    compose: Compose,
}

/// Alerts with all that is known of each, and as many as a person still reads.
const EACH: Form = Form { alerts_max: 100, compose: compose::alert_mail };

/// How often a mark is attempted at once before it waits for the redelivery.
const MARK_ATTEMPTS: usize = 3;

/// The first and the longest pause between such attempts.
const MARK_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// The result for one alert.
type Notified = Result<(), Waiting>;

/// A mail that is out but not marked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Unmarked {
    sent_at: Timestamp,
    /// Who still waits for it.
    missing: Vec<String>,
    /// What became of the others.
    tally: MailTally,
}

impl Unmarked {
    fn rest(&self) -> Rest {
        Rest { missing: self.missing.clone(), tally: self.tally }
    }
}

/// A claimed alert with its contact, and who gets it.
struct Ready<'a> {
    alert: Alert,
    contact: &'a Contact,
    to: Vec<String>,
    /// Whether others have it already, or refuse it, and how many.
    earlier: Option<MailTally>,
}

/// Mails alerts, each once: claims them, sends their mails, and marks them as sent.
#[derive(Debug)]
pub(crate) struct Alerts {
    config: Config,
    adapters: Adapters,
    deliveries: Deliveries,
    meters: Meters,
    /// Names this alerter in its claims.
    holder: Arc<str>,
    /// Claims of this alerter never block it, so it handles one batch at a time.
    one_batch: tokio::sync::Mutex<()>,
    /// Alerts that were mailed but could not be marked, by id. A redelivery only marks them. While the store is down claims
    /// fail too, so there are never more than a few batches of them.
    unmarked: Mutex<BTreeMap<String, Unmarked>>,
}

impl Alerts {
    pub(crate) fn new(
        config: Config,
        adapters: Adapters,
        deliveries: Deliveries,
        meters: Meters,
        holder: Arc<str>,
    ) -> Self {
        let (one_batch, unmarked) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { config, adapters, deliveries, meters, holder, one_batch, unmarked }
    }

    /// Handles messages, each a `(message id, body)`. See [`Alerter::handle`](crate::Alerter::handle).
    pub(crate) async fn handle(
        &self,
        bodies: &[(&str, &str)],
        stop: Option<&CancellationToken>,
    ) -> Vec<Result<(), (RecordFailure, Option<Duration>)>> {
        let _one_batch = self.one_batch.lock().await;
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
            let id = id.ok_or((RecordFailure::Undecodable, None))?;
            let result = notified.get(&id).copied().unwrap_or(Err(RetryReason::Store.into()));
            result.map_err(|waiting| (RecordFailure::Retry(waiting.reason), waiting.due_in))
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
        let (mut ready, mut not_due) = (Vec::with_capacity(new.len()), Vec::new());
        for (id, alert) in new {
            match contacts.get(&alert.location_id) {
                Some(contact) if self.is_due(contact) => ready.push((alert, contact)),
                Some(contact) => {
                    notified.insert(id, Err(self.waiting(RetryReason::Mail, &contact.recipients)));
                    not_due.push(alert);
                }
                None => {
                    notified.insert(id, Err(RetryReason::Store.into()));
                }
            }
        }
        self.list(&not_due).await;
        let (openings, ready): (Vec<_>, Vec<_>) =
            ready.into_iter().partition(|(alert, contact)| openings::is_gathered(alert, contact));
        let lease = self.lease();
        let ours = self.claim(ready, &lease, &mut notified).await;
        self.mail_claimed(ours, &EACH, &lease, stop, &mut notified).await;
        self.mail_openings(openings, stop, &mut notified).await;
        notified
    }

    /// Adds alerts that wait for the mail provider to the history, so that people see them meanwhile. What is not added now
    /// is added with its claim.
    async fn list(&self, alerts: &[Alert]) {
        if alerts.is_empty() {
            return;
        }
        let listed = self.adapters.book.gather(alerts, self.adapters.clock.now()).await;
        if let Some(error) = listed.into_iter().find_map(Result::err) {
            tracing::warn!(alerts = alerts.len(), %error, "alerts can't be listed before they are mailed");
        }
    }

    /// Mails claimed alerts, those to the same recipients together.
    async fn mail_claimed(
        &self,
        ours: Vec<Ready<'_>>,
        form: &Form,
        lease: &Lease,
        stop: Option<&CancellationToken>,
        notified: &mut BTreeMap<String, Notified>,
    ) {
        let window = SendWindow { lease_until: lease.until, stop };
        let mut mails: BTreeMap<(Vec<String>, Option<MailTally>), Vec<Ready<'_>>> = BTreeMap::new();
        for ready in ours {
            let recipients = ready.to.iter().map(|address| address.to_lowercase()).collect();
            mails.entry((recipients, ready.earlier)).or_default().push(ready);
        }
        for ((_, earlier), mut alerts) in mails {
            alerts.sort_by(|Ready { alert: a, .. }, Ready { alert: b, .. }| {
                (&a.location_id, b.kind, &a.item_id, a.alert_no).cmp(&(&b.location_id, a.kind, &b.item_id, b.alert_no))
            });
            for part in alerts.chunks(form.alerts_max) {
                let to = part.first().map_or(&[][..], |ready| &ready.to);
                let alerts: Vec<_> = part.iter().map(|ready| (ready.alert.clone(), ready.contact)).collect();
                let result = match (to, earlier) {
                    ([], Some(tally)) => self.nobody_left(&alerts, tally).await,
                    ([], None) => self.without_recipient(&alerts).await,
                    _ => {
                        let mail = (form.compose)(&alerts, to, self.config.public_url.as_deref());
                        self.mail(mail, &alerts, earlier, lease, window).await
                    }
                };
                notified.extend(part.iter().map(|ready| (ready.alert.id(), result)));
            }
        }
    }

    /// Returns whether a mail to somebody at this contact may be tried now.
    fn is_due(&self, contact: &Contact) -> bool {
        contact.recipients.is_empty() || self.deliveries.is_due(&contact.recipients)
    }

    fn waiting(&self, reason: RetryReason, recipients: &[String]) -> Waiting {
        Waiting { reason, due_in: Some(self.deliveries.due_in(recipients)) }
    }

    /// Marks alerts that an earlier attempt mailed, the alerts of each mail together.
    async fn mark_mailed(&self, mailed: Vec<(String, Alert)>, notified: &mut BTreeMap<String, Notified>) {
        let mut mails: BTreeMap<Unmarked, Vec<(String, Alert)>> = BTreeMap::new();
        {
            let unmarked = self.unmarked();
            for (id, alert) in mailed {
                if let Some(mail) = unmarked.get(&id) {
                    mails.entry(mail.clone()).or_default().push((id, alert));
                }
            }
        }
        for (mail, alerts) in mails {
            let (ids, alerts): (Vec<String>, Vec<Alert>) = alerts.into_iter().unzip();
            let lease = self.lease();
            // A part is marked under a claim, and the claim of the mail may have ended.
            let claims =
                if mail.missing.is_empty() { Vec::new() } else { self.adapters.book.claim(&alerts, &lease).await };
            let marked = match claims.into_iter().find_map(Result::err) {
                Some(_) => Err(RetryReason::Store.into()),
                None => self.mark(&alerts, &mail, &lease).await,
            };
            notified.extend(ids.into_iter().map(|id| (id, marked)));
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

    /// Returns a lease from now.
    fn lease(&self) -> Lease {
        let from = self.adapters.clock.now();
        Lease { holder: self.holder.clone(), from, until: self.config.lease_from(from) }
    }

    /// Claims alerts. Returns the claimed ones, and adds the results of the others.
    async fn claim<'a>(
        &self,
        ready: Vec<(Alert, &'a Contact)>,
        lease: &Lease,
        notified: &mut BTreeMap<String, Notified>,
    ) -> Vec<Ready<'a>> {
        if ready.is_empty() {
            return Vec::new();
        }
        let (alerts, contacts): (Vec<Alert>, Vec<&Contact>) = ready.into_iter().unzip();
        let claims = self.adapters.book.claim(&alerts, lease).await;
        let mut ours = Vec::new();
        for ((alert, contact), claimed) in alerts.into_iter().zip(contacts).zip(claims) {
            let answer = match claimed {
                Ok(Claimed::Ours) => {
                    ours.push(Ready { alert, contact, to: contact.recipients.clone(), earlier: None });
                    continue;
                }
                Ok(Claimed::OursFor(Rest { missing, tally })) => {
                    ours.push(Ready { alert, contact, to: contact.still_wanted(&missing), earlier: Some(tally) });
                    continue;
                }
                Ok(Claimed::Sent) => Ok(()),
                Ok(Claimed::Held) => Err(RetryReason::Held.into()),
                Err(error) => {
                    tracing::warn!(alert = alert.id(), %error, "an alert can't be claimed; it waits");
                    Err(RetryReason::Store.into())
                }
            };
            notified.insert(alert.id(), answer);
        }
        ours
    }

    /// Sends one mail for claimed alerts. Marks them, or gives the claims up: then the next delivery tries again.
    async fn mail(
        &self,
        mut mail: Mail,
        alerts: &[(Alert, &Contact)],
        earlier: Option<MailTally>,
        lease: &Lease,
        window: SendWindow<'_>,
    ) -> Notified {
        let is_rest = earlier.is_some();
        let spans: Vec<_> = alerts.iter().filter_map(|(alert, _)| trace::alert(alert)).collect();
        if is_rest {
            // Others have a mail with this id.
            mail.id.push_str("+rest");
        }
        let Delivered { accepted, refused, missing, reason } = self.deliveries.deliver(&mail, is_rest, window).await;
        let owned: Vec<Alert> = alerts.iter().map(|(alert, _)| alert.clone()).collect();
        if let Some(reason) = reason
            && missing.len() == mail.to.len()
        {
            self.give_up(&owned, lease).await;
            return Err(self.waiting(reason, &missing));
        }
        let sent_at = self.adapters.clock.now();
        if accepted > 0 {
            for span in spans {
                tracing::debug!(target: trace::TARGET, parent: &span, "an alert is mailed");
            }
            tracing::info!(mail = mail.id, alerts = alerts.len(), recipients = accepted, "alerts mailed");
        }
        if accepted > 0 && !is_rest {
            self.meters.alerts_mailed.increment(alerts.len() as u64);
            for (alert, _) in alerts {
                let age = Duration::from_millis(u64::try_from(sent_at.millis_since(alert.raised_at)).unwrap_or(0));
                self.meters.alert_age_seconds.record(age.as_secs_f64());
            }
        }
        let MailTally { delivered, refused: refused_before } = earlier.unwrap_or_default();
        let tally = MailTally {
            delivered: delivered.saturating_add(accepted),
            refused: refused_before.saturating_add(refused),
        };
        let unmarked = Unmarked { sent_at, missing, tally };
        self.unmarked().extend(alerts.iter().map(|(alert, _)| (alert.id(), unmarked.clone())));
        self.mark(&owned, &unmarked, lease).await
    }

    /// Ends claims whose mail failed. If that fails too, this alerter still takes them again; others wait for the lease.
    async fn give_up(&self, alerts: &[Alert], lease: &Lease) {
        if let Err(error) = self.adapters.book.give_up(alerts, lease).await {
            tracing::warn!(alerts = alerts.len(), %error, "claims can't be given up; they end with their lease");
        }
    }

    /// Marks mailed alerts. If that fails, the redelivery marks them; this process does not mail them again.
    async fn mark(&self, alerts: &[Alert], mail: &Unmarked, lease: &Lease) -> Notified {
        let book = &self.adapters.book;
        let mut pauses = Retry::new(MARK_PAUSES.0, MARK_PAUSES.1);
        for attempt in 1..=MARK_ATTEMPTS {
            let marked = if mail.missing.is_empty() {
                book.mark_sent(alerts, mail.sent_at, mail.tally).await
            } else {
                book.mark_part_sent(alerts, PartSent { lease, sent_at: mail.sent_at, rest: &mail.rest() }).await
            };
            match marked {
                Ok(()) => {
                    let mut unmarked = self.unmarked();
                    for alert in alerts {
                        unmarked.remove(&alert.id());
                    }
                    drop(unmarked);
                    let is_done = mail.missing.is_empty();
                    return if is_done { Ok(()) } else { Err(self.waiting(RetryReason::Mail, &mail.missing)) };
                }
                Err(error) if attempt == MARK_ATTEMPTS => {
                    tracing::warn!(alerts = alerts.len(), %error, "mailed alerts can't be marked; this is retried later");
                }
                // The store may need a moment: a mark now spares the redelivery. The attempts are bounded.
                Err(_) => tokio::time::sleep(pauses.next_pause()).await,
            }
        }
        Err(RetryReason::Store.into())
    }

    /// Marks alerts as mailed whose remaining recipients are recipients no more.
    async fn nobody_left(&self, alerts: &[(Alert, &Contact)], tally: MailTally) -> Notified {
        let owned: Vec<Alert> = alerts.iter().map(|(alert, _)| alert.clone()).collect();
        let mail = Unmarked { sent_at: self.adapters.clock.now(), missing: Vec::new(), tally };
        self.mark(&owned, &mail, &self.lease()).await
    }

    /// Counts alerts without a recipient as handled: a redelivery would find none either. They stay in the history,
    /// unsent, and say why.
    async fn without_recipient(&self, alerts: &[(Alert, &Contact)]) -> Notified {
        let owned: Vec<Alert> = alerts.iter().map(|(alert, _)| alert.clone()).collect();
        if let Err(error) = self.adapters.book.mark_unaddressed(&owned).await {
            tracing::warn!(alerts = alerts.len(), %error, "alerts without a recipient can't be marked; this is retried");
            return Err(RetryReason::Store.into());
        }
        self.meters.without_recipient.increment(alerts.len() as u64);
        for (alert, _) in alerts {
            tracing::warn!(
                alert = alert.id(),
                location = %alert.location_id,
                "an alert has no recipient: set the location's alert_emails or the configured recipients"
            );
        }
        Ok(())
    }

    /// No thread can leave the map half changed when it panics.
    fn unmarked(&self) -> MutexGuard<'_, BTreeMap<String, Unmarked>> {
        self.unmarked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
