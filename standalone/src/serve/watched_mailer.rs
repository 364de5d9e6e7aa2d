use std::sync::Arc;

use async_trait::async_trait;
use stockline_core::ports::{Clock, Mail, MailError, Mailer};
use stockline_service::{Faults, Severity};

use super::mail_log::MailLog;
use super::side_work::MAIL;

/// Sends by another mailer, notes what became of each mail, and names the fault while mails can't be sent. Alerts wait in
/// their queue meanwhile.
#[derive(Debug)]
pub(crate) struct WatchedMailer {
    mailer: Arc<dyn Mailer>,
    faults: Arc<Faults>,
    mails: Arc<MailLog>,
    clock: Arc<dyn Clock>,
}

impl WatchedMailer {
    pub(crate) fn new(
        mailer: Arc<dyn Mailer>,
        (faults, mails): (Arc<Faults>, Arc<MailLog>),
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { mailer, faults, mails, clock }
    }
}

#[async_trait]
impl Mailer for WatchedMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let sent = self.mailer.send(mail).await;
        self.mails.note(mail, &sent, self.clock.now());
        match &sent {
            Ok(()) => self.faults.over(MAIL),
            Err(MailError::Unavailable(_)) => {
                let why = "mails can't be written or sent; stockline mail status says why";
                self.faults.found(MAIL, Severity::Degraded, why);
            }
            // The provider works, and does not take this mail.
            Err(MailError::Refused(_) | MailError::Deferred(_)) => {}
        }
        sent
    }
}
