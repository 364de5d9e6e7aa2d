use std::fmt;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use stockline_core::domain::Timestamp;
use stockline_core::ports::{Mail, MailError};
use uuid::Uuid;

/// The header with the mail's id, as in every home.
const ID_HEADER: &str = "X-Stockline-Id";

/// The sender of mails: `alerts@example.com` or `Stockline <alerts@example.com>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

/// The text is not a mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a mail address such as \"Stockline <alerts@example.com>\"")]
pub struct SenderError;

impl FromStr for Sender {
    type Err = SenderError;

    fn from_str(text: &str) -> Result<Self, SenderError> {
        text.trim().parse().map(Self).map_err(|_| SenderError)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Builds an RFC 5322 message: text and HTML as alternatives, dated `now`. Its `Message-ID` is made from the mail's id, so
/// that mail programs recognise a mail that was sent twice.
///
/// # Errors
/// Fails with [`MailError::Refused`] if an address can't be parsed. The error does not name it, because errors are logged.
pub(crate) fn build(mail: &Mail, sender: &Sender, now: Timestamp) -> Result<Message, MailError> {
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, mail.id.as_bytes());
    let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    let mut builder = Message::builder()
        .from(sender.0.clone())
        .subject(single_line(&mail.subject))
        .date(date)
        .message_id(Some(format!("<{uuid}@{}>", sender.0.email.domain())))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(ID_HEADER), single_line(&mail.id)));
    for (index, address) in mail.to.iter().enumerate() {
        let mailbox: Mailbox = address.trim().parse().map_err(|_| {
            MailError::Refused(format!("recipient {} of {} is not a mail address", index + 1, mail.to.len()))
        })?;
        builder = builder.to(mailbox);
    }
    builder
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|error| MailError::Refused(format!("the message can't be built: {error}")))
}

/// Returns the text on one line, because a line break would begin another header.
fn single_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
