use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::batches::{Table, Write};
use super::file::QueueFile;
use super::in_flight::{DeliveryNo, read_handle, write_handle};
use stockline_core::domain::{Alert, seal};
use stockline_core::ports::{AlertDelivery, AlertHandle, AlertPublisher, AlertReceiver, QueueError};

/// The standalone home's alert queue, a table of `queue.db` ([`SqliteQueue::alerts`](crate::SqliteQueue::alerts)).
/// Every alert is delivered at least once, also across a restart.
#[derive(Debug, Clone)]
pub struct SqliteAlertQueue {
    file: Arc<QueueFile>,
}

impl SqliteAlertQueue {
    pub(super) fn new(file: Arc<QueueFile>) -> Self {
        Self { file }
    }

    /// Returns how many alerts are not mailed yet to all their recipients.
    pub fn waiting(&self) -> u64 {
        self.file.alerts.change(Instant::now(), |alerts| alerts.waiting())
    }

    async fn deliver(&self, taken: &[(DeliveryNo, i64)]) -> Result<Vec<AlertDelivery>, QueueError> {
        let rows: Vec<i64> = taken.iter().map(|(_, row)| *row).collect();
        let file = Arc::clone(&self.file);
        let bodies = tokio::task::spawn_blocking(move || file.read_bodies(Table::Alert, &rows))
            .await
            .map_err(|error| QueueError::Unavailable(format!("queue.db can't be read: {error}")))??;
        let deliveries = taken.iter().zip(bodies).filter_map(|((delivery, row), body)| {
            Some(AlertDelivery {
                handle: AlertHandle(write_handle(*delivery)),
                message_id: row.to_string().into(),
                body: body?.into(),
            })
        });
        Ok(deliveries.collect())
    }
}

#[async_trait]
impl AlertPublisher for SqliteAlertQueue {
    async fn publish(&self, alerts: &[Alert]) -> Vec<Result<(), QueueError>> {
        let bodies: Result<Vec<String>, _> =
            alerts.iter().map(|alert| serde_json::to_string(alert).map(seal)).collect();
        let result = match bodies {
            Ok(bodies) => self.file.write(Write::Publish(bodies)).await,
            Err(error) => Err(QueueError::Unavailable(format!("an alert can't be written as JSON: {error}"))),
        };
        vec![result; alerts.len()]
    }
}

#[async_trait]
impl AlertReceiver for SqliteAlertQueue {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<AlertDelivery>, QueueError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let shared = &self.file.alerts;
        let taken = shared
            .arrivals
            .take_in_time(wait, |now| shared.change(now, |alerts| (alerts.take(now, max), alerts.next_deadline())))
            .await;
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let delivered = self.deliver(&taken).await;
        if delivered.is_err() {
            let now = Instant::now();
            shared.change(now, |alerts| {
                taken.iter().for_each(|(delivery, _)| _ = alerts.hide(*delivery, now, Duration::ZERO));
            });
        }
        delivered
    }

    async fn ack(&self, handles: &[AlertHandle]) -> Result<(), QueueError> {
        let rows: Vec<i64> = self.file.alerts.change(Instant::now(), |alerts| {
            handles.iter().filter_map(|handle| alerts.ack(read_handle(&handle.0)?)).collect()
        });
        let all_held = rows.len() == handles.len();
        self.file.delete(Table::Alert, rows);
        if all_held { Ok(()) } else { Err(QueueError::HandleExpired) }
    }

    async fn release(&self, handles: &[AlertHandle], delay: Duration) -> Result<(), QueueError> {
        let now = Instant::now();
        let shared = &self.file.alerts;
        let all_held = shared.change(now, |alerts| {
            let held = |handle: &&AlertHandle| read_handle(&handle.0).is_some_and(|no| alerts.hide(no, now, delay));
            handles.iter().filter(held).count() == handles.len()
        });
        if all_held { Ok(()) } else { Err(QueueError::HandleExpired) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::alerts::VISIBILITY_TIMEOUT;
    use super::*;
    use crate::{DataFolder, QueueOptions, SqliteQueue};
    use stockline_core::domain::{AlertKind, CommandId, Quantity, Timestamp};
    use stockline_core::ports::FixedClock;

    fn alert(alert_no: u64) -> Alert {
        Alert {
            item_id: "cola".parse().unwrap(),
            location_id: "main".parse().unwrap(),
            alert_no,
            kind: AlertKind::Low,
            on_hand: "2".parse::<Quantity>().unwrap(),
            low_stock_threshold: None,
            seq: 1,
            raised_at: Timestamp::EPOCH,
            command_id: CommandId(uuid::Uuid::nil()),
            item_name: "Cola 0.33 l".into(),
            unit: "piece".into(),
            trace: None,
        }
    }

    fn open(folder: &tempfile::TempDir) -> SqliteAlertQueue {
        let folder = DataFolder::open(folder.path()).unwrap();
        let clock = Arc::new(FixedClock::at(Timestamp::EPOCH));
        SqliteQueue::open(&folder, QueueOptions::default(), clock).unwrap().alerts()
    }

    async fn receive(queue: &SqliteAlertQueue) -> Vec<AlertDelivery> {
        queue.receive(10, Duration::ZERO).await.unwrap()
    }

    fn handles(deliveries: &[AlertDelivery]) -> Vec<AlertHandle> {
        deliveries.iter().map(|delivery| delivery.handle.clone()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_alert_is_delivered_until_it_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(&folder);
        assert!(queue.publish(&[alert(1), alert(2)]).await.iter().all(Result::is_ok));
        let first = receive(&queue).await;
        assert_eq!(serde_json::from_str::<Alert>(&first[0].body).unwrap(), alert(1));
        assert_eq!((first.len(), receive(&queue).await.len()), (2, 0));

        tokio::time::advance(VISIBILITY_TIMEOUT).await;
        let second = receive(&queue).await;
        assert_eq!(second.len(), 2);
        assert!(matches!(queue.ack(&handles(&first)).await, Err(QueueError::HandleExpired)));
        queue.ack(&handles(&second)).await.unwrap();
        drop(queue);
        assert!(receive(&open(&folder)).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_released_alert_is_delivered_again_after_the_delay_and_its_handle_has_expired() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(&folder);
        queue.publish(&[alert(1)]).await[0].clone().unwrap();
        let first = receive(&queue).await;
        queue.release(&handles(&first), Duration::from_secs(5)).await.unwrap();
        assert!(receive(&queue).await.is_empty());
        assert!(queue.ack(&handles(&first)).await.is_err());
        let released = Instant::now();
        assert_eq!(queue.receive(10, Duration::from_secs(20)).await.unwrap().len(), 1);
        assert_eq!(released.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn an_unacknowledged_alert_is_delivered_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let queue = open(&folder);
        queue.publish(&[alert(1), alert(2)]).await[0].clone().unwrap();
        let deliveries = receive(&queue).await;
        queue.ack(&handles(&deliveries[..1])).await.unwrap();
        drop(queue);
        let again = receive(&open(&folder)).await;
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].message_id, deliveries[1].message_id);
    }
}
