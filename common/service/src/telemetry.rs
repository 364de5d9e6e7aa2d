use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
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
use super::line_queue::{LINES_LOST, LineQueue};
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

/// How long the last lines may take to be written, at the end of the process or before it is frozen.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Logs are written, and spans exported, while this lives. Dropping it writes what is left, within some seconds.
#[derive(Debug)]
#[must_use = "the last lines are written when it is dropped"]
pub struct Logging {
    lines: LineQueue,
    spans: Option<SpanExporting>,
}

impl Logging {
    /// Writes and exports what there is: for a process that may be frozen now.
    pub fn flush(&self) {
        if let Some(spans) = &self.spans {
            spans.flush();
        }
        self.lines.flush(FLUSH_WITHIN);
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        // Their end may log.
        drop(self.spans.take());
        self.lines.flush(FLUSH_WITHIN);
    }
}

/// Sends logs to standard error, and spans to the collector that `export` names. `filter` is for example `info` or
/// `stockline_worker=debug,info`. Panics are logged too.
///
/// Logging never waits and never fails: what standard error does not take is lost and counted
/// (`stockline_log_lines_lost_total`).
///
/// # Errors
/// If the filter or the collector's address can't be parsed, or if logs were set up before.
pub fn init_logs(format: LogFormat, filter: &str, export: Option<SpanExport<'_>>) -> Result<Logging, String> {
    let filter = log_filter(filter)?;
    let queue = LineQueue::to_stream("log-writer", std::io::stderr()).map_err(|error| error.to_string())?;
    // Without an export the filter belongs to the subscriber itself, so that a disabled span is never made.
    let spans = if let Some(export) = export {
        let (spans, exporting) = trace::export(export)?;
        let lines = lines(format, queue.clone()).with_filter(filter);
        tracing_subscriber::registry().with(lines).with(spans).try_init().map_err(|error| error.to_string())?;
        Some(exporting)
    } else {
        let subscriber = tracing_subscriber::registry().with(filter).with(lines(format, queue.clone()));
        subscriber.try_init().map_err(|error| error.to_string())?;
        None
    };
    // The default hook writes to standard error itself, and a panicking thread would wait there for a reader.
    std::panic::set_hook(Box::new(log_panic));
    Ok(Logging { lines: queue, spans })
}

fn lines<S>(format: LogFormat, queue: LineQueue) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup> + Send + Sync,
{
    use std::io::IsTerminal;
    // An internal error would be printed with `eprintln!`, which panics where standard error takes nothing.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(queue);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let text = panic.payload_as_str().unwrap_or("no text");
    // Only made where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(%backtrace, "thread '{name}' panicked at {place}: {text}");
    } else {
        tracing::error!("thread '{name}' panicked at {place}: {text}");
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
    begin_metrics();
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
    begin_metrics();
    Ok((handle, emf))
}

fn begin_metrics() {
    metrics::describe_counter!(LINES_LOST, "Lines of logs and metrics that could not be written");
    metrics::counter!(LINES_LOST).absolute(super::lines_lost());
}

/// The interval of the metrics for CloudWatch, which keeps one value per minute.
const FLUSH_INTERVAL: Duration = Duration::from_secs(60);

/// Writes the metrics of a deployed program to standard output, in CloudWatch's embedded metric format. Lines that standard
/// output does not take are lost and counted.
#[derive(Debug)]
pub struct EmfEmitter {
    service: &'static str,
    prometheus: PrometheusHandle,
    emf: Emf,
    clock: Arc<dyn Clock>,
    lines: LineQueue,
}

impl EmfEmitter {
    /// Makes an emitter for the program of this name, which becomes a dimension, in this namespace of CloudWatch.
    ///
    /// # Errors
    /// If standard output can't be duplicated, or no thread be started.
    pub fn new(
        service: &'static str,
        namespace: &str,
        (prometheus, emf): (PrometheusHandle, Emf),
    ) -> std::io::Result<Self> {
        let emf = emf.in_namespace(namespace);
        let lines = LineQueue::to_stream("emf-writer", std::io::stdout())?;
        Ok(Self { service, prometheus, emf, clock: Arc::new(SystemClock), lines })
    }

    /// Writes what was recorded since the last flush, and waits until it is written, at most for 2 s.
    pub fn flush(&self) {
        self.emit();
        self.lines.flush(FLUSH_WITHIN);
    }

    fn emit(&self) {
        // Prometheus histograms keep all their values until this call or a read of /metrics.
        self.prometheus.run_upkeep();
        for mut line in self.emf.lines(self.service, self.clock.now(), |_| true) {
            line.push('\n');
            self.lines.push(line.as_bytes());
        }
    }

    /// Writes every minute until shutdown, and once more then.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(FLUSH_INTERVAL);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => self.emit(),
            }
        }
        self.flush();
    }
}
