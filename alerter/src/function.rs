//! One invocation of the function on AWS Lambda: alerts from the queue, or the hourly look for daily notices.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use serde_json::{Value, json};
use stockline_core::domain::Timestamp;
use stockline_core::ports::Clock;
use stockline_service::Shutdown;

use crate::{Alerter, MAIL_TIMEOUT};

/// What a mail's mark and the answer may take after the mail itself.
const MARK_ROOM: Duration = Duration::from_secs(2);

/// What the schedule's input names as its order.
const DAILY_NOTICES: &str = "daily_notices";

/// Why an invocation failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The event is of no kind that the function takes. What reading it says may quote it, so it is not told.
    #[error(
        "the event is none of this function's: it takes messages of the alert queue, and a schedule whose input is \
         {{\"stockline\": \"{DAILY_NOTICES}\"}}"
    )]
    Foreign,
    /// The answer can't be written.
    #[error("the answer can't be written: {0}")]
    Answer(#[from] serde_json::Error),
}

/// An event of this function.
#[derive(Debug)]
enum Event {
    Alerts(SqsEvent),
    DailyNotices,
}

/// Handles one invocation, which must be over at `deadline`; no mail begins that could outlast it. Answers Lambda:
/// for messages, which of them must come again.
///
/// # Errors
/// Where the event is none of this function's.
pub async fn handle(
    alerter: &Alerter,
    clock: &Arc<dyn Clock>,
    event: Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    let event = read(event)?;
    let (trigger, stop) = Shutdown::new();
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
        // The task below may come too late for that.
        trigger.request();
    }
    let stopping = tokio::spawn(async move {
        // From then on a mail could outlast the invocation.
        tokio::time::sleep(time).await;
        trigger.request();
    });
    let answer = work.await;
    stopping.abort();
    answer
}

/// For how long mails may begin.
fn time_for_new_mails(now: Timestamp, deadline: Timestamp) -> Duration {
    let left = Duration::from_millis(u64::try_from(deadline.millis_since(now)).unwrap_or(0));
    let time = left.saturating_sub(MAIL_TIMEOUT + MARK_ROOM);
    if time.is_zero() {
        tracing::error!(
            left_s = left.as_secs(),
            needed_s = (MAIL_TIMEOUT + MARK_ROOM).as_secs(),
            "the function's timeout is too short for any mail: make it longer"
        );
    }
    time
}

/// The schedule's input is `{"stockline": "daily_notices"}`; messages come as SQS hands them to Lambda.
fn read(event: Value) -> Result<Event, InvocationError> {
    if event.get("stockline").and_then(Value::as_str) == Some(DAILY_NOTICES) {
        return Ok(Event::DailyNotices);
    }
    serde_json::from_value(event).map(Event::Alerts).map_err(|_| InvocationError::Foreign)
}

/// Mails; a record that failed is named, so that it alone comes again, one that is no alert too: the queue moves it
/// to its dead letter queue in time.
async fn alerts(alerter: &Alerter, event: &SqsEvent, stop: &Shutdown) -> Result<Value, InvocationError> {
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
    fn each_event_is_told_from_the_others() {
        assert!(matches!(read(json!({"stockline": "daily_notices"})), Ok(Event::DailyNotices)));
        assert!(matches!(read(json!({"Records": []})), Ok(Event::Alerts(_))));
        for other in [json!({}), json!({"stockline": "x"}), json!({"Records": 1, "secret": "s3"}), json!([1])] {
            let text = read(other).unwrap_err().to_string();
            assert!(text.contains("none of this function's") && !text.contains("s3"), "{text}");
        }
    }

    #[test]
    fn mails_stop_beginning_before_the_deadline() {
        let now = Timestamp::from_millis(1_000_000);
        assert_eq!(time_for_new_mails(now, now.plus_millis(45_000)), Duration::from_secs(13));
        assert_eq!(time_for_new_mails(now, now.plus_millis(10_000)), Duration::ZERO);
        assert_eq!(time_for_new_mails(now, now.plus_millis(-1)), Duration::ZERO);
    }
}
