//! The configuration of the ingress.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::{ReceiptKeys, ScaleRules};
use stockline_core::ports::{Lately, RETENTION_MS};

use crate::auth::{FilesChanged, KeptKeys};
use crate::login::LoginConfig;
use crate::server::certificates::Certificates;
use crate::staff_may::StaffMay;
use crate::web::Web;

/// How the ingress runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which tokens are accepted.
    pub auth: AuthConfig,
    /// Where people get a token. With `None`, `/v1/login` answers `login_not_configured`.
    pub login: Option<LoginConfig>,
    /// The keys that sign and verify receipts.
    pub receipt_keys: ReceiptKeys,
    /// Whether a movement must name its location. If not, a movement without one is at `main`.
    pub require_location: bool,
    /// What Staff may do beyond the default.
    pub staff_may: StaffMay,
    /// How the labels of the shop's own scales are read.
    pub scale_labels: ScaleRules,
    /// The bounds of the API.
    pub limits: Limits,
    /// The certificate to serve HTTPS with; `None` serves plain HTTP.
    pub tls: Option<Arc<Certificates>>,
    /// How browsers and proxies reach the API.
    pub web: Web,
    /// How long a command can wait in the queue and the dead letter queue together, in milliseconds. If a receipt is
    /// older and its command has no outcome, the status is `outcome_missing`.
    pub retention_ms: i64,
    /// Notes what is accepted; `None` where several processes accept, so that none of them knows it.
    pub lately: Option<Arc<Lately>>,
    /// How long messages of different items wait for each other before they are sent in one call, so that the queue's calls
    /// are paid for less often. Zero sends at once.
    pub linger: Duration,
    /// How long requests in progress may take after a shutdown request.
    pub drain: Duration,
}

impl Config {
    /// Returns the configuration of an ingress that serves plain HTTP, with the default bounds and rights, and takes up to
    /// 5 s to finish its requests when it stops.
    pub fn new(auth: AuthConfig, receipt_keys: ReceiptKeys) -> Self {
        Self {
            auth,
            login: None,
            receipt_keys,
            require_location: false,
            staff_may: StaffMay::default(),
            scale_labels: ScaleRules::default(),
            limits: Limits::default(),
            tls: None,
            web: Web::default(),
            retention_ms: RETENTION_MS,
            lately: None,
            linger: Duration::ZERO,
            drain: Duration::from_secs(5),
        }
    }
}

/// Which tokens are accepted.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// The issuer; a token's `iss` must equal it.
    pub issuer: String,
    /// The accepted clients; a token's `client_id` must be one of them.
    pub client_ids: Vec<String>,
    /// Where the keys that sign tokens are.
    pub jwks: JwksSource,
    /// A file of revoked tokens, as [`crate::auth::RevokedList`] writes it. It must exist, and is read again when it changes.
    pub revoked_file: Option<PathBuf>,
    /// Where fetched keys are kept for the next start; `None` keeps them nowhere.
    pub kept_keys: Option<KeptKeys>,
    /// Says that this process has changed the files. Changes by others are noticed within seconds.
    pub changed: FilesChanged,
}

impl AuthConfig {
    /// Accepts the tokens that this issuer made for these clients.
    pub fn new(issuer: impl Into<String>, client_ids: Vec<String>, jwks: JwksSource) -> Self {
        Self {
            issuer: issuer.into(),
            client_ids,
            jwks,
            revoked_file: None,
            kept_keys: None,
            changed: FilesChanged::default(),
        }
    }
}

/// Where the keys that sign tokens are.
#[derive(Debug, Clone)]
pub enum JwksSource {
    /// At an address; they are fetched, cached and refreshed.
    Url(String),
    /// In a file, which is read again when it changes.
    File(PathBuf),
}

/// Every bound of the API, published at `/v1/limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Bytes that all bodies over 16 KiB may occupy together while they are read; at least two bodies of the largest
    /// size. Further bodies wait, and get 503 after 1 s. Slow bodies may use half of it.
    pub large_bodies_bytes: usize,
    /// Bytes that all answers may occupy together until they are sent: half for lists, a quarter for other answers, and a
    /// quarter for answers up to 16 KiB. Further answers wait, and get 503 after 5 s.
    pub answers_bytes: usize,
    /// Commands of one batch.
    pub batch_commands: usize,
    /// Requests that wait for outcomes at once.
    pub waiters: usize,
    /// Commands that all waiting requests wait for together.
    pub waited_commands: usize,
    /// The longest `Prefer: wait`, in seconds.
    pub wait_s: u64,
    /// Commands that are accepted but not yet in the queue; beyond it requests get 503.
    pub buffered_commands: usize,
    /// Requests in progress at once. Further requests wait, as many as there may be connections, and get 503 after 1 to
    /// 10 s. Slow bodies beyond an eighth of this number get 503 at once.
    pub concurrent_requests: usize,
    /// Open connections; fewer if the limit of open files is lower. Further connections wait to be accepted, and idle
    /// connections are closed for them.
    pub connections: usize,
    /// Time to send the head of a request, in seconds.
    pub header_timeout_s: u64,
    /// Time for a whole request without its `Prefer: wait`, in seconds.
    pub request_timeout_s: u64,
    /// Requests per second and token; `None` sets no limit.
    pub rate_per_s: Option<u32>,
    /// Requests that an idle token may make at once.
    pub rate_burst: u32,
    /// Bytes of a file that is imported.
    pub import_bytes: usize,
    /// Bytes of the lines of all imports that are kept.
    pub imports_bytes: usize,
    /// Entries of a list page.
    pub page: usize,
    /// Lists that are read at once.
    pub lists: usize,
    /// Lists of one token's subject that wait for their turn, and an eighth of those that wait in all; further ones get
    /// 503 after 1 s.
    pub lists_waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            large_bodies_bytes: 64 * 1024 * 1024,
            answers_bytes: 64 * 1024 * 1024,
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
            import_bytes: 32 * 1024 * 1024,
            imports_bytes: 128 * 1024 * 1024,
            page: 1_000,
            lists: 8,
            lists_waiting: 64,
        }
    }
}
