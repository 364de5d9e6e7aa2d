//! Chooses the mail provider from the options.

use std::sync::Arc;

use crate::mail::{EmlMailer, Sender, SmtpMailer, SmtpUrl};
use anyhow::Context as _;
use stockline_core::ports::{Clock, Mailer};

use crate::args::MailArgs;
use crate::exit::Usage;
use crate::folder::Folder;

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
        let mailer = SmtpMailer::new(url, sender, clock).map_err(|error| Usage(format!("--smtp-url {error}")))?;
        return Ok((Arc::new(mailer), description));
    }
    let path = folder.mail();
    let description = format!("as .eml files in {} (--smtp-url sends them)", path.display());
    let mailer = EmlMailer::new(&path, sender, clock).with_context(|| format!("can't use {}", path.display()))?;
    Ok((Arc::new(mailer), description))
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
