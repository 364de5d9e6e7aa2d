//! What became of the mails since the start, for `stockline mail status`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stockline_core::domain::Timestamp;
use stockline_core::ports::{Mail, MailError};

/// The most recipients that are remembered and shown.
const RECIPIENTS_MAX: usize = 100;

/// The latest results, by provider and by recipient.
#[derive(Debug, Default)]
pub(crate) struct MailLog(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    sent: u64,
    last_sent_at: Option<Timestamp>,
    provider: Option<Failing>,
    /// By address, in lower case.
    recipients: BTreeMap<String, Failing>,
}

/// A series of failures.
#[derive(Debug)]
struct Failing {
    since: Timestamp,
    attempts: u32,
    /// The latest error. It names no address.
    error: String,
}

impl Failing {
    fn add(failing: &mut Option<Self>, error: &MailError, now: Timestamp) {
        let failing = failing.get_or_insert_with(|| Self { since: now, attempts: 0, error: String::new() });
        failing.attempts = failing.attempts.saturating_add(1);
        failing.error = error.to_string();
    }
}

impl MailLog {
    /// Notes what became of a mail. A mail to several that was refused is tried again for each of them.
    pub(super) fn note(&self, mail: &Mail, sent: &Result<(), MailError>, now: Timestamp) {
        let mut latest = self.latest();
        match sent {
            Ok(()) => {
                latest.sent += 1;
                latest.last_sent_at = Some(now);
                latest.provider = None;
                for address in &mail.to {
                    latest.recipients.remove(&address.to_lowercase());
                }
            }
            Err(error @ MailError::Unavailable(_)) => Failing::add(&mut latest.provider, error, now),
            Err(error) => {
                latest.provider = None;
                if let [address] = &*mail.to {
                    let mut failing = latest.recipients.remove(&address.to_lowercase());
                    Failing::add(&mut failing, error, now);
                    let room = latest.recipients.len() < RECIPIENTS_MAX;
                    latest.recipients.extend(failing.filter(|_| room).map(|failing| (address.to_lowercase(), failing)));
                }
            }
        }
    }

    /// Returns a text for people, and whether everything is delivered. `waiting` alerts are in their queue.
    pub(super) fn text(&self, provider: &str, waiting: u64) -> (String, bool) {
        let latest = self.latest();
        let last = latest.last_sent_at.map(|at| format!(", the last at {at}")).unwrap_or_default();
        let mut text = format!("mail {provider}\n{} sent since the start{last}\n{waiting} alert(s) wait", latest.sent);
        let mut add = |what: &str, failing: &Failing| {
            let Failing { since, attempts, error } = failing;
            // A String takes everything.
            let _ = write!(text, "\n{what}: {attempts} attempt(s) failed since {since}: {error}");
        };
        latest.provider.iter().for_each(|failing| add("the mail server", failing));
        latest.recipients.iter().for_each(|(address, failing)| add(address, failing));
        let is_well = latest.provider.is_none() && latest.recipients.is_empty();
        if !is_well {
            text.push_str("\nfailed mails are tried again, within a minute at first and then every five minutes");
        }
        (text, is_well)
    }

    /// No thread leaves it half changed.
    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(to: &[&str]) -> Mail {
        let to = to.iter().map(|address| (*address).to_owned()).collect();
        Mail { id: "a".into(), to, subject: String::new(), text: String::new(), html: String::new() }
    }

    #[test]
    fn whoever_misses_a_mail_is_shown_until_they_get_one() {
        let (log, now) = (MailLog::default(), Timestamp::from_millis(1_800_000_000_000));
        let note = |to: &[&str], sent| log.note(&mail(to), &sent, now);
        let text = || log.text("by smtp://mail", 2);
        assert!(text().1);
        note(&["a@x", "Full@x"], Err(MailError::Deferred("452 full".into())));
        assert!(text().1, "each of them is tried alone next");
        note(&["a@x"], Ok(()));
        note(&["Full@x"], Err(MailError::Deferred("452 full".into())));
        note(&["Full@x"], Err(MailError::Deferred("452 still full".into())));
        let (shown, is_well) = text();
        assert!(shown.contains("full@x: 2 attempt(s)") && shown.contains("452 still full") && !is_well, "{shown}");
        assert!(shown.contains("1 sent") && shown.contains("2 alert(s) wait"), "{shown}");
        note(&["a@x"], Err(MailError::Unavailable("it is closed".into())));
        assert!(text().0.contains("the mail server: 1 attempt(s)"), "{}", text().0);
        note(&["full@x"], Ok(()));
        assert!(text().1, "{}", text().0);
    }
}
