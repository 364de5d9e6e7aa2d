use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::layers::FanoutBuilder;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use super::SystemClock;
use super::buckets::{COUNT_BUCKETS, SECONDS_BUCKETS};
use super::emf::Emf;
use super::trace::{self, SpanExport, SpanExporting};
use stockline_core::ports::Clock;
use tokio_util::sync::CancellationToken;

/// The format of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people, coloured on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// Parses the filter of [`init_logs`].
pub fn log_filter(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| format!("the log filter can't be read: {error}"))
}

/// Sends logs to standard error, and spans to the collector that `export` names. `filter` is for example `info` or
/// `stockline_worker=debug,info`. Spans are exported for as long as the returned value lives.
///
/// # Errors
/// If the filter or the collector's address can't be parsed, or if logs were set up before.
pub fn init_logs(
    format: LogFormat,
    filter: &str,
    export: Option<SpanExport<'_>>,
) -> Result<Option<SpanExporting>, String> {
    let filter = log_filter(filter)?;
    // Without an export the filter belongs to the subscriber itself, so that a disabled span is never made.
    let Some(export) = export else {
        let subscriber = tracing_subscriber::registry().with(filter).with(lines(format));
        return subscriber.try_init().map(|()| None).map_err(|error| error.to_string());
    };
    let (spans, exporting) = trace::export(export)?;
    let subscriber = tracing_subscriber::registry().with(lines(format).with_filter(filter)).with(spans);
    subscriber.try_init().map_err(|error| error.to_string())?;
    Ok(Some(exporting))
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup> + Send + Sync,
{
    use std::io::IsTerminal;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}

/// Why metrics can't be recorded.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The buckets are not valid.
    #[error(transparent)]
    Buckets(#[from] BuildError),
    /// A recorder was installed before.
    #[error("this process records metrics already")]
    Installed,
}

fn prometheus() -> Result<PrometheusRecorder, BuildError> {
    let seconds = metrics_exporter_prometheus::Matcher::Suffix("_seconds".into());
    let builder = PrometheusBuilder::new().set_buckets(&COUNT_BUCKETS)?;
    Ok(builder.set_buckets_for_metric(seconds, &SECONDS_BUCKETS)?.build_recorder())
}

/// Installs the metrics recorder of the process. The handle renders the Prometheus text format.
///
/// # Errors
/// If a recorder was installed before.
pub fn install_metrics() -> Result<PrometheusHandle, MetricsError> {
    let recorder = prometheus()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Installed)?;
    Ok(handle)
}

/// Does the same as [`install_metrics`], and also records the metrics for CloudWatch.
///
/// # Errors
/// If a recorder was installed before.
pub fn install_metrics_and_emf() -> Result<(PrometheusHandle, Emf), MetricsError> {
    let (recorder, emf) = (prometheus()?, Emf::default());
    let handle = recorder.handle();
    let both = FanoutBuilder::default().add_recorder(recorder).add_recorder(emf.clone()).build();
    metrics::set_global_recorder(both).map_err(|_| MetricsError::Installed)?;
    Ok((handle, emf))
}

/// The interval of the metrics for CloudWatch, which keeps one value per minute.
const FLUSH_INTERVAL: Duration = Duration::from_secs(60);

/// Writes the metrics of a deployed program to standard output, in CloudWatch's embedded metric format.
#[derive(Debug)]
pub struct EmfEmitter {
    service: &'static str,
    prometheus: PrometheusHandle,
    emf: Emf,
    clock: Arc<dyn Clock>,
}

impl EmfEmitter {
    /// Makes an emitter for the program of this name, which becomes a dimension.
    pub fn new(service: &'static str, (prometheus, emf): (PrometheusHandle, Emf)) -> Self {
        Self { service, prometheus, emf, clock: Arc::new(SystemClock) }
    }

    /// Writes what was recorded since the last flush.
    pub fn flush(&self) {
        // Prometheus histograms keep all their values until this call or a read of /metrics.
        self.prometheus.run_upkeep();
        let mut text = String::new();
        for line in self.emf.lines(self.service, self.clock.now(), |_| true) {
            text.push_str(&line);
            text.push('\n');
        }
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(%error, "metrics could not be written to standard output");
        }
    }

    /// Writes every minute until shutdown, and once more then.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(FLUSH_INTERVAL);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => self.flush(),
            }
        }
        self.flush();
    }
}
