//! Tests the ingress over the AWS adapters while the queue or the store is down. The ingress accepts only durable
//! commands, and reports a command as queued only after it has looked for its outcome.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};
use stockline_aws::{Clients, DynamoOptions, SqsOptions, SqsQueue};
use stockline_core::ports::{CommandSender, FixedClock};
use stockline_core::testing::MemoryQueue;
use stockline_tests::contract::store::{at, id};
use stockline_tests::dynoxide::Dynoxide;
use stockline_tests::in_process::{PATIENCE, RunningIngress};
use stockline_tests::inject::{Fault, Script, error, sdk_config};

/// No server listens at this address, and no request of these tests gets that far.
const NOWHERE: &str = "http://127.0.0.1:9";

fn outages() -> Vec<Fault> {
    vec![
        Fault::DropBefore,
        error("ThrottlingException", "slow down"),
        error("ExpiredTokenException", "The security token included in the request is expired"),
        error("AccessDeniedException", "not authorized"),
        Fault::Answer(500, json!({ "__type": "InternalFailure" })),
        Fault::Answer(503, json!("<html>")),
        Fault::Answer(200, json!({ "Successful": [], "Failed": [] })),
        Fault::Answer(200, json!("not an answer")),
    ]
}

fn sale(n: u128) -> Value {
    json!({ "type": "sell", "command_id": id(n), "item_id": "cola", "quantity": "1" })
}

async fn ingress(queue: Arc<dyn CommandSender>, engine: &Dynoxide, script: &Script) -> RunningIngress {
    let clock = Arc::new(FixedClock::at(at(0)));
    let store = engine.store(script, DynamoOptions::default(), clock.clone());
    RunningIngress::start(queue, Arc::new(store), clock).await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_queue_is_out_commands_are_503_and_never_202() {
    let engine = &Dynoxide::start().await;
    join_all(outages().into_iter().map(async |outage| {
        let script = Script::new();
        let sqs = Clients::from_sdk_config(&sdk_config(NOWHERE, &script)).sqs;
        let url = format!("{NOWHERE}/000000000000/commands.fifo");
        let queue = Arc::new(SqsQueue::new(sqs, url, None, SqsOptions::default()));
        let ingress = ingress(queue, engine, &Script::new()).await;
        script.always("*", outage.clone());
        let one = ingress.post("/v1/commands", &sale(1)).await;
        assert_eq!((one.status, one.body["retryable"].clone()), (503, json!(true)), "{outage:?}: {one:?}");
        assert!(one.retry_after.is_some(), "{one:?}");
        let sent = script.count("SendMessageBatch");
        let batch = json!({ "commands": [sale(100), sale(101)] });
        let batch = ingress.post("/v1/commands/batch", &batch).await;
        assert_eq!(batch.status, 503, "all of them failed: {batch:?}");
        assert!(batch.retry_after.is_some() && !batch.body.to_string().contains("status_url"), "{batch:?}");
        assert!(sent > 0 && script.count("SendMessageBatch") > sent, "it was tried");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_out_commands_are_202_and_their_status_is_503() {
    let engine = Dynoxide::start().await;
    let script = Script::new();
    let queue = Arc::new(MemoryQueue::new(PATIENCE).giving_back_at_once());
    let ingress = ingress(queue.clone(), &engine, &script).await;
    for (n, outage) in outages().into_iter().enumerate() {
        script.always("*", outage.clone());
        let accepted = ingress.post("/v1/commands", &sale(n as u128)).await;
        assert_eq!((accepted.status, accepted.body["status"].clone()), (202, json!("queued")), "{accepted:?}");
        let address = accepted.body["status_url"].as_str().unwrap().to_owned();
        let many = json!({ "commands": [{ "item_id": "cola", "command_id": id(n as u128) }] });
        // An answer without the row is also the answer of a healthy store that does not have the command.
        if !matches!(&outage, Fault::Answer(200, body) if body.is_object()) {
            for answer in [ingress.get(&address).await, ingress.post("/v1/commands/status", &many).await] {
                assert_eq!(answer.status, 503, "{outage:?}: {answer:?}");
                assert!(answer.retry_after.is_some() && !answer.body.to_string().contains("queued"), "{answer:?}");
            }
        }
        script.clear();
        let status = ingress.get(&address).await;
        assert_eq!((status.status, status.body["status"].clone()), (200, json!("queued")), "{status:?}");
    }
    assert_eq!(queue.receives().len(), outages().len(), "each is in the queue, once");
}
