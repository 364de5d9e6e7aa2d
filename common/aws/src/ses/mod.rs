use std::fmt;

use async_trait::async_trait;
use aws_sdk_sesv2::error::BuildError;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use self::mailbox::encode;
use super::sdk_error;
use stockline_core::ports::{Mail, MailError, Mailer};

mod mailbox;

/// The header with the id of a mail.
const ID_HEADER: &str = "X-Stockline-Id";

/// The longest id in a header. SES allows 996 characters for the name and the value together.
const ID_MAX_CHARS: usize = 900;

const CHARSET: &str = "UTF-8";

/// The codes that refuse this one mail. All others concern the account or pass.
const REFUSALS: [&str; 5] = [
    "MessageRejected",
    "BadRequestException",
    "ValidationException",
    "InvalidParameterValue",
    "InvalidParameterValueException",
];

/// Sends mails by SES v2, with text and HTML as alternatives.
///
/// Addresses must be ASCII, with a domain in another script as Punycode. Names may be in any script. It needs the
/// permission `ses:SendEmail`.
pub struct SesMailer {
    client: aws_sdk_sesv2::Client,
    from: String,
    configuration_set: Option<String>,
}

/// Returns whether SES accepts the text as a sender or a recipient: `address` or `Name <address>`, the address in ASCII.
pub fn is_mailbox(text: &str) -> bool {
    encode(text).is_some()
}

impl fmt::Debug for SesMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SesMailer")
            .field("from", &self.from)
            .field("configuration_set", &self.configuration_set)
            .finish_non_exhaustive()
    }
}

impl SesMailer {
    /// Makes a mailer for a sender, `address` or `Name <address>`. SES must have verified the address or its domain.
    pub fn new(client: aws_sdk_sesv2::Client, from: String, configuration_set: Option<String>) -> Self {
        Self { client, from, configuration_set }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let from = encode(&self.from)
            .ok_or_else(|| MailError::Refused("the sender is not a mail address that SES accepts".into()))?;
        let destination = Destination::builder().set_to_addresses(Some(recipients(mail)?)).build();
        let message = message(mail).map_err(|error| MailError::Refused(format!("the mail can't be built: {error}")))?;
        self.client
            .send_email()
            .from_email_address(from)
            .destination(destination)
            .content(EmailContent::builder().simple(message).build())
            .set_configuration_set_name(self.configuration_set.clone())
            .send()
            .await
            .map(drop)
            .map_err(|error| classify(&error))
    }
}

/// Encodes the recipients. An error names no address, because errors are logged.
fn recipients(mail: &Mail) -> Result<Vec<String>, MailError> {
    let count = mail.to.len();
    let encoded = mail.to.iter().enumerate().map(|(index, address)| {
        encode(address).ok_or_else(|| {
            MailError::Refused(format!("recipient {} of {count} is not a mail address that SES accepts", index + 1))
        })
    });
    encoded.collect()
}

fn message(mail: &Mail) -> Result<Message, BuildError> {
    let content = |text: &str| Content::builder().charset(CHARSET).data(text).build();
    let body = Body::builder().text(content(&mail.text)?).html(content(&mail.html)?).build();
    let id = MessageHeader::builder().name(ID_HEADER).value(header_value(&mail.id)).build()?;
    Ok(Message::builder().subject(content(&literal(&single_line(&mail.subject)))?).body(body).headers(id).build())
}

/// Replaces control characters, because a header is one line.
fn single_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Keeps what looks like an encoded word (RFC 2047 §2) as it is written: SES encodes only texts beyond ASCII, and a mail
/// program would decode it. The word joiner is invisible.
fn literal(text: &str) -> String {
    text.replace("=?", "=\u{2060}?")
}

/// Replaces characters that SES does not accept in a header: it accepts printable ASCII.
fn header_value(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(ID_MAX_CHARS).collect()
}

/// Decides whether SES refuses this mail for good or may accept it later.
fn classify(error: &SdkError<SendEmailError, HttpResponse>) -> MailError {
    let text = without_addresses(&sdk_error::text(error));
    match sdk_error::code(error) {
        Some(code) if REFUSALS.contains(&code) => MailError::Refused(text),
        _ => MailError::Unavailable(text),
    }
}

/// Removes addresses, which SES repeats in its answers, because errors are logged.
fn without_addresses(text: &str) -> String {
    let words: Vec<&str> =
        text.split_whitespace().map(|word| if word.contains('@') { "(address)" } else { word }).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn what_looks_like_an_encoded_word_is_no_ascii_and_so_is_encoded_by_ses() {
        let subject = literal("=?utf-8?Q?Free_beer?= is low");
        assert!(!subject.contains("=?") && !subject.is_ascii(), "{subject}");
        assert_eq!(subject.replace('\u{2060}', ""), "=?utf-8?Q?Free_beer?= is low");
        assert_eq!(literal("Milk = 2?"), "Milk = 2?");
    }
}
