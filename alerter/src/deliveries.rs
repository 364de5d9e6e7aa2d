use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::Timestamp;
use stockline_core::ports::{Clock, Mail, MailError, Mailer};
use stockline_service::Retry;
use tokio_util::sync::CancellationToken;

use crate::config::MAIL_TIMEOUT;
use crate::failure::RetryReason;
use crate::metrics::Meters;

/// The most addresses of one mail. SES allows 50.
const RECIPIENTS_MAX: usize = 50;

/// How often parts of a mail are retried once another part was accepted. From then on no redelivery retries them.
const PART_RETRIES_MAX: usize = 4;

/// The first and the longest pause before such a retry.
const PART_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));

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

/// Delivers mails to all their recipients.
#[derive(Debug, Clone)]
pub(crate) struct Deliveries {
    mailer: Arc<dyn Mailer>,
    clock: Arc<dyn Clock>,
    meters: Meters,
}

impl Deliveries {
    pub(crate) fn new(mailer: Arc<dyn Mailer>, clock: Arc<dyn Clock>, meters: Meters) -> Self {
        Self { mailer, clock, meters }
    }

    /// Sends a mail to all its recipients.
    ///
    /// It succeeds as soon as one recipient was accepted: sending the whole mail again would then be a second mail. A
    /// refused mail is retried address by address, so that one bad address silences nobody else. If a later part is
    /// unavailable, it is retried here.
    pub(crate) async fn deliver(&self, mail: &Mail, window: SendWindow<'_>) -> Result<(), RetryReason> {
        let mut parts: Vec<&[String]> = mail.to.chunks(RECIPIENTS_MAX).rev().collect();
        let (mut attempts, mut accepted, mut retries, mut failed) = (0_usize, 0_usize, 0_usize, None);
        let mut pauses = Retry::new(PART_PAUSES.0, PART_PAUSES.1);
        while let Some(to) = parts.pop() {
            if !window.is_open(self.clock.now()) {
                failed = Some(RetryReason::Held);
                break;
            }
            attempts += 1;
            let id = if attempts == 1 { mail.id.clone() } else { format!("{}+{attempts}", mail.id) };
            let part = Mail { id, to: to.to_vec(), ..mail.clone() };
            match self.send(&part).await {
                Ok(()) => accepted += 1,
                Err(MailError::Refused(_)) if to.len() > 1 => parts.extend(to.chunks(1).rev()),
                Err(MailError::Refused(_)) => failed = Some(RetryReason::Refused),
                Err(MailError::Unavailable(_)) if accepted > 0 && retries < PART_RETRIES_MAX => {
                    retries += 1;
                    parts.push(to);
                    // The provider may need a moment, and no redelivery retries this part.
                    tokio::time::sleep(pauses.next_pause()).await;
                }
                Err(MailError::Unavailable(_)) => {
                    failed = Some(RetryReason::Mail);
                    if accepted == 0 {
                        break;
                    }
                }
            }
        }
        match failed {
            Some(reason) if accepted == 0 => Err(reason),
            Some(reason) => {
                tracing::warn!(mail = mail.id, %reason, "some recipients did not get this mail");
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let sent = tokio::time::timeout(MAIL_TIMEOUT, self.mailer.send(mail)).await;
        let result = sent
            .unwrap_or_else(|_| Err(MailError::Unavailable(format!("no answer within {} s", MAIL_TIMEOUT.as_secs()))));
        let counter = match &result {
            Ok(()) => &self.meters.mails_sent,
            Err(MailError::Refused(_)) => &self.meters.mails_refused,
            Err(MailError::Unavailable(_)) => &self.meters.mails_unavailable,
        };
        counter.increment(1);
        if let Err(error) = &result {
            tracing::warn!(mail = mail.id, recipients = mail.to.len(), %error, "a mail was not accepted");
        }
        result
    }
}
