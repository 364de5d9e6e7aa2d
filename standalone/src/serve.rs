//! `serve`: ingress, worker and alerter in one process, wired to the adapters of one data folder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use stockline_core::domain::{FoldLimits, Rules};
use stockline_core::ports::Clock;
use stockline_ingress::{AuthConfig, JwksSource, Limits, StaffMay, TlsFiles, server};
use stockline_service::{LogFormat, SystemClock, init_logs, install_metrics, on_termination};
use stockline_sqlite::{
    DataFolder, FolderError, OpenOptions, QueueOptions, SqliteAlertQueue, SqliteQueue, SqliteStore, StoreOptions,
};
use tokio::net::TcpListener;

use crate::cli::ServeArgs;
use crate::exit::{self, Unavailable, Usage};
use crate::files::{self, PUBLIC};
use crate::folder::Folder;
use crate::keys::Keys;
use crate::parts::Parts;
use crate::tokens::{CLI_CLIENT, TILL_CLIENT};
use crate::{mailer, side_work, welcome};

const HOUR_MS: i64 = 3_600_000;
/// How long requests and work in hand may take after the signal.
const DRAIN: Duration = Duration::from_secs(20);
/// Receives in work at once: the store commits folds of all of them in one transaction.
const WORKER_PERMITS: usize = 2;
/// Messages of one receive.
const WORKER_RECEIVE_MAX: usize = 512;
/// How long an empty receive waits. The queue wakes it at once; this bounds how long an idle worker takes to stop.
const WORKER_RECEIVE_WAIT: Duration = Duration::from_millis(500);
/// How long a claim on an alert holds: longer than handing a batch of mails to a slow server takes.
const ALERT_LEASE: Duration = Duration::from_secs(300);
/// The port of Prometheus exporters that have no other.
const METRICS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_464);

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
    // From here on a signal ends the server in order, also while it starts.
    let mut signal = Box::pin(on_termination());
    if let Some(came) = (&mut signal).now_or_never() {
        came.context("can't wait for signals")?;
        return Ok(exit::OK);
    }
    refuse_open_http(&args)?;
    let staff_may = staff_may(&args.staff_may)?;
    mailer::check_addresses(&args.mail.alert_emails)?;
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
    let (mailer, mail_goes) = mailer::mailer(&args.mail, &folder)?;
    let listener = listen(args.listen, "--listen")?;
    let address = listener.local_addr().context("can't read the listening address")?;
    let metrics_listener = listen_for_metrics(args.metrics_listen)?;
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
    let side = side_work::start(&stores, &folder, metrics, metrics_listener);
    // A certificate is for the name that others use.
    let found_at = if args.tls_cert.is_some() { &public } else { &base };
    files::write_atomic(&folder.address(), format!("{found_at}\n").as_bytes(), PUBLIC)?;

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
    let ended = parts.run_until(signal).await;
    side.end().await;
    ended?;
    tracing::info!("stopped; everything accepted is in {}", folder.path().display());
    Ok(exit::OK)
}

/// Does any location have addresses of its own?
async fn location_mail(stores: &Stores) -> bool {
    use stockline_core::ports::Locations as _;
    stores.store.locations().await.is_ok_and(|locations| locations.iter().any(|l| !l.alert_emails.is_empty()))
}

fn worker_config(args: &ServeArgs) -> stockline_worker::Config {
    let rules = Rules {
        max_age_ms: i64::from(args.max_age_days) * 24 * HOUR_MS,
        late_count_max_age_ms: i64::from(args.late_count_hours) * HOUR_MS,
    };
    stockline_worker::Config {
        permits: WORKER_PERMITS,
        receivers: 1,
        receive_max: WORKER_RECEIVE_MAX,
        receive_wait: WORKER_RECEIVE_WAIT,
        rules,
        fold_limits: FoldLimits::default(),
        retention_ms: stockline_core::ports::RETENTION_MS,
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
        login: None,
        receipt_keys: keys.receipt_keys()?,
        require_location: args.require_location,
        staff_may,
        limits,
        tls,
        retention_ms: stockline_core::ports::RETENTION_MS,
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
    words.join(",").parse().map_err(|error| Usage(format!("--staff-may {error}")))
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

fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    server::listen(address).map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another program listens there; stop it, or choose another",
            std::io::ErrorKind::PermissionDenied => "this user may not listen there; choose a port above 1023",
            _ => "choose another",
        };
        Unavailable(format!("can't listen at {address} ({error}): {advice} with {option}")).into()
    })
}

/// At the named address, or near the usual one: metrics alone are no reason not to start.
fn listen_for_metrics(named: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = named {
        return listen(address, "--metrics-listen");
    }
    match server::listen(METRICS_LISTEN) {
        Ok(listener) => Ok(listener),
        Err(error) => {
            tracing::warn!("metrics can't listen at {METRICS_LISTEN} ({error}); they take a free port");
            listen(SocketAddr::new(METRICS_LISTEN.ip(), 0), "--metrics-listen")
        }
    }
}
