//! A mail provider that keeps the mails it accepts, and answers otherwise where a test says so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockline_core::ports::{Mail, MailError, Mailer};
use tokio::sync::Semaphore;

#[derive(Debug)]
pub(crate) struct Outbox {
    accepted: Mutex<Vec<Mail>>,
    /// Recipients whose mails are refused.
    refused: Mutex<BTreeSet<String>>,
    /// Whether every mail fails.
    down: Mutex<bool>,
    /// Without a permit the provider accepts a mail and does not answer.
    pub(crate) answers: Semaphore,
    /// Gets a permit for each mail that arrived.
    pub(crate) arrived: Semaphore,
}

impl Outbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Mutex::default(),
            refused: Mutex::default(),
            down: Mutex::default(),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
            arrived: Semaphore::new(0),
        })
    }

    /// Returns the mails that were accepted.
    pub(crate) fn accepted(&self) -> Vec<Mail> {
        self.accepted.lock().unwrap().clone()
    }

    /// From now on every mail to this recipient is refused.
    pub(crate) fn refuse(&self, recipient: &str) {
        self.refused.lock().unwrap().insert(recipient.into());
    }

    /// From now on every mail fails, or no longer fails.
    pub(crate) fn set_down(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }
}

#[async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        if *self.down.lock().unwrap() {
            return Err(MailError::Unavailable("try later".into()));
        }
        if mail.to.iter().any(|to| self.refused.lock().unwrap().contains(to)) {
            return Err(MailError::Refused("no such user".into()));
        }
        self.arrived.add_permits(1);
        self.answers.acquire().await.unwrap().forget();
        self.accepted.lock().unwrap().push(mail.clone());
        Ok(())
    }
}
