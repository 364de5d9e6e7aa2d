//! Starts a server on loopback, and makes clients with tokens.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::TryStreamExt as _;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stockline_core::domain::{CommandId, ReceiptKeys, Timestamp, path_segment};
use stockline_core::ports::FixedClock;
use stockline_ingress::{Adapters, AuthConfig, Config, IngressError, JwksSource, run};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::memory::Memory;

pub const NOW_S: i64 = 1_800_000_000;
pub const ISSUER: &str = "https://issuer.test/pool";
pub const CLIENT: &str = "till-client";
pub const DAY_MS: i64 = 24 * 3_600_000;

/// A key that signs tokens.
pub struct Key {
    pub private: EncodingKey,
    pub public_pem: String,
}

impl Key {
    pub fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let private = pem("PRIVATE KEY", pair.as_der().unwrap().as_ref());
        let public = aws_lc_rs::signature::KeyPair::public_key(&pair).as_der().unwrap();
        Self {
            private: EncodingKey::from_rsa_pem(private.as_bytes()).unwrap(),
            public_pem: pem("PUBLIC KEY", public.as_ref()),
        }
    }

    /// Returns the public key as an issuer publishes it, with this id.
    pub fn jwk(&self, kid: &str) -> Value {
        let AlgorithmParameters::RSA(rsa) = Jwk::from_encoding_key(&self.private, Algorithm::RS256).unwrap().algorithm
        else {
            panic!("an RSA key")
        };
        json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": rsa.n, "e": rsa.e})
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// Returns the key of the issuer, which all servers share.
fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(Key::generate)
}

fn jwks() -> String {
    json!({"keys": [key().jwk("k")]}).to_string()
}

/// Returns a token with these groups.
pub fn token(groups: &[&str]) -> String {
    token_with(groups, &[])
}

/// Returns a token with these groups and scopes.
pub fn token_with(groups: &[&str], scopes: &[&str]) -> String {
    token_of(CLIENT, groups, scopes)
}

/// Returns a token of this client.
pub fn token_of(client_id: &str, groups: &[&str], scopes: &[&str]) -> String {
    let claims = json!({
        "iss": ISSUER, "token_use": "access", "client_id": client_id, "sub": "ann", "jti": groups.join("+"),
        "iat": NOW_S - 60, "exp": NOW_S + 400 * 24 * 3_600, "cognito:groups": groups, "scope": scopes.join(" "),
    });
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "k"}).to_string();
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key().private, Algorithm::RS256).unwrap();
    format!("{message}.{signature}")
}

/// Returns the n-th command id.
pub fn id(n: u32) -> String {
    format!("01936b2e-7c4a-7f10-8a5b-{n:012}")
}

pub fn command_id(n: u32) -> CommandId {
    id(n).parse().unwrap()
}

pub struct Server {
    pub url: String,
    pub memory: Arc<Memory>,
    pub clock: Arc<FixedClock>,
    trigger: CancellationToken,
    running: JoinHandle<Result<(), IngressError>>,
    _folder: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::from_millis(NOW_S * 1_000)));
        let memory = Memory::new(Arc::clone(&clock));
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("jwks.json");
        std::fs::write(&keys, jwks()).unwrap();
        let auth = AuthConfig::new(ISSUER, vec![CLIENT.into()], JwksSource::File(keys));
        let mut config = Config::new(auth, ReceiptKeys::new(&[[7_u8; 32]]).unwrap());
        change(&mut config);
        let adapters = Adapters {
            queue: memory.clone() as _,
            queries: memory.clone() as _,
            clients: Some(memory.clone() as _),
            clock: clock.clone() as _,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let trigger = shutdown.clone();
        let running = tokio::spawn(run(config, adapters, listener, shutdown));
        Self { url, memory, clock, trigger, running, _folder: folder }
    }

    /// Starts a server with an item `cola` (default threshold 6, cost 0.41), 24 of it at `shop-1` and 10 at `shop-2`.
    pub async fn stocked() -> Self {
        Self::stocked_with(|_| {}).await
    }

    /// Starts the same server with another configuration.
    pub async fn stocked_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::stocked_as("cola", ["shop-1", "shop-2"], change).await
    }

    /// Starts the same server with other ids.
    pub async fn stocked_as(item: &str, shops: [&str; 2], change: impl FnOnce(&mut Config)) -> Self {
        let server = Self::with(change).await;
        let manager = server.manager();
        for shop in shops {
            let settings = json!({"name": shop, "alert_emails": ["a@example.com"]});
            assert_eq!(manager.put(&format!("/v1/locations/{}", path_segment(shop)), settings).await.status, 201);
        }
        let commands = json!({"commands": [
            {"type": "register_item", "command_id": id(9_000), "item_id": item, "name": "Cola", "unit": "bottle",
             "barcodes": ["4006381333931"], "low_stock_threshold": "6", "unit_cost": "0.41"},
            {"type": "receive", "command_id": id(9_001), "item_id": item, "location_id": shops[0], "quantity": "24", "unit_cost": "0.41"},
            {"type": "receive", "command_id": id(9_002), "item_id": item, "location_id": shops[1], "quantity": "10"},
        ]});
        let answer = manager.post("/v1/commands/batch", commands).await;
        assert_eq!(answer.body["queued"], 3, "{answer:?}");
        server
    }

    pub fn client(&self, groups: &[&str]) -> Client {
        Client { url: self.url.clone(), token: Some(token(groups)), http: reqwest::Client::new() }
    }

    pub fn manager(&self) -> Client {
        self.client(&["Manager"])
    }

    pub fn staff(&self) -> Client {
        self.client(&["Staff"])
    }

    pub fn nobody(&self) -> Client {
        Client { token: None, ..self.staff() }
    }

    /// Stops the workers: no command is applied until [`Memory::apply`].
    pub fn hold_workers(&self) {
        self.memory.applies.store(false, Ordering::SeqCst);
    }

    pub fn request_shutdown(&self) {
        self.trigger.cancel();
    }

    pub async fn ended(self) {
        self.running.await.unwrap().unwrap();
    }
}

#[derive(Debug, Clone)]
pub struct Client {
    pub url: String,
    pub token: Option<String>,
    pub http: reqwest::Client,
}

/// An answer that was read completely.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Self { status, headers, body, text };
        if status >= 400 {
            answer.assert_is_problem();
        }
        answer
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that an answer that is not a success has the complete shape of a problem.
    fn assert_is_problem(&self) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        for (name, ok) in [
            ("type", self.body["type"].is_string()),
            ("title", self.body["title"].is_string()),
            ("detail", self.body["detail"].is_string()),
            ("code", self.body["code"].is_string()),
            ("retryable", self.body["retryable"].is_boolean()),
            ("errors", self.body["errors"].is_array()),
        ] {
            assert!(ok, "{name} in {}", self.text);
        }
        assert_eq!(self.body["status"], self.status);
        assert_eq!(self.body["type"], format!("/docs#problem-{}", self.code()));
        if self.status == 503 || self.status == 429 {
            assert!(self.header("retry-after").parse::<u64>().unwrap() >= 1);
        }
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Returns `pointer code` of each fault.
    pub fn faults(&self) -> Vec<String> {
        let text = |fault: &Value, key: &str| fault[key].as_str().unwrap().to_owned();
        let faults = self.body["errors"].as_array().unwrap();
        faults.iter().map(|fault| format!("{} {}", text(fault, "pointer"), text(fault, "code"))).collect()
    }
}

impl Client {
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        Answer::of(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn post_waiting(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).header("prefer", "wait=10").json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    /// Sends a file.
    pub async fn send_file(&self, method: Method, path: &str, bytes: Vec<u8>) -> Answer {
        self.send(self.request(method, path).header("content-type", "application/octet-stream").body(bytes)).await
    }

    /// Posts a text as JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(Method::POST, path).header("content-type", "application/json").body(body)).await
    }

    /// Posts a command and waits for its outcome.
    pub async fn sell(&self, n: u32, location: &str, quantity: &str) -> Answer {
        let answer = self.post_waiting("/v1/commands", sale(n, location, quantity)).await;
        assert_eq!(answer.status, StatusCode::OK.as_u16(), "{answer:?}");
        answer
    }
}

/// Returns a body without a Content-Length.
pub fn streamed(
    chunks: impl futures_util::Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + Sync + 'static,
) -> reqwest::Body {
    let frames = chunks.map_ok(|chunk| hyper::body::Frame::data(bytes::Bytes::from(chunk)));
    reqwest::Body::wrap(http_body_util::StreamBody::new(frames))
}

pub fn sale(n: u32, location: &str, quantity: &str) -> Value {
    json!({"type": "sell", "command_id": id(n), "item_id": "cola", "location_id": location, "quantity": quantity})
}
