//! Runs the contract suite of alert publishers and receivers in memory, on SQLite's alert queue, and on SNS with a raw
//! SQS subscription (the stand-in).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockline_aws::SnsPublisher;
use stockline_core::ports::AlertReceiver;
use stockline_core::testing::MemoryAlerts;
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_service::SystemClock;
use stockline_sqlite::{DataFolder, QueueOptions, SqliteAlertQueue, SqliteQueue};
use stockline_tests::aws_queues::{create_queue, unique_name};
use stockline_tests::contract::alerts::{Arrivals, TAKE_WAIT, Way};
use stockline_tests::sdk::clients;
use tokio::sync::OnceCell;

const VISIBILITY: Duration = Duration::from_secs(60);

async fn take(queue: &dyn AlertReceiver) -> Vec<Arc<str>> {
    let deliveries = queue.receive(10, TAKE_WAIT).await.unwrap();
    let handles: Vec<_> = deliveries.iter().map(|delivery| delivery.handle.clone()).collect();
    queue.ack(&handles).await.unwrap();
    deliveries.into_iter().map(|delivery| delivery.body).collect()
}

mod memory {
    use super::*;

    #[derive(Debug)]
    struct OfMemory(MemoryAlerts);

    #[async_trait]
    impl Arrivals for OfMemory {
        async fn take(&self) -> Vec<Arc<str>> {
            take(&self.0).await
        }
    }

    async fn way() -> Option<Way> {
        let alerts = MemoryAlerts::new(VISIBILITY);
        Some(Way { publisher: Arc::new(alerts.clone()), arrivals: Box::new(OfMemory(alerts)) })
    }

    stockline_tests::alerts_contract!(way());
}

mod sqlite {
    use super::*;

    #[derive(Debug)]
    struct OfFile(SqliteAlertQueue, #[expect(dead_code, reason = "deletes the folder at the end")] tempfile::TempDir);

    #[async_trait]
    impl Arrivals for OfFile {
        async fn take(&self) -> Vec<Arc<str>> {
            take(&self.0).await
        }
    }

    async fn way() -> Option<Way> {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        let alerts = SqliteQueue::open(&data, QueueOptions::default(), Arc::new(SystemClock)).unwrap().alerts();
        Some(Way { publisher: Arc::new(alerts.clone()), arrivals: Box::new(OfFile(alerts, folder)) })
    }

    stockline_tests::alerts_contract!(way());
}

mod sns {
    use super::*;

    static SERVER: OnceCell<Ministack> = OnceCell::const_new();

    #[derive(Debug)]
    struct OfQueue {
        sqs: aws_sdk_sqs::Client,
        url: String,
    }

    #[async_trait]
    impl Arrivals for OfQueue {
        async fn take(&self) -> Vec<Arc<str>> {
            let wait_s = i32::try_from(TAKE_WAIT.as_secs()).unwrap();
            let call = self.sqs.receive_message().queue_url(&self.url).max_number_of_messages(10);
            let messages = call.wait_time_seconds(wait_s).send().await.unwrap().messages.unwrap_or_default();
            for message in &messages {
                let receipt = message.receipt_handle().unwrap();
                self.sqs.delete_message().queue_url(&self.url).receipt_handle(receipt).send().await.unwrap();
            }
            messages.into_iter().map(|message| message.body.unwrap().into()).collect()
        }
    }

    async fn way() -> Option<Way> {
        if !aws_tests() {
            return None;
        }
        let clients = clients(SERVER.get_or_init(Ministack::start).await);
        let name = unique_name("alerts");
        let topic = clients.sns.create_topic().name(&name).send().await.unwrap().topic_arn.unwrap();
        let (url, arn) = create_queue(&clients, &name, HashMap::new()).await;
        let subscription = clients.sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn);
        subscription.attributes("RawMessageDelivery", "true").send().await.unwrap();
        let publisher = SnsPublisher::new(clients.sns, topic);
        publisher.check().await.unwrap();
        Some(Way { publisher: Arc::new(publisher), arrivals: Box::new(OfQueue { sqs: clients.sqs, url }) })
    }

    stockline_tests::alerts_contract!(way());
}
