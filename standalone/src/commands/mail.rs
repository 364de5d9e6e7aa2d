//! `mail`: shows what was mailed, and checks that mails can be sent.

use std::sync::Arc;

use stockline_core::ports::{Clock as _, MailError};
use stockline_service::{SystemClock, output};

use crate::args::MailCommand;
use crate::exit::{self, Unavailable, Usage};
use crate::folder::Folder;
use crate::mailer::{check_addresses, mailer};
use crate::serve::control::{self, AnyOrder, MailOrder};

/// Runs `stockline mail`.
pub(crate) async fn mail(command: &MailCommand) -> anyhow::Result<u8> {
    let (to, mail, data) = match command {
        MailCommand::Status { json, data } => return status(&Folder::at(&data.data), *json).await,
        MailCommand::Test { to, mail, data } => (to, mail, data),
    };
    let to = if to.is_empty() { &mail.alert_emails } else { to };
    if to.is_empty() {
        return Err(
            Usage("the test mail has no recipient: give --to ADDRESS, or the server's --alert-email".into()).into()
        );
    }
    check_addresses(to)?;
    let (mailer, description) = mailer(mail, &Folder::at(&data.data), Arc::new(SystemClock))?;
    let test = stockline_alerter::test_mail(to.clone(), SystemClock.now(), None);
    match mailer.send(&test).await {
        Ok(()) => {
            output::line(format_args!("sent to {} {description}", to.join(", ")))?;
            Ok(exit::OK)
        }
        Err(error @ (MailError::Unavailable(_) | MailError::Deferred(_))) => Err(Unavailable(error.to_string()).into()),
        Err(error @ MailError::Refused(_)) => Err(error.into()),
    }
}

async fn status(folder: &Folder, json: bool) -> anyhow::Result<u8> {
    let order = AnyOrder::Mail { mail: if json { MailOrder::StatusJson } else { MailOrder::Status } };
    let Some(reply) = control::ask(&folder.control_socket(), &order).await? else {
        let text = format!("no server runs on {}: start it, then ask again", folder.path().display());
        return Err(Unavailable(text).into());
    };
    if json && [exit::OK, exit::FOUND].contains(&reply.code) {
        output::json(&serde_json::from_str::<serde_json::Value>(&reply.text)?)?;
        return Ok(reply.code);
    }
    // The text is what was asked for, also where something is undelivered.
    if reply.code == exit::FOUND {
        output::line(output::printable(&reply.text))?;
        return Ok(reply.code);
    }
    reply.print()
}
