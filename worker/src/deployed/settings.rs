//! The worker's configuration on AWS.

use std::net::SocketAddr;
use std::time::Duration;

use stockline_aws::deployed::{self, Deployment, Logs};
use stockline_core::domain::Rules;
use stockline_service::{Env, EnvError, Variable};

const TOPIC_ARN: Variable = Variable::required("STOCKLINE_TOPIC_ARN", "ARN of the alert topic (SNS, standard)");
pub(crate) const HEALTH_LISTEN: Variable =
    Variable::with_default("STOCKLINE_HEALTH_LISTEN", "0.0.0.0:8081", "address and port of /healthz and /readyz");
const PERMITS: Variable = Variable::with_default("STOCKLINE_PERMITS", "16", "the most receives and rounds at a time");
const RECEIVERS: Variable = Variable::with_default(
    "STOCKLINE_RECEIVERS",
    "4",
    "receives that wait for messages at the same time, each of up to 10; not more than the permits",
);
const RECEIVE_PAUSE_MS: Variable = Variable::with_default(
    "STOCKLINE_RECEIVE_PAUSE_MS",
    "0",
    "milliseconds that a receiver waits after a receive that was not full, so that messages share calls that are paid for",
);
const VISIBILITY_S: Variable = Variable::with_default(
    "STOCKLINE_VISIBILITY_S",
    "60",
    "seconds until a received message becomes visible again, unless the worker extends that",
);
const MAX_AGE_DAYS: Variable = Variable::with_default(
    "STOCKLINE_MAX_AGE_DAYS",
    "30",
    "refuse movements that occurred more than this many days ago",
);
const LATE_COUNT_HOURS: Variable = Variable::with_default(
    "STOCKLINE_LATE_COUNT_HOURS",
    "72",
    "refuse counts that were taken more than this many hours ago",
);

const HOUR_MS: i64 = 3_600_000;

/// The bounds of the visibility timeout, in seconds: above is SQS's own limit, below there is no time for an extension.
const VISIBILITY_BOUNDS_S: std::ops::RangeInclusive<u32> = 10..=43_200;

/// All variables, as `--help` lists them.
pub(crate) const VARIABLES: &[Variable] = &[
    deployed::DEPLOYMENT,
    deployed::TABLE,
    deployed::QUEUE_URL,
    deployed::DLQ_URL,
    TOPIC_ARN,
    HEALTH_LISTEN,
    PERMITS,
    RECEIVERS,
    RECEIVE_PAUSE_MS,
    VISIBILITY_S,
    MAX_AGE_DAYS,
    LATE_COUNT_HOURS,
    deployed::LOG,
    deployed::OTLP_ENDPOINT,
    deployed::METRICS_NAMESPACE,
    deployed::METRICS_LISTEN,
];

/// The variable of the alert topic.
pub(crate) const TOPIC: &Variable = &TOPIC_ARN;

/// The parsed configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) table: String,
    pub(crate) queue_url: String,
    pub(crate) dlq_url: String,
    pub(crate) topic_arn: String,
    pub(crate) health_listen: SocketAddr,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) permits: usize,
    pub(crate) receivers: usize,
    pub(crate) receive_pause: Duration,
    pub(crate) visibility: Duration,
    pub(crate) rules: Rules,
    pub(crate) logs: Logs,
}

impl Settings {
    /// Parses the environment.
    ///
    /// # Errors
    /// Names every fault at once.
    pub(crate) fn read(mut env: Env) -> Result<Self, EnvError> {
        let env_ref = &mut env;
        let deployment = Deployment::read(env_ref);
        let table = env_ref.text(&deployed::TABLE);
        let queue_url = deployment.url(env_ref, &deployed::QUEUE_URL);
        let dlq_url = deployment.url(env_ref, &deployed::DLQ_URL);
        let topic_arn = env_ref.read(&TOPIC_ARN, |text| {
            if text.starts_with("arn:") { Ok(text.to_owned()) } else { Err("must be an ARN such as arn:aws:sns:…") }
        });
        let health_listen = env_ref.address(&HEALTH_LISTEN);
        let metrics_listen = env_ref.address(&deployed::METRICS_LISTEN);
        let permits = env_ref.number(&PERMITS, 1..=256);
        let receivers = env_ref.number(&RECEIVERS, 1..=64);
        if receivers > permits && permits.is_some() {
            env_ref.fault(
                "STOCKLINE_RECEIVERS must not be more than STOCKLINE_PERMITS: each holds a permit while it waits",
            );
        }
        let receive_pause_ms = env_ref.number(&RECEIVE_PAUSE_MS, 0..=5_000);
        let visibility = env_ref.number(&VISIBILITY_S, VISIBILITY_BOUNDS_S);
        let max_age_days = env_ref.number(&MAX_AGE_DAYS, 1..=36_500);
        let late_count_hours = env_ref.number(&LATE_COUNT_HOURS, 1..=8_760);
        let logs = Logs::read(env_ref);
        let settings = || {
            Some(Self {
                table: table?,
                queue_url: queue_url?,
                dlq_url: dlq_url?,
                topic_arn: topic_arn?,
                health_listen: health_listen?,
                metrics_listen,
                permits: permits? as usize,
                receivers: receivers? as usize,
                receive_pause: Duration::from_millis(receive_pause_ms?.into()),
                visibility: Duration::from_secs(visibility?.into()),
                rules: Rules {
                    max_age_ms: i64::from(max_age_days?) * 24 * HOUR_MS,
                    late_count_max_age_ms: i64::from(late_count_hours?) * HOUR_MS,
                    ..Rules::default()
                },
                logs: logs?,
            })
        };
        env.finish_with(settings())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(change: &[(&str, &str)]) -> Env {
        let mut pairs = vec![
            ("STOCKLINE_TABLE", "stock"),
            ("STOCKLINE_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/commands.fifo"),
            ("STOCKLINE_DLQ_URL", "https://sqs.eu-central-1.amazonaws.com/1/dead.fifo"),
            ("STOCKLINE_TOPIC_ARN", "arn:aws:sns:eu-central-1:1:alerts"),
        ];
        pairs.extend(change);
        Env::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn the_required_variables_are_enough() {
        let settings = Settings::read(env(&[])).unwrap();
        assert_eq!((settings.permits, settings.receivers, settings.visibility.as_secs()), (16, 4, 60));
        assert_eq!(settings.rules, Rules::default());
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused() {
        let text = Settings::read(env(&[("STOCKLINE_RECEIVERS", "8"), ("STOCKLINE_PERMITS", "7")])).unwrap_err();
        assert!(text.to_string().contains("STOCKLINE_RECEIVERS must not be more than STOCKLINE_PERMITS"), "{text}");
        let text = Settings::read(env(&[("STOCKLINE_VISIBILITY_S", "5")])).unwrap_err().to_string();
        assert!(text.contains("STOCKLINE_VISIBILITY_S must be a whole number from 10 to 43200"), "{text}");
    }

    #[test]
    fn every_variable_that_help_lists_is_read() {
        let empty: Vec<_> = VARIABLES.iter().map(|variable| (variable.name, "")).collect();
        let text = Settings::read(env(&empty)).unwrap_err().to_string();
        assert!(!text.contains("is not a variable"), "{text}");
    }
}
