//! SQS FIFO in this process, as far as Stockline uses it, and a count of what SQS would bill.
//!
//! It speaks the JSON protocol, so that the real adapter and the real SDK talk to it. Groups deliver at most ten
//! messages until these are deleted or visible again. There is no deduplication and no dead letter queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

mod fifo;

use crate::prices::sqs_requests;
use crate::side::SideServer;
use fifo::Fifo;

/// For how long a delivery is held unless the receive says otherwise.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(120);

/// Requests as counted, and as SQS bills them: by 64 KB of payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Billed {
    /// Calls.
    pub(crate) calls: u64,
    /// Billed requests.
    pub(crate) requests: u64,
    /// Message bytes.
    pub(crate) bytes: u64,
}

/// By action; receives that brought nothing stand under `ReceiveMessage (empty)`.
pub(crate) type BilledByAction = BTreeMap<&'static str, Billed>;

/// Polls that brought nothing: they depend on time and not on commands.
pub(crate) const EMPTY_RECEIVE: &str = "ReceiveMessage (empty)";

#[derive(Debug, Default)]
struct Inner {
    fifo: Fifo,
    billed: BilledByAction,
    /// Receives wait although there are messages.
    held: bool,
}

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    arrived: Notify,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running queue; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Stub {
    server: SideServer,
    shared: Arc<Shared>,
}

impl Stub {
    /// An empty queue on a thread of its own.
    pub(crate) fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serve = async |listener| {
            // It ends when it is dropped; an error before shows in its first call.
            let _ = axum::serve(listener, router).await;
        };
        Ok(Self { server: SideServer::start("stub", serve)?, shared })
    }

    /// The endpoint.
    pub(crate) fn url(&self) -> &str {
        self.server.url()
    }

    /// The queue.
    pub(crate) fn queue_url(&self) -> String {
        format!("{}/queue.fifo", self.url())
    }

    /// Delivers nothing until it is told to again, so that messages gather.
    pub(crate) fn hold(&self, held: bool) {
        self.shared.inner().held = held;
        self.shared.arrived.notify_waiters();
    }

    /// Messages that are not deleted.
    pub(crate) fn depth(&self) -> usize {
        self.shared.inner().fifo.depth()
    }

    /// Waits until every message is deleted; fails where none was for `patience`.
    pub(crate) async fn drained(&self, patience: Duration) -> Result<()> {
        let (mut depth, mut since) = (self.depth(), Instant::now());
        while depth > 0 {
            // The worker's calls tell nobody when the last message is gone; `patience` bounds the asking.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let now = self.depth();
            if now != depth {
                (depth, since) = (now, Instant::now());
            }
            anyhow::ensure!(since.elapsed() < patience, "{depth} messages are stuck: nothing was deleted for long");
        }
        Ok(())
    }

    /// Begins to count anew; what was counted.
    pub(crate) fn reset(&self) -> BilledByAction {
        std::mem::take(&mut self.shared.inner().billed)
    }
}

/// What one request came to: the answer, under which name it is billed, and the message bytes it carried.
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

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
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

/// Waits as long as the request allows for messages to come.
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
