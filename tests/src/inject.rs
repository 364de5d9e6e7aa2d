//! Injects faults between an SDK client and its service, by a script. No engine produces these faults by itself.
//!
//! ```no_run
//! # async fn example() {
//! use stockline_tests::inject::{Fault, Script, sdk_config};
//! let script = Script::new();
//! let config = sdk_config("http://127.0.0.1:8000", &script);
//! let client = aws_sdk_dynamodb::Client::new(&config);
//! script.next("TransactWriteItems", [Fault::DropAfter]);
//! # }
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// The attempts that the clients of [`sdk_config`] make for one call. A call that must fail for good needs as many
/// faults.
pub const ATTEMPTS: usize = 3;

/// The fault of one request, which is one attempt of a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It never reaches the service.
    DropBefore,
    /// The service carries it out, and the answer is lost.
    DropAfter,
    /// It is sent after this time.
    Delay(Duration),
    /// It is sent once [`Hold::release`] is called.
    Hold(Arc<Hold>),
    /// It is not sent, and this is the answer.
    Answer(u16, Value),
    /// The service carries it out, and this function changes the JSON of the answer.
    Rewrite(fn(Value) -> Value),
    /// No fault. It leaves this request alone, so that a later one gets the next fault.
    None,
}

/// Holds a request, as a paused process would.
#[derive(Debug, Default)]
pub struct Hold {
    reached: Notify,
    released: Notify,
}

impl Hold {
    /// Returns the part for a [`Fault::Hold`].
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until a request is held.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Releases the request.
    pub fn release(&self) {
        self.released.notify_one();
    }
}

#[derive(Debug, Default)]
struct Lines {
    next: HashMap<String, VecDeque<Fault>>,
    always: HashMap<String, Fault>,
    requests: Vec<(String, Value)>,
}

/// The faults of requests, by operation. Operations have the names of the API (`TransactWriteItems`,
/// `SendMessageBatch`, `PublishBatch`), or for REST services the method and path (`POST /v2/email/outbound-emails`).
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<Lines>>);

impl Script {
    /// Returns a script without faults.
    pub fn new() -> Self {
        Self::default()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap()
    }

    /// Gives these faults to the next requests of this operation, one each, after the faults that were scripted before.
    pub fn next(&self, operation: &str, faults: impl IntoIterator<Item = Fault>) {
        self.lines().next.entry(operation.to_owned()).or_default().extend(faults);
    }

    /// Gives this fault to every attempt of the next call, so that the call fails for good.
    pub fn next_call(&self, operation: &str, fault: &Fault) {
        self.next(operation, vec![fault.clone(); ATTEMPTS]);
    }

    /// Lets the service carry out the next call, loses the answer, and drops the later attempts.
    pub fn lose_next_answer(&self, operation: &str) {
        self.next(operation, [Fault::DropAfter]);
        self.next(operation, vec![Fault::DropBefore; ATTEMPTS - 1]);
    }

    /// Gives this fault to all requests of this operation that have no other fault. `*` is any operation.
    pub fn always(&self, operation: &str, fault: Fault) {
        self.lines().always.insert(operation.to_owned(), fault);
    }

    /// Removes all faults.
    pub fn clear(&self) {
        let mut lines = self.lines();
        lines.next.clear();
        lines.always.clear();
    }

    /// Returns whether requests have met everything that [`Script::next`] scripted.
    pub fn is_played(&self) -> bool {
        self.lines().next.values().all(VecDeque::is_empty)
    }

    /// Counts the requests of an operation so far, each attempt by itself. `*` counts all operations.
    pub fn count(&self, operation: &str) -> usize {
        let lines = self.lines();
        lines.requests.iter().filter(|(of, _)| operation == "*" || of == operation).count()
    }

    /// Returns the bodies of an operation's requests. A body that was not JSON is null.
    pub fn bodies(&self, operation: &str) -> Vec<Value> {
        let lines = self.lines();
        lines.requests.iter().filter(|(of, _)| of == operation).map(|(_, body)| body.clone()).collect()
    }

    fn meet(&self, request: &HttpRequest) -> Fault {
        let operation = operation_of(request);
        let body = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
        let mut lines = self.lines();
        lines.requests.push((operation.clone(), body.unwrap_or(Value::Null)));
        let scripted = lines.next.get_mut(&operation).and_then(VecDeque::pop_front);
        let always = || lines.always.get(&operation).or_else(|| lines.always.get("*")).cloned();
        scripted.or_else(always).unwrap_or(Fault::None)
    }
}

pub(crate) fn operation_of(request: &HttpRequest) -> String {
    if let Some((_, operation)) = request.headers().get("x-amz-target").and_then(|target| target.split_once('.')) {
        return operation.to_owned();
    }
    let form = request.body().bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    match form.split('&').find_map(|pair| pair.strip_prefix("Action=")) {
        Some(action) => action.to_owned(),
        None => {
            let path = request.uri().split_once("://").map_or(request.uri(), |(_, rest)| rest);
            let path = path.find('/').map_or("/", |at| &path[at..]);
            format!("{} {path}", request.method())
        }
    }
}

/// An HTTP client that applies a script between the SDK and the real client.
#[derive(Debug)]
struct Scripted {
    inner: SharedHttpClient,
    script: Script,
}

impl HttpClient for Scripted {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(ScriptedConnector { inner, script: self.script.clone() })
    }
}

#[derive(Debug)]
struct ScriptedConnector {
    inner: SharedHttpConnector,
    script: Script,
}

fn broken() -> ConnectorError {
    ConnectorError::io("the connection broke, as scripted".into())
}

fn answer(status: u16, body: &Value) -> Result<HttpResponse, ConnectorError> {
    let status = status.try_into().map_err(|_| broken())?;
    let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}

/// Reads a whole body.
async fn whole_body(body: SdkBody) -> Result<Vec<u8>, ConnectorError> {
    let collected = aws_smithy_types::byte_stream::ByteStream::new(body).collect().await;
    collected.map(|bytes| bytes.to_vec()).map_err(|_| broken())
}

impl HttpConnector for ScriptedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.inner.clone();
        match self.script.meet(&request) {
            Fault::None => inner.call(request),
            Fault::DropBefore => HttpConnectorFuture::ready(Err(broken())),
            Fault::Answer(status, body) => HttpConnectorFuture::ready(answer(status, &body)),
            Fault::DropAfter => HttpConnectorFuture::new(async move {
                // With the body, so that the service has answered before this returns.
                whole_body(inner.call(request).await?.into_body()).await?;
                Err(broken())
            }),
            Fault::Delay(pause) => HttpConnectorFuture::new(async move {
                tokio::time::sleep(pause).await;
                inner.call(request).await
            }),
            Fault::Hold(hold) => HttpConnectorFuture::new(async move {
                hold.reached.notify_one();
                hold.released.notified().await;
                inner.call(request).await
            }),
            Fault::Rewrite(rewrite) => HttpConnectorFuture::new(async move {
                let response = inner.call(request).await?;
                let status = response.status().as_u16();
                let body = whole_body(response.into_body()).await?;
                answer(status, &rewrite(serde_json::from_slice(&body).map_err(|_| broken())?))
            }),
        }
    }
}

/// Returns the configuration of a test's clients: test credentials, [`ATTEMPTS`] attempts almost without pauses, and
/// the faults of `script`.
pub fn sdk_config(url: &str, script: &Script) -> SdkConfig {
    let inner = aws_smithy_http_client::Builder::new().build_http();
    sdk_config_over(url, SharedHttpClient::new(Scripted { inner, script: script.clone() }))
}

/// Returns the same as [`sdk_config`], over any HTTP client.
pub(crate) fn sdk_config_over(url: &str, http_client: SharedHttpClient) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(u32::try_from(ATTEMPTS).unwrap())
                .with_initial_backoff(Duration::from_millis(1)),
        )
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(30)).build())
        .http_client(http_client)
        .build()
}

/// Returns an error as DynamoDB and SQS answer it: 400 and its type.
pub fn error(kind: &str, message: &str) -> Fault {
    Fault::Answer(400, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": message }))
}

/// Returns DynamoDB's `TransactionCanceledException` with one reason per action: `None`, `ConditionalCheckFailed`,
/// `TransactionConflict`, `ThrottlingError`, `ProvisionedThroughputExceeded`, `ValidationError` or
/// `ItemCollectionSizeLimitExceeded`.
pub fn canceled(reasons: &[&str]) -> Fault {
    let message = format!("Transaction cancelled, please refer cancellation reasons for specific reasons {reasons:?}");
    let reasons: Vec<Value> = reasons
        .iter()
        .map(|code| if *code == "None" { json!({ "Code": code }) } else { json!({ "Code": code, "Message": code }) })
        .collect();
    Fault::Answer(
        400,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": message,
            "CancellationReasons": reasons,
        }),
    )
}
