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
    /// The alert is claimed and unsent within its lease, by another alerter or by an earlier attempt of this one. Or
    /// this alerter's lease is too short for one more mail, or the process is stopping.
    #[error("its claim is held")]
    Held,
    /// The store did not answer.
    #[error("the store is unavailable")]
    Store,
    /// The mail provider did not accept the mail now.
    #[error("mail is unavailable")]
    Mail,
    /// The mail provider refused every recipient, and will do so until the addresses are corrected.
    #[error("every recipient was refused: correct the location's alert_emails or the configured recipients")]
    Refused,
}
