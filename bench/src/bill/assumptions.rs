/// The inputs of the bill that are assumed and not measured.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub(crate) struct Assumptions {
    /// Commands per second from which queue calls carry ten messages; below it each message travels alone
    #[arg(long, default_value_t = 1_000.0)]
    pub(crate) full_calls_from: f64,
    /// Share of commands at those rates that belong to hot items with full packs (0 to 1)
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) hot_share: f64,
    /// Commands per API request
    #[arg(long, default_value_t = 1.0)]
    pub(crate) commands_per_request: f64,
    /// Status polls per command
    #[arg(long, default_value_t = 1.0)]
    pub(crate) polls: f64,
    /// Commands per second per shop, around the clock
    #[arg(long, default_value_t = 2.0)]
    pub(crate) shop_rate: f64,
    /// Tills per shop
    #[arg(long, default_value_t = 10.0)]
    pub(crate) tills: f64,
    /// Levels per shop
    #[arg(long, default_value_t = 5_000.0)]
    pub(crate) levels: f64,
    /// People per shop who sign in
    #[arg(long, default_value_t = 5.0)]
    pub(crate) people: f64,
    /// Alerts per shop and day, each with one mail
    #[arg(long, default_value_t = 20.0)]
    pub(crate) alerts: f64,
    /// Hours for which a till's token is valid
    #[arg(long, default_value_t = 24.0)]
    pub(crate) token_hours: f64,
    /// Bill each machine client, as Cognito's price page of 2024 says; its newer developer guide names only tokens
    #[arg(long)]
    pub(crate) machine_clients: bool,
    /// Milliseconds that messages wait in ingress for each other; its STOCKLINE_LINGER_MS
    #[arg(long, default_value_t = 0.0)]
    pub(crate) linger_ms: f64,
    /// Milliseconds that a receiver waits after a receive that was not full; the worker's STOCKLINE_RECEIVE_PAUSE_MS
    #[arg(long, default_value_t = 0.0)]
    pub(crate) receive_pause_ms: f64,
    /// How the table is billed: on-demand, provisioned with autoscaling, or reserved for a year
    #[arg(long, value_enum, default_value_t = Capacity::OnDemand)]
    pub(crate) capacity: Capacity,
    /// Average use of provisioned capacity (0 to 1); the autoscaling's target
    #[arg(long, default_value_t = 0.7, value_parser = share)]
    pub(crate) capacity_used: f64,
    /// Share of the price of tasks that a savings plan takes off (0 to 1)
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) savings_plan: f64,
    /// vCPU per task
    #[arg(long, default_value_t = 0.5)]
    pub(crate) task_vcpu: f64,
    /// Memory per task in GB
    #[arg(long, default_value_t = 1.0)]
    pub(crate) task_gb: f64,
    /// Average CPU use of a task (0 to 1); a vCPU counts as one core of the measuring machine
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub(crate) busy: f64,
    /// Minimum number of tasks of ingress, and of the worker
    #[arg(long, default_value_t = 2.0)]
    pub(crate) tasks_min: f64,
    /// Parallel receives per worker; its STOCKLINE_RECEIVERS
    #[arg(long, default_value_t = 4.0)]
    pub(crate) receivers: f64,
    /// Use x86-64 tasks instead of ARM64
    #[arg(long)]
    pub(crate) x86: bool,
    /// Use NAT gateways instead of interface endpoints
    #[arg(long)]
    pub(crate) nat: bool,
    /// Interface endpoints: SQS, SNS, logs, ECR (two), Secrets Manager
    #[arg(long, default_value_t = 6.0)]
    pub(crate) endpoints: f64,
    /// Availability zones with tasks
    #[arg(long, default_value_t = 2.0)]
    pub(crate) zones: f64,
    /// Metrics watched by alarms: deploy/watch.yaml, scaling.yaml, and the alarms that scaling creates
    #[arg(long, default_value_t = 68.0)]
    pub(crate) alarm_metrics: f64,
    /// Container Insights metrics of a cluster of two services
    #[arg(long, default_value_t = 60.0)]
    pub(crate) insights_metrics: f64,
}

/// How the table is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Capacity {
    /// Each unit as it is used.
    OnDemand,
    /// Units per second for each hour, with autoscaling.
    Provisioned,
    /// The same, paid for a year.
    Reserved,
}

/// An empty receive of a worker waits this many seconds: its `RECEIVE_WAIT`.
pub(super) const RECEIVE_WAIT_S: f64 = 10.0;
/// A worker polls the dead letter queue every so many seconds: `SqsOptions::dlq_interval`.
pub(super) const DLQ_INTERVAL_S: f64 = 30.0;

impl Assumptions {
    /// Returns the same installation as the templates set it up without further parameters, at Cognito's dearer reading.
    pub(super) fn before(&self) -> Self {
        Self {
            machine_clients: true,
            linger_ms: 0.0,
            receive_pause_ms: 0.0,
            capacity: Capacity::OnDemand,
            savings_plan: 0.0,
            ..self.clone()
        }
    }

    /// Returns the same installation with all that saves money and changes no promise: LingerMs=100, ReceivePauseMs=400,
    /// Capacity=provisioned.
    pub(super) fn after(&self) -> Self {
        Self {
            machine_clients: false,
            linger_ms: 100.0,
            receive_pause_ms: 400.0,
            capacity: Capacity::Provisioned,
            ..self.clone()
        }
    }

    /// Returns the number of shops that make this many commands a second.
    pub(super) fn shops(&self, rate: f64) -> f64 {
        (rate / self.shop_rate).ceil().max(1.0)
    }
}

fn share(text: &str) -> Result<f64, String> {
    let value = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("a share lies between 0 and 1".into()) }
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
    fn the_assumptions_about_the_worker_match_its_settings() {
        let worker = include_str!("../../../worker/src/deployed/mod.rs");
        let wait = format!("const RECEIVE_WAIT: Duration = Duration::from_secs({RECEIVE_WAIT_S});");
        assert!(worker.contains(&wait), "the worker has no {wait}");
        let settings = include_str!("../../../worker/src/deployed/settings.rs");
        let receivers = format!("\"STOCKLINE_RECEIVERS\",\n    \"{}\",", Assumptions::default().receivers);
        assert!(settings.contains(&receivers), "the worker has no {receivers}");
        assert_eq!(SqsOptions::default().dlq_interval.as_secs_f64(), DLQ_INTERVAL_S);
    }

    #[test]
    fn the_number_of_shops_is_rounded_up() {
        let shops = |rate| Assumptions::default().shops(rate);
        assert_eq!((shops(0.0), shops(1.0), shops(100.0), shops(101.0)), (1.0, 1.0, 50.0, 51.0));
    }
}
