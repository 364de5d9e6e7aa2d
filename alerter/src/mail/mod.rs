//! Mail without AWS: as files ([`EmlMailer`]) or by SMTP ([`SmtpMailer`]).

mod eml;
mod message;
mod smtp;

pub use eml::EmlMailer;
pub use message::{Sender, SenderError};
pub use smtp::{SmtpMailer, SmtpUrl, SmtpUrlError};
