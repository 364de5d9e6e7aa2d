//! The HTTP side of Stockline: it authenticates and parses requests, packs commands into the queue, and answers reads.
//!
//! The files depend on each other downwards only: this file → `router` → `openapi`, `routes` → `exports`, `imports` → `accept`, `access`
//! → `app` (the state) → `receipt`, `view`, `auth`, `packer`, `admission`, `answer_budget`, `body_budget`, `list_turns`, `wait`,
//! `problem` → `config`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking"))]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stockline_core::domain::LocationSettings;
use stockline_core::ports::{Clients, Clock, CommandSender, Queries};
use stockline_service::{Faults, Severity};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

mod accept;
mod access;
mod admission;
mod answer;
mod answer_budget;
mod app;
pub mod auth;
mod body;
mod body_budget;
mod config;
mod error;
mod exports;
mod imports;
mod list_turns;
mod login;
mod members;
pub mod metrics;
mod openapi;
pub mod packer;
mod params;
mod problem;
mod receipt;
mod router;
mod routes;
pub mod server;
mod staff_may;
mod stand_in;
mod view;
mod wait;
mod web;

pub use auth::KeptKeys;
pub use config::{AuthConfig, Config, JwksSource, Limits};
pub use error::IngressError;
pub use login::{LoginAddressError, LoginConfig};
pub use metrics::metrics_router;
pub use server::tls::TlsFiles;
pub use staff_may::{StaffMay, StaffMayError};
pub use stand_in::stand_in;
pub use web::{BasePath, BasePathError, Origin, OriginError, Pages, Web};

use self::admission::Admission;
use self::answer_budget::AnswerBudget;
use self::app::App;
use self::auth::{Authenticator, TokenCheck};
use self::body_budget::BodyBudget;
use self::imports::Imports;
use self::list_turns::ListTurns;
use self::metrics::{CommandMetrics, RequestMetrics};
use self::packer::{PACKER, Packer, PackerTask, QUEUE};
use self::receipt::Receipts;
use self::server::CERTIFICATE;
use self::wait::Waiting;
use tokio_util::sync::CancellationToken;

/// The ports that the ingress uses.
#[derive(Debug, Clone)]
pub struct Adapters {
    /// Accepts commands.
    pub queue: Arc<dyn CommandSender>,
    /// Answers reads.
    pub queries: Arc<dyn Queries>,
    /// Keeps the registered clients; `None` where only configured clients are accepted.
    pub clients: Option<Arc<dyn Clients>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// The API without a listener.
#[derive(Debug)]
pub struct Api {
    app: Arc<App>,
    packing: PackerTask,
    web: Web,
}

impl Api {
    /// Reads the keys or begins to fetch them, and starts the packer; must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`IngressError::Config`] if the keys or the revoked tokens can't be read.
    pub fn start(config: Config, adapters: Adapters) -> Result<Self, IngressError> {
        Self::start_watched(config, adapters, Arc::default())
    }

    fn start_watched(config: Config, adapters: Adapters, faults: Arc<Faults>) -> Result<Self, IngressError> {
        let Config {
            auth,
            login,
            receipt_keys,
            require_location,
            staff_may,
            scale_labels,
            limits,
            web,
            retention_ms,
            lately,
            linger,
            ..
        } = config;
        let Adapters { queue, queries, clients, clock } = adapters;
        let authenticator = Authenticator::start_registered(auth, clients.clone(), Arc::clone(&clock))?;
        let (packer, packing) = Packer::start_watched(queue, limits.buffered_commands, linger, Arc::clone(&faults));
        let app = Arc::new(App {
            token_check: TokenCheck::new(authenticator, &limits),
            admission: Admission::new(&limits),
            body_budget: BodyBudget::new(&limits),
            list_turns: ListTurns::new(&limits),
            reports: tokio::sync::Semaphore::new(1),
            kept_reports: routes::KeptReports::default(),
            answer_budget: AnswerBudget::new(&limits),
            imports: Imports::new(&limits),
            exports: Arc::new(Semaphore::new(exports::EXPORTS_AT_ONCE)),
            waiting: Waiting::start(Arc::clone(&queries), limits.waiters, limits.waited_commands),
            receipts: Receipts::new(receipt_keys, retention_ms, Arc::clone(&clock)),
            default_location: (!require_location).then(|| LocationSettings::main().location_id),
            draining: AtomicBool::new(false),
            faults,
            command_metrics: CommandMetrics::register(),
            request_metrics: RequestMetrics::register(problem_codes()),
            limits,
            staff_may,
            scale_labels,
            login,
            packer,
            queries,
            clients,
            lately,
            clock,
        });
        Ok(Self { app, packing, web })
    }

    /// Returns the routes, with their middleware, and the pages beside them.
    pub fn router(&self) -> axum::Router {
        let api = router::router(Arc::clone(&self.app));
        let all = match &self.web.pages {
            Some(pages) => api.clone().merge(router::measured_beside(pages.beside(api), Arc::clone(&self.app))),
            None => api,
        };
        web::reached(all, &self.web)
    }
}

fn problem_codes() -> impl Iterator<Item = &'static str> {
    problem::CODES.iter().map(|code| code.code)
}

/// The parts of the process whose faults the ingress finds.
pub const PARTS: [&str; 3] = [PACKER, QUEUE, CERTIFICATE];

/// Serves until a shutdown is requested. Then it accepts no more connections, finishes the requests in progress, and
/// queues the commands that it accepted.
///
/// # Errors
/// It can't start because the keys or the revoked tokens can't be read, or its packer ended by itself.
pub async fn run(
    config: Config,
    adapters: Adapters,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), IngressError> {
    run_watched(config, adapters, Arc::new(Faults::of(&PARTS)), listener, shutdown).await
}

/// Serves as [`run`] does. `/readyz` shows the `faults` of the whole process.
///
/// # Errors
/// As [`run`].
pub async fn run_watched(
    mut config: Config,
    adapters: Adapters,
    faults: Arc<Faults>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), IngressError> {
    metrics::begin(problem_codes());
    let (tls, drain, clock) = (config.tls.clone(), config.drain, Arc::clone(&adapters.clock));
    config.limits.connections = server::connections_that_fit(config.limits.connections);
    let mut api = Api::start_watched(config, adapters, Arc::clone(&faults))?;
    let app = Arc::clone(&api.app);
    let header_timeout = Duration::from_secs(app.limits.header_timeout_s);
    let pressure = app.answer_budget.pressure();
    let options = server::ServeOptions { tls, connections: app.limits.connections, header_timeout, drain, pressure };
    // The caller's token is left alone: if the packer ends, only the ingress stops.
    let shutdown = shutdown.child_token();
    // If this future is dropped, its tasks must not keep the adapters.
    let _at_the_end = (shutdown.clone().drop_guard(), api.packing.cut_off());
    let unready = tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            shutdown.cancelled().await;
            app.draining.store(true, Ordering::Release);
        }
    });
    if let Some(tls) = &options.tls {
        tokio::spawn(Arc::clone(tls).keep(Arc::clone(&faults), clock, shutdown.clone()));
    }
    let serving = server::serve(api.router(), listener, options, shutdown.clone());
    let served = with_packer(serving, &mut api.packing, &faults, shutdown).await;
    unready.abort();
    api.packing.drain(drain).await;
    served
}

/// Serves while the packer runs. Without it every command would be refused, for good: then the server stops in order.
async fn with_packer(
    serving: impl Future<Output = ()>,
    packing: &mut PackerTask,
    faults: &Faults,
    shutdown: CancellationToken,
) -> Result<(), IngressError> {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        biased;
        () = &mut serving => Ok(()),
        () = packing.ended() => {
            faults.found(PACKER, Severity::Down, "it stopped by itself");
            shutdown.cancel();
            serving.await;
            Err(IngressError::Stopped("the packer"))
        }
    }
}
