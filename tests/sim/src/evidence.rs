//! The evidence of a run, which the auditor judges.

use serde_json::Value;

use super::mail::SentMail;
use super::queue::Sent;
use super::scenario::Request;
use super::submit::TillLog;
use super::table::Table;

/// Everything that a run leaves behind.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// All queued messages, in order.
    pub(crate) sent: Vec<Sent>,
    pub(crate) table: Table,
    /// The published alerts, in order.
    pub(crate) topic: Vec<Value>,
    pub(crate) till_log: TillLog,
    pub(crate) requests: Vec<Request>,
    /// Whether all requests of the tills were accepted.
    pub(crate) tills_done: bool,
    pub(crate) refused_until_ms: u64,
    /// The item that could not be read: from, until.
    pub(crate) damaged: Option<(String, u64, u64)>,
    /// Whether the queue was empty at the end.
    pub(crate) drained: bool,
    /// The mails that the provider was asked to send.
    pub(crate) mails: Vec<SentMail>,
    /// Whether the alert queue was empty at the end.
    pub(crate) alerts_drained: bool,
    /// Alerts that the alert queue delivered twice without a fault.
    pub(crate) alerts_doubled: u64,
    /// Processes that died.
    pub(crate) crashes: u64,
}
