//! `queue.db` with its two queues: commands, and alerts for mailing.
//!
//! Both share one file, one writer and its batches ([`file`], [`batches`]). Order, locks and deliveries are kept in
//! memory ([`messages`], [`alerts`]), because one process owns the file.

mod alert_queue;
mod alerts;
mod arrivals;
mod batches;
mod command_queue;
mod file;
mod in_flight;
mod messages;
mod options;
mod pace;
mod recover;
mod structure;
#[cfg(test)]
mod tests;

pub use alert_queue::SqliteAlertQueue;
pub use command_queue::SqliteQueue;
pub(crate) use file::QUEUE;
pub use options::QueueOptions;
