use async_trait::async_trait;

/// One mail, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Names it: the file of an `.eml`, a header everywhere (`X-Stockline-Id`).
    pub id: String,
    /// Addresses; never empty.
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MailError {
    /// It may pass; or the answer was lost and the mail was sent.
    #[error("mail can't be sent now: {0}")]
    Unavailable(String),
    /// This mail will be refused again: an address, a size.
    #[error("the mail was refused: {0}")]
    Refused(String),
}

/// Takes mails. `Ok` means that the provider has it (or the file is durable). Nothing below repeats it: a lost answer
/// would be a second mail.
#[async_trait]
pub trait Mailer: Send + Sync + std::fmt::Debug {
    /// Sends one mail.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
