//! Creates queues, topics and identities on the AWS stand-in, for tests that need their own.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde_json::json;
use stockline_aws::Clients;
use uuid::Uuid;

/// The attributes of Stockline's queues, as in `deploy/template.yaml`.
pub fn fifo_attributes() -> HashMap<Name, String> {
    HashMap::from([
        (Name::FifoQueue, "true".to_owned()),
        (Name::DeduplicationScope, "messageGroup".to_owned()),
        (Name::FifoThroughputLimit, "perMessageGroupId".to_owned()),
        (Name::MessageRetentionPeriod, "1209600".to_owned()),
    ])
}

/// Creates a queue and returns its URL and its ARN.
pub async fn create_queue(clients: &Clients, name: &str, attributes: HashMap<Name, String>) -> (String, String) {
    let made = clients.sqs.create_queue().queue_name(name).set_attributes(Some(attributes)).send().await.unwrap();
    let url = made.queue_url.unwrap();
    let found = clients.sqs.get_queue_attributes().queue_url(&url).attribute_names(Name::QueueArn);
    let arn = found.send().await.unwrap().attributes.unwrap().remove(&Name::QueueArn).unwrap();
    (url, arn)
}

/// Creates a command queue and its dead letter queue under a unique name, and returns their URLs.
pub async fn create_command_queues(clients: &Clients, max_receives: u32) -> (String, String) {
    let name = unique_name("commands");
    let (dlq_url, dlq_arn) = create_queue(clients, &format!("{name}-dlq.fifo"), fifo_attributes()).await;
    let mut attributes = fifo_attributes();
    let policy = json!({ "deadLetterTargetArn": dlq_arn, "maxReceiveCount": max_receives });
    attributes.insert(Name::RedrivePolicy, policy.to_string());
    let (url, _) = create_queue(clients, &format!("{name}.fifo"), attributes).await;
    (url, dlq_url)
}

/// Returns a name that no other test has.
#[expect(clippy::disallowed_methods, reason = "a test's own names")]
pub fn unique_name(of: &str) -> String {
    format!("{of}-{}", Uuid::new_v4().simple())
}
