//! Lists wrong templates. Each differs from the right one in one place, and names the check that must find it.

use std::fmt;

use serde_json::{Value, json};
use stockline_deploy_checks::wiring::{ROOT, Wiring};

use super::programs::{ALERTER, DATA, NETWORK, SERVICES, WATCH};
use super::{Check, alerts, first_day, kept, network, order, queues, table, tasks, variables, wiring};

#[derive(Debug)]
pub(crate) struct Wrong {
    file: &'static str,
    /// Names between slashes. `Name=x` selects the entry of a list that has this name.
    place: &'static str,
    /// The value to put there; `None` removes the place.
    instead: Option<Value>,
    pub(crate) check: Check,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instead {
            Some(instead) => write!(f, "{} with {instead} at {}", self.file, self.place),
            None => write!(f, "{} without {}", self.file, self.place),
        }
    }
}

impl Wrong {
    /// Makes the templates wrong.
    pub(crate) fn change(&self, templates: &mut Wiring) {
        let (way, last) = self.place.rsplit_once('/').unwrap();
        let before = templates.of(self.file).clone();
        let parent = way.split('/').fold(templates.of_mut(self.file), |value, name| self.step(value, name));
        match (parent, &self.instead) {
            (Value::Object(fields), Some(instead)) => {
                fields.insert(last.to_owned(), instead.clone());
            }
            (Value::Object(fields), None) => {
                fields.remove(last);
            }
            (Value::Array(entries), None) => entries.retain(|entry| !is_named(entry, last)),
            (Value::Array(entries), Some(instead)) if last == "+" => entries.push(instead.clone()),
            (found, _) => panic!("{self}: nothing to change in {found}"),
        }
        assert_ne!(*templates.of(self.file), before, "{self} changes nothing");
    }

    fn step<'a>(&self, value: &'a mut Value, name: &str) -> &'a mut Value {
        let found = match value {
            Value::Array(entries) => match name.parse::<usize>() {
                Ok(index) => entries.get_mut(index),
                Err(_) => entries.iter_mut().find(|entry| is_named(entry, name)),
            },
            value => value.get_mut(name),
        };
        found.unwrap_or_else(|| panic!("{self}: there is no {name}"))
    }
}

fn is_named(entry: &Value, name: &str) -> bool {
    name.split_once('=').is_some_and(|(key, value)| entry[key] == value)
}

/// The fields of a [`Wrong`] as the lists below write them.
type Line = (&'static str, &'static str, Option<Value>, Check);

/// Returns all wrong templates.
pub(crate) fn templates() -> Vec<Wrong> {
    let lines =
        [of_variables(), of_data(), of_alerts(), of_tasks(), of_network(), of_the_whole()].into_iter().flatten();
    lines.map(|(file, place, instead, check)| Wrong { file, place, instead, check }).collect()
}

fn of_variables() -> Vec<Line> {
    let read: Check = variables::are_those_that_are_read;
    let meant: Check = variables::name_what_is_meant;
    let defaults: Check = variables::have_the_same_defaults;
    let bounds: Check = variables::are_bounded_as_the_programs_bound_them;
    vec![
        (
            SERVICES,
            "Resources/WorkerTask/Properties/ContainerDefinitions/0/Environment/Name=STOCKLINE_PERMITS",
            None,
            read,
        ),
        (
            SERVICES,
            "Resources/IngressTask/Properties/ContainerDefinitions/0/Environment/+",
            Some(json!({"Name": "STOCKLINE_PERMITS", "Value": 16})),
            read,
        ),
        (
            SERVICES,
            "Resources/IngressTask/Properties/ContainerDefinitions/0/Environment/+",
            Some(json!({"Name": "STOCKLINE_RECEIPT_KEYS", "Value": "k"})),
            read,
        ),
        (
            SERVICES,
            "Resources/IngressTask/Properties/ContainerDefinitions/0/Secrets/Name=STOCKLINE_RECEIPT_KEYS",
            None,
            read,
        ),
        (
            ALERTER,
            "Resources/Alerter/Properties/Environment/Variables/STOCKLINE_MAIL_TO",
            Some(json!("a@example.com")),
            read,
        ),
        (
            SERVICES,
            "Resources/WorkerTask/Properties/ContainerDefinitions/0/Environment/Name=STOCKLINE_DLQ_URL/Value",
            Some(json!({"Ref": "QueueUrl"})),
            meant,
        ),
        (
            ROOT,
            "Resources/Services/Properties/Parameters/QueueUrl",
            Some(json!({"Fn::GetAtt": ["Data", "Outputs.DlqUrl"]})),
            meant,
        ),
        (DATA, "Outputs/Table/Value", Some(json!({"Fn::GetAtt": ["Table", "Arn"]})), meant),
        (ROOT, "Parameters/Permits/Default", Some(json!(8)), defaults),
        (ROOT, "Parameters/StaffMay/Default", Some(json!("count")), defaults),
        (ROOT, "Parameters/LateCountHours/Default", Some(json!(71)), defaults),
        (ROOT, "Parameters/Environment/Default", Some(json!("test")), defaults),
        (ROOT, "Parameters/Receivers/MinValue", Some(json!(0)), bounds),
        (ROOT, "Parameters/VisibilityS/MaxValue", None, bounds),
    ]
}

fn of_data() -> Vec<Line> {
    let table: Check = table::is_as_the_code_has_it;
    let queues: Check = queues::are_as_the_adapter_wants_them;
    let kept: Check = kept::what_holds_something_is_kept;
    vec![
        (
            DATA,
            "Resources/Table/Properties/GlobalSecondaryIndexes/IndexName=unwell/IndexName",
            Some(json!("ill")),
            table,
        ),
        (DATA, "Resources/Table/Properties/GlobalSecondaryIndexes/IndexName=by_id", None, table),
        (
            DATA,
            "Resources/Table/Properties/GlobalSecondaryIndexes/IndexName=refused/Projection/ProjectionType",
            Some(json!("ALL")),
            table,
        ),
        (DATA, "Resources/Table/Properties/KeySchema/AttributeName=sk/KeyType", Some(json!("HASH")), table),
        (
            DATA,
            "Resources/Table/Properties/AttributeDefinitions/AttributeName=sk/AttributeType",
            Some(json!("N")),
            table,
        ),
        (DATA, "Resources/Table/Properties/WarmThroughput", Some(json!({"WriteUnitsPerSecond": 4_000})), table),
        (DATA, "Resources/Table/Properties/SSESpecification", Some(json!({"SSEEnabled": true})), table),
        (DATA, "Resources/CommandDlq/Properties/FifoQueue", None, queues),
        (DATA, "Resources/CommandQueue/Properties/FifoQueue", Some(json!(false)), queues),
        (DATA, "Resources/CommandQueue/Properties/ContentBasedDeduplication", Some(json!(true)), queues),
        (DATA, "Resources/CommandDlq/Properties/ContentBasedDeduplication", Some(json!(true)), queues),
        (DATA, "Resources/CommandQueue/Properties/DeduplicationScope", Some(json!("queue")), queues),
        (DATA, "Resources/CommandQueue/Properties/FifoThroughputLimit", None, queues),
        (DATA, "Resources/CommandQueue/Properties/MessageRetentionPeriod", Some(json!(345_600)), queues),
        (DATA, "Resources/CommandQueue/Properties/MaximumMessageSize", Some(json!(32_768)), queues),
        (DATA, "Resources/CommandDlq/Properties/MessageRetentionPeriod", None, queues),
        (DATA, "Resources/CommandQueue/Properties/VisibilityTimeout", Some(json!(30)), queues),
        (ROOT, "Resources/Services/Properties/Parameters/VisibilityS", Some(json!(30)), queues),
        (DATA, "Resources/CommandQueue/Properties/RedrivePolicy/maxReceiveCount", Some(json!(10)), queues),
        (
            DATA,
            "Resources/CommandQueue/Properties/RedrivePolicy/deadLetterTargetArn",
            Some(json!({"Fn::GetAtt": ["AlertDlq", "Arn"]})),
            queues,
        ),
        (DATA, "Resources/CommandQueue/DeletionPolicy", None, kept),
        (DATA, "Resources/Table/DeletionPolicy", Some(json!("Retain")), kept),
        (DATA, "Resources/Table/UpdateReplacePolicy", Some(json!("Delete")), kept),
        (DATA, "Resources/Table/Properties/DeletionProtectionEnabled", Some(json!(false)), kept),
        (DATA, "Resources/Table/Properties/PointInTimeRecoverySpecification", None, kept),
        ("people.yaml", "Resources/Users/DeletionPolicy", None, kept),
        (SERVICES, "Resources/ReceiptKeys/DeletionPolicy", None, kept),
        (ROOT, "Resources/Data/DeletionPolicy", None, kept),
    ]
}

fn of_alerts() -> Vec<Line> {
    let alerts: Check = alerts::reach_the_alerter_in_time;
    let dlq = json!({"Fn::GetAtt": ["AlertDlq", "Arn"]});
    vec![
        (ALERTER, "Resources/Alerter/Properties/Timeout", Some(json!(60)), alerts),
        (ALERTER, "Resources/Alerter/Properties/Timeout", Some(json!(46)), alerts),
        (DATA, "Resources/AlertQueue/Properties/VisibilityTimeout", Some(json!(60)), alerts),
        (DATA, "Resources/AlertQueue/Properties/VisibilityTimeout", Some(json!(301)), alerts),
        (WATCH, "Resources/AlertsWait/Properties/Threshold", Some(json!(600)), alerts),
        (ALERTER, "Resources/Alerter/Properties/Events/Alerts/Properties/FunctionResponseTypes", None, alerts),
        (
            ROOT,
            "Resources/Alerts/Properties/Parameters/AlertQueueArn",
            Some(json!({"Fn::GetAtt": ["Data", "Outputs.QueueArn"]})),
            alerts,
        ),
        (DATA, "Resources/AlertSubscription/Properties/RawMessageDelivery", None, alerts),
        (DATA, "Resources/AlertSubscription/Properties/Endpoint", Some(dlq), alerts),
        (DATA, "Resources/AlertQueue/Properties/FifoQueue", Some(json!(true)), alerts),
        (DATA, "Resources/AlertQueue/Properties/MessageRetentionPeriod", None, alerts),
    ]
}

fn of_tasks() -> Vec<Line> {
    let run: Check = tasks::are_run_as_the_programs_need_it;
    let waits: Check = tasks::the_balancer_waits_as_long_as_it_must;
    vec![
        (SERVICES, "Resources/WorkerTask/Properties/ContainerDefinitions/0/StopTimeout", Some(json!(30)), run),
        (SERVICES, "Resources/IngressTask/Properties/ContainerDefinitions/0/StopTimeout", None, run),
        (
            SERVICES,
            "Resources/WorkerTask/Properties/ContainerDefinitions/0/HealthCheck/Command",
            Some(json!(["CMD", "/worker", "audit"])),
            run,
        ),
        (SERVICES, "Resources/WorkerTask/Properties/ContainerDefinitions/0/ReadonlyRootFilesystem", None, run),
        (SERVICES, "Resources/IngressTask/Properties/ContainerDefinitions/0/User", Some(json!("0:0")), run),
        (
            SERVICES,
            "Resources/IngressTask/Properties/TaskRoleArn",
            Some(json!({"Fn::GetAtt": ["WorkerRole", "Arn"]})),
            run,
        ),
        (SERVICES, "Resources/IngressTargets/Properties/HealthCheckPath", Some(json!("/healthz")), waits),
        (
            SERVICES,
            "Resources/Balancer/Properties/LoadBalancerAttributes/Key=idle_timeout.timeout_seconds/Value",
            Some(json!("75")),
            waits,
        ),
        (
            SERVICES,
            "Resources/Balancer/Properties/LoadBalancerAttributes/Key=idle_timeout.timeout_seconds/Value",
            Some(json!("50")),
            waits,
        ),
        (
            SERVICES,
            "Resources/IngressTargets/Properties/TargetGroupAttributes/Key=deregistration_delay.timeout_seconds/Value",
            Some(json!("20")),
            waits,
        ),
    ]
}

fn of_network() -> Vec<Line> {
    let ports: Check = network::ports_are_the_same_everywhere;
    let reach: Check = network::nobody_reaches_more;
    vec![
        (SERVICES, "Resources/IngressTargets/Properties/Port", Some(json!(8081)), ports),
        (
            SERVICES,
            "Resources/IngressService/Properties/LoadBalancers/ContainerName=ingress/ContainerPort",
            Some(json!(9464)),
            ports,
        ),
        (
            SERVICES,
            "Resources/IngressTask/Properties/ContainerDefinitions/0/Environment/Name=STOCKLINE_LISTEN/Value",
            Some(json!("0.0.0.0:80")),
            ports,
        ),
        (
            ROOT,
            "Resources/Services/Properties/Parameters/WorkerGroup",
            Some(json!({"Fn::GetAtt": ["Network", "Outputs.IngressGroup"]})),
            ports,
        ),
        (NETWORK, "Resources/BalancerToIngress/Properties/ToPort", Some(json!(9464)), reach),
        (NETWORK, "Resources/IngressFromBalancer/Properties/IpProtocol", Some(json!("-1")), reach),
        (NETWORK, "Resources/IngressFromBalancer/Properties/FromPort", Some(json!(80)), reach),
        (
            NETWORK,
            "Resources/WorkerScraped/Properties/SourceSecurityGroupId",
            Some(json!({"Ref": "BalancerGroup"})),
            reach,
        ),
        (
            NETWORK,
            "Resources/WorkerGroup/Properties/SecurityGroupIngress",
            Some(json!([{"IpProtocol": "tcp", "FromPort": 8081, "ToPort": 8081, "CidrIp": "0.0.0.0/0"}])),
            reach,
        ),
        (
            NETWORK,
            "Resources/BalancerGroup/Properties/SecurityGroupEgress/+",
            Some(json!({"IpProtocol": "tcp", "FromPort": 9464, "ToPort": 9464, "CidrIp": {"Ref": "Cidr"}})),
            reach,
        ),
    ]
}

fn of_the_whole() -> Vec<Line> {
    let fit: Check = wiring::parts_fit_together;
    let order: Check = order::is_safe;
    let bad_day: Check = first_day::is_thought_of;
    vec![
        (NETWORK, "Resources/PrivateB/Properties/CidrBlock", Some(json!("10.0.3.0/26")), bad_day),
        (ROOT, "Parameters/SubnetBits/Default", Some(json!(6)), bad_day),
        (
            WATCH,
            "Resources/DeploymentFailed/Properties/EventPattern/resources",
            Some(json!(["IngressService"])),
            bad_day,
        ),
        (WATCH, "Resources/DeploymentFailed/Properties/EventPattern/detail/eventName", Some(json!([])), bad_day),
        ("people.yaml", "Resources/Users/Properties/EmailConfiguration", None, bad_day),
        (DATA, "Outputs/DlqArn", None, fit),
        (ROOT, "Resources/Services/Properties/Parameters/DlqArn", None, fit),
        (SERVICES, "Parameters/DlqArn", None, fit),
        ("watch.yaml", "Parameters/Budget", Some(json!({"Type": "Number"})), fit),
        (SERVICES, "Resources/IngressService/DependsOn", Some(json!("Https")), order),
        (ROOT, "Resources/Services/DependsOn", None, order),
        (
            SERVICES,
            "Resources/WorkerService/Properties/DeploymentConfiguration/DeploymentCircuitBreaker/Rollback",
            Some(json!(false)),
            order,
        ),
        (SERVICES, "Resources/IngressService/Properties/DeploymentConfiguration/MinimumHealthyPercent", None, order),
    ]
}
