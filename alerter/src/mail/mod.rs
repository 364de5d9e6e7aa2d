//! Mail adapters that need no AWS: files ([`EmlMailer`]) and SMTP ([`SmtpMailer`]).

mod eml;
mod message;
mod smtp;

pub use eml::EmlMailer;
pub use message::{Sender, SenderError};
pub use smtp::{SmtpMailer, SmtpUrl, SmtpUrlError};
