use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName;
use uuid::Uuid;

use self::dlq_turns::DlqTurns;
use super::{StartError, batch, sdk_error};
use stockline_core::ports::{CommandReceiver, CommandSender, Delivery, Handle, Pack, QueueDepth, QueueError};

mod check;
mod dlq_turns;
mod entries;
mod receive;
mod send;
mod settle;

pub use check::QUEUE_MAX_RECEIVES;

/// The most messages of one receive (SQS quotas).
const MAX_RECEIVE: usize = 10;

/// The longest that SQS hides a message, in seconds, counted from its first receive.
const MAX_VISIBILITY_S: u64 = 12 * 3_600;

/// The settings of the queue.
#[derive(Debug, Clone)]
pub struct SqsOptions {
    /// How long a delivery stays open unless the receiver changes it: whole seconds, at most 12 hours. Every receive
    /// sends it to SQS, so the queue's own setting does not matter.
    pub visibility_timeout: Duration,
    /// How often a receive reads the dead letter queue instead.
    pub dlq_interval: Duration,
}

impl Default for SqsOptions {
    /// A visibility timeout of 60 s, as in the standalone home, and a look at the dead letter queue every 30 s.
    fn default() -> Self {
        Self { visibility_timeout: Duration::from_secs(60), dlq_interval: Duration::from_secs(30) }
    }
}

/// The command queue on SQS FIFO, with its dead letter queue.
///
/// A receive returns at most 10 messages; several receivers make it faster. From time to time a receive reads the dead
/// letter queue first, and marks its messages [`Delivery::set_aside`]. If that queue is empty, it reads the main queue.
/// Every handle names its queue.
#[derive(Debug)]
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    main_url: String,
    dlq_url: Option<String>,
    options: SqsOptions,
    dlq_turns: DlqTurns,
}

/// One of the two queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Main,
    DeadLetters,
}

impl SqsQueue {
    /// Makes an adapter for these queues. A program that only sends names no dead letter queue.
    pub fn new(client: aws_sdk_sqs::Client, queue_url: String, dlq_url: Option<String>, options: SqsOptions) -> Self {
        let dlq_turns = DlqTurns::new(options.dlq_interval);
        Self { client, main_url: queue_url, dlq_url, options, dlq_turns }
    }

    /// Checks that the queues exist and that Stockline can keep its promises on them. A setting that weakens a promise
    /// is logged as a warning.
    ///
    /// # Errors
    /// See [`StartError`]; needs the permission `sqs:GetQueueAttributes` on both.
    pub async fn check(&self) -> Result<(), StartError> {
        check::check(self).await
    }

    fn url(&self, source: Source) -> Option<&str> {
        match source {
            Source::Main => Some(&self.main_url),
            Source::DeadLetters => self.dlq_url.as_deref(),
        }
    }
}

impl Source {
    /// Both queues.
    const ALL: [Self; 2] = [Self::Main, Self::DeadLetters];

    fn mark(self) -> &'static str {
        match self {
            Self::Main => "q:",
            Self::DeadLetters => "d:",
        }
    }

    /// Makes the handle of a delivery from SQS's receipt handle and the queue where it is valid.
    fn handle(self, receipt: &str) -> Handle {
        Handle(format!("{}{receipt}", self.mark()).into())
    }

    /// Returns the receipt handle if it belongs to this queue.
    fn receipt(self, handle: &Handle) -> Option<&str> {
        handle.0.strip_prefix(self.mark()).filter(|receipt| !receipt.is_empty())
    }
}

#[async_trait]
impl CommandSender for SqsQueue {
    async fn send(&self, packs: Vec<Pack>) -> Vec<Result<(), QueueError>> {
        send::send(self, &packs).await
    }

    fn max_batch(&self) -> usize {
        batch::MAX_ENTRIES
    }
}

#[async_trait]
impl CommandReceiver for SqsQueue {
    /// `wait` is rounded up to whole seconds, at most 20. The dead letter queue gets an attempt id derived from
    /// `attempt`.
    async fn receive(&self, max: usize, wait: Duration, attempt: Uuid) -> Result<Vec<Delivery>, QueueError> {
        receive::receive(self, max, wait, attempt).await
    }

    async fn ack(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        settle::ack(self, handles).await
    }

    /// Durations are rounded up to whole seconds.
    async fn change_visibility(&self, handles: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        settle::change_visibility(self, handles).await
    }

    fn visibility_timeout(&self) -> Duration {
        self.options.visibility_timeout
    }

    /// Returns the depth of the main queue. This call reports no age, so `oldest_age_ms` is 0; CloudWatch has the
    /// metric `ApproximateAgeOfOldestMessage`.
    async fn depth(&self) -> Result<QueueDepth, QueueError> {
        let (visible, in_flight) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.main_url)
            .attribute_names(visible.clone())
            .attribute_names(in_flight.clone())
            .send()
            .await
            .map_err(|error| QueueError::Unavailable(sdk_error::text(&error)))?;
        let number = |name| answer.attributes()?.get(name)?.parse::<u64>().ok();
        let unreadable = || QueueError::Unavailable("SQS did not report the number of messages".into());
        Ok(QueueDepth {
            visible: number(&visible).ok_or_else(unreadable)?,
            in_flight: number(&in_flight).ok_or_else(unreadable)?,
            oldest_age_ms: 0,
        })
    }
}

/// Rounds up to whole seconds, at most `most`.
fn whole_seconds(duration: Duration, most: u64) -> i32 {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0)).min(most);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_never_shortened() {
        let seconds = |duration| whole_seconds(duration, MAX_VISIBILITY_S);
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::from_nanos(1)), 1);
        assert_eq!(seconds(Duration::from_millis(59_001)), 60);
        assert_eq!(seconds(Duration::from_secs(60)), 60);
        assert_eq!(seconds(Duration::MAX), 43_200);
    }

    #[test]
    fn a_handle_belongs_to_the_queue_that_made_it() {
        let handle = Source::DeadLetters.handle("AQEB:x");
        assert_eq!(Source::DeadLetters.receipt(&handle), Some("AQEB:x"));
        assert_eq!(Source::Main.receipt(&handle), None);
        assert_eq!(Source::Main.receipt(&Handle("q:".into())), None);
    }
}
