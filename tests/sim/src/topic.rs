//! A model of the alert topic: accepted alerts are delivered at least once.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockline_core::domain::Alert;
use stockline_core::ports::{AlertPublisher, QueueError};

use super::faults::{Kind, Step};
use super::mail::AlertQueue;
use super::tamper::Tamper;
use super::world::{Answer, Process};

/// The accepted alerts in JSON, in order.
pub(crate) type Topic = Arc<Mutex<Vec<serde_json::Value>>>;

/// One process's client of the topic.
#[derive(Debug)]
pub(crate) struct TopicClient {
    pub(crate) process: Arc<Process>,
    pub(crate) topic: Topic,
    /// The queue that receives the alerts.
    pub(crate) queue: Arc<AlertQueue>,
}

#[async_trait]
impl AlertPublisher for TopicClient {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        let published: Arc<Vec<_>> =
            Arc::new(alerts.iter().map(|alert| serde_json::to_value(alert).unwrap()).collect());
        let serve = |kind: Option<Kind>| {
            let (published, topic, queue) = (published.clone(), self.topic.clone(), self.queue.clone());
            async move {
                let take = |(index, alert): (usize, &serde_json::Value)| {
                    if kind == Some(Kind::Partial) && index.is_multiple_of(2) {
                        return Err(QueueError::Unavailable("this entry failed".into()));
                    }
                    topic.lock().unwrap().push(alert.clone());
                    queue.put(&alert.to_string());
                    Ok(())
                };
                published.iter().enumerate().map(take).collect::<Vec<_>>()
            }
        };
        let answer = self.process.call(Step::Publish, serve).await;
        self.process.world.note(|| {
            let ids: Vec<_> = alerts.iter().map(Alert::id).collect();
            format!("{} published {ids:?}: {answer:?}", self.process.name)
        });
        if self.process.world.is(Tamper::PublishUnchecked) {
            return vec![Ok(()); alerts.len()];
        }
        match answer {
            Answer::Received(answers) => answers,
            _ => vec![Err(QueueError::Unavailable("no answer came".into())); alerts.len()],
        }
    }
}
