//! The alerter: turns alert messages into mails, each alert once, and tells once a day what was refused
//! (design.md §8).
//!
//! [`Alerter::handle`] is the whole of it for a batch of messages; [`run`] feeds it from a queue. Mails leave by the
//! [`Mailer`] port, whose adapters for files and SMTP are in [`mail`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::sync::Arc;
use std::time::Duration;

use stockline_core::ports::{AlertBook, Clock, Locations, Mailer, Queries};

mod alerter;
mod compose;
mod deliver;
mod feed;
#[cfg(feature = "aws")]
pub mod function;
pub mod mail;
pub mod metrics;
mod notices;
mod place;

pub use alerter::{Alerter, RecordFailure, RetryReason};
pub use compose::test_mail;
pub use deliver::{MAIL_TIMEOUT, MIN_LEASE};
pub use feed::run;

/// How the alerter runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who gets the alerts of locations without `alert_emails`.
    pub recipients: Vec<String>,
    /// How long a claim holds: longer than handling a batch takes. Less than [`MIN_LEASE`] counts as that.
    pub lease: Duration,
    /// Mails link here, where set: the address of the installation, `https://…` or `http://…`.
    pub public_url: Option<String>,
}

/// What the alerter needs.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// History and claims.
    pub book: Arc<dyn AlertBook>,
    /// Recipients and time zones.
    pub locations: Arc<dyn Locations>,
    /// Refused commands, for the daily notice.
    pub queries: Arc<dyn Queries>,
    /// Where mails go.
    pub mailer: Arc<dyn Mailer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}
