/// What is not measured.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct Assumptions {
    /// From this rate on queue calls carry ten messages; below, each message travels alone.
    #[arg(long, default_value_t = 1_000.0)]
    pub(crate) full_calls_from: f64,
    /// At such rates, the share of commands that are of items so hot that their packs are full: 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) hot_share: f64,
    /// Commands of one request to the API.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) commands_per_request: f64,
    /// Polls of a command's status.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) polls: f64,
    /// Commands per second of a shop, day and night.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) shop_rate: f64,
    /// Tills of a shop.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) tills: f64,
    /// Items that a shop has levels of.
    #[arg(long, default_value_t = 5_000.0)]
    pub(crate) levels: f64,
    /// People of a shop who sign in.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) people: f64,
    /// Alerts of a shop in a day, each a mail.
    #[arg(long, default_value_t = 20.0)]
    pub(crate) alerts: f64,
    /// Hours for which a till's token holds.
    #[arg(long, default_value_t = 24.0)]
    pub(crate) token_hours: f64,
    /// vCPU of a task.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) task_vcpu: f64,
    /// Memory of a task, in GB.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) task_gb: f64,
    /// The share of a task's CPU that is used on average, 0 to 1. A vCPU counts as a core of the measuring machine.
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub(crate) busy: f64,
    /// The fewest tasks of ingress, and of the worker.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) tasks_min: f64,
    /// Receives that wait side by side in a worker; its STOCKLINE_RECEIVERS.
    #[arg(long, default_value_t = 4.0)]
    pub(crate) receivers: f64,
    /// x86-64 tasks instead of ARM64.
    #[arg(long)]
    pub(crate) x86: bool,
    /// NAT gateways instead of interface endpoints.
    #[arg(long)]
    pub(crate) nat: bool,
    /// Interface endpoints: SQS, SNS, logs, ECR (two), Secrets Manager.
    #[arg(long, default_value_t = 6.0)]
    pub(crate) endpoints: f64,
    /// Availability zones with tasks.
    #[arg(long, default_value_t = 2.0)]
    pub(crate) zones: f64,
    /// Metrics that alarms look at: those of deploy/watch.yaml and scaling.yaml, and of the scaling's own.
    #[arg(long, default_value_t = 68.0)]
    pub(crate) alarm_metrics: f64,
    /// Metrics of Container Insights, for a cluster of two services.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) insights_metrics: f64,
}

/// For how long an empty receive of a worker waits, in seconds: its `RECEIVE_WAIT`.
pub(super) const RECEIVE_WAIT_S: f64 = 10.0;
/// How often a worker looks into the dead letter queue, in seconds: `SqsOptions::dlq_interval`.
pub(super) const DLQ_INTERVAL_S: f64 = 30.0;

impl Assumptions {
    /// Shops that make so many commands a second.
    pub(super) fn shops(&self, rate: f64) -> f64 {
        (rate / self.shop_rate).ceil().max(1.0)
    }
}

fn share(text: &str) -> Result<f64, String> {
    let value = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("a share is from 0 to 1".into()) }
}

#[cfg(test)]
impl Default for Assumptions {
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            assumptions: Assumptions,
        }
        <Only as clap::Parser>::parse_from(["bill"]).assumptions
    }
}

#[cfg(test)]
mod tests {
    use stockline_aws::SqsOptions;

    use super::*;

    #[test]
    fn a_share_is_no_percentage() {
        assert_eq!(share("1"), Ok(1.0));
        assert!(share("100").is_err() && share("-0.1").is_err() && share("NaN").is_err());
    }

    #[test]
    fn what_is_assumed_of_the_worker_is_how_it_is_set() {
        let worker = include_str!("../../../worker/src/deployed/mod.rs");
        let wait = format!("const RECEIVE_WAIT: Duration = Duration::from_secs({RECEIVE_WAIT_S});");
        assert!(worker.contains(&wait), "the worker has no {wait}");
        let settings = include_str!("../../../worker/src/deployed/settings.rs");
        let receivers = format!("\"STOCKLINE_RECEIVERS\",\n    \"{}\",", Assumptions::default().receivers);
        assert!(settings.contains(&receivers), "the worker has no {receivers}");
        assert_eq!(SqsOptions::default().dlq_interval.as_secs_f64(), DLQ_INTERVAL_S);
    }

    #[test]
    fn a_shop_that_is_begun_is_a_shop() {
        let shops = |rate| Assumptions::default().shops(rate);
        assert_eq!((shops(0.0), shops(1.0), shops(100.0), shops(101.0)), (1.0, 1.0, 50.0, 51.0));
    }
}
