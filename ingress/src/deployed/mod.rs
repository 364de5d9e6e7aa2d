//! The ingress on AWS: behind a load balancer, with SQS and DynamoDB.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use stockline_aws::deployed::{self, StartChecks};
use stockline_aws::{Clients, DynamoOptions, DynamoStore, SqsOptions, SqsQueue};
use stockline_console::SessionKeys;
use stockline_console::people::{Oidc, SignIn};
use stockline_core::ports::Clock;
use stockline_ingress::{Adapters, AuthConfig, Config, KeptKeys, Pages, Web, server};
use stockline_service::{CLOCK_REMEDY, EmfEmitter, GuardedClock, install_metrics_and_emf, on_termination};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod settings;

pub(crate) use settings::{LISTEN, Settings, VARIABLES};

/// How long requests in progress may take after SIGTERM, and after them their packs.
const DRAIN: Duration = Duration::from_secs(12);

const _: () = assert!(2 * DRAIN.as_secs() < deployed::STOP_TIMEOUT.as_secs());

/// Serves until SIGTERM.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    // From here on a signal stops the program cleanly, also while it starts.
    let mut signal = tokio::spawn(on_termination());
    let _logging = settings.logs.begin("stockline-ingress")?;
    let metrics = install_metrics_and_emf().context("can't set up metrics")?;
    let (adapters, kept_keys) = tokio::select! {
        connected = connect(&settings) => connected?,
        signal = &mut signal => return signal?.context("can't wait for signals"),
    };
    let listener = listen(settings.listen, "STOCKLINE_LISTEN")?;
    if let Some(address) = settings.metrics_listen {
        let listener = listen(address, "STOCKLINE_METRICS_LISTEN")?;
        let metrics = metrics.0.clone();
        let router = stockline_ingress::metrics_router(move || metrics.render());
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    tracing::info!(address = %listener.local_addr()?, "the API listens");

    let emitter_shutdown = CancellationToken::new();
    let stop_emitter = emitter_shutdown.clone();
    let emitter =
        EmfEmitter::new("ingress", &settings.logs.metrics_namespace, metrics).context("can't write metrics")?;
    let emitter = tokio::spawn(emitter.run(emitter_shutdown));
    let shutdown = CancellationToken::new();
    let trigger = shutdown.clone();
    let config = config(settings, kept_keys, Arc::clone(&adapters.clock));
    let mut serving = tokio::spawn(stockline_ingress::run(config, adapters, listener, shutdown));
    let ended = tokio::select! {
        ended = &mut serving => ended,
        signal = signal => {
            signal?.context("can't wait for signals")?;
            tracing::info!("stopping");
            trigger.cancel();
            serving.await
        }
    };
    stop_emitter.cancel();
    emitter.await?;
    ended??;
    tracing::info!("stopped; every accepted command is in the queue");
    Ok(())
}

async fn connect(settings: &Settings) -> anyhow::Result<(Adapters, KeptKeys)> {
    let clock: Arc<dyn Clock> = Arc::new(GuardedClock::new(None, CLOCK_REMEDY));
    let clients = Clients::from_env().await;
    let queue = SqsQueue::new(clients.sqs, settings.queue_url.clone(), None, SqsOptions::default());
    let options = DynamoOptions::default();
    let store = DynamoStore::new(clients.dynamodb, settings.table.clone(), options, Arc::clone(&clock));
    let (queue_found, store_found) = tokio::join!(queue.check(), store.check());
    let mut checks = StartChecks::default();
    checks.add(&deployed::QUEUE_URL, queue_found);
    // The start does not fail if the store can't be reached, because accepting needs only the queue (P9).
    checks.add(&deployed::TABLE, store_found);
    checks.finish()?;
    let store = Arc::new(store);
    let kept_keys = KeptKeys::new(store.clone(), &settings.receipt_keys);
    Ok((Adapters { queue: Arc::new(queue), queries: store.clone(), clients: Some(store), clock }, kept_keys))
}

fn config(settings: Settings, kept_keys: KeptKeys, clock: Arc<dyn Clock>) -> Config {
    let pages =
        console(&settings, clock).map(|config| Pages::new(move |api| stockline_console::router(config.clone(), api)));
    Config {
        auth: AuthConfig { kept_keys: Some(kept_keys), ..settings.auth },
        login: settings.login,
        receipt_keys: settings.receipt_keys,
        require_location: settings.require_location,
        staff_may: settings.staff_may,
        scale_labels: settings.scale_labels,
        limits: settings.limits,
        tls: None,
        web: Web { origins: settings.origins, pages, ..Web::default() },
        retention_ms: stockline_core::ports::RETENTION_MS,
        lately: None,
        linger: settings.linger,
        drain: DRAIN,
    }
}

/// Returns the configuration of the console; `None` without it. Its figures are in CloudWatch: those of one task would
/// mislead.
fn console(settings: &Settings, clock: Arc<dyn Clock>) -> Option<stockline_console::Config> {
    let (public, login) = settings.console.clone().zip(settings.login.as_ref())?;
    Some(stockline_console::Config {
        base: String::new(),
        public,
        keys: SessionKeys::of(&settings.receipt_keys),
        sign_in: SignIn::Oidc(Oidc {
            authorization_endpoint: login.authorization_endpoint.clone(),
            token_endpoint: login.token_endpoint.clone(),
            logout_endpoint: login.logout_endpoint(),
            client_id: login.client_id.clone(),
            scope: login.scope.clone(),
        }),
        staff_may_count: settings.staff_may.count,
        metrics: None,
        upkeep: None,
        lately: None,
        clock,
    })
}

fn listen(address: std::net::SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    server::listen(address).with_context(|| format!("{variable}: can't listen at {address}"))
}
