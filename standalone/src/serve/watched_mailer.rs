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

impl WatchedMailer {
    /// Keeps what became of the mails over a restart. The mail itself does not depend on it.
    async fn save(&self) {
        let mails = Arc::clone(&self.mails);
        let saved = tokio::task::spawn_blocking(move || mails.save()).await;
        if let Err(error) = saved.map_err(anyhow::Error::from).flatten() {
            tracing::debug!("what became of the mails can't be kept for after a restart: {error:#}");
        }
    }
}

#[async_trait]
impl Mailer for WatchedMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let sent = self.mailer.send(mail).await;
        self.mails.note(mail, &sent, self.clock.now());
        self.save().await;
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
