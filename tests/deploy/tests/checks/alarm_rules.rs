//! Tests which metric values make the alarms of `deploy/watch.yaml` go off. The alarms must tell an hour of silence,
//! one bad minute and a real outage apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stockline_deploy_checks::metric_math::{Figures, Rule};
use stockline_deploy_checks::ministack::aws_tests;
use stockline_deploy_checks::templates;

/// Returns the root template's defaults of the alarms' parameters.
fn defaults() -> BTreeMap<&'static str, f64> {
    let root = templates::read("template.yaml");
    let number = |name: &str| {
        let default = &root["Parameters"][name]["Default"];
        default.as_f64().or_else(|| default.as_str()?.parse().ok()).unwrap()
    };
    ["RefusedPercent", "AlarmDelayS", "SecondsPerMessage", "AcceptableDelayS", "WorkerMin"]
        .map(|name| (name, number(name)))
        .into()
}

/// Returns this many periods with the same figures.
fn times(periods: usize, figures: &[(&'static str, f64)]) -> Vec<Figures> {
    vec![figures.iter().copied().collect(); periods]
}

/// Joins two series.
fn then(first: Vec<Figures>, second: Vec<Figures>) -> Vec<Figures> {
    first.into_iter().chain(second).collect()
}

/// The situation, the alarm, its figures, and whether the alarm must go off.
type Case = (&'static str, &'static str, Vec<Figures>, bool);

fn of_commands() -> Vec<Case> {
    vec![
        ("commands wait for an hour", "OldestHour", times(5, &[("value", 3_700.0)]), true),
        ("one strange minute", "OldestHour", then(times(1, &[("value", 9_999.0)]), times(4, &[("value", 3.0)])), false),
        ("an empty queue tells no age", "OldestHour", vec![], false),
        ("workers were away for 2 days", "OldestDays", times(3, &[("value", 172_800.0)]), false),
        ("and for 3", "OldestDays", times(3, &[("value", 260_000.0)]), true),
        ("nobody is alive", "NothingApplied", times(12, &[("visible", 5.0)]), true),
        (
            "and the last minutes are not told yet",
            "NothingApplied",
            then(times(10, &[("visible", 5.0)]), times(2, &[])),
            true,
        ),
        (
            "workers take, and give back",
            "NothingApplied",
            times(12, &[("visible", 0.0), ("in_hand", 4.0), ("deleted", 0.0)]),
            true,
        ),
        (
            "workers finish what they can",
            "NothingApplied",
            times(12, &[("visible", 9_000.0), ("deleted", 10.0)]),
            false,
        ),
        ("nothing waits", "NothingApplied", times(12, &[("visible", 0.0), ("in_hand", 0.0), ("deleted", 0.0)]), false),
        ("the queue has slept for six hours", "NothingApplied", vec![], false),
        (
            "the first worker starts within 4 minutes",
            "NothingApplied",
            then(times(4, &[("visible", 5.0)]), times(8, &[("visible", 5.0), ("deleted", 9.0)])),
            false,
        ),
        (
            "a million messages, two workers",
            "Backlog",
            times(15, &[("visible", 1e6), ("in_hand", 40.0), ("running", 2.0)]),
            true,
        ),
        (
            "a million, twenty workers",
            "Backlog",
            times(15, &[("visible", 1e6), ("in_hand", 40.0), ("running", 20.0)]),
            false,
        ),
        (
            "a peak of 10 minutes",
            "Backlog",
            then(times(5, &[("visible", 9.0), ("running", 2.0)]), times(10, &[("visible", 1e6), ("running", 2.0)])),
            false,
        ),
        ("no worker is counted", "Backlog", times(15, &[("visible", 2e5)]), true),
        ("SQS gave a message up", "CommandDlq", times(1, &[("visible", 1.0)]), true),
        ("and a worker just has it", "CommandDlq", times(1, &[("visible", 0.0), ("in_hand", 1.0)]), true),
        ("nothing ever was in it", "CommandDlq", vec![], false),
        ("a dead letter", "DeadLettered", times(1, &[("value", 1.0)]), true),
        ("a lost command", "OutcomeMissing", times(1, &[("value", 1.0)]), true),
        (
            "a third is refused",
            "RefusedRate",
            times(2, &[("applied", 60.0), ("rejected", 30.0), ("set_aside", 0.0)]),
            true,
        ),
        (
            "a third of very few",
            "RefusedRate",
            times(2, &[("applied", 20.0), ("rejected", 10.0), ("set_aside", 0.0)]),
            false,
        ),
        (
            "a tenth is refused",
            "RefusedRate",
            times(2, &[("applied", 900.0), ("rejected", 100.0), ("set_aside", 0.0)]),
            false,
        ),
        ("no worker tells", "RefusedRate", vec![], false),
        (
            "a worker panicked",
            "WorkerDefects",
            times(1, &[("panics", 1.0), ("unreadable", 0.0), ("skipped", 0.0)]),
            true,
        ),
        ("all is well", "WorkerDefects", times(9, &[("panics", 0.0), ("unreadable", 0.0), ("skipped", 0.0)]), false),
    ]
}

fn of_the_store_and_the_api() -> Vec<Case> {
    vec![
        ("the store is away", "WorkerOutage", times(5, &[("value", 1.0)]), true),
        (
            "it was, for two minutes",
            "WorkerOutage",
            then(times(2, &[("value", 1.0)]), times(3, &[("value", 0.0)])),
            false,
        ),
        ("an item is too busy", "Throttles", times(3, &[("told", 900.0), ("commits", 15.0)]), true),
        ("throttled while no worker tells", "Throttles", times(3, &[("writes", 15.0)]), true),
        (
            "the table doubles, for 5 minutes",
            "Throttles",
            then(times(1, &[("told", 9.0), ("writes", 900.0)]), times(2, &[("told", 9.0)])),
            false,
        ),
        ("DynamoDB fails", "StoreErrors", times(2, &[("told", 0.0), ("commits", 4.0), ("queries", 4.0)]), true),
        ("a single failure", "StoreErrors", times(2, &[("told", 0.0), ("commits", 1.0)]), false),
        ("one bad request at night", "ServerErrors", times(3, &[("requests", 1.0), ("by_target", 1.0)]), false),
        ("four of four", "ServerErrors", times(3, &[("requests", 4.0), ("by_target", 4.0)]), false),
        ("five of ten, for ten minutes", "ServerErrors", times(2, &[("requests", 10.0), ("by_target", 5.0)]), true),
        ("five of ten thousand", "ServerErrors", times(3, &[("requests", 10_000.0), ("by_target", 5.0)]), false),
        ("no target at all", "ServerErrors", times(2, &[("by_balancer", 50.0)]), true),
        ("a night without a request", "ServerErrors", vec![], false),
        ("a task is healthy", "NoTarget", times(3, &[("value", 1.0)]), false),
        ("none is", "NoTarget", times(3, &[("value", 0.0)]), true),
        ("none is registered", "NoTarget", vec![], true),
    ]
}

fn of_alerts_and_fleets() -> Vec<Case> {
    let tasks = |desired: f64, running: f64| [("desired", desired), ("running", running)];
    vec![
        ("a mail half an hour late", "AlertsLate", times(1, &[("value", 3_600.0)]), true),
        ("a mail at once", "AlertsLate", times(1, &[("value", 1.0)]), false),
        ("an alert waits", "AlertsWait", times(5, &[("value", 1_000.0)]), true),
        ("an alert is set aside", "AlertDlq", times(1, &[("value", 1.0)]), true),
        ("a mail is refused", "MailRefused", times(1, &[("value", 1.0)]), true),
        ("SES was away for a moment", "MailFails", then(times(3, &[]), times(1, &[("value", 3.0)])), false),
        ("SES is away", "MailFails", times(3, &[("value", 3.0)]), true),
        ("nobody is configured", "NobodyToMail", times(1, &[("nobody", 1.0), ("unreadable", 0.0)]), true),
        ("mails go", "NobodyToMail", times(1, &[("nobody", 0.0), ("unreadable", 0.0)]), false),
        ("the alerter crashes", "AlerterErrors", times(2, &[("value", 1.0)]), true),
        ("it crashed once", "AlerterErrors", then(times(1, &[("value", 1.0)]), times(2, &[("value", 0.0)])), false),
        ("the account has no run left", "AlerterThrottles", times(3, &[("value", 5.0)]), true),
        ("all tasks run", "IngressTasks", times(12, &tasks(2.0, 2.0)), false),
        ("one can't start", "IngressTasks", times(12, &tasks(2.0, 1.0)), true),
        ("a release: old and new ones run", "IngressTasks", times(12, &tasks(2.0, 4.0)), false),
        ("one is replaced", "WorkerTasks", then(times(4, &tasks(2.0, 1.0)), times(8, &tasks(2.0, 2.0))), false),
        ("scaled to zero", "WorkerTasks", times(12, &tasks(0.0, 0.0)), false),
        ("none is counted as running", "WorkerTasks", times(12, &[("desired", 2.0)]), true),
        ("nobody counts", "WorkerTasks", vec![], true),
        ("every task tells each minute", "IngressSilent", times(12, &[("value", 2.0)]), false),
        ("none tells any more", "IngressSilent", then(times(2, &[("value", 2.0)]), times(10, &[])), true),
        ("no worker tells", "WorkerSilent", vec![], true),
        ("CPU is used up", "IngressCpuFull", times(3, &[("value", 97.0)]), true),
        ("of no task there is no CPU", "WorkerCpuFull", vec![], false),
        ("a line of metrics is not the format", "MetricsUnread", times(1, &[("worker_lines", 1.0)]), true),
        ("all lines are read", "MetricsUnread", vec![], false),
        ("memory grows", "WorkerMemoryFull", times(5, &[("value", 91.0)]), true),
        ("memory is as ever", "IngressMemoryFull", times(5, &[("value", 20.0)]), false),
    ]
}

#[test]
fn alarms_go_off_when_they_should_and_only_then() {
    if !aws_tests() {
        return;
    }
    let template = templates::read("watch.yaml");
    let parameters = defaults();
    let cases = [of_commands(), of_the_store_and_the_api(), of_alerts_and_fleets()].concat();
    for (what, alarm, told, expected) in &cases {
        let rule = Rule::of(&template, alarm, &parameters);
        assert_eq!(rule.goes_off(told), *expected, "{what}: {rule:?}");
    }
    let tried: BTreeSet<&str> = cases.iter().map(|(_, alarm, _, _)| *alarm).collect();
    let all: BTreeSet<&str> =
        templates::resources(&template, "AWS::CloudWatch::Alarm").into_iter().map(|(name, _)| name).collect();
    assert_eq!(tried, all, "every alarm is tried");
}

#[test]
fn workers_that_scale_to_zero_may_fall_silent() {
    if !aws_tests() {
        return;
    }
    let template = templates::read("watch.yaml");
    let mut parameters = defaults();
    parameters.insert("WorkerMin", 0.0);
    assert!(!Rule::of(&template, "WorkerSilent", &parameters).goes_off(&[]));
}

/// CloudWatch may ignore missing data of DynamoDB's metrics. An alarm on them alone would then keep its state.
#[test]
fn alarms_on_the_store_have_a_value_while_a_worker_lives() {
    if !aws_tests() {
        return;
    }
    let template: Value = templates::read("watch.yaml");
    for alarm in ["Throttles", "StoreErrors"] {
        let rule = Rule::of(&template, alarm, &defaults());
        assert_eq!(rule.value(&Figures::from([("told", 7.0)])), Some(0.0), "{alarm}");
    }
}

/// Otherwise the alarm would report a delay that the scaling does not see.
#[test]
fn the_scaling_and_the_alarm_reckon_the_same_delay() {
    if !aws_tests() {
        return;
    }
    let (scaling, watch) = (templates::read("scaling.yaml"), templates::read("watch.yaml"));
    let policy = &scaling["Resources"]["WorkerByBacklog"]["Properties"]["TargetTrackingScalingPolicyConfiguration"];
    let formulas = |metrics: &Value| -> BTreeMap<String, Value> {
        let all = metrics.as_array().unwrap().iter().filter(|metric| metric["Expression"] != Value::Null);
        all.map(|metric| (metric["Id"].to_string(), metric["Expression"].clone())).collect()
    };
    let tracked = formulas(&policy["CustomizedMetricSpecification"]["Metrics"]);
    let told = formulas(&watch["Resources"]["Backlog"]["Properties"]["Metrics"]);
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|(id, formula)| tracked[id] == *formula), "{told:?} and {tracked:?}");
}

/// One task at a time serves an item: more tasks than groups have nothing to do.
#[test]
fn a_few_hot_items_start_no_more_tasks_than_they_can_use() {
    if !aws_tests() {
        return;
    }
    let scaling = templates::read("scaling.yaml");
    let policy = &scaling["Resources"]["WorkerByBacklog"]["Properties"]["TargetTrackingScalingPolicyConfiguration"];
    let metrics = &policy["CustomizedMetricSpecification"]["Metrics"];
    let as_alarm = json!({"Resources": {"Tracked": {"Properties": {
        "Metrics": metrics, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0, "EvaluationPeriods": 1,
    }}}});
    let parameters = defaults();
    let tracked = Rule::of(&as_alarm, "Tracked", &parameters);
    let wanted = |visible: f64, in_hand: f64, groups: f64, running: f64| {
        let figures = [("visible", visible), ("in_hand", in_hand), ("groups", groups), ("running", running)];
        // Target tracking keeps tasks in proportion to the figure and the target.
        running * tracked.value(&Figures::from(figures)).unwrap() / parameters["AcceptableDelayS"]
    };
    let close = |found: f64, expected: f64| (found - expected).abs() < 0.01;
    assert!(close(wanted(100_000.0, 10.0, 1.0, 2.0), 1.0), "one hot item");
    assert!(close(wanted(100_000.0, 50.0, 5.0, 2.0), 5.0), "five hot items");
    assert!(
        close(wanted(20_000.0, 500.0, 500.0, 2.0), 20_500.0 * parameters["SecondsPerMessage"] / 10.0),
        "many items"
    );
    assert!(close(wanted(0.0, 0.0, 0.0, 2.0), 0.0), "nothing waits");

    let burst = Rule::of(&scaling, "Burst", &parameters);
    let waits = |visible: f64, groups: f64| times(1, &[("visible", visible), ("groups", groups), ("running", 2.0)]);
    assert!(burst.goes_off(&waits(20_000.0, 400.0)), "20,000 messages take two tasks 40 s");
    assert!(!burst.goes_off(&waits(10_000.0, 400.0)), "tracking is soon enough for 20 s");
    assert!(!burst.goes_off(&waits(1_000_000.0, 2.0)), "two hot items have a task each");
    assert!(burst.goes_off(&times(1, &[("visible", 9_000.0), ("groups", 400.0)])), "no task tells anything");
    assert!(!burst.goes_off(&[]), "an idle queue tells nothing");
}

#[test]
fn the_first_worker_is_started_by_what_waits_alone() {
    if !aws_tests() {
        return;
    }
    let template = templates::read("scaling.yaml");
    let rule = Rule::of(&template, "NobodyReceives", &defaults());
    assert!(rule.goes_off(&times(2, &[("visible", 1.0), ("received", 0.0)])));
    assert!(rule.goes_off(&times(2, &[("visible", 1.0)])));
    assert!(!rule.goes_off(&times(2, &[("visible", 9.0), ("received", 9.0)])));
    assert!(!rule.goes_off(&[]));
}
