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

/// The header that names a mail everywhere.
const ID_HEADER: &str = "X-Stockline-Id";

/// The most characters of a header's value that SES takes, name included, is 996; ids are far shorter.
const ID_MAX_CHARS: usize = 900;

const CHARSET: &str = "UTF-8";

/// Codes that speak of this one mail; all others speak of the account, or of now.
const REFUSALS: [&str; 5] = [
    "MessageRejected",
    "BadRequestException",
    "ValidationException",
    "InvalidParameterValue",
    "InvalidParameterValueException",
];

/// Sends mails by SES v2, text and HTML as alternatives.
///
/// Only ASCII addresses (a domain in another script as Punycode); names may be in any script. Needs the permission
/// `ses:SendEmail`.
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
    /// From this address, or `Name <address>`; it, or its domain, is an identity that SES has verified.
    pub fn new(client: aws_sdk_sesv2::Client, from: String, configuration_set: Option<String>) -> Self {
        Self { client, from, configuration_set }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let from = encode(&self.from)
            .ok_or_else(|| MailError::Refused("the sender is not a mail address that SES takes".into()))?;
        let destination = Destination::builder().set_to_addresses(Some(recipients(mail)?)).build();
        let message = message(mail).map_err(|error| MailError::Refused(format!("it can't be built: {error}")))?;
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

/// None is named in an error, since errors are logged.
fn recipients(mail: &Mail) -> Result<Vec<String>, MailError> {
    let count = mail.to.len();
    let encoded = mail.to.iter().enumerate().map(|(index, address)| {
        encode(address).ok_or_else(|| {
            MailError::Refused(format!("recipient {} of {count} is not a mail address that SES takes", index + 1))
        })
    });
    encoded.collect()
}

fn message(mail: &Mail) -> Result<Message, BuildError> {
    let content = |text: &str| Content::builder().charset(CHARSET).data(text).build();
    let body = Body::builder().text(content(&mail.text)?).html(content(&mail.html)?).build();
    let id = MessageHeader::builder().name(ID_HEADER).value(header_value(&mail.id)).build()?;
    Ok(Message::builder().subject(content(&single_line(&mail.subject))?).body(body).headers(id).build())
}

/// Headers are one line, whoever wrote the mail.
fn single_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// SES takes printable ASCII.
fn header_value(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(ID_MAX_CHARS).collect()
}

/// Does the answer speak of this mail for good, or may it pass?
fn classify(error: &SdkError<SendEmailError, HttpResponse>) -> MailError {
    let text = without_addresses(&sdk_error::text(error));
    match sdk_error::code(error) {
        Some(code) if REFUSALS.contains(&code) => MailError::Refused(text),
        _ => MailError::Unavailable(text),
    }
}

/// SES repeats addresses in its answers, and errors are logged.
fn without_addresses(text: &str) -> String {
    let words: Vec<&str> =
        text.split_whitespace().map(|word| if word.contains('@') { "(address)" } else { word }).collect();
    words.join(" ")
}
