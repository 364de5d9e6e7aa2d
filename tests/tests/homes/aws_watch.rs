//! Deploys `deploy/watch.yaml`, reads the alarms and the dashboard back, and lets alarms go off and end.
//!
//! The stand-in has no metric math, so each formula is replaced by its first metric. The stand-in also ignores
//! dimensions, the number of periods and missing data. `alarm_rules.rs` tests the formulas.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::{Value, json};
use stockline_deploy_checks::ministack::{Ministack, REGION, aws_tests};
use stockline_deploy_checks::{cloudformation, templates};
use stockline_tests::aws_queues::create_queue;
use stockline_tests::process::PATIENCE;
use stockline_tests::sdk::clients;

/// Made-up values. A parameter that is not listed has its own name as its value.
const PARAMETERS: [(&str, &str); 9] = [
    ("OpsEmail", ""),
    ("RefusedPercent", "20"),
    ("AlarmDelayS", "300"),
    ("SecondsPerMessage", "0.002"),
    ("WorkerMin", "2"),
    ("IngressCpu", "512"),
    ("IngressMemory", "1024"),
    ("WorkerCpu", "512"),
    ("WorkerMemory", "1024"),
];

#[tokio::test]
async fn alarms_and_dashboard_are_deployed_and_what_goes_off_and_ends_reaches_ops() {
    if !aws_tests() {
        return;
    }
    let server = Ministack::start().await;
    let template = without_formulas(templates::read("watch.yaml"));
    let names = template["Parameters"].as_object().unwrap().keys();
    let given: BTreeMap<&str, &str> = PARAMETERS.into_iter().collect();
    let parameters: Vec<(&str, &str)> =
        names.map(|name| (name.as_str(), *given.get(name.as_str()).unwrap_or(&name.as_str()))).collect();
    let outputs = cloudformation::create(&server, "watch", &template, &parameters).await;

    let alarms = alarms(&server).await;
    every_alarm_tells_ops(&template, &alarms, &outputs["OpsTopic"]);
    the_dashboard_is_whole(&server, &alarms).await;
    what_goes_off_and_ends_is_told(&server, &template, &outputs["OpsTopic"]).await;
}

fn without_formulas(mut template: Value) -> Value {
    for resource in template["Resources"].as_object_mut().unwrap().values_mut() {
        let Some(properties) = resource["Properties"].as_object_mut() else {
            continue;
        };
        if let Some(metrics) = properties.remove("Metrics") {
            let first = &metrics[0]["MetricStat"];
            properties.extend(
                ["Namespace", "MetricName", "Dimensions"].map(|of| (of.to_owned(), first["Metric"][of].clone())),
            );
            properties.insert("Statistic".into(), first["Stat"].clone());
            properties.insert("Period".into(), first["Period"].clone());
        }
    }
    template
}

async fn cloudwatch(server: &Ministack, action: &str, body: Value) -> Value {
    let headers = [
        ("x-amz-target", format!("GraniteServiceVersion20100801.{action}")),
        ("content-type", "application/x-amz-json-1.0".to_owned()),
    ];
    let text = server.post(action, &headers, body.to_string()).await;
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// Returns the deployed alarms by name.
async fn alarms(server: &Ministack) -> BTreeMap<String, Value> {
    let described = cloudwatch(server, "DescribeAlarms", json!({"MaxRecords": 100})).await;
    let alarms = described["MetricAlarms"].as_array().unwrap().clone();
    alarms.into_iter().map(|alarm| (alarm["AlarmName"].as_str().unwrap().to_owned(), alarm)).collect()
}

fn every_alarm_tells_ops(template: &Value, deployed: &BTreeMap<String, Value>, topic: &str) {
    let written = templates::resources(template, "AWS::CloudWatch::Alarm");
    assert_eq!(deployed.len(), written.len());
    for (name, alarm) in deployed {
        assert!(name.starts_with("Name-"), "{name} begins with the installation's name");
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm[actions], json!([topic]), "{name}: {actions}");
        }
        let description = alarm["AlarmDescription"].as_str().unwrap();
        assert!(description.contains("deploy/README.md#") && !description.contains("${"), "{name}: {description}");
        assert!(
            ["breaching", "notBreaching"].contains(&alarm["TreatMissingData"].as_str().unwrap()),
            "{name}: {alarm}"
        );
    }
    let thresholds = ["backlog", "refused-rate"].map(|name| &deployed[&format!("Name-{name}")]["Threshold"]);
    assert_eq!(thresholds.map(Value::as_f64), [Some(300.0), Some(20.0)]);
}

/// Checks that the dashboard has no open placeholder and shows every alarm.
async fn the_dashboard_is_whole(server: &Ministack, alarms: &BTreeMap<String, Value>) {
    let answer = cloudwatch(server, "GetDashboard", json!({"DashboardName": "Name"})).await;
    let text = answer["DashboardBody"].as_str().unwrap();
    assert!(!text.contains("${"), "{text}");
    let body: Value = serde_json::from_str(text).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    let graphs: Vec<&Value> = widgets.iter().filter(|widget| widget["type"] == "metric").collect();
    assert!(graphs.len() > 20, "{}", graphs.len());
    for graph in graphs {
        assert_eq!(graph["properties"]["region"], REGION, "{graph}");
    }
    let shown: BTreeSet<&str> = widgets
        .iter()
        .flat_map(|widget| widget["properties"]["alarms"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(shown, alarms.values().filter_map(|alarm| alarm["AlarmArn"].as_str()).collect());
}

/// Checks that alarms on one metric are OK at quiet values and go off beyond their threshold, and that ops receive each
/// change.
async fn what_goes_off_and_ends_is_told(server: &Ministack, template: &Value, topic: &str) {
    let clients = clients(server);
    let (queue_url, queue_arn) = create_queue(&clients, "ops", std::collections::HashMap::new()).await;
    clients.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(queue_arn).send().await.unwrap();

    let original = templates::read("watch.yaml");
    let plain: Vec<&Value> = templates::resources(template, "AWS::CloudWatch::Alarm")
        .into_iter()
        .filter(|(name, _)| original["Resources"][name]["Properties"]["MetricName"].is_string())
        .map(|(_, alarm)| &alarm["Properties"])
        .collect();
    let rises = |alarm: &Value| alarm["ComparisonOperator"].as_str().unwrap().starts_with("GreaterThan");
    let name = |alarm: &Value| alarm["AlarmName"]["Fn::Sub"].as_str().unwrap().replace("${Name}", "Name");
    for alarm in &plain {
        put(server, alarm, if rises(alarm) { 0.0 } else { 1.0 }).await;
    }
    let quiet = alarms(server).await;
    for alarm in &plain {
        assert_eq!(quiet[&name(alarm)]["StateValue"], "OK", "{alarm}");
    }
    let rising: Vec<&Value> = plain.iter().filter(|alarm| rises(alarm)).copied().collect();
    for alarm in &rising {
        put(server, alarm, 10.0 * alarm["Threshold"].as_f64().unwrap() + 10.0).await;
    }
    let loud = alarms(server).await;
    for alarm in &rising {
        assert_eq!(loud[&name(alarm)]["StateValue"], "ALARM", "{alarm}");
    }

    let mut expected: BTreeSet<(String, String)> = plain.iter().map(|alarm| (name(alarm), "OK".to_owned())).collect();
    expected.extend(rising.iter().map(|alarm| (name(alarm), "ALARM".to_owned())));
    let deadline = Instant::now() + PATIENCE;
    while !expected.is_empty() {
        assert!(Instant::now() < deadline, "ops were not told of {expected:?}");
        let received =
            clients.sqs.receive_message().queue_url(&queue_url).max_number_of_messages(10).wait_time_seconds(1);
        for message in received.send().await.unwrap().messages() {
            let envelope: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let told: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
            let field = |name: &str| told[name].as_str().unwrap().to_owned();
            expected.remove(&(field("AlarmName"), field("NewStateValue")));
            let handle = message.receipt_handle().unwrap();
            clients.sqs.delete_message().queue_url(&queue_url).receipt_handle(handle).send().await.unwrap();
        }
    }
}

/// Puts one value of the metric that an alarm watches.
async fn put(server: &Ministack, alarm: &Value, value: f64) {
    let datum = json!({"MetricName": alarm["MetricName"], "Value": value});
    let namespace = &alarm["Namespace"];
    let namespace = namespace["Fn::Sub"].as_str().or(namespace.as_str()).unwrap().replace("${Name}", "Name");
    cloudwatch(server, "PutMetricData", json!({"Namespace": namespace, "MetricData": [datum]})).await;
}
