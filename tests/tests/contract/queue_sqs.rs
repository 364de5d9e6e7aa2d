//! Runs the contract suite of the command queue on SQS FIFO (the stand-in).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockline_aws::{SqsOptions, SqsQueue};
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_tests::aws_queues::create_command_queues;
use stockline_tests::contract::queue::{Capabilities, Home, Queue};
use stockline_tests::sdk::clients;
use tokio::sync::OnceCell;

/// All tests of this process share one server, which ends with the process.
static SERVER: OnceCell<Ministack> = OnceCell::const_new();

#[derive(Debug)]
struct Sqs(&'static Ministack);

#[async_trait]
impl Home for Sqs {
    async fn open(&self, visibility: Duration, max_receives: u32) -> Queue {
        let clients = clients(self.0);
        let (url, dlq_url) = create_command_queues(&clients, max_receives).await;
        // Every receive reads the dead letter queue first.
        let options = SqsOptions { visibility_timeout: visibility, dlq_interval: Duration::ZERO };
        let queue = Arc::new(SqsQueue::new(clients.sqs, url, Some(dlq_url), options));
        queue.check().await.unwrap();
        // SQS has both capabilities; the stand-in lacks them.
        let capabilities = Capabilities { refuses_expired: false, remembers_attempts: false };
        Queue { sender: queue.clone(), receiver: queue, capabilities }
    }
}

async fn home() -> Option<Sqs> {
    if !aws_tests() {
        return None;
    }
    Some(Sqs(SERVER.get_or_init(Ministack::start).await))
}

stockline_tests::queue_contract!(home());
