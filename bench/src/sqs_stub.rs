//! A stand-in for SQS FIFO in this process, as far as Stockline uses it. It counts what SQS would bill.
//!
//! It speaks the JSON protocol, so the real adapter and the real SDK can use it. A group delivers at most ten messages
//! until they are deleted or visible again. There is no deduplication and no dead letter queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

mod fifo;

use crate::background_server::BackgroundServer;
use crate::prices::sqs_requests;
use fifo::Fifo;

/// The default visibility timeout of a delivery.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(120);

/// Requests as made, and as SQS bills them: per 64 KB of payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Billed {
    /// The number of calls.
    pub(crate) calls: u64,
    /// The number of billed requests.
    pub(crate) requests: u64,
    /// The bytes of the messages.
    pub(crate) bytes: u64,
}

/// The counts by action. Empty receives are counted under `ReceiveMessage (empty)`.
pub(crate) type BilledByAction = BTreeMap<&'static str, Billed>;

/// Empty receives: their number depends on time, not on commands.
pub(crate) const EMPTY_RECEIVE: &str = "ReceiveMessage (empty)";

#[derive(Debug, Default)]
struct State {
    fifo: Fifo,
    billed: BilledByAction,
    /// Whether receives wait although there are messages.
    held: bool,
}

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<State>,
    arrived: Notify,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, State> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running queue. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct SqsStub {
    server: BackgroundServer,
    shared: Arc<Shared>,
}

impl SqsStub {
    /// Starts an empty queue on its own thread.
    pub(crate) fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serve = async |listener| {
            // It stops when it is dropped. An earlier error shows up in the first call.
            let _ = axum::serve(listener, router).await;
        };
        Ok(Self { server: BackgroundServer::start("stub", serve)?, shared })
    }

    /// Returns the endpoint.
    pub(crate) fn url(&self) -> &str {
        self.server.url()
    }

    /// Returns the address of the queue.
    pub(crate) fn queue_url(&self) -> String {
        format!("{}/queue.fifo", self.url())
    }

    /// Stops or resumes delivery, so that messages can gather.
    pub(crate) fn hold(&self, held: bool) {
        self.shared.inner().held = held;
        self.shared.arrived.notify_waiters();
    }

    /// Returns the number of messages that are not deleted.
    pub(crate) fn depth(&self) -> usize {
        self.shared.inner().fifo.depth()
    }

    /// Waits until every message is deleted; fails if none was deleted for `patience`.
    pub(crate) async fn drained(&self, patience: Duration) -> Result<()> {
        let (mut depth, mut since) = (self.depth(), Instant::now());
        while depth > 0 {
            // Nothing signals the last delete, so this polls, bounded by `patience`.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let now = self.depth();
            if now != depth {
                (depth, since) = (now, Instant::now());
            }
            anyhow::ensure!(
                since.elapsed() < patience,
                "{depth} messages are stuck: none was deleted for {patience:?}"
            );
        }
        Ok(())
    }

    /// Resets the counts and returns them.
    pub(crate) fn reset(&self) -> BilledByAction {
        std::mem::take(&mut self.shared.inner().billed)
    }
}

/// The result of one request: the answer, the name under which it is billed, and the message bytes that it carried.
struct Done {
    answer: Value,
    billed_as: &'static str,
    bytes: usize,
}

impl Done {
    fn of(billed_as: &'static str, answer: Value) -> Self {
        Self { answer, billed_as, bytes: 0 }
    }
}

async fn answer(extract::State(shared): extract::State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(done) = act(&shared, target.trim_start_matches("AmazonSQS."), &input).await else {
        let error = json!({"__type": "com.amazonaws.sqs#UnsupportedOperation", "message": target});
        return reply(StatusCode::BAD_REQUEST, &error);
    };
    let mut inner = shared.inner();
    let billed = inner.billed.entry(done.billed_as).or_default();
    billed.calls += 1;
    billed.requests += sqs_requests(done.bytes);
    billed.bytes += done.bytes as u64;
    drop(inner);
    reply(StatusCode::OK, &done.answer)
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body.to_string()).into_response()
}

async fn act(shared: &Shared, action: &str, input: &Value) -> Option<Done> {
    let entries = input.get("Entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Some(match action {
        "SendMessage" => send(shared, "SendMessage", std::slice::from_ref(input)),
        "SendMessageBatch" => send(shared, "SendMessageBatch", entries),
        "ReceiveMessage" => receive(shared, input).await,
        "DeleteMessage" => {
            shared.inner().fifo.delete(text(input, "ReceiptHandle"));
            shared.arrived.notify_one();
            Done::of("DeleteMessage", json!({}))
        }
        "DeleteMessageBatch" => {
            let mut inner = shared.inner();
            entries.iter().for_each(|entry| inner.fifo.delete(text(entry, "ReceiptHandle")));
            drop(inner);
            shared.arrived.notify_waiters();
            Done::of("DeleteMessageBatch", json!({"Successful": ids(entries), "Failed": []}))
        }
        "ChangeMessageVisibilityBatch" => {
            let mut inner = shared.inner();
            for entry in entries {
                let seconds = entry.get("VisibilityTimeout").and_then(Value::as_u64).unwrap_or_default();
                inner.fifo.hide(text(entry, "ReceiptHandle"), Duration::from_secs(seconds));
            }
            drop(inner);
            shared.arrived.notify_waiters();
            Done::of("ChangeMessageVisibilityBatch", json!({"Successful": ids(entries), "Failed": []}))
        }
        "GetQueueAttributes" => {
            let attributes = json!({
                "FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId",
                "VisibilityTimeout": VISIBILITY.as_secs().to_string(), "MessageRetentionPeriod": "1209600",
                "ContentBasedDeduplication": "false", "ReceiveMessageWaitTimeSeconds": "0",
                "ApproximateNumberOfMessages": shared.inner().fifo.depth().to_string(),
                "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0",
            });
            Done::of("GetQueueAttributes", json!({"Attributes": attributes}))
        }
        _ => return None,
    })
}

fn send(shared: &Shared, billed_as: &'static str, entries: &[Value]) -> Done {
    let mut inner = shared.inner();
    let mut bytes = 0;
    let mut sent = Vec::with_capacity(entries.len());
    for entry in entries {
        let body = text(entry, "MessageBody");
        bytes += body.len();
        let message_id = inner.fifo.send(text(entry, "MessageGroupId"), body);
        sent.push(json!({
            "Id": text(entry, "Id"), "MessageId": message_id, "MD5OfMessageBody": "", "SequenceNumber": message_id,
        }));
    }
    drop(inner);
    shared.arrived.notify_waiters();
    let answer = match (billed_as, sent.first()) {
        ("SendMessage", Some(only)) => only.clone(),
        _ => json!({"Successful": sent, "Failed": []}),
    };
    Done { answer, billed_as, bytes }
}

/// Waits for messages as long as the request allows.
async fn receive(shared: &Shared, input: &Value) -> Done {
    let number = |name: &str| input.get(name).and_then(Value::as_u64);
    let max = usize::try_from(number("MaxNumberOfMessages").unwrap_or(1)).unwrap_or(1);
    let visibility = number("VisibilityTimeout").map_or(VISIBILITY, Duration::from_secs);
    let until = Instant::now() + Duration::from_secs(number("WaitTimeSeconds").unwrap_or_default());
    loop {
        let arrived = shared.arrived.notified();
        tokio::pin!(arrived);
        arrived.as_mut().enable();
        let messages = {
            let mut inner = shared.inner();
            if inner.held { Vec::new() } else { inner.fifo.receive(max, visibility) }
        };
        if !messages.is_empty() {
            let bytes = messages.iter().map(|message| message.body.len()).sum();
            let messages: Vec<_> = messages.iter().map(fifo::Delivered::to_json).collect();
            return Done { answer: json!({"Messages": messages}), billed_as: "ReceiveMessage", bytes };
        }
        if tokio::time::timeout_at(until.into(), arrived).await.is_err() {
            return Done::of(EMPTY_RECEIVE, json!({}));
        }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn ids(entries: &[Value]) -> Vec<Value> {
    entries.iter().map(|entry| json!({"Id": text(entry, "Id")})).collect()
}
