//! What the programs deployed on AWS share around their start: variables that mean the same in each, what production
//! refuses, checks of what the variables name, exit codes.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use crate::StartError;
use stockline_service::log_filter;
use stockline_service::{Env, EnvError, Variable};

mod probe;

pub use probe::{PROBE_WITHIN, probe};

/// The exit code of a configuration that can't work: starting again does not help.
pub const EXIT_CONFIGURATION: u8 = 2;

/// The exit code of everything else that ends a program: starting again may help.
pub const EXIT_FAILURE: u8 = 1;

/// After so long ECS kills a task that it asked to stop (its `stopTimeout`, unless that is set longer).
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether stand-ins for AWS are taken.
pub const DEPLOYMENT: Variable = Variable::with_default(
    "STOCKLINE_ENV",
    "production",
    "production, or test: only then may stand-ins take AWS's place (AWS_ENDPOINT_URL…, http addresses)",
);
/// The table.
pub const TABLE: Variable = Variable::required("STOCKLINE_TABLE", "name of the DynamoDB table");
/// The command queue.
pub const QUEUE_URL: Variable = Variable::required("STOCKLINE_QUEUE_URL", "address of the command queue (SQS FIFO)");
/// Where SQS sets messages aside.
pub const DLQ_URL: Variable =
    Variable::required("STOCKLINE_DLQ_URL", "address of the command queue's dead letter queue (SQS FIFO)");
/// What to log.
pub const LOG: Variable =
    Variable::with_default("STOCKLINE_LOG", "info", "what to log, e.g. info or stockline_worker=debug,info");
/// Metrics for Prometheus.
pub const METRICS_LISTEN: Variable = Variable::optional(
    "STOCKLINE_METRICS_LISTEN",
    "address and port of /metrics for Prometheus; besides, metrics go to standard output for CloudWatch",
);

/// Whether stand-ins for AWS are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// No.
    Production,
    /// Yes.
    Test,
}

impl Deployment {
    /// Reads [`DEPLOYMENT`]; in production every variable that puts a stand-in in AWS's place is a fault.
    pub fn read(env: &mut Env) -> Self {
        let deployment = env.read(&DEPLOYMENT, |text| match text {
            "production" => Ok(Self::Production),
            "test" => Ok(Self::Test),
            _ => Err("must be production or test"),
        });
        // What can't be read is a fault already; the stricter reading finds the others.
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

/// Reads [`LOG`].
pub fn log(env: &mut Env) -> Option<String> {
    env.read(&LOG, |text| log_filter(text).map(|_| text.to_owned()))
}

/// The exit code that an error and its causes mean.
pub fn exit_code<'a>(mut causes: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>) -> ExitCode {
    let configuration = causes.any(|cause| cause.is::<EnvError>() || cause.is::<Misconfigured>());
    ExitCode::from(if configuration { EXIT_CONFIGURATION } else { EXIT_FAILURE })
}

/// A program can't work as it is configured: [`EXIT_CONFIGURATION`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(pub String);

/// What looking at everything that the variables name came to.
#[derive(Debug, Default)]
pub struct StartChecks {
    faults: Vec<String>,
    outages: Vec<String>,
}

impl StartChecks {
    /// Adds what was found under a variable.
    pub fn add(&mut self, variable: &Variable, found: Result<(), StartError>) {
        let Err(error) = found else {
            return;
        };
        let list = if matches!(error, StartError::Unreachable(_)) { &mut self.outages } else { &mut self.faults };
        list.push(format!("{}: {error}", variable.name));
    }

    /// What starting again can't mend is an error; what can't be reached now is only told: the program waits for it,
    /// as it does when that goes away later.
    ///
    /// # Errors
    /// Every fault at once.
    pub fn finish(self) -> Result<(), Misconfigured> {
        for outage in &self.outages {
            tracing::warn!("{outage}");
        }
        if self.faults.is_empty() {
            return Ok(());
        }
        let mut text = "the program can't work as it is configured:".to_owned();
        for fault in &self.faults {
            // Writing to a String does not fail.
            let _ = write!(text, "\n  {fault}");
        }
        Err(Misconfigured(text))
    }
}

/// A program without commands of its own, as it tells of itself.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is, in a sentence.
    pub about: &'a str,
    /// All that it reads.
    pub variables: &'a [Variable],
    /// Which of them says where `/healthz` answers; `None` where nothing does.
    pub health: Option<&'a Variable>,
}

/// Answers `--help`, `--version` and `probe`, and refuses every other argument; `None` where there is none.
pub fn answer_arguments(mut arguments: impl Iterator<Item = String>, program: Program<'_>) -> Option<ExitCode> {
    let Program { name, about, variables, health } = program;
    let argument = arguments.nth(1)?;
    match (argument.as_str(), health) {
        ("--help" | "-h", _) => {
            let (word, what) = match health {
                Some(_) => {
                    (" | probe", "probe: asks the one that runs here for /healthz; 0 it is well, 1 it is not\n\n")
                }
                None => ("", ""),
            };
            println!("{about}\n\nUsage: {name} [--help | --version{word}]\n\n{what}{}", describe(variables));
            Some(ExitCode::SUCCESS)
        }
        ("probe", Some(listen)) => Some(probe(Env::of_process(), listen)),
        ("--version" | "-V", _) => {
            println!("{name} {}", env!("CARGO_PKG_VERSION"));
            Some(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("error: {name} takes no argument {argument:?}: it is configured by variables, see {name} --help");
            Some(ExitCode::from(EXIT_CONFIGURATION))
        }
    }
}

/// The part of `--help` that tells how a program is configured.
pub fn describe(variables: &[Variable]) -> String {
    format!(
        "Configured by variables of the environment:\n{}\nRegion, credentials and endpoints are the AWS SDK's: \
         AWS_REGION, the role of the task or AWS_ACCESS_KEY_ID and others.\n\nExit codes: 0 ended when asked to, \
         {EXIT_CONFIGURATION} the configuration can't work, {EXIT_FAILURE} anything else.",
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
    fn production_is_meant_without_a_word_and_takes_no_stand_in() {
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
    fn a_test_takes_stand_ins() {
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
    fn every_fault_of_the_checks_is_told_at_once_and_an_outage_is_none() {
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
