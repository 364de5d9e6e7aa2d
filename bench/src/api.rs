//! Runs the real ingress in this process, with new keys and a token for a till.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use stockline_core::domain::ReceiptKeys;
use stockline_core::ports::{Clock, CommandSender, Queries};
use stockline_ingress::{Adapters, AuthConfig, Config, IngressError, JwksSource};
use stockline_service::SystemClock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::http::{Bytes, Connection, head};

const ISSUER: &str = "https://issuer.bench/pool";
const CLIENT: &str = "bench";

/// A running ingress.
#[derive(Debug)]
pub(crate) struct Api {
    /// `host:port`.
    pub(crate) address: String,
    /// A till's token.
    pub(crate) token: String,
    trigger: CancellationToken,
    running: JoinHandle<Result<(), IngressError>>,
    _folder: tempfile::TempDir,
}

impl Api {
    /// Starts the ingress on the current runtime.
    pub(crate) async fn start(queue: Arc<dyn CommandSender>, queries: Arc<dyn Queries>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let keys = folder.path().join("jwks.json");
        let (jwks, token) = keys_and_token()?;
        std::fs::write(&keys, jwks)?;
        let auth = AuthConfig::new(ISSUER, vec![CLIENT.into()], JwksSource::File(keys));
        let receipt_keys = ReceiptKeys::new(&[[7_u8; 32]]).context("receipt keys")?;
        let config = Config { require_location: true, ..Config::new(auth, receipt_keys) };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let shutdown = CancellationToken::new();
        let trigger = shutdown.clone();
        let adapters = Adapters { queue, queries, clients: None, clock: Arc::new(SystemClock) };
        let running = tokio::spawn(stockline_ingress::run(config, adapters, listener, shutdown));
        Ok(Self { address, token, trigger, running, _folder: folder })
    }

    /// Opens a connection to the ingress.
    pub(crate) async fn connect(&self) -> Result<Till> {
        Ok(Till {
            http: Connection::open(&self.address).await?,
            token: self.token.clone(),
            single: head("POST", "/v1/commands", &self.token, ""),
            batch: head("POST", "/v1/commands/batch", &self.token, ""),
            body: Vec::new(),
        })
    }

    /// Stops the ingress.
    pub(crate) async fn stop(self) -> Result<()> {
        self.trigger.cancel();
        self.running.await??;
        Ok(())
    }
}

/// A client that sends commands over one connection.
pub(crate) struct Till {
    http: Connection,
    token: String,
    single: String,
    batch: String,
    body: Vec<u8>,
}

impl Till {
    /// Sends one command, which must be accepted.
    pub(crate) async fn submit(&mut self, command: &str) -> Result<()> {
        let response = self.http.send(&self.single, command.as_bytes()).await?;
        ensure!(response.status == 202, "answered {}: {}", response.status, String::from_utf8_lossy(response.body));
        Ok(())
    }

    /// Sends commands in one request; all must be accepted.
    pub(crate) async fn submit_batch(&mut self, commands: &[String]) -> Result<()> {
        self.body.clear();
        self.body.extend_from_slice(br#"{"commands":["#);
        self.body.extend_from_slice(commands.join(",").as_bytes());
        self.body.extend_from_slice(b"]}");
        let response = self.http.send(&self.batch, &self.body).await?;
        let text = String::from_utf8_lossy(response.body);
        ensure!(response.status == 202, "answered {}: {text}", response.status);
        let answer: serde_json::Value = serde_json::from_str(&text)?;
        if answer["queued"].as_u64() != Some(commands.len() as u64) {
            bail!("not all of a batch was queued: {text}");
        }
        Ok(())
    }

    /// Returns the answer to a GET, whose status must be 200.
    pub(crate) async fn get(&mut self, path: &str) -> Result<String> {
        let response = self.http.send(&head("GET", path, &self.token, ""), &[]).await?;
        let text = String::from_utf8_lossy(response.body);
        ensure!(response.status == 200, "{path} answered {}: {text}", response.status);
        Ok(text.into_owned())
    }

    /// Resets the count and returns it.
    pub(crate) fn reset_bytes(&mut self) -> Bytes {
        self.http.reset_bytes()
    }
}

/// Returns a JWKS and a token signed by it, with the rights of a till.
fn keys_and_token() -> Result<(String, String)> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no key could be made"))?;
    let der = pair.as_der().map_err(|_| anyhow!("the key can't be written"))?.as_ref().to_vec();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    let key = EncodingKey::from_rsa_pem(pem.as_bytes())?;
    let AlgorithmParameters::RSA(rsa) = Jwk::from_encoding_key(&key, Algorithm::RS256)?.algorithm else {
        bail!("an RSA key was made and another came out");
    };
    let jwk = json!({"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": rsa.n, "e": rsa.e});
    let now_s = SystemClock.now().as_millis() / 1_000;
    let claims = json!({
        "iss": ISSUER, "token_use": "access", "client_id": CLIENT, "sub": "4c9b1ad4-90d1-70f5-0b3c-6a2f6cb0a001",
        "jti": "bench", "iat": now_s - 60, "exp": now_s + 24 * 3_600, "cognito:groups": ["Staff"],
    });
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "k"}).to_string();
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::RS256)?;
    Ok((json!({"keys": [jwk]}).to_string(), format!("{message}.{signature}")))
}
