//! Checks that `deploy/` watches metrics that exist. Each metric that alarms, scaling and dashboard name is emitted by
//! a program under the same dimensions, or is one of AWS's.

use std::collections::BTreeSet;

use serde_json::Value;
use stockline_deploy_checks::ministack::aws_tests;
use stockline_deploy_checks::watched::{Watched, dashboard, watched};
use stockline_deploy_checks::{metric_names, templates};

/// The templates that name metrics.
const FILES: [&str; 2] = ["watch.yaml", "scaling.yaml"];

/// Returns all faults of a template's metrics.
fn faults(template: &Value) -> Vec<String> {
    let Watched { references, formulas } = match watched(template) {
        Ok(watched) => watched,
        Err(fault) => return vec![fault],
    };
    let parameters: BTreeSet<&String> = template["Parameters"].as_object().unwrap().keys().collect();
    let unknown = formulas.iter().flat_map(|formula| {
        formula
            .unknown()
            .into_iter()
            .map(move |name| format!("{}: {name} of {:?} is no figure", formula.place, formula.text))
    });
    let unset = references
        .iter()
        .flat_map(|reference| reference.dimensions.values().flatten())
        .filter_map(|value| value.strip_prefix("${")?.strip_suffix('}'))
        .filter(|name| !parameters.contains(&(*name).to_owned()))
        .map(|name| format!("{name} is no parameter"));
    references.iter().filter_map(metric_names::fault).chain(unknown).chain(unset).collect()
}

#[test]
fn every_metric_that_is_watched_exists() {
    if !aws_tests() {
        return;
    }
    for file in FILES {
        let template = templates::read(file);
        assert_eq!(faults(&template), Vec::<String>::new(), "{file}");
        assert!(!watched(&template).unwrap().references.is_empty(), "{file} names metrics");
    }
}

#[test]
fn a_wrong_metric_is_found_wherever_it_stands() {
    if !aws_tests() {
        return;
    }
    let template = templates::read("watch.yaml").to_string();
    for (what, right, wrong) in [
        (
            "an alarm's metric under another name",
            r#""MetricName":"stockline_worker_outage""#,
            r#""MetricName":"stockline_worker_out""#,
        ),
        (
            "a metric of another program",
            r#""Name":"Service","Value":"ingress""#,
            r#""Name":"Service","Value":"worker""#,
        ),
        (
            "a program that does not exist",
            r#""Name":"Service","Value":"alerter""#,
            r#""Name":"Service","Value":"mailer""#,
        ),
        ("a label that the metric has not", r#""Name":"kind""#, r#""Name":"code""#),
        (
            "a metric of a formula under another name",
            "stockline_worker_rejected_total",
            "stockline_worker_refused_total",
        ),
        ("a metric of the dashboard under another name", "stockline_ingress_waiters", "stockline_ingress_waiting"),
        ("a label of a search that the metric has not", ",Service,code} ", ",Service,reason} "),
        (
            "a searched metric under another name",
            r#"MetricName=\\\"stockline_ingress_problems_total"#,
            r#"MetricName=\\\"stockline_problems_total"#,
        ),
        ("another filter than the search has dimensions", r#"route=\\\""#, r#"path=\\\""#),
        ("a slip in a name of AWS", "ApproximateAgeOfOldestMessage", "ApproximateAgeOfOldestMessages"),
        ("a dimension of AWS that is another's", r#""Name":"QueueName""#, r#""Name":"Queue""#),
        ("too few dimensions", r#"{"Name":"ClusterName","Value":{"Ref":"Cluster"}},"#, ""),
        ("another namespace", "ECS/ContainerInsights", "AWS/ContainerInsights"),
        ("an operation that nobody calls", "TransactGetItems", "BatchWriteItem"),
        ("a queue that is no queue", "${AlertQueueName}", "${Table}"),
        ("a parameter that does not exist", r#""AlertQueueName":{"#, r#""AlertQueue":{"#),
        ("a formula with a figure that does not exist", "by_target + by_balancer", "by_target + by_balancers"),
        ("the same in the dashboard", "accepted / 60", "acepted / 60"),
        ("a graph that is not written out", r#"\"AWS/Logs\", \"EMFParsingErrors\""#, r#"\"AWS/Logs\", \".\""#),
    ] {
        assert!(template.contains(right), "{what}: {right} stands nowhere");
        let broken: Value = serde_json::from_str(&template.replace(right, wrong)).unwrap();
        assert!(!faults(&broken).is_empty(), "{what}: {right} → {wrong}");
    }
}

/// Every alarm reports its beginning and its end, says what it means, and names a section of the runbook. No alarm
/// ignores missing data.
#[test]
fn every_alarm_reaches_ops_and_says_what_to_do() {
    if !aws_tests() {
        return;
    }
    let template = templates::read("watch.yaml");
    let alarms = templates::resources(&template, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() >= 25, "{}", alarms.len());
    let ops = serde_json::json!([{"Ref": "Ops"}]);
    let runbook = std::fs::read_to_string(templates::folder().join("README.md")).unwrap();
    for (name, alarm) in &alarms {
        let properties = &alarm["Properties"];
        assert_eq!((&properties["AlarmActions"], &properties["OKActions"]), (&ops, &ops), "{name}");
        let description = &properties["AlarmDescription"];
        let description = description.as_str().or_else(|| description["Fn::Sub"].as_str()).unwrap();
        let (_, anchor) = description.split_once(" Runbook: deploy/README.md#").unwrap_or_else(|| panic!("{name}"));
        assert!(has_section(&runbook, anchor), "{name}: the runbook has no section #{anchor}");
        assert!(description.len() <= 1024, "{name}: CloudWatch takes 1,024 characters");
        let missing = &properties["TreatMissingData"];
        let said = missing.as_str().is_some_and(|missing| ["breaching", "notBreaching"].contains(&missing));
        assert!(said || missing["Fn::If"].is_array(), "{name}: {missing}");
        assert!(properties["EvaluationPeriods"].as_u64() >= properties["DatapointsToAlarm"].as_u64(), "{name}");
        let metrics = properties["Metrics"].as_array().into_iter().flatten();
        assert!(metrics.filter(|metric| metric["MetricStat"].is_object()).count() <= 10, "{name}: CloudWatch takes 10");
    }

    let shown = dashboard(&template).to_string();
    for (name, _) in &alarms {
        assert!(shown.contains(&format!("${{{name}.Arn}}")), "the dashboard does not show {name}");
    }
}

/// Reports whether a text has a section with an anchor. Hosts that render Markdown make anchors from headings: in lower
/// case, with a hyphen for each space.
fn has_section(text: &str, anchor: &str) -> bool {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|heading| heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .any(|it| it == anchor)
}

#[test]
fn the_dashboards_graphs_fill_its_rows_and_overlap_nowhere() {
    if !aws_tests() {
        return;
    }
    const COLUMNS: u64 = 24;
    let dashboard = dashboard(&templates::read("watch.yaml"));
    let mut taken = BTreeSet::new();
    for widget in dashboard["widgets"].as_array().unwrap() {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|side| widget[side].as_u64().unwrap());
        for place in (y..y + height).flat_map(|row| (x..x + width).map(move |column| (row, column))) {
            assert!(place.1 < COLUMNS && taken.insert(place), "{widget}");
        }
    }
    let rows = taken.last().unwrap().0 + 1;
    assert_eq!(taken.len() as u64, rows * COLUMNS);
}
