use std::time::Duration;

use metrics::counter;
use stockline_core::domain::Timestamp;
use stockline_core::ports::{Mail, MailError};
use stockline_service::{Retry, Shutdown};

use crate::alerter::{Alerter, RetryReason};
use crate::metrics::{KIND, MAIL_FAILURES, MAILS_SENT, REFUSED, UNAVAILABLE};

/// How long the mail port may take for one mail; then it counts as unavailable.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(30);

/// The shortest lease of a claim: one mail and the mark after it fit in with room to spare.
pub const MIN_LEASE: Duration = Duration::from_secs(60);

const _: () = assert!(MIN_LEASE.as_millis() >= 2 * MAIL_TIMEOUT.as_millis());

/// The most addresses of one mail; SES takes 50.
const RECIPIENTS_MAX: usize = 50;

/// How often parts of a mail are tried again once another part was taken: from then on nothing brings them back.
const PARTS_AGAIN_MAX: usize = 4;

/// The pauses before that: the first, and the longest.
const PART_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));

/// Until when claims are ours, and who may ask us to end before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term<'a> {
    pub(crate) lease_until: Timestamp,
    pub(crate) stop: Option<&'a Shutdown>,
}

impl Term<'_> {
    /// May another mail begin? Not where the claim could end before the mail does: another would send it too.
    fn allows_mail(&self, now: Timestamp) -> bool {
        let left_ms = self.lease_until.millis_since(now);
        let stopping = self.stop.is_some_and(Shutdown::is_requested);
        !stopping && u128::try_from(left_ms).is_ok_and(|left| left >= MAIL_TIMEOUT.as_millis())
    }
}

impl Alerter {
    /// Sends a mail to all its recipients. `Ok` as soon as one of them was taken: from then on sending all of it
    /// again would be a second mail. A refusal is tried address by address, so that one bad address silences
    /// nobody else; what is unavailable after that is tried again here.
    pub(crate) async fn deliver(&self, mail: &Mail, term: Term<'_>) -> Result<(), RetryReason> {
        let mut parts: Vec<&[String]> = mail.to.chunks(RECIPIENTS_MAX).rev().collect();
        let (mut attempts, mut taken, mut again, mut failed) = (0_usize, 0_usize, 0_usize, None);
        let mut pauses = Retry::new(PART_PAUSES.0, PART_PAUSES.1);
        while let Some(to) = parts.pop() {
            if !term.allows_mail(self.adapters.clock.now()) {
                failed = Some(RetryReason::Held);
                break;
            }
            attempts += 1;
            let id = if attempts == 1 { mail.id.clone() } else { format!("{}+{attempts}", mail.id) };
            let part = Mail { id, to: to.to_vec(), ..mail.clone() };
            match self.send_one(&part).await {
                Ok(()) => taken += 1,
                Err(MailError::Refused(_)) if to.len() > 1 => parts.extend(to.chunks(1).rev()),
                Err(MailError::Refused(_)) => failed = Some(RetryReason::Refused),
                Err(MailError::Unavailable(_)) if taken > 0 && again < PARTS_AGAIN_MAX => {
                    again += 1;
                    parts.push(to);
                    // A provider that failed is asked again after a growing pause, a bounded number of times.
                    tokio::time::sleep(pauses.next_pause()).await;
                }
                Err(MailError::Unavailable(_)) => {
                    failed = Some(RetryReason::Mail);
                    if taken == 0 {
                        break;
                    }
                }
            }
        }
        match failed {
            Some(reason) if taken == 0 => Err(reason),
            Some(reason) => {
                tracing::warn!(mail = mail.id, %reason, "some recipients did not get this mail");
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn send_one(&self, mail: &Mail) -> Result<(), MailError> {
        let sent = tokio::time::timeout(MAIL_TIMEOUT, self.adapters.mailer.send(mail)).await;
        let result = sent
            .unwrap_or_else(|_| Err(MailError::Unavailable(format!("no answer within {} s", MAIL_TIMEOUT.as_secs()))));
        match &result {
            Ok(()) => counter!(MAILS_SENT).increment(1),
            Err(error) => {
                let kind = if matches!(error, MailError::Refused(_)) { REFUSED } else { UNAVAILABLE };
                counter!(MAIL_FAILURES, KIND => kind).increment(1);
                tracing::warn!(mail = mail.id, recipients = mail.to.len(), %error, "a mail was not taken");
            }
        }
        result
    }
}
