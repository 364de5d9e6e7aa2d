//! `serve`: ingress, worker and alerter in one process, wired to the adapters of one data folder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use stockline_common::domain::{FoldLimits, Reason, Rules};
use stockline_common::ports::{Clock, CommandReceiver as _};
use stockline_common::service::{
    LogFormat, Shutdown, ShutdownTrigger, SystemClock, init_logs, install_metrics, on_termination,
};
use stockline_common::sqlite::{
    DataFolder, FolderError, OpenOptions, QueueOptions, SqliteAlertQueue, SqliteQueue, SqliteStore, StoreOptions,
};
use stockline_ingress::{AuthConfig, JwksSource, Limits, StaffMay, TlsFiles};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cli::ServeArgs;
use crate::control::{self, Operator};
use crate::exit::{self, Unavailable, Usage};
use crate::files::{self, PUBLIC};
use crate::folder::Folder;
use crate::keys::Keys;
use crate::tokens::{CLI_CLIENT, TILL_CLIENT};
use crate::{mail, welcome};

const HOUR_MS: i64 = 3_600_000;
/// How long a command may wait in queue and dead letter queue together (design.md §6).
const RETENTION_MS: i64 = 28 * 24 * HOUR_MS;
/// How long requests and work in hand may take after the signal.
const DRAIN: Duration = Duration::from_secs(20);
/// Receives in work at once: the store commits folds of all of them in one transaction.
const WORKER_PERMITS: usize = 4;
/// Messages of one receive.
const WORKER_RECEIVE_MAX: usize = 256;
/// How long an empty receive waits. The queue wakes it at once; this bounds how long an idle worker takes to stop.
const WORKER_RECEIVE_WAIT: Duration = Duration::from_millis(500);
/// How long a claim on an alert holds: longer than handing a batch of mails to a slow server takes.
const ALERT_LEASE: Duration = Duration::from_secs(300);
/// The port of Prometheus exporters that have no other.
const METRICS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_464);
/// How often the queue's depth is measured.
const DEPTH_INTERVAL: Duration = Duration::from_secs(5);

/// Messages that wait in the queue.
const QUEUE_VISIBLE: &str = "stockline_queue_visible";
/// Messages that the worker holds.
const QUEUE_IN_FLIGHT: &str = "stockline_queue_in_flight";
/// How long the oldest message has waited.
const QUEUE_OLDEST_AGE: &str = "stockline_queue_oldest_age_seconds";

/// The adapters of a data folder; while they live the folder is ours.
#[derive(Debug)]
pub(crate) struct Stores {
    pub(crate) queue: Arc<SqliteQueue>,
    pub(crate) alerts: Arc<SqliteAlertQueue>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) clock: Arc<dyn Clock>,
    _folder: DataFolder,
}

impl Stores {
    /// Opens what is in the folder, creating what is not.
    pub(crate) fn open(folder: DataFolder) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let queue = SqliteQueue::open(&folder, QueueOptions::default(), Arc::clone(&clock))?;
        let store = SqliteStore::open(&folder.stock_db(), StoreOptions::default(), &OpenOptions::default())?;
        let (alerts, queue) = (Arc::new(queue.alerts()), Arc::new(queue));
        Ok(Self { queue, alerts, store: Arc::new(store), clock, _folder: folder })
    }

    /// Opens a folder that a server has filled, for the command line's own work; refused while one uses it.
    pub(crate) fn open_existing(folder: &Folder) -> anyhow::Result<Self> {
        if !folder.stock_db().exists() {
            let folder = folder.path().display();
            return Err(Unavailable(format!("{folder} holds no stock: name the data folder with --data")).into());
        }
        Self::open(take(folder)?)
    }
}

/// Another process holds the folder.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct InUse(FolderError);

/// Takes the folder's lock.
fn take(folder: &Folder) -> anyhow::Result<DataFolder> {
    DataFolder::open(folder.path()).map_err(|error| match error {
        FolderError::Locked { .. } => InUse(error).into(),
        other => other.into(),
    })
}

/// `stockline serve`
pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<u8> {
    refuse_open_http(&args)?;
    let staff_may = staff_may(&args.staff_may)?;
    mail::check_addresses(&args.mail.alert_emails)?;
    let format = if args.log_json { LogFormat::Json } else { LogFormat::Text };
    init_logs(format, &args.log).map_err(|error| Usage(format!("--log {error}")))?;
    let metrics = install_metrics().context("can't set up metrics")?;

    let folder = Folder::at(&args.data.data);
    let stores = {
        let taken = take(&folder)?;
        tokio::task::spawn_blocking(move || Stores::open(taken)).await??
    };
    let keys = {
        let (folder, now) = (folder.clone(), stores.clock.now());
        tokio::task::spawn_blocking(move || Keys::open_or_make(&folder, now)).await??
    };
    let (mailer, mail_goes) = mail::mailer(&args.mail, &folder)?;
    let listener = listen(args.listen, "--listen").await?;
    let address = listener.local_addr().context("can't read the listening address")?;
    let metrics_listener = listen_for_metrics(args.metrics_listen).await?;
    let metrics_address = metrics_listener.local_addr().context("can't read the metrics address")?;
    let base = base_url(address, args.tls_cert.is_some());
    let public = args.public_url.clone().unwrap_or_else(|| base.clone());

    let mut parts = Parts::default();
    parts.start("the mail side", |shutdown| {
        let config = stockline_alerter::Config {
            recipients: args.mail.alert_emails.clone(),
            lease: ALERT_LEASE,
            public_url: Some(public.clone()),
        };
        let adapters = stockline_alerter::Adapters {
            book: stores.store.clone(),
            locations: stores.store.clone(),
            queries: stores.store.clone(),
            mailer,
            clock: Arc::clone(&stores.clock),
        };
        let alerts = stores.alerts.clone();
        async move {
            stockline_alerter::run(config, adapters, alerts, shutdown).await;
            Ok(())
        }
    });
    parts.start("the worker", |shutdown| {
        let config = worker_config(&args);
        let adapters = stockline_worker::Adapters {
            queue: stores.queue.clone(),
            store: stores.store.clone(),
            alerts: stores.alerts.clone(),
            clock: Arc::clone(&stores.clock),
        };
        async move {
            stockline_worker::run(config, adapters, shutdown).await;
            Ok(())
        }
    });
    let config = ingress_config(&args, &folder, &keys.0, staff_may)?;
    parts.start("the API", |shutdown| {
        let adapters = stockline_ingress::Adapters {
            queue: stores.queue.clone(),
            queries: stores.store.clone(),
            clock: Arc::clone(&stores.clock),
        };
        async move { Ok(stockline_ingress::run(config, adapters, listener, shutdown).await?) }
    });
    let side = start_side_work(&stores, &folder, metrics, metrics_listener);
    files::write_atomic(
        &folder.address(),
        format!("{}\n", args.public_url.as_ref().filter(|_| args.tls_cert.is_some()).unwrap_or(&base)).as_bytes(),
        PUBLIC,
    )?;

    let has_location_mail = location_mail(&stores).await;
    welcome::print(&welcome::Facts {
        base: &base,
        metrics: metrics_address,
        folder: folder.path(),
        mail: &mail_goes,
        recipients: &args.mail.alert_emails,
        has_location_mail,
        keys_made: keys.1,
    });
    let ended = parts.run_until_asked_to_end().await;
    side.end().await;
    ended?;
    tracing::info!("stopped; everything accepted is in {}", folder.path().display());
    Ok(exit::OK)
}

/// Does any location have addresses of its own?
async fn location_mail(stores: &Stores) -> bool {
    use stockline_common::ports::Locations as _;
    stores.store.locations().await.is_ok_and(|locations| locations.iter().any(|l| !l.alert_emails.is_empty()))
}

fn worker_config(args: &ServeArgs) -> stockline_worker::Config {
    let rules = Rules {
        max_age_ms: i64::from(args.max_age_days) * 24 * HOUR_MS,
        late_count_max_age_ms: i64::from(args.late_count_hours) * HOUR_MS,
    };
    stockline_worker::Config {
        permits: WORKER_PERMITS,
        receive_max: WORKER_RECEIVE_MAX,
        receive_wait: WORKER_RECEIVE_WAIT,
        rules,
        fold_limits: FoldLimits::default(),
        retention_ms: RETENTION_MS,
        drain: DRAIN,
    }
}

fn ingress_config(
    args: &ServeArgs,
    folder: &Folder,
    keys: &Keys,
    staff_may: StaffMay,
) -> anyhow::Result<stockline_ingress::Config> {
    let mut limits = Limits::default();
    if let Some(per_s) = args.rate_limit {
        limits.rate_per_s = Some(per_s);
        limits.rate_burst = per_s.saturating_mul(2);
    }
    let tls = args.tls_cert.clone().zip(args.tls_key.clone()).map(|(cert, key)| TlsFiles { cert, key });
    Ok(stockline_ingress::Config {
        auth: AuthConfig {
            issuer: keys.issuer.clone(),
            client_ids: vec![CLI_CLIENT.to_owned(), TILL_CLIENT.to_owned()],
            jwks: JwksSource::File(folder.jwks()),
            revoked_file: Some(folder.revoked()),
        },
        receipt_keys: keys.receipt_keys()?,
        require_location: args.require_location,
        staff_may,
        limits,
        tls,
        retention_ms: RETENTION_MS,
        drain: DRAIN,
    })
}

/// Tokens must not cross a network readable.
fn refuse_open_http(args: &ServeArgs) -> Result<(), Usage> {
    let open = !args.listen.ip().is_loopback() && args.tls_cert.is_none() && !args.insecure_http;
    if !open {
        return Ok(());
    }
    Err(Usage(format!(
        "plain HTTP at {} would let anyone on the network read tokens. Give --tls-cert and --tls-key; or --insecure-http behind a proxy that does TLS; or listen at {}",
        args.listen,
        crate::cli::DEFAULT_LISTEN
    )))
}

/// `count`, `adjust:damaged`, …
fn staff_may(words: &[String]) -> Result<StaffMay, Usage> {
    let mut may = StaffMay::default();
    for word in words {
        let reason = word.strip_prefix("adjust:").and_then(Reason::from_word);
        match (word.as_str(), reason) {
            ("count", _) => may.count = true,
            (_, Some(reason)) => may.adjust.push(reason),
            _ => {
                let reasons = Reason::ALL.map(|reason| format!("adjust:{}", reason.as_str())).join(", ");
                return Err(Usage(format!("--staff-may {word:?}: it takes count, {reasons}")));
            }
        }
    }
    Ok(may)
}

/// What a client on this machine connects to.
fn base_url(address: SocketAddr, tls: bool) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another program listens there; stop it, or choose another",
            std::io::ErrorKind::PermissionDenied => "this user may not listen there; choose a port above 1023",
            _ => "choose another",
        };
        Unavailable(format!("can't listen at {address} ({error}): {advice} with {option}")).into()
    })
}

/// At the named address, or near the usual one: metrics alone are no reason not to start.
async fn listen_for_metrics(named: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = named {
        return listen(address, "--metrics-listen").await;
    }
    match TcpListener::bind(METRICS_LISTEN).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            tracing::warn!("metrics can't listen at {METRICS_LISTEN} ({error}); they take a free port");
            listen(SocketAddr::new(METRICS_LISTEN.ip(), 0), "--metrics-listen").await
        }
    }
}

/// A part of the process, in order of starting; the last one started ends first.
#[derive(Debug)]
struct Part {
    name: &'static str,
    trigger: ShutdownTrigger,
    task: JoinHandle<anyhow::Result<()>>,
}

#[derive(Debug, Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn start<F>(&mut self, name: &'static str, begin: impl FnOnce(Shutdown) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (trigger, shutdown) = Shutdown::new();
        self.0.push(Part { name, trigger, task: tokio::spawn(begin(shutdown)) });
    }

    /// Until a signal comes or a part fails. Then ends the parts one after the other, so that what one hands on finds
    /// the next one alive.
    async fn run_until_asked_to_end(mut self) -> anyhow::Result<()> {
        let failed = tokio::select! {
            signal = on_termination() => { signal.context("can't wait for signals")?; None }
            failed = first_ended(&mut self.0) => Some(failed),
        };
        let (ended, failure) = match failed {
            Some((name, error)) => (Some(name), Err(error.context(format!("{name} stopped by itself")))),
            None => (None, Ok(())),
        };
        tracing::info!("stopping");
        let ending = async {
            while let Some(part) = self.0.pop() {
                part.trigger.request();
                if Some(part.name) != ended {
                    part.task.await.with_context(|| format!("{} failed while stopping", part.name))??;
                }
            }
            anyhow::Ok(())
        };
        tokio::select! {
            ended = ending => failure.and(ended),
            _ = on_termination() => Err(anyhow!("stopped at once by a second signal; nothing accepted is lost")),
        }
    }
}

/// The first part that ends although nobody asked it to.
async fn first_ended(parts: &mut [Part]) -> (&'static str, anyhow::Error) {
    let waiting = parts.iter_mut().map(|part| {
        let name = part.name;
        Box::pin(async move { (name, (&mut part.task).await) })
    });
    let ((name, result), _, _) = futures_util::future::select_all(waiting).await;
    let error = match result {
        Ok(Ok(())) => anyhow!("it ended without being asked to"),
        Ok(Err(error)) => error,
        Err(panic) => panic.into(),
    };
    (name, error)
}

/// What runs beside and may fail without harm: metrics, the control socket.
#[derive(Debug)]
struct SideWork {
    trigger: ShutdownTrigger,
    control: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl SideWork {
    async fn end(self) {
        self.trigger.request();
        if let Some(control) = self.control {
            // A panic of the task was reported where it happened.
            let _ = control.await;
        }
        for task in self.others {
            task.abort();
        }
    }
}

fn start_side_work<R>(stores: &Stores, folder: &Folder, metrics: R, listener: TcpListener) -> SideWork
where
    R: MetricsText,
{
    let (trigger, shutdown) = Shutdown::new();
    let operator = Operator {
        queries: stores.store.clone(),
        store: stores.store.clone(),
        sender: stores.queue.clone(),
        clock: Arc::clone(&stores.clock),
    };
    let control = match control::listen(&folder.control_socket()) {
        Ok(listener) => Some(tokio::spawn(control::serve(listener, operator, shutdown))),
        Err(error) => {
            let path = folder.control_socket();
            tracing::warn!("no orders at {} ({error}): dead-letters needs the server stopped", path.display());
            None
        }
    };
    let queue = stores.queue.clone();
    let upkeep = metrics.clone();
    let measure = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(DEPTH_INTERVAL);
        loop {
            ticks.tick().await;
            upkeep.upkeep();
            if let Ok(depth) = queue.depth().await {
                metrics::gauge!(QUEUE_VISIBLE).set(depth.visible as f64);
                metrics::gauge!(QUEUE_IN_FLIGHT).set(depth.in_flight as f64);
                metrics::gauge!(QUEUE_OLDEST_AGE).set(depth.oldest_age_ms as f64 / 1_000.0);
            }
        }
    });
    let router = axum::Router::new().route("/metrics", axum::routing::get(move || async move { metrics.text() }));
    let serve = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!("metrics are no longer served: {error}");
        }
    });
    SideWork { trigger, control, others: vec![measure, serve] }
}

/// What the metrics recorder gives.
trait MetricsText: Clone + Send + Sync + 'static {
    fn text(&self) -> String;
    fn upkeep(&self);
}

impl MetricsText for metrics_exporter_prometheus::PrometheusHandle {
    fn text(&self) -> String {
        self.render()
    }

    fn upkeep(&self) {
        self.run_upkeep();
    }
}
