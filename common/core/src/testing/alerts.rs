use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::MemoryQueue;
use crate::domain::Alert;
use crate::ports::{
    AlertDelivery, AlertHandle, AlertPublisher, AlertReceiver, CommandReceiver as _, Handle, QueueError,
};

/// The alert publisher and receiver in memory. Each alert is a message of its own group, so alerts arrive in any order.
#[derive(Debug, Clone)]
pub struct MemoryAlerts {
    queue: Arc<MemoryQueue>,
    published: Arc<Mutex<Vec<Alert>>>,
}

impl MemoryAlerts {
    /// Returns an empty publisher and receiver that holds each delivery for `visibility`.
    pub fn new(visibility: Duration) -> Self {
        Self { queue: Arc::new(MemoryQueue::new(visibility)), published: Arc::default() }
    }

    /// Queues a body, without checks.
    pub fn put(&self, body: &str) {
        #[expect(clippy::disallowed_methods, reason = "each message of a test is a group of its own")]
        let group = Uuid::new_v4().to_string();
        self.queue.put(&group, body);
    }

    /// Waits until every message is acknowledged.
    pub async fn drained(&self) {
        self.queue.drained().await;
    }

    /// Returns every alert published so far, in order.
    pub fn published(&self) -> Vec<Alert> {
        self.published.lock().unwrap().clone()
    }
}

#[async_trait]
impl AlertPublisher for MemoryAlerts {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        for alert in alerts {
            self.published.lock().unwrap().push(alert.clone());
            self.put(&serde_json::to_string(alert).unwrap());
        }
        vec![Ok(()); alerts.len()]
    }
}

#[async_trait]
impl AlertReceiver for MemoryAlerts {
    #[expect(clippy::disallowed_methods, reason = "a receive of a test has an id of its own")]
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<AlertDelivery>, QueueError> {
        let deliveries = self.queue.receive(max, wait, Uuid::new_v4()).await?;
        let alert = |delivery: crate::ports::Delivery| AlertDelivery {
            handle: AlertHandle(delivery.handle.0),
            message_id: delivery.message_id,
            body: delivery.body,
        };
        Ok(deliveries.into_iter().map(alert).collect())
    }

    async fn ack(&self, handles: &[AlertHandle]) -> Result<(), QueueError> {
        let handles: Vec<_> = handles.iter().map(|handle| Handle(handle.0.clone())).collect();
        // An expired handle acknowledges nothing, so its message is delivered again.
        self.queue.ack(&handles).await;
        Ok(())
    }

    async fn release(&self, handles: &[AlertHandle], delay: Duration) -> Result<(), QueueError> {
        let changes: Vec<_> = handles.iter().map(|handle| (Handle(handle.0.clone()), delay)).collect();
        self.queue.change_visibility(&changes).await;
        Ok(())
    }
}
