//! Chooses the mail provider from the options.

use std::path::PathBuf;
use std::sync::Arc;

use crate::mail::{EmlMailer, Sender, SmtpMailer, SmtpOptions, SmtpUrl};
use anyhow::Context as _;
use stockline_core::ports::{Clock, Mailer};

use crate::args::MailArgs;
use crate::exit::Usage;
use crate::folder::Folder;

/// How a certificate begins in PEM.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Returns the mail provider that the options name, and a description of it for people.
pub(crate) fn mailer(
    args: &MailArgs,
    folder: &Folder,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Arc<dyn Mailer>, String)> {
    let sender: Sender =
        args.mail_from.parse().map_err(|error| Usage(format!("--mail-from {:?} {error}", args.mail_from)))?;
    if let Some(url) = &args.smtp_url {
        // The address holds a password; its Display leaves the password out.
        let url: SmtpUrl = url.parse().map_err(|error| Usage(format!("--smtp-url {error}")))?;
        let description = format!("by {url}, from {}", args.mail_from);
        let options = SmtpOptions { hello: args.smtp_hello.clone(), ca_certificates: ca_certificates(args)? };
        let mailer =
            SmtpMailer::new(url, &options, sender, clock).map_err(|error| Usage(format!("--smtp-url {error}")))?;
        return Ok((Arc::new(mailer), description));
    }
    let path = folder.mail();
    let description = format!("as .eml files in {} (--smtp-url sends them)", path.display());
    let mailer = EmlMailer::new(&path, sender, clock).with_context(|| format!("can't use {}", path.display()))?;
    Ok((Arc::new(mailer), description))
}

/// Reads the certificates that the mail server's is trusted by.
pub(crate) fn ca_certificates(args: &MailArgs) -> Result<Option<Vec<u8>>, Usage> {
    let read = |path: &PathBuf| {
        let pem = std::fs::read(path).map_err(|error| Usage(format!("--smtp-ca-cert {}: {error}", path.display())))?;
        if pem.windows(BEGIN.len()).any(|part| part == BEGIN) {
            return Ok(pem);
        }
        Err(Usage(format!("--smtp-ca-cert {} holds no certificate in PEM", path.display())))
    };
    args.smtp_ca_cert.as_ref().map(read).transpose()
}

/// Refuses invalid recipients at start, not at the first alert.
pub(crate) fn check_addresses(addresses: &[String]) -> Result<(), Usage> {
    for address in addresses {
        if address.parse::<Sender>().is_err() {
            return Err(Usage(format!("{address:?} is not a mail address such as stock@example.com")));
        }
    }
    Ok(())
}
