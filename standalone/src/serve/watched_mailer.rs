use std::sync::Arc;

use async_trait::async_trait;
use stockline_core::ports::{Mail, MailError, Mailer};
use stockline_service::{Faults, Severity};

use super::side_work::MAIL;

/// Sends by another mailer, and names the fault while that does not work. Alerts wait in their queue meanwhile.
#[derive(Debug)]
pub(crate) struct WatchedMailer {
    mailer: Arc<dyn Mailer>,
    faults: Arc<Faults>,
}

impl WatchedMailer {
    pub(crate) fn new(mailer: Arc<dyn Mailer>, faults: Arc<Faults>) -> Self {
        Self { mailer, faults }
    }
}

#[async_trait]
impl Mailer for WatchedMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let sent = self.mailer.send(mail).await;
        match &sent {
            Ok(()) => self.faults.over(MAIL),
            Err(MailError::Unavailable(_)) => {
                self.faults.found(MAIL, Severity::Degraded, "mails can't be written or sent; the log says why");
            }
            // The provider works, and does not take this mail.
            Err(MailError::Refused(_) | MailError::Deferred(_)) => {}
        }
        sent
    }
}
