use std::fmt;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use stockline_core::domain::Timestamp;
use stockline_core::ports::{Mail, MailError};
use uuid::Uuid;

use crate::host;

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
        mailbox(text).map(Self).ok_or(SenderError)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Sender {
    /// Returns the domain, in ASCII.
    pub(crate) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

/// Parses an address. An international domain becomes its ASCII form (RFC 5891), which every server takes.
fn mailbox(text: &str) -> Option<Mailbox> {
    let mailbox: Mailbox = text.trim().parse().ok()?;
    let (user, domain) = (mailbox.email.user(), mailbox.email.domain());
    if domain.is_ascii() {
        return Some(mailbox);
    }
    let email = Address::new(user, host::ascii(domain)?).ok()?;
    Some(Mailbox { email, ..mailbox })
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
        .raw_header(header("Subject", &mail.subject))
        .date(date)
        .message_id(Some(format!("<{uuid}@{}>", sender.0.email.domain())))
        .raw_header(header(ID_HEADER, &mail.id));
    for (index, address) in mail.to.iter().enumerate() {
        let mailbox = mailbox(address).ok_or_else(|| {
            MailError::Refused(format!("recipient {} of {} is not a mail address", index + 1, mail.to.len()))
        })?;
        builder = builder.to(mailbox);
    }
    builder
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|error| MailError::Refused(format!("the message can't be built: {error}")))
}

/// What begins an encoded word (RFC 2047 §2). A name may have it literally.
const ENCODED_WORD: &str = "=?";

/// The most bytes in one encoded word, so that it stays below the 75 characters of RFC 2047 §2.
const ENCODED_WORD_BYTES: usize = 45;

/// Returns a header. A text that looks like an encoded word is encoded as a whole, so that mail programs show it as it
/// was written.
fn header(name: &'static str, text: &str) -> HeaderValue {
    let (name, text) = (HeaderName::new_from_ascii_str(name), single_line(text));
    if text.contains(ENCODED_WORD) {
        let encoded = encoded_words(&text);
        HeaderValue::dangerous_new_pre_encoded(name, text, encoded)
    } else {
        HeaderValue::new(name, text)
    }
}

fn encoded_words(text: &str) -> String {
    let (mut words, mut word) = (Vec::new(), String::new());
    for c in text.chars() {
        if word.len() + c.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?b?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

/// Returns the text on one line, because a line break would begin another header.
fn single_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
