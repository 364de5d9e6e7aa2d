use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use stockline_core::ports::{Clock, Mail, MailError, Mailer};

use super::message::{self, Sender};
use crate::host;

/// How long the server may take to answer one command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest server answer that an error repeats, in characters.
const ANSWER_MAX_CHARS: usize = 200;

/// 5xx codes about the session, not about the mail (RFC 5321 §4.2.3, RFC 4954 §6): commands, authentication, a host that
/// accepts no mail.
const SESSION_CODES: [u16; 11] = [500, 501, 502, 503, 504, 521, 523, 530, 534, 535, 538];

/// 4xx codes about the session: the service shuts down, or authentication or encryption fails for now.
const SESSION_CODES_FOR_NOW: [u16; 3] = [421, 432, 454];

/// The address of an SMTP server: `smtps://user:password@host:465`, or `smtp://user:password@host:587?tls=required`.
///
/// Reserved characters in user and password are percent-encoded. Without TLS (`smtp://host:25?tls=none`) a password is
/// refused. On the loopback `tls` may be omitted. `Debug` and `Display` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl {
    /// The form that lettre parses.
    url: String,
    shown: String,
    encryption: Encryption,
    /// The host that the server's certificate must name.
    host: String,
    /// Whether the address has the name for EHLO in its path.
    names_hello: bool,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    /// From the first byte.
    Wrapped,
    /// After STARTTLS, which the server must offer.
    Required,
    None,
}

/// The settings of a mail server besides its address.
#[derive(Debug, Clone, Default)]
pub struct SmtpOptions {
    /// The name in EHLO. Without one it is this machine's name, if that has a domain; else the sender's domain.
    pub hello: Option<HelloName>,
    /// Certificates to trust besides the system's, in PEM.
    pub ca_certificates: Option<Vec<u8>>,
}

/// The name by which a client introduces itself in EHLO: a host name, or an address in brackets (RFC 5321 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloName(ClientId);

/// The text is not a [`HelloName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a host name such as shop.example.com, or an address such as [192.0.2.7]")]
pub struct HelloNameError;

impl FromStr for HelloName {
    type Err = HelloNameError;

    fn from_str(text: &str) -> Result<Self, HelloNameError> {
        let literal = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let id = match literal.map(|literal| literal.strip_prefix("IPv6:").unwrap_or(literal).parse::<IpAddr>()) {
            Some(Ok(IpAddr::V4(ip))) => ClientId::Ipv4(ip),
            Some(Ok(IpAddr::V6(ip))) => ClientId::Ipv6(ip),
            Some(Err(_)) => return Err(HelloNameError),
            None => ClientId::Domain(host::ascii(text).ok_or(HelloNameError)?),
        };
        Ok(Self(id))
    }
}

/// Why a text is not an [`SmtpUrl`]. It never contains the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// It does not have the form of such an address.
    #[error("is not like \"smtps://user:password@host:465\" or \"smtp://user:password@host:587?tls=required\": {0}")]
    Syntax(String),
    /// Mails or a password would cross the network unencrypted.
    #[error(
        "would send {0} unencrypted: use smtps://, or add ?tls=required (or, without a password, ?tls=none in a \
         network that you trust)"
    )]
    Unencrypted(&'static str),
    /// The certificates to trust can't be used.
    #[error("can't be trusted: the file of certificates holds none in PEM, or one that is damaged")]
    Certificates,
}

impl FromStr for SmtpUrl {
    type Err = SmtpUrlError;

    fn from_str(text: &str) -> Result<Self, SmtpUrlError> {
        let syntax = |what: &str| SmtpUrlError::Syntax(what.to_owned());
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or_else(|| syntax("the scheme is missing"))?;
        let (before_query, query) = rest.split_once('?').map_or((rest, None), |(a, b)| (a, Some(b)));
        let authority = before_query.split('/').next().unwrap_or_default();
        let (user, server) = authority.rsplit_once('@').map_or((None, authority), |(a, b)| (Some(a), b));
        if user.is_some_and(|user| !user.contains(':')) {
            return Err(syntax("there is a user without a password"));
        }
        let encryption = match (scheme, query) {
            ("smtps", None) => Encryption::Wrapped,
            ("smtp", Some("tls=required")) => Encryption::Required,
            ("smtp", Some("tls=none")) => Encryption::None,
            ("smtp", None) if is_loopback(server) => Encryption::None,
            ("smtp", None) => return Err(SmtpUrlError::Unencrypted("mails")),
            ("smtp" | "smtps", Some(_)) => {
                return Err(syntax("after \"?\" only tls=required or tls=none is allowed, and only with smtp://"));
            }
            _ => return Err(syntax("the scheme must be smtps or smtp")),
        };
        if encryption == Encryption::None && user.is_some() && !is_loopback(server) {
            return Err(SmtpUrlError::Unencrypted("the password"));
        }
        let url = if encryption == Encryption::None { format!("{scheme}://{before_query}") } else { text.to_owned() };
        AsyncSmtpTransport::<Tokio1Executor>::from_url(&url)
            .map_err(|_| syntax("host, port or an encoded character can't be parsed"))?;
        let hidden = if user.is_some() { "***@" } else { "" };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let names_hello = before_query.split_once('/').is_some_and(|(_, path)| !path.is_empty());
        let shown = format!("{scheme}://{hidden}{server}{query}");
        Ok(Self { url, shown, encryption, host: host_of(server).to_owned(), names_hello })
    }
}

/// Returns the host of `host:port`, an IPv6 address without its brackets.
fn host_of(server: &str) -> &str {
    match server.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => server.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(server: &str) -> bool {
    let host = host_of(server);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Sends mails through an SMTP server, with one connection per mail.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    server: SmtpUrl,
    sender: Sender,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").field("server", &self.server).field("sender", &self.sender).finish_non_exhaustive()
    }
}

impl SmtpMailer {
    /// Returns a mailer for this server. It connects only when a mail is sent.
    ///
    /// # Errors
    /// Fails if TLS can't be set up for this host.
    pub fn new(
        server: SmtpUrl,
        options: &SmtpOptions,
        sender: Sender,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SmtpUrlError> {
        let no_tls = |_| SmtpUrlError::Syntax("TLS can't be set up for this host".into());
        let mut transport =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(&server.url).map_err(no_tls)?.timeout(Some(ANSWER_TIMEOUT));
        transport = match server.encryption {
            Encryption::Wrapped => transport.tls(Tls::Wrapper(trusting(&server.host, options)?)),
            Encryption::Required => transport.tls(Tls::Required(trusting(&server.host, options)?)),
            Encryption::None => transport,
        };
        let own = options.hello.clone().map(|HelloName(id)| id);
        let hello = own.or_else(|| usual_hello(&sender).filter(|_| !server.names_hello));
        if let Some(hello) = hello {
            transport = transport.hello_name(hello);
        }
        Ok(Self { transport: transport.build(), server, sender, clock })
    }
}

/// Trusts the authorities of the system, or Mozilla's where the system has none, and those of the options.
fn trusting(host: &str, options: &SmtpOptions) -> Result<TlsParameters, SmtpUrlError> {
    let of_system = rustls_native_certs::load_native_certs();
    let store = if of_system.certs.is_empty() { CertificateStore::WebpkiRoots } else { CertificateStore::Default };
    let mut tls = TlsParameters::builder(host.to_owned()).certificate_store(store);
    if let Some(pem) = &options.ca_certificates {
        tls = tls.add_root_certificate(Certificate::from_pem(pem).map_err(|_| SmtpUrlError::Certificates)?);
    }
    tls.build().map_err(|_| SmtpUrlError::Certificates)
}

/// Returns the name of this machine if it is complete, else the domain of the sender. Servers refuse names without a domain.
fn usual_hello(sender: &Sender) -> Option<ClientId> {
    let complete = |name: &String| name.contains('.') && !name.ends_with(".local");
    let own = host::own_name().filter(complete);
    own.or_else(|| Some(sender.domain().to_owned()).filter(complete)).map(ClientId::Domain)
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message::build(mail, &self.sender, self.clock.now())?;
        match self.transport.send(message.clone()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let non_ascii = message.envelope().to().iter().any(|to| !to.to_string().is_ascii());
                Err(classify(&error, non_ascii))
            }
        }
    }
}

/// Returns whether the error is about this mail, for good or for now, or about the server.
fn classify(error: &Error, non_ascii_address: bool) -> MailError {
    let code = error.status().map(u16::from);
    let text = without_addresses(&error.to_string());
    let about_mail = error.is_permanent() && code.is_some_and(|code| !SESSION_CODES.contains(&code));
    let put_off = error.is_transient() && code.is_some_and(|code| !SESSION_CODES_FOR_NOW.contains(&code));
    if about_mail {
        MailError::Refused(text)
    } else if put_off {
        MailError::Deferred(text)
    } else if error.is_client() && non_ascii_address {
        MailError::Refused("an address is not ASCII, and the server does not accept such addresses".into())
    } else {
        MailError::Unavailable(text)
    }
}

/// Returns a server's answer on one line, bounded, and without addresses: servers repeat them, and errors are logged.
fn without_addresses(text: &str) -> String {
    let words: Vec<&str> =
        text.split_whitespace().map(|word| if word.contains('@') { "(address)" } else { word }).collect();
    words.join(" ").chars().take(ANSWER_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown_and_never_sent_unencrypted() {
        let url: SmtpUrl = "smtps://me:s%40cret@mail.example.com:465".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "smtps://***@mail.example.com:465 smtps://***@mail.example.com:465");
        for good in [
            "smtp://me:pw@mail.example.com:587?tls=required",
            "smtp://mail.lan:25?tls=none",
            "smtp://127.0.0.1:2525",
            "smtp://[::1]:2525",
            "smtp://me:pw@localhost:2525",
        ] {
            assert!(good.parse::<SmtpUrl>().is_ok(), "{good}");
        }
        for bad in ["smtp://me:pw@mail.example.com:587", "smtp://mail.lan:25", "smtp://me:pw@mail.lan?tls=none"] {
            assert!(matches!(bad.parse::<SmtpUrl>(), Err(SmtpUrlError::Unencrypted(_))), "{bad}");
        }
        for bad in ["", "mail.example.com", "http://x", "smtp://x?tls=opportunistic", "smtps://me@x", "smtps://a:pw@:1"]
        {
            let error = bad.parse::<SmtpUrl>().unwrap_err();
            assert!(matches!(error, SmtpUrlError::Syntax(_)), "{bad}");
            assert!(!error.to_string().contains("pw@"), "{error}");
        }
    }

    #[test]
    fn an_address_in_a_servers_answer_is_not_repeated() {
        let text = without_addresses("permanent error (550): 5.1.1 <eve@example.com>: no\r\nsuch user");
        assert_eq!(text, "permanent error (550): 5.1.1 (address) no such user");
    }
}
