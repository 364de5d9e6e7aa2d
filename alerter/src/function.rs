//! One invocation of the function on AWS Lambda: alerts from the queue, or the hourly check for daily notices.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde_json::{Value, json};
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock;
use tokio_util::sync::CancellationToken;

use crate::alerter::Alerter;
use crate::config::MAIL_TIMEOUT;

/// How long the mark of a mail and the answer may take after the mail itself.
const MARK_TIME: Duration = Duration::from_secs(2);

/// The value of `stockline` in the schedule's input.
const DAILY_NOTICES: &str = "daily_notices";

/// Why an invocation failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The event is neither of the function's two kinds. A decoding error may quote the event, so it is not shown.
    #[error(
        "the event is not for this function: it handles messages of the alert queue, and a schedule whose input is \
         {{\"stockline\": \"{DAILY_NOTICES}\"}}"
    )]
    Foreign,
    /// The answer can't be encoded.
    #[error("the answer can't be encoded: {0}")]
    Answer(#[from] serde_json::Error),
}

/// An event of this function.
#[derive(Debug)]
enum Event {
    Alerts(SqsEvent),
    DailyNotices,
}

/// Handles one invocation, which must end by `deadline`: no mail begins that could outlast it. Returns the answer for
/// Lambda, which names the messages that must be delivered again.
///
/// # Errors
/// Fails if the event is not for this function.
pub async fn handle(
    alerter: &Alerter,
    clock: &Arc<dyn Clock>,
    event: Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    let event = read(event)?;
    let stop = CancellationToken::new();
    let trigger = stop.clone();
    let work = async {
        match event {
            Event::Alerts(event) => alerts(alerter, &event, &stop).await,
            Event::DailyNotices => {
                let mailed = alerter.daily_notices_until(clock.now(), Some(&stop)).await;
                Ok(json!({"mailed": mailed}))
            }
        }
    };
    let time = time_for_new_mails(clock.now(), deadline);
    if time.is_zero() {
        // The task below may start too late for that.
        trigger.cancel();
    }
    let stopping = tokio::spawn(async move {
        // After that a mail could outlast the invocation.
        tokio::time::sleep(time).await;
        trigger.cancel();
    });
    let answer = work.await;
    stopping.abort();
    answer
}

/// Returns how long from now mails may begin.
fn time_for_new_mails(now: Timestamp, deadline: Timestamp) -> Duration {
    let left = Duration::from_millis(u64::try_from(deadline.millis_since(now)).unwrap_or(0));
    let time = left.saturating_sub(MAIL_TIMEOUT + MARK_TIME);
    if time.is_zero() {
        tracing::error!(
            left_s = left.as_secs(),
            needed_s = (MAIL_TIMEOUT + MARK_TIME).as_secs(),
            "the function's timeout is too short for any mail: increase it"
        );
    }
    time
}

/// Decodes an event: the schedule's input `{"stockline": "daily_notices"}`, or messages as SQS passes them to Lambda.
fn read(event: Value) -> Result<Event, InvocationError> {
    if event.get("stockline").and_then(Value::as_str) == Some(DAILY_NOTICES) {
        return Ok(Event::DailyNotices);
    }
    serde_json::from_value(event).map(Event::Alerts).map_err(|_| InvocationError::Foreign)
}

/// Mails alerts. The answer names each failed record, so that it alone is delivered again. It also names messages that are
/// no alerts: the queue moves them to its dead letter queue in time.
async fn alerts(alerter: &Alerter, event: &SqsEvent, stop: &CancellationToken) -> Result<Value, InvocationError> {
    let records: Vec<(&str, &str)> = event
        .records
        .iter()
        .map(|record| (record.message_id.as_deref().unwrap_or_default(), record.body.as_deref().unwrap_or_default()))
        .collect();
    let results = alerter.handle_until(&records, Some(stop)).await;
    let mut answer = SqsBatchResponse::default();
    let failed = records.iter().zip(results).filter(|(_, result)| result.is_err());
    answer.set_failures(failed.map(|((message_id, _), _)| (*message_id).to_owned()));
    Ok(serde_json::to_value(answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_event_is_recognised() {
        assert!(matches!(read(json!({"stockline": "daily_notices"})), Ok(Event::DailyNotices)));
        assert!(matches!(read(json!({"Records": []})), Ok(Event::Alerts(_))));
        for other in [json!({}), json!({"stockline": "x"}), json!({"Records": 1, "secret": "s3"}), json!([1])] {
            let text = read(other).unwrap_err().to_string();
            assert!(text.contains("not for this function") && !text.contains("s3"), "{text}");
        }
    }

    #[test]
    fn no_mail_begins_shortly_before_the_deadline() {
        let now = Timestamp::from_millis(1_000_000);
        assert_eq!(time_for_new_mails(now, now.plus_millis(45_000)), Duration::from_secs(13));
        assert_eq!(time_for_new_mails(now, now.plus_millis(10_000)), Duration::ZERO);
        assert_eq!(time_for_new_mails(now, now.plus_millis(-1)), Duration::ZERO);
    }
}
