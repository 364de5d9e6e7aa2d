//! The known metrics: those that the programs emit, and those of AWS that the templates may name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stockline_service::NAMESPACE;

use crate::watched::Reference;

/// The namespace of our metrics in the templates. The programs write into [`NAMESPACE`] unless their environment names it.
pub const OURS: &str = "Stockline/${Name}";

/// The dimension that names the program.
const SERVICE: &str = "Service";

/// The metrics of one program, each with its labels.
type Metrics = &'static [(&'static str, &'static [&'static str])];

/// The metrics that each program emits. A counter with labels is also emitted without them, as the total.
const PROGRAMS: [(&str, Metrics); 3] = {
    use stockline_alerter::metrics as alerter;
    use stockline_ingress::metrics as ingress;
    use stockline_service as service;
    use stockline_worker::metrics as worker;
    [
        (
            "ingress",
            &[
                (ingress::COMMANDS_ACCEPTED, &[]),
                (ingress::COMMANDS_FAILED, &[]),
                (ingress::PROBLEMS, &["code"]),
                (ingress::PACKS, &[]),
                (ingress::PACK_COMMANDS, &[]),
                (ingress::BUFFERED_COMMANDS, &[]),
                (ingress::WAITERS, &[]),
                (ingress::OUTCOME_MISSING, &[]),
                (ingress::REQUEST_SECONDS, &["route", "status"]),
                (service::CLOCK_HELD, &[]),
                (service::LINES_LOST, &[]),
                (service::PART_UP, &["part"]),
            ],
        ),
        (
            "worker",
            &[
                (worker::APPLIED, &[]),
                (worker::REJECTED, &["code"]),
                (worker::DEAD_LETTERED, &[]),
                (worker::DUPLICATES, &[]),
                (worker::CONFLICTS, &[]),
                (worker::FOLDS, &[]),
                (worker::FOLD_COMMANDS, &[]),
                (worker::ALERTS_PUBLISHED, &[]),
                (worker::ACCEPT_TO_APPLIED, &[]),
                (worker::RECEIVE_ERRORS, &[]),
                (worker::OUTAGE, &[]),
                (worker::UNDECODABLE, &[]),
                (worker::GIVEN_BACK, &[]),
                (worker::REJUDGE_SKIPPED, &[]),
                (worker::UNREADABLE, &[]),
                (worker::ROUND_PANICS, &[]),
                (worker::SET_ASIDE, &[]),
                (service::CLOCK_HELD, &[]),
                (service::LINES_LOST, &[]),
            ],
        ),
        (
            "alerter",
            &[
                (alerter::ALERTS_MAILED, &[]),
                (alerter::MAILS_SENT, &[]),
                (alerter::MAIL_FAILURES, &["kind"]),
                (alerter::UNDECODABLE, &[]),
                (alerter::WITHOUT_RECIPIENT, &[]),
                (alerter::ALERT_AGE_SECONDS, &[]),
                (alerter::NOTICES_MAILED, &[]),
                (alerter::PROVIDER_DOWN, &[]),
                (alerter::FAILING_RECIPIENTS, &[]),
                (service::LINES_LOST, &[]),
            ],
        ),
    ]
};

/// A namespace and its metrics, each with its dimensions.
type Known = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The AWS metrics that a template may name. They are from the pages "Available CloudWatch metrics for Amazon SQS",
/// "DynamoDB metrics and dimensions", "Types of metrics for Lambda functions", "CloudWatch metrics for your Application
/// Load Balancer", "Amazon ECS service utilization metrics", "Amazon ECS Container Insights metrics" and "Monitoring
/// with CloudWatch metrics" of CloudWatch Logs.
const OF_AWS: [Known; 12] = [
    (
        "AWS/SQS",
        &[
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfGroupsWithInflightMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfEmptyReceives",
            "NumberOfMessagesDeleted",
            "NumberOfMessagesReceived",
            "NumberOfMessagesSent",
        ],
        &["QueueName"],
    ),
    (
        "AWS/DynamoDB",
        &[
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "TransactionConflict",
            "WriteThrottleEvents",
        ],
        &["TableName"],
    ),
    (
        "AWS/DynamoDB",
        &["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"],
        &["TableName", "GlobalSecondaryIndexName"],
    ),
    ("AWS/DynamoDB", &["SuccessfulRequestLatency", "SystemErrors", "ThrottledRequests"], &["TableName", "Operation"]),
    ("AWS/Lambda", &["ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"], &["FunctionName"]),
    (
        "AWS/ApplicationELB",
        &[
            "HTTPCode_ELB_5XX_Count",
            "HTTPCode_Target_4XX_Count",
            "HTTPCode_Target_5XX_Count",
            "RequestCount",
            "TargetResponseTime",
        ],
        &["LoadBalancer"],
    ),
    ("AWS/ApplicationELB", &["HealthyHostCount", "UnHealthyHostCount"], &["LoadBalancer", "TargetGroup"]),
    ("AWS/ApplicationELB", &["HTTPCode_Target_5XX_Count", "RequestCount"], &["LoadBalancer", "TargetGroup"]),
    ("AWS/ECS", &["CPUUtilization", "MemoryUtilization"], &["ClusterName", "ServiceName"]),
    (
        "ECS/ContainerInsights",
        &["DesiredTaskCount", "PendingTaskCount", "RunningTaskCount"],
        &["ClusterName", "ServiceName"],
    ),
    ("AWS/Logs", &["EMFParsingErrors", "EMFValidationErrors", "IncomingBytes"], &["LogGroupName"]),
    ("AWS/SNS", &["NumberOfNotificationsFailed"], &["TopicName"]),
];

/// The allowed values of a dimension: a parameter of the template, or an operation that the store's adapter calls.
const VALUES: [(&str, &[&str]); 10] = [
    ("QueueName", &["${QueueName}", "${DlqName}", "${AlertQueueName}", "${AlertDlqName}"]),
    ("TableName", &["${Table}"]),
    (
        "Operation",
        &["BatchGetItem", "GetItem", "PutItem", "Query", "TransactGetItems", "TransactWriteItems", "UpdateItem"],
    ),
    ("GlobalSecondaryIndexName", &[]),
    ("FunctionName", &["${AlerterFunction}"]),
    ("LoadBalancer", &["${BalancerName}"]),
    ("TargetGroup", &["${TargetsName}"]),
    ("ClusterName", &["${Cluster}"]),
    ("ServiceName", &["${IngressService}", "${WorkerService}"]),
    ("LogGroupName", &["${IngressLogs}", "${WorkerLogs}", "${AlerterLogs}"]),
];

/// Returns why a reference names no known metric, or `None` if it names one.
pub fn fault(reference: &Reference) -> Option<String> {
    let names: BTreeSet<&str> = reference.dimensions.keys().map(String::as_str).collect();
    let is = |dimensions: &[&str]| dimensions.iter().copied().collect::<BTreeSet<_>>() == names;
    if reference.namespace == OURS {
        let service = reference.dimensions.get(SERVICE).and_then(Option::as_deref);
        let meant = |program: &str| service.is_none_or(|service| service == program);
        let known = PROGRAMS.iter().any(|(program, metrics)| meant(program) && can_emit(metrics, reference));
        return (!known).then(|| format!("{reference:?}: no program emits it"));
    }
    let known = OF_AWS.iter().any(|(namespace, metrics, dimensions)| {
        *namespace == reference.namespace && metrics.contains(&reference.name.as_str()) && is(dimensions)
    });
    if !known {
        return Some(format!("{reference:?}: AWS has no such metric under these dimensions"));
    }
    let meant = |name: &str, value: &str| VALUES.iter().any(|(of, values)| *of == name && values.contains(&value));
    let wrong =
        reference.dimensions.iter().find(|(name, value)| value.as_ref().is_some_and(|value| !meant(name, value)));
    wrong.map(|(name, value)| format!("{reference:?}: {name} is never {value:?}"))
}

fn can_emit(metrics: Metrics, reference: &Reference) -> bool {
    let labels: BTreeSet<&str> =
        reference.dimensions.keys().map(String::as_str).filter(|name| *name != SERVICE).collect();
    reference.dimensions.contains_key(SERVICE)
        && metrics.iter().any(|(name, under)| {
            let counter_in_all = name.ends_with("_total") && labels.is_empty();
            *name == reference.name && (counter_in_all || under.iter().copied().collect::<BTreeSet<_>>() == labels)
        })
}

/// A metric that a program emitted, with the values of its dimensions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Emitted {
    name: String,
    dimensions: BTreeMap<String, String>,
}

impl Emitted {
    /// Reports whether the reference names this metric.
    pub fn is(&self, reference: &Reference) -> bool {
        self.name == reference.name
            && self.dimensions.keys().eq(reference.dimensions.keys())
            && reference
                .dimensions
                .iter()
                .all(|(name, value)| value.as_ref().is_none_or(|v| self.dimensions[name] == *v))
    }

    /// Reports whether this program emitted it under this label.
    pub fn is_under(&self, program: &str, label: &str, value: &str) -> bool {
        let is = |name: &str, value: &str| self.dimensions.get(name).is_some_and(|found| found == value);
        is(SERVICE, program) && is(label, value)
    }

    /// Returns the reference of a template to this metric.
    pub fn reference(&self) -> Reference {
        let dimensions = self.dimensions.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        Reference { place: "emitted".into(), namespace: OURS.into(), name: self.name.clone(), dimensions }
    }
}

/// Returns the metrics that CloudWatch extracts from lines of its embedded metric format.
///
/// # Panics
/// On a line that CloudWatch would refuse ("Specification: Embedded metric format").
pub fn emitted(lines: &[String]) -> BTreeSet<Emitted> {
    let mut emitted = BTreeSet::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["_aws"]["Timestamp"].is_u64(), "{line}");
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            let namespace = directive["Namespace"].as_str().unwrap_or_default();
            let is_ours =
                namespace == NAMESPACE || namespace.strip_prefix("Stockline/").is_some_and(|name| !name.is_empty());
            assert!(is_ours, "{line}");
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!(metrics.len() <= 100, "{line}");
            for set in directive["Dimensions"].as_array().unwrap() {
                let names = set.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
                let dimensions: BTreeMap<String, String> =
                    names.map(|name| (name.clone(), line[&name].as_str().unwrap().to_owned())).collect();
                for metric in metrics {
                    let name = metric["Name"].as_str().unwrap().to_owned();
                    is_a_value(&line[&name]);
                    emitted.insert(Emitted { name, dimensions: dimensions.clone() });
                }
            }
        }
    }
    emitted
}

fn is_a_value(value: &Value) {
    if !value.is_number() {
        let (values, counts) = (value["Values"].as_array().unwrap(), value["Counts"].as_array().unwrap());
        assert!(values.len() == counts.len() && (1..=100).contains(&values.len()), "{value}");
        assert!(values.iter().chain(counts).all(Value::is_number), "{value}");
    }
}
