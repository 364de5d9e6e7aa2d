//! Where mails go, and `mail test`.

use std::sync::Arc;

use anyhow::Context as _;
use stockline_core::ports::{Clock, MailError, Mailer};
use stockline_lines::mail::{EmlMailer, Sender, SmtpMailer, SmtpUrl};
use stockline_service::SystemClock;

use crate::cli::{MailArgs, MailCommand};
use crate::exit::{self, Unavailable, Usage};
use crate::folder::Folder;

/// The mail provider of the arguments, and how to call it.
pub(crate) fn mailer(args: &MailArgs, folder: &Folder) -> anyhow::Result<(Arc<dyn Mailer>, String)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sender: Sender =
        args.mail_from.parse().map_err(|error| Usage(format!("--mail-from {:?} {error}", args.mail_from)))?;
    if let Some(url) = &args.smtp_url {
        // The address holds a password: it is never shown.
        let url: SmtpUrl = url.parse().map_err(|error| Usage(format!("--smtp-url {error}")))?;
        let shown = format!("by {url}, from {}", args.mail_from);
        let mailer = SmtpMailer::new(url, sender, clock).map_err(|error| Usage(format!("--smtp-url {error}")))?;
        return Ok((Arc::new(mailer), shown));
    }
    let path = folder.mail();
    let shown = format!("as .eml files in {} (--smtp-url sends them)", path.display());
    let mailer = EmlMailer::new(&path, sender, clock).with_context(|| format!("can't use {}", path.display()))?;
    Ok((Arc::new(mailer), shown))
}

/// Refuses what can't be a recipient, before the first alert finds out.
pub(crate) fn check_addresses(addresses: &[String]) -> Result<(), Usage> {
    for address in addresses {
        if address.parse::<Sender>().is_err() {
            return Err(Usage(format!("{address:?} is not a mail address such as stock@example.com")));
        }
    }
    Ok(())
}

/// `stockline mail`
pub(crate) async fn run(command: &MailCommand) -> anyhow::Result<u8> {
    let MailCommand::Test { to, mail, data } = command;
    let to = if to.is_empty() { &mail.alert_emails } else { to };
    if to.is_empty() {
        return Err(Usage("to whom? --to ADDRESS, or --alert-email as the server has it".into()).into());
    }
    check_addresses(to)?;
    let (mailer, shown) = mailer(mail, &Folder::at(&data.data))?;
    let test = stockline_alerter::test_mail(to.clone(), SystemClock.now(), None);
    match mailer.send(&test).await {
        Ok(()) => {
            println!("sent to {} {shown}", to.join(", "));
            Ok(exit::OK)
        }
        Err(error @ MailError::Unavailable(_)) => Err(Unavailable(error.to_string()).into()),
        Err(error @ MailError::Refused(_)) => Err(error.into()),
    }
}
