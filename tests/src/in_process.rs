//! Runs the real worker and the real ingress in the test's process, on any ports that a test gives them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use stockline_core::domain::{FoldLimits, ReceiptKeys, Rules};
use stockline_core::ports::{Clock, CommandSender, Queries};
use stockline_ingress::{AuthConfig, JwksSource};

use stockline_worker::Health;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest wait of a test. If something is not done by then, it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a worker's configuration for tests: one receive at a time, which ends soon if the queue is empty.
pub fn worker_config() -> stockline_worker::Config {
    stockline_worker::Config {
        permits: 1,
        receivers: 1,
        receive_max: 10,
        receive_wait: Duration::from_millis(50),
        receive_pause: Duration::ZERO,
        parking: None,
        rules: Rules::default(),
        fold_limits: FoldLimits::default(),
        retention_ms: stockline_core::ports::RETENTION_MS,
        drain: PATIENCE,
    }
}

/// A running worker.
#[derive(Debug)]
pub struct RunningWorker {
    /// The worker's health.
    pub health: Arc<Health>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningWorker {
    /// Starts it.
    pub fn start(config: stockline_worker::Config, adapters: stockline_worker::Adapters) -> Self {
        let health = Arc::new(Health::default());
        let shutdown = CancellationToken::new();
        let trigger = shutdown.clone();
        let task = tokio::spawn(stockline_worker::run_with_health(config, adapters, health.clone(), shutdown));
        Self { health, shutdown: trigger, task }
    }

    /// Ends it as `kill -9` does.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Asks it to stop, as SIGTERM does, and does not wait.
    pub fn ask_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Stops it as SIGTERM does.
    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the worker stops").unwrap();
    }
}

const ISSUER: &str = "https://issuer.test/pool";
const CLIENT: &str = "till-client";

fn key() -> &'static EncodingKey {
    static KEY: OnceLock<EncodingKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let der = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap().as_ref().to_vec();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
        EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()
    })
}

fn jwks() -> String {
    let AlgorithmParameters::RSA(rsa) = Jwk::from_encoding_key(key(), Algorithm::RS256).unwrap().algorithm else {
        panic!("an RSA key")
    };
    json!({"keys": [{"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": rsa.n, "e": rsa.e}]}).to_string()
}

/// Returns a Manager's token that is valid for a day.
fn manager(now_s: i64) -> String {
    let claims = json!({
        "iss": ISSUER, "token_use": "access", "client_id": CLIENT, "sub": "ann", "jti": "token-1",
        "iat": now_s - 60, "exp": now_s + 24 * 3_600, "cognito:groups": ["Manager"],
    });
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "k"}).to_string();
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key(), Algorithm::RS256).unwrap();
    format!("{message}.{signature}")
}

/// An answer of the ingress.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The body; null if it was not JSON.
    pub body: Value,
}

/// An ingress on loopback, with the client of a Manager. It ends when dropped.
#[derive(Debug)]
pub struct RunningIngress {
    url: String,
    token: String,
    http: reqwest::Client,
    _shutdown: tokio_util::sync::DropGuard,
    _keys: tempfile::TempDir,
}

impl RunningIngress {
    /// Starts it.
    pub async fn start(queue: Arc<dyn CommandSender>, queries: Arc<dyn Queries>, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("jwks.json");
        std::fs::write(&keys, jwks()).unwrap();
        let auth = AuthConfig::new(ISSUER, vec![CLIENT.into()], JwksSource::File(keys));
        let config = stockline_ingress::Config::new(auth, ReceiptKeys::new(&[[7_u8; 32]]).unwrap());
        let token = manager(clock.now().as_millis() / 1_000);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let trigger = shutdown.clone();
        let adapters = stockline_ingress::Adapters { queue, queries, clients: None, clock };
        tokio::spawn(stockline_ingress::run(config, adapters, listener, shutdown));
        Self { url, token, http: reqwest::Client::new(), _shutdown: trigger.drop_guard(), _keys: folder }
    }

    /// Sends a GET. The path may be a whole address.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.address(path))).await
    }

    /// Sends a POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.post(self.address(path)).json(body)).await
    }

    fn address(&self, path: &str) -> String {
        let path = path.strip_prefix(&self.url).unwrap_or(path);
        format!("{}{path}", self.url)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.bearer_auth(&self.token).send().await.unwrap();
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null);
        Answer { status, retry_after, body }
    }
}
