use async_trait::async_trait;

/// One mail, ready for sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The id, in a header of every mail (`X-Stockline-Id`) and in the name of an `.eml` file.
    pub id: String,
    /// The recipients' addresses; never empty.
    pub to: Vec<String>,
    /// The subject, on one line.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// Why a mail was not sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MailError {
    /// The provider can't be used now, whoever the recipients are. If only the answer was lost, the mail was sent.
    #[error("mail can't be sent now: {0}")]
    Unavailable(String),
    /// The provider answered that it does not take this mail now, perhaps because of one recipient: a full mailbox,
    /// greylisting. Nobody got it.
    #[error("the mail was put off: {0}")]
    Deferred(String),
    /// The provider will refuse this mail again, for its addresses or its size.
    #[error("the mail was refused: {0}")]
    Refused(String),
}

/// Sends mails. `Ok` means that the provider has accepted the mail, or that its file is durable. An adapter never
/// repeats a sending, because a lost answer would make a second mail.
#[async_trait]
pub trait Mailer: Send + Sync + std::fmt::Debug {
    /// Sends one mail.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
