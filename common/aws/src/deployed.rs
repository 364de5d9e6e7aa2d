//! The start of the three programs that are deployed on AWS: ingress, worker and alerter.
//!
//! It holds the environment variables that mean the same in each, the rule that production accepts no stand-in for AWS,
//! the checks of the named resources, `--help`, the health probe and the exit codes. It is here because only a deployed
//! program needs it; the standalone program has a command line of its own.

use std::fmt::{Display, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use crate::StartError;
use stockline_service::output::{self, OutputError};
use stockline_service::trace::SpanExport;
use stockline_service::{Env, EnvError, LogFormat, Logging, Variable, init_logs, log_filter};

mod probe;

pub use probe::{PROBE_WITHIN, probe};

/// The exit code for a wrong configuration. Starting again does not help.
pub const EXIT_CONFIGURATION: u8 = 2;

/// The exit code for every other failure. Starting again may help.
pub const EXIT_FAILURE: u8 = 1;

/// How long after its SIGTERM ECS kills a task (the default `stopTimeout`).
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Selects production or test.
pub const DEPLOYMENT: Variable = Variable::with_default(
    "STOCKLINE_ENV",
    "production",
    "production or test; only test accepts stand-ins for AWS (AWS_ENDPOINT_URL…, http addresses)",
);
/// The name of the DynamoDB table.
pub const TABLE: Variable = Variable::required("STOCKLINE_TABLE", "name of the DynamoDB table");
/// The address of the command queue.
pub const QUEUE_URL: Variable = Variable::required("STOCKLINE_QUEUE_URL", "address of the command queue (SQS FIFO)");
/// The address of the command queue's dead letter queue.
pub const DLQ_URL: Variable =
    Variable::required("STOCKLINE_DLQ_URL", "address of the command queue's dead letter queue (SQS FIFO)");
/// The log filter.
pub const LOG: Variable =
    Variable::with_default("STOCKLINE_LOG", "info", "what to log, e.g. info or stockline_worker=debug,info");
/// The collector that spans are exported to.
pub const OTLP_ENDPOINT: Variable = Variable::optional(
    "STOCKLINE_OTLP_ENDPOINT",
    "address of an OpenTelemetry collector (OTLP over HTTP) that gets the spans of requests, e.g. http://127.0.0.1:4318",
);
/// The namespace of the metrics in CloudWatch.
pub const METRICS_NAMESPACE: Variable = Variable::with_default(
    "STOCKLINE_METRICS_NAMESPACE",
    "Stockline",
    "namespace of the metrics in CloudWatch; another one for each installation in a region",
);
/// The listening address of `/metrics`.
pub const METRICS_LISTEN: Variable = Variable::optional(
    "STOCKLINE_METRICS_LISTEN",
    "address and port of /metrics for Prometheus; CloudWatch gets its metrics from standard output in any case",
);

/// Whether the program accepts stand-ins for AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// It refuses them.
    Production,
    /// It accepts them.
    Test,
}

impl Deployment {
    /// Reads [`DEPLOYMENT`]. In production, every variable that names a stand-in for AWS is a fault.
    pub fn read(env: &mut Env) -> Self {
        let deployment = env.read(&DEPLOYMENT, |text| match text {
            "production" => Ok(Self::Production),
            "test" => Ok(Self::Test),
            _ => Err("must be production or test"),
        });
        // An unreadable value is a fault already. The stricter choice then finds the other faults.
        let deployment = deployment.unwrap_or(Self::Production);
        if deployment == Self::Production {
            for name in env.stand_ins().to_vec() {
                env.fault(format!(
                    "{name} is set: production takes no stand-in for AWS; unset it, or set STOCKLINE_ENV=test"
                ));
            }
        }
        deployment
    }

    /// Reads an address that must be https in production.
    pub fn url(self, env: &mut Env, variable: &Variable) -> Option<String> {
        env.read(variable, |text| {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || text.contains(char::is_whitespace)) {
                return Err("must be an address such as https://stock.example.com");
            }
            if self == Self::Production && !text.starts_with("https://") {
                return Err("must begin with https:// in production; http is for STOCKLINE_ENV=test");
            }
            Ok(text.trim_end_matches('/').to_owned())
        })
    }
}

/// The longest namespace (CloudWatch API, `MetricDatum`).
const NAMESPACE_CHARS_MAX: usize = 255;

/// What is logged, and where spans go.
#[derive(Debug, Clone)]
pub struct Logs {
    filter: String,
    otlp_endpoint: Option<String>,
    /// The namespace of the metrics, which go the way of the logs.
    pub metrics_namespace: String,
}

impl Logs {
    /// Reads [`LOG`], [`OTLP_ENDPOINT`] and [`METRICS_NAMESPACE`].
    pub fn read(env: &mut Env) -> Option<Self> {
        let filter = env.read(&LOG, |text| log_filter(text).map(|_| text.to_owned()));
        let otlp_endpoint = env.read(&OTLP_ENDPOINT, |text| {
            let is_address = text.starts_with("http://") || text.starts_with("https://");
            is_address.then(|| text.to_owned()).ok_or("must be an address such as http://127.0.0.1:4318")
        });
        let metrics_namespace = env.read(&METRICS_NAMESPACE, |text| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '#' | ':');
            let fits = (1..=NAMESPACE_CHARS_MAX).contains(&text.len()) && text.chars().all(is_plain);
            fits.then(|| text.to_owned()).ok_or("must be 1 to 255 letters, digits and . - _ / # :")
        });
        Some(Self { filter: filter?, otlp_endpoint, metrics_namespace: metrics_namespace? })
    }

    /// Begins to log and to export, for as long as the returned value lives.
    ///
    /// # Errors
    /// [`Misconfigured`]: an address that is none.
    pub fn begin(&self, service: &'static str) -> Result<Logging, Misconfigured> {
        let export = self.otlp_endpoint.as_deref().map(|endpoint| SpanExport { endpoint, service });
        init_logs(LogFormat::Json, &self.filter, export).map_err(Misconfigured)
    }
}

/// Prints the error that ends a program, `text`, and returns the exit code for it and its causes. If nobody reads the
/// program's output any more, it ends quietly.
pub fn end_with<'a>(
    text: impl Display,
    causes: impl Iterator<Item = &'a (dyn std::error::Error + 'static)> + Clone,
) -> ExitCode {
    if output::is_closed(causes.clone()) {
        return ExitCode::from(output::EXIT_CLOSED);
    }
    output::last_words(format_args!("error: {text}"));
    exit_code(causes)
}

/// Returns the exit code for an error and its causes.
fn exit_code<'a>(mut causes: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>) -> ExitCode {
    let configuration = causes.any(|cause| cause.is::<EnvError>() || cause.is::<Misconfigured>());
    ExitCode::from(if configuration { EXIT_CONFIGURATION } else { EXIT_FAILURE })
}

/// The program can't work with its configuration; see [`EXIT_CONFIGURATION`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(pub String);

/// The results of checking every resource that the variables name.
#[derive(Debug, Default)]
pub struct StartChecks {
    faults: Vec<String>,
    outages: Vec<String>,
}

impl StartChecks {
    /// Adds the result for the resource that a variable names.
    pub fn add(&mut self, variable: &Variable, found: Result<(), StartError>) {
        let Err(error) = found else {
            return;
        };
        let list = if matches!(error, StartError::Unreachable(_)) { &mut self.outages } else { &mut self.faults };
        list.push(format!("{}: {error}", variable.name));
    }

    /// Ends the checks. An unreachable resource is only logged, because the program waits for it, as it does during a
    /// later outage.
    ///
    /// # Errors
    /// Names all faults that another start can't mend.
    pub fn finish(self) -> Result<(), Misconfigured> {
        for outage in &self.outages {
            tracing::warn!("{outage}");
        }
        if self.faults.is_empty() {
            return Ok(());
        }
        let mut text = "the program can't work with this configuration:".to_owned();
        for fault in &self.faults {
            // Writing to a String does not fail.
            let _ = write!(text, "\n  {fault}");
        }
        Err(Misconfigured(text))
    }
}

/// The description of a program without subcommands.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// The name.
    pub name: &'a str,
    /// One sentence about the program.
    pub about: &'a str,
    /// The variables that it reads.
    pub variables: &'a [Variable],
    /// The variable with the listening address of `/healthz`; `None` if the program has no such endpoint.
    pub health: Option<&'a Variable>,
}

/// Answers `--help`, `--version` and `probe`, and refuses every other argument. Returns `None` if there is no argument.
pub fn answer_arguments(mut arguments: impl Iterator<Item = String>, program: Program<'_>) -> Option<ExitCode> {
    let Program { name, about, variables, health } = program;
    let argument = arguments.nth(1)?;
    match (argument.as_str(), health) {
        ("--help" | "-h", _) => {
            let (word, what) = match health {
                Some(_) => (
                    " | probe",
                    "probe: asks the program that runs here for /healthz; exits with 0 if it is healthy, else with 1\n\n",
                ),
                None => ("", ""),
            };
            let usage = describe(variables);
            Some(printed(output::line(format_args!(
                "{about}\n\nUsage: {name} [--help | --version{word}]\n\n{what}{usage}"
            ))))
        }
        ("probe", Some(listen)) => Some(probe(Env::of_process(), listen)),
        ("--version" | "-V", _) => Some(printed(output::line(format_args!("{name} {}", env!("CARGO_PKG_VERSION"))))),
        _ => {
            output::note(format_args!(
                "error: {name} has no argument {argument:?}; it is configured by environment variables, see {name} --help"
            ));
            Some(ExitCode::from(EXIT_CONFIGURATION))
        }
    }
}

fn printed(printed: Result<(), OutputError>) -> ExitCode {
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed() => ExitCode::from(output::EXIT_CLOSED),
        Err(_) => ExitCode::from(EXIT_FAILURE),
    }
}

/// Describes the configuration of a program, for `--help`.
pub fn describe(variables: &[Variable]) -> String {
    format!(
        "Environment variables:\n{}\nThe AWS SDK reads region, credentials and endpoints: \
         AWS_REGION, the role of the task or AWS_ACCESS_KEY_ID and others.\n\nExit codes: 0 stopped on request, \
         {EXIT_CONFIGURATION} wrong configuration, {EXIT_FAILURE} any other failure.",
        Variable::describe(variables)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: Variable = Variable::required("STOCKLINE_ISSUER", "the issuer");

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn production_is_the_default_and_accepts_no_stand_in() {
        let mut env =
            env(&[("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1"), ("STOCKLINE_ISSUER", "http://127.0.0.1:1")]);
        let deployment = Deployment::read(&mut env);
        assert_eq!(deployment, Deployment::Production);
        assert_eq!(deployment.url(&mut env, &URL), None);
        let text = env.finish().unwrap_err().to_string();
        assert!(text.contains("AWS_ENDPOINT_URL_SQS is set"), "{text}");
        assert!(text.contains("STOCKLINE_ISSUER must begin with https://"), "{text}");
    }

    #[test]
    fn a_test_accepts_stand_ins() {
        let pairs = [
            ("STOCKLINE_ENV", "test"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("STOCKLINE_ISSUER", "http://127.0.0.1:1/pool/"),
        ];
        let mut env = env(&pairs);
        let deployment = Deployment::read(&mut env);
        assert_eq!(deployment.url(&mut env, &URL).unwrap(), "http://127.0.0.1:1/pool");
        env.finish().unwrap();
    }

    #[test]
    fn all_faults_of_the_checks_are_reported_at_once_and_an_outage_is_no_fault() {
        let mut checks = StartChecks::default();
        checks.add(&TABLE, Err(StartError::Missing("no table \"x\"".into())));
        checks.add(&QUEUE_URL, Err(StartError::WrongKind("a standard queue".into())));
        checks.add(&DLQ_URL, Err(StartError::Unreachable("no route".into())));
        let text = checks.finish().unwrap_err().to_string();
        assert!(text.contains("STOCKLINE_TABLE: no table \"x\"") && text.contains("STOCKLINE_QUEUE_URL: a standard"));
        assert!(!text.contains("no route"), "{text}");
        let mut checks = StartChecks::default();
        checks.add(&DLQ_URL, Err(StartError::Unreachable("no route".into())));
        checks.finish().unwrap();
    }
}
