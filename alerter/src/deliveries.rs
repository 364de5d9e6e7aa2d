use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::Timestamp;
use stockline_core::ports::{Clock, Mail, MailError, Mailer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::MAIL_TIMEOUT;
use crate::failure::RetryReason;
use crate::metrics::Meters;
use crate::schedule::Schedule;

/// The most addresses of one mail. SES allows 50.
const RECIPIENTS_MAX: usize = 50;

/// The time in which mails may begin: while the claims hold, and until a stop is requested.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendWindow<'a> {
    pub(crate) lease_until: Timestamp,
    pub(crate) stop: Option<&'a CancellationToken>,
}

impl SendWindow<'_> {
    /// Returns whether another mail may begin. It may not if the claim could end before the mail does, because another
    /// alerter would then send it too.
    fn is_open(&self, now: Timestamp) -> bool {
        let left_ms = self.lease_until.millis_since(now);
        let stopping = self.stop.is_some_and(CancellationToken::is_cancelled);
        !stopping && u128::try_from(left_ms).is_ok_and(|left| left >= MAIL_TIMEOUT.as_millis())
    }
}

/// The result of one delivery.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// How many recipients were accepted.
    pub(crate) accepted: u32,
    /// How many were refused for good.
    pub(crate) refused: u32,
    /// The recipients that must be tried again. Never empty if none was accepted and nobody else has the mail.
    pub(crate) missing: Vec<String>,
    /// Why they are missing.
    pub(crate) reason: Option<RetryReason>,
}

impl Delivered {
    fn misses(&mut self, recipients: impl IntoIterator<Item = String>, reason: RetryReason) {
        self.missing.extend(recipients);
        self.reason = Some(reason);
    }
}

fn count(recipients: &[String]) -> u32 {
    u32::try_from(recipients.len()).unwrap_or(u32::MAX)
}

/// Delivers mails to all their recipients.
#[derive(Debug, Clone)]
pub(crate) struct Deliveries {
    mailer: Arc<dyn Mailer>,
    clock: Arc<dyn Clock>,
    schedule: Schedule,
    meters: Meters,
}

impl Deliveries {
    pub(crate) fn new(mailer: Arc<dyn Mailer>, clock: Arc<dyn Clock>, schedule: Schedule, meters: Meters) -> Self {
        Self { mailer, clock, schedule, meters }
    }

    /// Sends a mail to all its recipients whose turn it is. `others_have_it`: earlier attempts reached others.
    ///
    /// A mail that is refused or put off is retried address by address, so that one bad address silences nobody else. A
    /// refusal is final once another recipient has the mail: until then the fault may be the server's. If the provider
    /// can't be used, nothing else is tried.
    pub(crate) async fn deliver(&self, mail: &Mail, others_have_it: bool, window: SendWindow<'_>) -> Delivered {
        let plan = self.schedule.plan(&mail.to);
        let mut delivered = Delivered::default();
        if !plan.waiting.is_empty() {
            delivered.misses(plan.waiting, RetryReason::Mail);
        }
        // Taken from the end.
        let mut parts: Vec<Vec<String>> = plan.apart.into_iter().rev().map(|to| vec![to]).collect();
        parts.extend(plan.together.chunks(RECIPIENTS_MAX).rev().map(<[String]>::to_vec));
        let (mut refused, mut attempts) = (Vec::new(), 0_usize);
        loop {
            if parts.is_empty() && delivered.accepted > 0 {
                // Were they refused because the server refused everybody then?
                parts.append(&mut refused);
            }
            let Some(to) = parts.pop() else { break };
            if !window.is_open(self.clock.now()) {
                delivered.misses(to.into_iter().chain(parts.into_iter().flatten()), RetryReason::Held);
                break;
            }
            attempts += 1;
            let id = if attempts == 1 { mail.id.clone() } else { format!("{}+{attempts}", mail.id) };
            let part = Mail { id, to, ..mail.clone() };
            let began = Instant::now();
            match self.send(&part).await {
                Ok(()) => {
                    delivered.accepted += count(&part.to);
                    self.reached(&part);
                }
                Err(error @ MailError::Unavailable(_)) => {
                    self.provider_failed(&error, began);
                    delivered.misses(part.to.into_iter().chain(parts.into_iter().flatten()), RetryReason::Mail);
                    break;
                }
                Err(_) if part.to.len() > 1 => parts.extend(part.to.chunks(1).rev().map(<[String]>::to_vec)),
                Err(error @ MailError::Deferred(_)) => {
                    self.recipient_failed(mail, &part, &error, began);
                    delivered.misses(part.to, RetryReason::Mail);
                }
                Err(error @ MailError::Refused(_)) => {
                    self.recipient_failed(mail, &part, &error, began);
                    if delivered.accepted == 0 && !others_have_it {
                        refused.push(part.to);
                    } else {
                        delivered.refused += count(&part.to);
                    }
                }
            }
        }
        if !refused.is_empty() {
            delivered.misses(refused.into_iter().flatten(), RetryReason::Refused);
        }
        delivered
    }

    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let sent = tokio::time::timeout(MAIL_TIMEOUT, self.mailer.send(mail)).await;
        let result = sent
            .unwrap_or_else(|_| Err(MailError::Unavailable(format!("no answer within {} s", MAIL_TIMEOUT.as_secs()))));
        let counter = match &result {
            Ok(()) => &self.meters.mails_sent,
            Err(MailError::Refused(_)) => &self.meters.mails_refused,
            Err(MailError::Deferred(_)) => &self.meters.mails_deferred,
            Err(MailError::Unavailable(_)) => &self.meters.mails_unavailable,
        };
        counter.increment(1);
        if let Err(error) = &result {
            tracing::debug!(mail = mail.id, recipients = mail.to.len(), %error, "a mail was not accepted");
        }
        result
    }

    fn reached(&self, part: &Mail) {
        if let Some(outage) = self.schedule.provider_answered() {
            tracing::info!(down_s = outage.as_secs(), "mails are accepted again");
        }
        let again = self.schedule.recipients_reached(&part.to);
        if again > 0 {
            tracing::info!(recipients = again, "mails to these recipients are accepted again");
        }
    }

    fn provider_failed(&self, error: &MailError, began: Instant) {
        if self.schedule.provider_failed(began) {
            tracing::warn!(
                %error,
                "mails can't be sent; they wait and are retried, at first within a minute; check with \"stockline mail test\""
            );
        }
    }

    /// Logs the first failure of a recipient by its place in the list: an address is personal data.
    fn recipient_failed(&self, mail: &Mail, part: &Mail, error: &MailError, began: Instant) {
        if let Some(outage) = self.schedule.provider_answered() {
            tracing::info!(down_s = outage.as_secs(), "the mail server answers again");
        }
        for recipient in &part.to {
            if self.schedule.recipient_failed(recipient, began) {
                let place = mail.to.iter().position(|to| to == recipient).map_or(0, |index| index + 1);
                tracing::warn!(
                    mail = mail.id, recipient = place, recipients = mail.to.len(), %error,
                    "mails to a recipient are not accepted; others get theirs: correct the address, or its mailbox"
                );
            }
        }
    }

    /// Returns whether a mail to any of these recipients may be tried now.
    pub(crate) fn is_due(&self, recipients: &[String]) -> bool {
        self.schedule.is_due(recipients)
    }

    /// Returns how long a mail to these recipients waits for its next attempt.
    pub(crate) fn due_in(&self, recipients: &[String]) -> Duration {
        self.schedule.due_in(recipients)
    }
}
