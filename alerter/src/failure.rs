use std::time::Duration;

/// Why a record was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFailure {
    /// It is no alert and never will be. The standalone feed drops it, after it was logged (without its body) and
    /// counted. On AWS it is reported as failed, and the queue's dead letter queue takes it.
    #[error("the message is not one of Stockline's alerts")]
    Undecodable,
    /// It must be delivered again.
    #[error("the alert is not mailed yet: {0}")]
    Retry(RetryReason),
}

/// Why a record must be delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryReason {
    /// Another alerter has claimed the alert, within its lease, and has not sent it. Or this alerter's lease is too short
    /// for one more mail, or the process is stopping.
    #[error("its claim is held")]
    Held,
    /// It waits for further openings of its location: all of them are one mail.
    #[error("its location's openings are mailed together, a few minutes after the last of them")]
    Gathering,
    /// The store did not answer.
    #[error("the store is unavailable")]
    Store,
    /// The mail provider did not accept the mail now, or not for every recipient. The others get it once.
    #[error("mail is unavailable")]
    Mail,
    /// The mail provider refused every recipient. It is retried all the same: the fault may be the server's.
    #[error("every recipient was refused: correct the mail server, the location's alert_emails or the recipients")]
    Refused,
}

/// Why an alert waits, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) reason: RetryReason,
    /// When the next attempt is due. Absent if the schedule of mails does not decide it.
    pub(crate) due_in: Option<Duration>,
}

impl From<RetryReason> for Waiting {
    fn from(reason: RetryReason) -> Self {
        Self { reason, due_in: None }
    }
}
