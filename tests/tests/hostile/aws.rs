//! Sends messages that no program of ours wrote to the AWS home.

use std::sync::Arc;
use std::time::Duration;

use stockline_aws::{DynamoOptions, SnsPublisher, SqsOptions, SqsQueue};
use stockline_core::ports::FixedClock;
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_tests::aws_queues::{create_command_queues, unique_name};
use stockline_tests::contract::hostile;
use stockline_tests::contract::store::{Ports, at};
use stockline_tests::dynoxide::Dynoxide;
use stockline_tests::inject::Script;
use stockline_tests::sdk::clients;

const RECEIVES_MAX: u32 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_no_one_wrote_harms_only_itself() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let clients = clients(&server);
    let (url, dlq_url) = create_command_queues(&clients, RECEIVES_MAX).await;
    let options = SqsOptions { visibility_timeout: Duration::from_secs(30), ..SqsOptions::default() };
    let queue = Arc::new(SqsQueue::new(clients.sqs.clone(), url, Some(dlq_url), options));
    let topic = clients.sns.create_topic().name(unique_name("alerts")).send().await.unwrap().topic_arn.unwrap();
    let alerts = Arc::new(SnsPublisher::new(clients.sns, topic));
    let engine = Dynoxide::start().await;
    let store = engine.store(&Script::new(), DynamoOptions::default(), Arc::new(FixedClock::at(at(0))));
    hostile::a_message_no_one_wrote_harms_only_itself(queue.clone(), queue, alerts, Ports::of(store)).await;
}
