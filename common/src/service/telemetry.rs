use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends logs to standard error. `filter` is e.g. `info` or `stockline_worker=debug,info`.
///
/// # Errors
/// Where the filter can't be parsed, or logs were set up before.
pub fn init_logs(format: LogFormat, filter: &str) -> Result<(), String> {
    use std::io::IsTerminal;
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("the log filter can't be read: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    done.map_err(|error| error.to_string())
}

/// The buckets of every `*_seconds` histogram, in seconds.
const SECONDS_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Installs the process's metrics recorder; the handle renders the Prometheus text format.
///
/// # Errors
/// Where a recorder was installed before.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    let seconds = metrics_exporter_prometheus::Matcher::Suffix("_seconds".into());
    PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS_BUCKETS)?.install_recorder()
}
