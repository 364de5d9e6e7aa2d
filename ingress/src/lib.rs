//! The HTTP side: authenticates, parses, packs commands into the queue, answers reads.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stockline_core::domain::{LocationSettings, ReceiptKeys};
use stockline_core::ports::{Clock, CommandSender, Queries};
use stockline_service::Shutdown;
use tokio::net::TcpListener;

mod access;
mod answer;
mod app;
pub mod auth;
mod body;
mod login;
pub mod metrics;
mod openapi;
pub mod packer;
mod params;
mod problem;
pub mod rate;
mod receipt;
mod room;
mod routes;
pub mod server;
mod staff_may;
mod view;
mod wait;

pub use login::{LoginAddressError, LoginConfig};
pub use metrics::metrics_router;
pub use staff_may::{StaffMay, StaffMayError};

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

/// Every bound of the API, published at `/v1/limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Bytes of all bodies over 16 KiB that are being read, at least two of the largest; more wait, and are 503 after 1 s.
    /// Slow ones have half of it.
    pub large_bodies_bytes: usize,
    /// Commands of one batch.
    pub batch_commands: usize,
    /// Requests waiting for outcomes at once.
    pub waiters: usize,
    /// Commands that all waiting requests together wait for.
    pub waited_commands: usize,
    /// The longest `Prefer: wait`, in seconds.
    pub wait_s: u64,
    /// Commands accepted but not yet in the queue; more is 503.
    pub buffered_commands: usize,
    /// Requests in work at once; more wait, as many as there may be connections, and are 503 after 1 to 10 s. So are
    /// slow bodies beyond an eighth of them, at once.
    pub concurrent_requests: usize,
    /// Open connections, or as many as the process may have files for; more wait to be accepted, and connections
    /// without use give way to them.
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
            large_bodies_bytes: 64 * 1024 * 1024,
            batch_commands: 500,
            waiters: 1_000,
            waited_commands: 20_000,
            wait_s: 20,
            buffered_commands: 20_000,
            concurrent_requests: 4_000,
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
    /// Where people get theirs; `None`: `/v1/login` says that there is nothing of the kind.
    pub login: Option<LoginConfig>,
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

/// The API without a listener.
#[derive(Debug)]
pub struct Api {
    app: Arc<app::App>,
    packing: packer::PackerTask,
}

impl Api {
    /// Reads or begins to fetch the keys, and starts to pack; must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`IngressError::Config`]: keys or revocations that can't be read.
    pub fn start(config: Config, adapters: Adapters) -> Result<Self, IngressError> {
        let Config { auth, login, receipt_keys, require_location, staff_may, limits, retention_ms, .. } = config;
        let Adapters { queue, queries, clock } = adapters;
        let auth = auth::Authenticator::start(auth, Arc::clone(&clock))?;
        let (packer, packing) = packer::Packer::start(queue, limits.buffered_commands);
        let app = Arc::new(app::App {
            room: room::Room::new(&limits),
            waiting: wait::Waiting::start(Arc::clone(&queries), limits.waiters, limits.waited_commands),
            gate: access::Gate::new(auth, &limits),
            default_location: (!require_location).then(|| LocationSettings::main().location_id),
            draining: AtomicBool::new(false),
            login,
            receipt_keys,
            retention_ms,
            staff_may,
            queries,
            clock,
            packer,
            limits,
        });
        Ok(Self { app, packing })
    }

    /// Answers requests, with everything that stands around each.
    pub fn router(&self) -> axum::Router {
        app::router(Arc::clone(&self.app))
    }
}

/// Serves until shutdown is asked for; then takes no more connections, finishes requests in work and queues what it
/// took in.
///
/// # Errors
/// Where it can't start: keys, revocations or certificates that can't be read; where the listener fails.
pub async fn run(
    mut config: Config,
    adapters: Adapters,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), IngressError> {
    metrics::begin();
    let (tls, drain) = (config.tls.clone(), config.drain);
    config.limits.connections = server::connections_that_fit(config.limits.connections);
    let api = Api::start(config, adapters)?;
    let app = Arc::clone(&api.app);
    let header_timeout = Duration::from_secs(app.limits.header_timeout_s);
    let options = server::ServeOptions { tls, connections: app.limits.connections, header_timeout, drain };
    let unready = tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            shutdown.requested().await;
            app.draining.store(true, Ordering::Release);
        }
    });
    let served = server::serve(api.router(), listener, options, shutdown).await;
    unready.abort();
    api.packing.drain(drain).await;
    served
}
