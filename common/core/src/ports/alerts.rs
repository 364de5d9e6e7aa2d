use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{QueueError, StoreError};
use crate::domain::{Alert, CLOCK_SKEW_MAX_MS, LocationId, Timestamp};

/// Publishes alerts. `Ok` means that the alert is durable and will be delivered at least once, in any order.
#[async_trait]
pub trait AlertPublisher: Send + Sync + std::fmt::Debug {
    /// Publishes alerts and returns one result each, in input order. A repetition is harmless, because ids deduplicate.
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>>;
}

/// The handle of one delivery of an alert message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AlertHandle(pub Arc<str>);

/// A delivered alert message. The body is an [`Alert`] as JSON, unless another program wrote it.
#[derive(Debug, Clone)]
pub struct AlertDelivery {
    /// The handle that acknowledges this delivery.
    pub handle: AlertHandle,
    /// The queue's own id of the message.
    pub message_id: Arc<str>,
    /// The body.
    pub body: Arc<str>,
}

/// The receiving side of the standalone alert queue. On AWS, Lambda's event source does this.
#[async_trait]
pub trait AlertReceiver: Send + Sync + std::fmt::Debug {
    /// Waits up to `wait` for messages and returns at most `max`. Each stays invisible for the visibility timeout.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<AlertDelivery>, QueueError>;

    /// Deletes delivered messages.
    async fn ack(&self, handles: &[AlertHandle]) -> Result<(), QueueError>;

    /// Returns messages to the queue, which delivers them again after `delay`.
    async fn release(&self, handles: &[AlertHandle], delay: Duration) -> Result<(), QueueError>;
}

/// The lease that a claim takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Names the process that mails. It mails one thing at a time, so its own earlier claims never block it.
    pub holder: Arc<str>,
    /// When it is taken.
    pub from: Timestamp,
    /// When it ends. With the holder, it tells one claim from every other.
    pub until: Timestamp,
}

/// The result of a claim on an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The caller may mail the alert until the lease ends.
    Ours,
    /// The caller may mail the alert until the lease ends, but only to those who still wait for it.
    OursFor(Rest),
    /// The alert was mailed, so drop it.
    Sent,
    /// Another process holds the lease and has not sent the alert. Fail the record, so that it is delivered again.
    Held,
}

/// How many recipients an alert's mail has reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MailTally {
    /// Those whose mail was accepted.
    pub delivered: u32,
    /// Those whose mail was refused for good. It is not tried again.
    pub refused: u32,
}

/// What is left of a mail that some recipients have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The recipients who still wait for it.
    pub missing: Vec<String>,
    /// What became of the others. Nothing is known of those of an earlier program.
    pub tally: MailTally,
}

/// A mail that some of its recipients have, as its sender marks it.
#[derive(Debug, Clone, Copy)]
pub struct PartSent<'a> {
    /// The claim under which it was mailed.
    pub lease: &'a Lease,
    /// When the first of them got it.
    pub sent_at: Timestamp,
    /// Who still waits.
    pub rest: &'a Rest,
}

/// What became of an alert's mail, without addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailState {
    /// Whether nobody was to get it: neither the location nor the installation had recipients.
    #[serde(default)]
    pub no_recipient: bool,
    /// What became of it so far; unset before the first mail was accepted, and if an earlier program sent it.
    #[serde(default)]
    pub tally: Option<MailTally>,
    /// The recipients who still wait after others got it. Before the first mail was accepted all wait, and this is 0.
    #[serde(default)]
    pub waiting: u32,
}

/// How far an alert's mail is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStatus {
    /// Nobody has it yet. It is tried again.
    Waiting,
    /// Some have it. It is tried again for the others.
    PartlySent,
    /// All recipients have it.
    Sent,
    /// Some have it; the others' servers refuse it for good.
    PartlyRefused,
    /// Nobody was to get it.
    NoRecipient,
}

impl MailStatus {
    /// All words.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::PartlySent, Self::Sent, Self::PartlyRefused, Self::NoRecipient];

    /// Returns the word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::PartlySent => "partly_sent",
            Self::Sent => "sent",
            Self::PartlyRefused => "partly_refused",
            Self::NoRecipient => "no_recipient",
        }
    }
}

impl AlertRecord {
    /// Returns how far its mail is.
    pub fn mail_status(&self) -> MailStatus {
        let MailState { no_recipient, tally, waiting } = self.mail;
        match self.sent_at {
            None if no_recipient => MailStatus::NoRecipient,
            None => MailStatus::Waiting,
            Some(_) if waiting > 0 => MailStatus::PartlySent,
            Some(_) if tally.is_some_and(|tally| tally.refused > 0) => MailStatus::PartlyRefused,
            Some(_) => MailStatus::Sent,
        }
    }
}

/// What became of an alert that waits for its mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gathered {
    /// It is in the history, and waits for the mail of its location.
    Waiting,
    /// It was mailed to all its recipients, so drop it.
    Sent,
}

/// An opening that is not mailed to all its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The alert.
    pub alert: Alert,
    /// When an alerter first received it. It may be absent once the opening has been claimed: then it has waited.
    pub gathered_at: Option<Timestamp>,
}

/// An alert in the history, as `/v1/alerts` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// [`Alert::id`].
    pub alert_id: String,
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// When the mail provider accepted the mail; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Whom the mail has reached.
    pub mail: MailState,
}

/// The daily notice of a location's refused sales, which is mailed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedNotice {
    /// The location.
    pub location_id: LocationId,
    /// The calendar day of the notice, `2026-01-31`, in the location's time zone.
    pub day: String,
}

/// Returns the latest end that the lease of another process can have by right clocks, beside a lease from now until
/// `lease_until`. A stored lease that ends later was written by a wrong clock, and is void.
pub fn latest_lease_end(lease_until: Timestamp) -> Timestamp {
    lease_until.plus_millis(CLOCK_SKEW_MAX_MS)
}

/// The alert history and the alerter's claims.
///
/// What is absent can be claimed, and what is not mailed to all its recipients, if its lease has ended, was given up, or
/// is the caller's own. In the standalone home a claim of an ended process counts as given up.
///
/// A clock may have been wrong when a row was written. So an unsent claim is void if its lease ends after
/// [`latest_lease_end`], and a notice is void if it covers refusals up to such a time, even if it was sent.
#[async_trait]
pub trait AlertBook: Send + Sync + std::fmt::Debug {
    /// Adds alerts to the history, unless they are there, without a claim: openings, and what waits for the mail provider.
    /// Returns one result each, in input order.
    async fn gather(&self, alerts: &[Alert], at: Timestamp) -> Vec<Result<Gathered, StoreError>>;

    /// Returns the openings of a location that were raised in this time, both ends included, and are not mailed to all
    /// their recipients: at most `limit`, by the time at which they were raised, then id. It sees all that was gathered
    /// before the call began. Rows that can't be read are left out.
    async fn openings(
        &self,
        location_id: &LocationId,
        raised: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Opening>, StoreError>;

    /// Claims each alert. The claim adds the alert to the history. Returns one result each, in input order.
    async fn claim(&self, alerts: &[Alert], lease: &Lease) -> Vec<Result<Claimed, StoreError>>;

    /// Ends claims whose mail is over and failed, so that nobody waits for their lease. Claims other than this one stay.
    async fn give_up(&self, alerts: &[Alert], lease: &Lease) -> Result<(), StoreError>;

    /// Marks alerts as mailed to all their recipients, but for those that refuse it for good. Nobody waits any more. The
    /// time and the tally of the first such mark stay.
    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp, tally: MailTally) -> Result<(), StoreError>;

    /// Marks alerts as mailed, but for those who still wait, and ends the claims. Alerts that another has claimed since, or
    /// that nobody waits for, stay as they are.
    async fn mark_part_sent(&self, alerts: &[Alert], part: PartSent<'_>) -> Result<(), StoreError>;

    /// Notes that alerts had no recipient. They stay unsent; one that was mailed stays as it is.
    async fn mark_unaddressed(&self, alerts: &[Alert]) -> Result<(), StoreError>;

    /// Claims a day's notice of refused commands, as an alert.
    async fn claim_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<Claimed, StoreError>;

    /// Ends the claim of a notice whose mail is over and failed.
    async fn give_up_notice(&self, notice: &RefusedNotice, lease: &Lease) -> Result<(), StoreError>;

    /// Marks the notice as mailed; it covers refusals up to `until`.
    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError>;

    /// Returns the time up to which notices cover this location's refused commands; `None` before the first notice. It
    /// is not after `now`: a notice that covers more was sent under a wrong date.
    async fn notified_until(&self, location_id: &LocationId, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;
}
