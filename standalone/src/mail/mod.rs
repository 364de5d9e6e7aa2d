//! Mail without AWS: as files ([`EmlMailer`]) or by SMTP ([`SmtpMailer`]).

mod eml;
mod message;
mod smtp;
#[cfg(test)]
mod smtp_server;
#[cfg(test)]
mod tests;

pub use eml::EmlMailer;
pub use message::{Sender, SenderError};
pub use smtp::{HelloName, SmtpMailer, SmtpOptions, SmtpUrl, SmtpUrlError};
