//! The alert topic as a model: what was taken is told, at least once.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockline_core::domain::Alert;
use stockline_core::ports::{AlertPublisher, QueueError};

use super::faults::{Kind, Step};
use super::mail::AlertQueue;
use super::tamper::Tamper;
use super::world::{Answer, Process};

/// What was taken, in order, as JSON.
pub(crate) type Topic = Arc<Mutex<Vec<serde_json::Value>>>;

/// One process's way to the topic.
#[derive(Debug)]
pub(crate) struct TopicEnd {
    pub(crate) process: Arc<Process>,
    pub(crate) topic: Topic,
    /// Where it hands on what it took.
    pub(crate) queue: Arc<AlertQueue>,
}

#[async_trait]
impl AlertPublisher for TopicEnd {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        let told: Arc<Vec<_>> = Arc::new(alerts.iter().map(|alert| serde_json::to_value(alert).unwrap()).collect());
        let serve = |kind: Option<Kind>| {
            let (told, topic, queue) = (told.clone(), self.topic.clone(), self.queue.clone());
            async move {
                let take = |(index, alert): (usize, &serde_json::Value)| {
                    if kind == Some(Kind::Partial) && index.is_multiple_of(2) {
                        return Err(QueueError::Unavailable("this entry failed".into()));
                    }
                    topic.lock().unwrap().push(alert.clone());
                    queue.put(&alert.to_string());
                    Ok(())
                };
                told.iter().enumerate().map(take).collect::<Vec<_>>()
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
            Answer::Came(answers) => answers,
            _ => vec![Err(QueueError::Unavailable("no answer came".into())); alerts.len()],
        }
    }
}
