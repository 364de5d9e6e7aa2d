//! What became of the mails, for `stockline mail status`. It is kept in a file, so that a restart forgets nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use stockline_core::domain::Timestamp;
use stockline_core::ports::{AlertRecord, Mail, MailError, MailState, MailStatus};

use crate::files::{SECRET, read_if_exists, write_atomic};
use crate::folder::Folder;

/// The most recipients that are remembered and shown.
const RECIPIENTS_MAX: usize = 100;

/// The most alerts that are named.
const ALERTS_MAX: usize = 20;

/// The longest part of an error that is kept, in characters.
const ERROR_MAX_CHARS: usize = 200;

/// After this time without an attempt, a recipient that failed is forgotten: nothing is waiting for it.
const FORGOTTEN_AFTER_MS: i64 = 30 * 24 * 3_600_000;

/// The latest results, by provider and by recipient.
#[derive(Debug)]
pub(crate) struct MailLog {
    path: PathBuf,
    latest: Mutex<Latest>,
    /// One thread writes the file at a time.
    saving: Mutex<()>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Latest {
    /// When the counting began.
    since: Option<Timestamp>,
    sent: u64,
    last_sent_at: Option<Timestamp>,
    server: Option<Failing>,
    /// By address, in lower case.
    recipients: BTreeMap<String, Failing>,
}

/// A series of failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    since: Timestamp,
    last_at: Timestamp,
    attempts: u32,
    /// The latest error. It names no address.
    error: String,
}

impl Failing {
    fn add(failing: &mut Option<Self>, error: &MailError, now: Timestamp) {
        let new = || Self { since: now, last_at: now, attempts: 0, error: String::new() };
        let failing = failing.get_or_insert_with(new);
        failing.attempts = failing.attempts.saturating_add(1);
        failing.last_at = now;
        failing.error = error.to_string().chars().take(ERROR_MAX_CHARS).collect();
    }
}

impl MailLog {
    /// Reads what is known of earlier mails. A file that can't be read is left out: it decides nothing.
    pub(super) fn open(folder: &Folder) -> Self {
        let path = folder.mail_status();
        let read = || Ok(read_if_exists(&path)?.map(|text| serde_json::from_str(&text)).transpose()?);
        let latest = read().unwrap_or_else(|error: anyhow::Error| {
            tracing::warn!(path = %path.display(), "what became of earlier mails can't be read: {error:#}");
            None
        });
        Self { path, latest: Mutex::new(latest.unwrap_or_default()), saving: Mutex::default() }
    }

    /// Notes what became of a mail. A mail to several that was refused is tried again for each of them.
    pub(super) fn note(&self, mail: &Mail, sent: &Result<(), MailError>, now: Timestamp) {
        let mut latest = self.latest();
        latest.since.get_or_insert(now);
        match sent {
            Ok(()) => {
                latest.sent += 1;
                latest.last_sent_at = Some(now);
                latest.server = None;
                for address in &mail.to {
                    latest.recipients.remove(&address.to_lowercase());
                }
            }
            Err(error @ MailError::Unavailable(_)) => Failing::add(&mut latest.server, error, now),
            Err(error) => {
                latest.server = None;
                if let [address] = &*mail.to {
                    let mut failing = latest.recipients.remove(&address.to_lowercase());
                    Failing::add(&mut failing, error, now);
                    let room = latest.recipients.len() < RECIPIENTS_MAX;
                    latest.recipients.extend(failing.filter(|_| room).map(|failing| (address.to_lowercase(), failing)));
                }
            }
        }
        latest.recipients.retain(|_, failing| now.millis_since(failing.last_at) < FORGOTTEN_AFTER_MS);
    }

    /// Writes the file; blocks.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let json = serde_json::to_vec_pretty(&*self.latest())?;
        write_atomic(&self.path, &json, SECRET)
    }

    /// Returns what is known now. `waiting` alerts are in their queue.
    pub(super) fn status(&self, provider: &str, waiting: u64, newest: &[AlertRecord], now: Timestamp) -> Status {
        let latest = self.latest();
        let is_recent = |failing: &Failing| now.millis_since(failing.last_at) < FORGOTTEN_AFTER_MS;
        let recipients = latest.recipients.iter().filter(|(_, failing)| is_recent(failing));
        Status {
            provider: provider.to_owned(),
            since: latest.since,
            sent: latest.sent,
            last_sent_at: latest.last_sent_at,
            waiting,
            server: latest.server.clone(),
            recipients: recipients
                .map(|(address, failing)| FailingRecipient { address: address.clone(), failing: failing.clone() })
                .collect(),
            alerts: newest.iter().filter_map(AlertMail::unfinished).take(ALERTS_MAX).collect(),
        }
    }

    /// No thread leaves it half changed.
    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `stockline mail status --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    /// How mails are sent.
    provider: String,
    /// When the counting began.
    since: Option<Timestamp>,
    sent: u64,
    last_sent_at: Option<Timestamp>,
    /// Alerts in their queue.
    waiting: u64,
    /// Set while the mail server can't be used.
    server: Option<Failing>,
    /// Who did not get the latest mail.
    recipients: Vec<FailingRecipient>,
    /// The newest alerts that did not reach everybody, or nobody was to get.
    alerts: Vec<AlertMail>,
}

#[derive(Debug, Serialize)]
struct FailingRecipient {
    address: String,
    #[serde(flatten)]
    failing: Failing,
}

#[derive(Debug, Serialize)]
struct AlertMail {
    alert_id: String,
    raised_at: Timestamp,
    status: MailStatus,
    /// The recipients who have it, still wait for it, or refuse it for good, as `/v1/alerts` counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<u32>,
}

impl AlertMail {
    /// Returns the mail of an alert, unless everybody has it.
    fn unfinished(record: &AlertRecord) -> Option<Self> {
        let (status, MailState { tally, waiting, .. }) = (record.mail_status(), record.mail);
        let unfinished = || Self {
            alert_id: record.alert_id.clone(),
            raised_at: record.alert.raised_at,
            status,
            delivered: tally.map(|tally| tally.delivered),
            waiting: record.sent_at.map(|_| waiting),
            refused: tally.map(|tally| tally.refused),
        };
        (status != MailStatus::Sent).then(unfinished)
    }

    fn text(&self) -> String {
        let delivered = self.delivered.map_or_else(|| "some".to_owned(), |count| count.to_string());
        let (waiting, refused) = (self.waiting.unwrap_or(0), self.refused.unwrap_or(0));
        match self.status {
            MailStatus::Waiting => "waits".to_owned(),
            MailStatus::PartlySent if refused == 0 => format!("{delivered} have it, {waiting} wait(s)"),
            MailStatus::PartlySent => format!("{delivered} have it, {waiting} wait(s), {refused} refused it"),
            MailStatus::PartlyRefused => format!("{delivered} have it, {refused} refused it for good"),
            MailStatus::NoRecipient => "had no recipient".to_owned(),
            MailStatus::Sent => "sent".to_owned(),
        }
    }
}

impl Status {
    /// Returns whether every mail that was tried is delivered.
    pub(super) const fn is_well(&self) -> bool {
        self.server.is_none() && self.recipients.is_empty()
    }

    /// Returns the text for people.
    pub(super) fn text(&self) -> String {
        let since = self.since.map(|at| format!(" since {at}")).unwrap_or_default();
        let last = self.last_sent_at.map(|at| format!(", the last at {at}")).unwrap_or_default();
        let mut text =
            format!("mail {}\n{} sent{since}{last}\n{} alert(s) wait", self.provider, self.sent, self.waiting);
        let mut add = |what: &str, failing: &Failing| {
            let Failing { since, last_at, attempts, error } = failing;
            // A String takes everything.
            let _ =
                write!(text, "\n{what}: {attempts} attempt(s) failed since {since}, the last at {last_at}: {error}");
        };
        self.server.iter().for_each(|failing| add("the mail server", failing));
        self.recipients.iter().for_each(|recipient| add(&recipient.address, &recipient.failing));
        if !self.is_well() {
            text.push_str("\nfailed mails are tried again, within a minute at first and then every five minutes");
        }
        if !self.alerts.is_empty() {
            text.push_str("\nalerts that have not reached everybody, newest first:");
        }
        for alert in &self.alerts {
            let _ = write!(text, "\n  {}  {}: {}", alert.raised_at, alert.alert_id, alert.text());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use stockline_core::ports::MailTally;
    use stockline_core::testing::alert;

    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn mail(to: &[&str]) -> Mail {
        let to = to.iter().map(|address| (*address).to_owned()).collect();
        Mail { id: "a".into(), to, subject: String::new(), text: String::new(), html: String::new() }
    }

    fn text(log: &MailLog, now: Timestamp) -> (String, bool) {
        let status = log.status("by smtp://mail", 2, &[], now);
        (status.text(), status.is_well())
    }

    #[test]
    fn whoever_misses_a_mail_is_shown_until_they_get_one() {
        let folder = tempfile::tempdir().unwrap();
        let log = MailLog::open(&Folder::at(folder.path()));
        let note = |to: &[&str], sent| log.note(&mail(to), &sent, start());
        let text = || text(&log, start());
        assert!(text().1);
        note(&["a@x", "Full@x"], Err(MailError::Deferred("452 full".into())));
        assert!(text().1, "each of them is tried alone next");
        note(&["a@x"], Ok(()));
        note(&["Full@x"], Err(MailError::Deferred("452 full".into())));
        note(&["Full@x"], Err(MailError::Deferred("452 still full".into())));
        let (shown, is_well) = text();
        assert!(shown.contains("full@x: 2 attempt(s)") && shown.contains("452 still full") && !is_well, "{shown}");
        assert!(shown.contains("1 sent since") && shown.contains("2 alert(s) wait"), "{shown}");
        note(&["a@x"], Err(MailError::Unavailable("it is closed".into())));
        assert!(text().0.contains("the mail server: 1 attempt(s)"), "{}", text().0);
        note(&["full@x"], Ok(()));
        assert!(text().1, "{}", text().0);
    }

    #[test]
    fn a_restart_forgets_nothing_and_a_month_without_an_attempt_does() {
        let folder = tempfile::tempdir().unwrap();
        let open = || MailLog::open(&Folder::at(folder.path()));
        let log = open();
        log.note(&mail(&["a@x"]), &Ok(()), start());
        log.note(&mail(&["full@x"]), &Err(MailError::Deferred("452 full".into())), start());
        log.save().unwrap();
        let before = text(&log, start());
        assert_eq!(text(&open(), start()), before);
        assert!(before.0.contains("full@x") && !before.1);
        let later = start().plus_millis(FORGOTTEN_AFTER_MS);
        assert!(text(&open(), later).1, "nothing waits for a recipient that nobody tries any more");
        std::fs::write(folder.path().join("mail-status.json"), "{ half").unwrap();
        assert!(text(&open(), start()).1, "a damaged file stops nothing");
    }

    #[test]
    fn alerts_that_have_not_reached_everybody_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let log = MailLog::open(&Folder::at(folder.path()));
        let record = |no, sent_at, mail| {
            let alert = alert(no, "main", 0);
            AlertRecord { alert_id: alert.id(), alert, sent_at, mail }
        };
        let tally = |delivered, refused| Some(MailTally { delivered, refused });
        let newest = [
            record(1, None, MailState::default()),
            record(2, Some(start()), MailState { tally: tally(1, 0), waiting: 1, no_recipient: false }),
            record(3, Some(start()), MailState { tally: tally(2, 1), waiting: 0, no_recipient: false }),
            record(4, None, MailState { tally: None, waiting: 0, no_recipient: true }),
            record(5, Some(start()), MailState { tally: tally(2, 0), waiting: 0, no_recipient: false }),
        ];
        let status = log.status("", 0, &newest, start());
        for part in [
            "cola:main:1: waits",
            "cola:main:2: 1 have it, 1 wait(s)",
            "cola:main:3: 2 have it, 1 refused it for good",
            "cola:main:4: had no recipient",
        ] {
            assert!(status.text().contains(part), "{part}: {}", status.text());
        }
        assert!(!status.text().contains("cola:main:5"));
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!((&json["alerts"][1]["status"], &json["alerts"][1]["waiting"]), (&"partly_sent".into(), &1.into()));
    }
}
