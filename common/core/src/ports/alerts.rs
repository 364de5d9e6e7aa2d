use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{QueueError, StoreError};
use crate::domain::{Alert, LocationId, Timestamp};

/// Takes alerts to be told. `Ok` means durable: it will be delivered at least once, in any order.
#[async_trait]
pub trait AlertPublisher: Send + Sync + std::fmt::Debug {
    /// Publishes alerts, one result each in input order. Publishing one again is harmless: its id deduplicates.
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>>;
}

/// Names one delivery of one alert message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AlertHandle(pub Arc<str>);

/// An alert message as delivered; the body is an [`Alert`] as JSON unless someone else wrote it.
#[derive(Debug, Clone)]
pub struct AlertDelivery {
    /// Acknowledges this delivery.
    pub handle: AlertHandle,
    /// The queue's own id of the message.
    pub message_id: Arc<str>,
    /// The body.
    pub body: Arc<str>,
}

/// The standalone alert queue's receiving side (on AWS, Lambda's event source does this).
#[async_trait]
pub trait AlertReceiver: Send + Sync + std::fmt::Debug {
    /// Waits up to `wait` for messages and returns at most `max`; each stays invisible for the visibility timeout.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<AlertDelivery>, QueueError>;

    /// Deletes delivered messages.
    async fn ack(&self, handles: &[AlertHandle]) -> Result<(), QueueError>;

    /// Gives messages back, to come again after `delay`.
    async fn release(&self, handles: &[AlertHandle], delay: Duration) -> Result<(), QueueError>;
}

/// What a claim on an alert came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours to mail until the lease ends.
    Ours,
    /// It was mailed: drop it.
    Sent,
    /// Another holds it, unsent, within its lease: fail the record so that it comes back.
    Held,
}

/// An alert in the history, as `/v1/alerts` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// [`Alert::id`].
    pub alert_id: String,
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// When the mail provider took the mail; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

/// The refused sales of a location on a day, to be told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedNotice {
    /// The location.
    pub location_id: LocationId,
    /// The calendar day of the notice, `2026-01-31`, in the location's time zone.
    pub day: String,
}

/// The alert history and the alerter's claims.
#[async_trait]
pub trait AlertBook: Send + Sync + std::fmt::Debug {
    /// Takes a claim on each alert until `lease_until`, under *absent, or unsent and past its lease*; the alert
    /// enters the history with it. One result each in input order.
    async fn claim(&self, alerts: &[Alert], now: Timestamp, lease_until: Timestamp)
    -> Vec<Result<Claimed, StoreError>>;

    /// Marks alerts as mailed.
    async fn mark_sent(&self, alerts: &[Alert], sent_at: Timestamp) -> Result<(), StoreError>;

    /// Takes the claim on a day's notice of refused commands, under *absent, or unsent and past its lease*.
    async fn claim_notice(
        &self,
        notice: &RefusedNotice,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Claimed, StoreError>;

    /// Marks the notice as mailed; `until` is how far its list reached.
    async fn mark_notice_sent(&self, notice: &RefusedNotice, until: Timestamp) -> Result<(), StoreError>;

    /// Up to when refused commands of this location have been told; `None` before the first notice.
    async fn notified_until(&self, location_id: &LocationId) -> Result<Option<Timestamp>, StoreError>;
}
