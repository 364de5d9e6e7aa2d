//! `serve`: runs ingress, worker and alerter in one process on one data folder.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use metrics_exporter_prometheus::PrometheusHandle;
use stockline_core::domain::{FoldLimits, ReceiptKeys, Rules};
use stockline_core::ports::{Clock, Lately};
use stockline_ingress::auth::FilesChanged;
use stockline_ingress::server::Certificates;
use stockline_ingress::{AuthConfig, JwksSource, Limits, Pages, StaffMay, TlsFiles, Web, server};
use stockline_service::trace::SpanExport;
use stockline_service::{Faults, Hangups, LogFormat, init_logs, install_metrics, on_termination};
use tokio::net::TcpListener;

use crate::args::{DEFAULT_LISTEN, ServeArgs};
use crate::exit::{self, Unavailable, Usage};
use crate::files::{self, PUBLIC};
use crate::folder::Folder;
use crate::issuer::tokens::{CLI_CLIENT, TILL_CLIENT};
use crate::mailer;
use crate::stores::Stores;

mod console;
pub(crate) mod control;
mod home;
mod mail_log;
mod parts;
mod reload;
mod sender_log;
mod side_work;
mod upkeep;
mod watched_mailer;
mod welcome;

use home::{Home, OpenStores};
use mail_log::MailLog;
use sender_log::SenderLog;
use welcome::Welcome;

const HOUR_MS: i64 = 3_600_000;
/// How long requests and work in flight may take after the signal.
const DRAIN: Duration = Duration::from_secs(20);
/// The most concurrent receives: the store commits the folds of all of them in one transaction.
const WORKER_PERMITS: usize = 2;
/// The most messages of one receive.
const WORKER_RECEIVE_MAX: usize = 512;
/// How long an empty receive waits. A new message ends the wait at once, so this only bounds how long an idle worker
/// takes to stop.
const WORKER_RECEIVE_WAIT: Duration = Duration::from_millis(500);
/// How long a claim on an alert holds: longer than a slow mail server takes for a batch of mails.
const ALERT_LEASE: Duration = Duration::from_secs(300);
/// The usual address of an OpenTelemetry or Prometheus exporter.
const METRICS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_464);

/// Runs `stockline serve`.
pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<u8> {
    // From here on, a signal stops the server in order, even while it starts.
    let mut signal = Box::pin(on_termination());
    if let Some(arrived) = (&mut signal).now_or_never() {
        arrived.context("can't wait for signals")?;
        return Ok(exit::OK);
    }
    let hangups = Hangups::begin().context("can't wait for signals")?;
    refuse_open_http(&args)?;
    let staff_may = staff_may(&args.staff_may)?;
    mailer::check_addresses(&args.mail.alert_emails)?;
    mailer::ca_certificates(&args.mail)?;
    let format = if args.log_json { LogFormat::Json } else { LogFormat::Text };
    let export = args.otlp_endpoint.as_deref().map(|endpoint| SpanExport { endpoint, service: "stockline" });
    let _logging =
        init_logs(format, &args.log, export).map_err(|error| Usage(format!("--log, --otlp-endpoint: {error}")))?;
    let metrics = install_metrics().context("can't set up metrics")?;

    let certificates = tls_files(&args).map(Certificates::open).transpose()?;
    let parts = [&stockline_ingress::PARTS[..], &home::PARTS, &side_work::PARTS].concat();
    let (folder, lately) = (Folder::at(&args.data.data), Arc::new(Lately::default()));
    let mut setup = Setup {
        mails: Arc::new(MailLog::open(&folder)),
        senders: Arc::new(SenderLog::of(&folder, Arc::clone(&lately))),
        folder,
        staff_may,
        metrics,
        faults: Arc::new(Faults::of(&parts)),
        public: String::new(),
        certificates,
        changed: FilesChanged::default(),
        lately,
        args,
    };
    let stores = OpenStores::open(&setup).await?;
    let listeners = Listeners::bind(&setup.args)?;
    let base = base_url(listeners.address, setup.args.tls_cert.is_some());
    setup.public = setup.args.public_url.clone().unwrap_or_else(|| base.clone());
    // The certificate holds the public name, not the loopback address.
    let address_for_clients = if setup.args.tls_cert.is_some() { &setup.public } else { &base };
    files::write_atomic(&setup.folder.address(), format!("{address_for_clients}\n").as_bytes(), PUBLIC)?;
    let (is_new, mail) = (stores.stores.entered.is_new, stores.mail_description.clone());
    let has_location_mail = location_mail(&stores.stores).await;
    setup.senders.recall(&*stores.stores.store, stores.stores.clock.now()).await;
    let sign_in = console::first_link(&setup, is_new, stores.stores.clock.now());
    let home = Home::start(&setup, &listeners, stores)?;
    welcome::print(&Welcome {
        base: &base,
        metrics: listeners.metrics_address,
        folder: setup.folder.path(),
        mail: &mail,
        recipients: &setup.args.mail.alert_emails,
        has_location_mail,
        is_new,
        console: &console::root(&setup),
        sign_in: sign_in.as_deref(),
    });
    tokio::select! {
        kept = home::keep(&setup, listeners, home, signal) => kept?,
        () = reload::on_hangup(hangups, setup.certificates.clone(), Arc::clone(&setup.faults)) => {}
    }
    tracing::info!("stopped; every accepted command is in {}", setup.folder.path().display());
    Ok(exit::OK)
}

/// What outlives a home that is closed and opened again.
#[derive(Debug)]
pub(crate) struct Setup {
    args: ServeArgs,
    folder: Folder,
    staff_may: StaffMay,
    metrics: PrometheusHandle,
    faults: Arc<Faults>,
    /// The address of the links in mails.
    public: String,
    /// The certificate to serve HTTPS with.
    certificates: Option<Arc<Certificates>>,
    /// Makes the API read the keys and the list of revoked tokens before the next request.
    changed: FilesChanged,
    /// What became of the mails.
    mails: Arc<MailLog>,
    /// What was accepted lately.
    lately: Arc<Lately>,
    /// Keeps it over a restart.
    senders: Arc<SenderLog>,
}

/// The sockets. They stay open while a home is closed and opened again, so that no client meets a closed port.
#[derive(Debug)]
pub(crate) struct Listeners {
    api: std::net::TcpListener,
    address: SocketAddr,
    metrics: Arc<std::net::TcpListener>,
    metrics_address: SocketAddr,
}

impl Listeners {
    fn bind(args: &ServeArgs) -> anyhow::Result<Self> {
        let api = listen(args.listen, "--listen")?;
        let address = api.local_addr().context("can't read the listening address")?;
        let metrics = listen_for_metrics(args.metrics_listen)?;
        let metrics_address = metrics.local_addr().context("can't read the metrics address")?;
        let (api, metrics) = (api.into_std()?, Arc::new(metrics.into_std()?));
        Ok(Self { api, address, metrics, metrics_address })
    }

    fn api(&self) -> std::io::Result<TcpListener> {
        TcpListener::from_std(self.api.try_clone()?)
    }
}

/// Reports whether any location has its own addresses.
async fn location_mail(stores: &Stores) -> bool {
    use stockline_core::ports::Locations as _;
    stores.store.locations().await.is_ok_and(|locations| locations.iter().any(|l| !l.alert_emails.is_empty()))
}

fn worker_config(args: &ServeArgs) -> stockline_worker::Config {
    let rules = Rules {
        max_age_ms: i64::from(args.max_age_days) * 24 * HOUR_MS,
        late_count_max_age_ms: i64::from(args.late_count_hours) * HOUR_MS,
        ..Rules::default()
    };
    stockline_worker::Config {
        permits: WORKER_PERMITS,
        receivers: 1,
        receive_max: WORKER_RECEIVE_MAX,
        receive_wait: WORKER_RECEIVE_WAIT,
        receive_pause: Duration::ZERO,
        parking: None,
        rules,
        fold_limits: FoldLimits::default(),
        retention_ms: stockline_core::ports::RETENTION_MS,
        drain: DRAIN,
    }
}

fn ingress_config(
    setup: &Setup,
    issuer: &str,
    receipt_keys: ReceiptKeys,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<stockline_ingress::Config> {
    let Setup { args, folder, staff_may, certificates, .. } = setup;
    let mut limits = Limits::default();
    if let Some(per_s) = args.rate_limit {
        limits.rate_per_s = Some(per_s);
        limits.rate_burst = per_s.saturating_mul(2);
    }
    let console = console::config(setup, &receipt_keys, clock);
    let client_ids = vec![CLI_CLIENT.to_owned(), TILL_CLIENT.to_owned()];
    let auth = AuthConfig {
        revoked_file: Some(folder.revoked()),
        changed: setup.changed.clone(),
        ..AuthConfig::new(issuer, client_ids, JwksSource::File(folder.jwks()))
    };
    Ok(stockline_ingress::Config {
        require_location: args.require_location,
        staff_may: staff_may.clone(),
        scale_labels: args.scale_labels.clone(),
        limits,
        tls: certificates.clone(),
        web: Web {
            origins: args.origins.clone(),
            base_path: args.base_path.clone(),
            pages: Some(Pages::new(move |api| stockline_console::router(console.clone(), api))),
        },
        lately: Some(Arc::clone(&setup.lately)),
        drain: DRAIN,
        ..stockline_ingress::Config::new(auth, receipt_keys)
    })
}

/// Returns the files to serve HTTPS with.
fn tls_files(args: &ServeArgs) -> Option<TlsFiles> {
    args.tls_cert.clone().zip(args.tls_key.clone()).map(|(cert, key)| TlsFiles { cert, key })
}

/// Refuses plain HTTP on a network, where others could read tokens.
fn refuse_open_http(args: &ServeArgs) -> Result<(), Usage> {
    let open = !args.listen.ip().is_loopback() && args.tls_cert.is_none() && !args.insecure_http;
    if !open {
        return Ok(());
    }
    Err(Usage(format!(
        "plain HTTP at {} lets anyone on the network read tokens: give --tls-cert and --tls-key; or --insecure-http behind a proxy that does TLS; or listen at {}",
        args.listen, DEFAULT_LISTEN
    )))
}

/// Parses `count`, `adjust:damaged`, …
fn staff_may(words: &[String]) -> Result<StaffMay, Usage> {
    words.join(",").parse().map_err(|error| Usage(format!("--staff-may {error}")))
}

/// Returns the address that a client on this machine connects to.
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
            std::io::ErrorKind::AddrInUse => "another program listens there: stop it, or choose another address",
            std::io::ErrorKind::PermissionDenied => "this user may not listen there: choose a port above 1023",
            _ => "choose another address",
        };
        Unavailable(format!("can't listen at {address} ({error}): {advice} with {option}")).into()
    })
}

/// Listens at the named address, else at the usual one, else at any free port: metrics must not prevent the start.
fn listen_for_metrics(named: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = named {
        return listen(address, "--metrics-listen");
    }
    match server::listen(METRICS_LISTEN) {
        Ok(listener) => Ok(listener),
        Err(error) => {
            tracing::warn!("metrics can't listen at {METRICS_LISTEN} ({error}): using a free port");
            listen(SocketAddr::new(METRICS_LISTEN.ip(), 0), "--metrics-listen")
        }
    }
}
