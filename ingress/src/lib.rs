//! The HTTP side: authenticates, parses, packs commands into the queue, answers reads.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod auth;
pub mod rate;
pub mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stockline_common::domain::{Reason, ReceiptKeys};
use stockline_common::ports::{Clock, CommandSender, Queries};
use stockline_common::service::Shutdown;
use tokio::net::TcpListener;

/// Where the keys that sign tokens come from.
#[derive(Debug, Clone)]
pub enum JwksSource {
    /// Fetched, cached and refreshed.
    Url(String),
    /// Read from a file, again when it changes.
    File(PathBuf),
}

/// How tokens are judged.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Must equal `iss`.
    pub issuer: String,
    /// `client_id` must be one of these.
    pub client_ids: Vec<String>,
    /// The keys.
    pub jwks: JwksSource,
    /// One `jti` a line: tokens taken back. Read again when it changes.
    pub revoked_file: Option<PathBuf>,
}

/// What Staff may do beyond design.md §4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaffMay {
    /// `count`
    pub count: bool,
    /// `adjust` for these reasons.
    pub adjust: Vec<Reason>,
}

/// Every bound of the API, published at `/v1/limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Commands of one batch.
    pub batch_commands: usize,
    /// Requests waiting for outcomes at once.
    pub waiters: usize,
    /// The longest `Prefer: wait`, in seconds.
    pub wait_s: u64,
    /// Commands accepted but not yet in the queue; more is 503.
    pub buffered_commands: usize,
    /// Requests in work at once; more is 503.
    pub concurrent_requests: usize,
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Time to send a request's head, in seconds.
    pub header_timeout_s: u64,
    /// Time for the whole of a request besides `Prefer: wait`, in seconds.
    pub request_timeout_s: u64,
    /// Requests per second and token; `None`: not limited.
    pub rate_per_s: Option<u32>,
    /// Requests a token may make at once when it has been quiet.
    pub rate_burst: u32,
    /// Entries of a list page.
    pub page: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            batch_commands: 500,
            waiters: 1_000,
            wait_s: 20,
            buffered_commands: 20_000,
            concurrent_requests: 2_000,
            connections: 10_000,
            header_timeout_s: 10,
            request_timeout_s: 30,
            rate_per_s: None,
            rate_burst: 400,
            page: 1_000,
        }
    }
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// How the ingress runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Tokens.
    pub auth: AuthConfig,
    /// Receipts.
    pub receipt_keys: ReceiptKeys,
    /// Movements must name a location.
    pub require_location: bool,
    /// What Staff may do beyond the default.
    pub staff_may: StaffMay,
    /// Bounds.
    pub limits: Limits,
    /// Serve HTTPS.
    pub tls: Option<TlsFiles>,
    /// How long a command can wait in queue and dead letter queue together, in milliseconds: an older receipt
    /// without an outcome is `outcome_missing`.
    pub retention_ms: i64,
    /// How long requests in work may take after shutdown was asked for.
    pub drain: Duration,
}

/// What the ingress needs.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// Where commands go.
    pub queue: Arc<dyn CommandSender>,
    /// Where reads come from.
    pub queries: Arc<dyn Queries>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Why the ingress could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// A certificate, a key file, a JWKS.
    #[error("{0}")]
    Config(String),
    /// The network.
    #[error("the listener failed: {0}")]
    Listen(#[from] std::io::Error),
}

/// Serves until shutdown is asked for, then drains.
///
/// # Errors
/// Where it can't start.
pub async fn run(
    _config: Config,
    _adapters: Adapters,
    _listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), IngressError> {
    shutdown.requested().await;
    Ok(())
}
