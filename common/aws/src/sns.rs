use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sns::types::PublishBatchRequestEntry;
use futures_util::future::join_all;

use super::batch::{calls, sendable};
use super::{StartError, batch, sdk_error};
use stockline_core::domain::Alert;
use stockline_core::ports::{AlertPublisher, QueueError};

/// The most bytes of all messages of one call (SNS quotas: 256 KiB, less the frames of the entries).
const MAX_CALL_BYTES: usize = 250 * 1024;

/// Publishes alerts to an SNS standard topic, whose subscription delivers them raw to the alerter's queue.
#[derive(Debug)]
pub struct SnsPublisher {
    client: aws_sdk_sns::Client,
    topic_arn: String,
}

impl SnsPublisher {
    /// Makes a publisher for a topic.
    pub fn new(client: aws_sdk_sns::Client, topic_arn: String) -> Self {
        Self { client, topic_arn }
    }

    /// Checks that the topic exists and is a standard topic. A topic without subscriptions is logged as a warning.
    ///
    /// # Errors
    /// See [`StartError`]; needs the permission `sns:GetTopicAttributes`.
    pub async fn check(&self) -> Result<(), StartError> {
        let what = format!("the topic {}", self.topic_arn);
        let answer = self.client.get_topic_attributes().topic_arn(&self.topic_arn).send().await;
        let answer = answer.map_err(|error| StartError::of_call(&what, "sns:GetTopicAttributes", &error))?;
        let attribute = |name| answer.attributes().and_then(|attributes| attributes.get(name)).map(String::as_str);
        if self.topic_arn.ends_with(".fifo") || attribute("FifoTopic") == Some("true") {
            return Err(StartError::WrongKind(format!(
                "{what} is a FIFO topic: alerts need no order and are sent without a group; create a standard topic \
                 and name it"
            )));
        }
        if attribute("SubscriptionsConfirmed") == Some("0") {
            tracing::warn!("{what} has no subscription, so no alert is delivered; subscribe the alerter's queue to it");
        }
        Ok(())
    }

    async fn publish_batch(&self, bodies: &[Arc<str>]) -> Vec<Result<(), QueueError>> {
        let entries = bodies
            .iter()
            .enumerate()
            .map(|(place, body)| PublishBatchRequestEntry::builder().id(place.to_string()).message(&**body).build());
        let entries = match entries.collect() {
            Ok(entries) => entries,
            Err(error) => return vec![Err(unavailable(&error.to_string())); bodies.len()],
        };
        let call =
            self.client.publish_batch().topic_arn(&self.topic_arn).set_publish_batch_request_entries(Some(entries));
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) => return vec![Err(unavailable(&sdk_error::text(&error))); bodies.len()],
        };
        let successful = answer.successful().iter().filter_map(|entry| Some((entry.id()?, Ok(()))));
        let failed = answer.failed().iter().map(|entry| {
            let text = format!("{}: {}", entry.code(), entry.message().unwrap_or_default());
            (entry.id(), Err(unavailable(&sdk_error::short(&text))))
        });
        batch::results(bodies.len(), unavailable("SNS did not answer for this alert"), successful.chain(failed))
    }
}

fn unavailable(text: &str) -> QueueError {
    QueueError::Unavailable(format!("alerts can't be published: {text}"))
}

#[async_trait]
impl AlertPublisher for SnsPublisher {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        let bodies: Result<Vec<Arc<str>>, _> =
            alerts.iter().map(|alert| serde_json::to_string(alert).map(|json| sendable(&json))).collect();
        let bodies = match bodies {
            Ok(bodies) => bodies,
            Err(error) => return vec![Err(unavailable(&error.to_string())); alerts.len()],
        };
        let lengths: Vec<usize> = bodies.iter().map(|body| body.len()).collect();
        let calls = calls(&lengths, MAX_CALL_BYTES).into_iter().map(|range| self.publish_batch(&bodies[range]));
        join_all(calls).await.into_iter().flatten().collect()
    }
}
