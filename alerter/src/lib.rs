//! The alerter: mails each alert once, and once a day the commands that were refused (design.md §8).
//!
//! [`Alerter::handle`] handles a batch of alert messages; [`run`] feeds it from a queue. Mails leave through the
//! [`Mailer`](stockline_core::ports::Mailer) port.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

mod alerter;
mod alerts;
mod compose;
mod config;
mod contact;
mod deliveries;
mod failure;
mod feed;
#[cfg(feature = "aws")]
pub mod function;
pub mod metrics;
mod notices;
mod refused;
mod schedule;

pub use alerter::Alerter;
pub use compose::test_mail;
pub use config::{Adapters, Config, MAIL_TIMEOUT, MIN_LEASE, OPENINGS_QUIET, OPENINGS_WAIT_MAX};
pub use failure::{RecordFailure, RetryReason};
pub use feed::run;
