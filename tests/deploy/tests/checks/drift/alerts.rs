use serde_json::{Value, json};
use stockline_alerter::{MIN_LEASE, OPENINGS_QUIET, OPENINGS_WAIT_MAX};
use stockline_core::ports::QUEUE_RETENTION_S;

use super::Faults;
use super::programs::{ALERTER, DATA, Deployment, WATCH};

/// The least visibility timeout, in function timeouts, that the event source needs (Lambda developer guide, "Creating
/// and configuring an Amazon SQS event source mapping").
const VISIBILITY_TIMEOUTS: u64 = 6;

pub(crate) fn reach_the_alerter_in_time(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let templates = &deployment.templates;
    let properties = |name: &str| &templates.resource(DATA, name)["Properties"];
    let function = &templates.resource(ALERTER, "Alerter")["Properties"];

    let timeout_s = function["Timeout"].as_u64().unwrap_or(u64::MAX);
    if timeout_s >= MIN_LEASE.as_secs() {
        faults.push(format!("the function may run {timeout_s} s, its claims hold {} s", MIN_LEASE.as_secs()));
    }
    let visibility_s = properties("AlertQueue")["VisibilityTimeout"].as_u64().unwrap_or(0);
    if visibility_s < timeout_s.saturating_mul(VISIBILITY_TIMEOUTS) {
        faults.push(format!(
            "the alert queue holds messages for {visibility_s} s, the function runs up to {timeout_s} s"
        ));
    }

    if visibility_s <= OPENINGS_QUIET.as_secs() {
        faults.push(format!(
            "an opening comes again after {visibility_s} s, and waits {} s for others",
            OPENINGS_QUIET.as_secs()
        ));
    }
    let openings_s = OPENINGS_WAIT_MAX.as_secs() + visibility_s;
    for alarm in ["AlertsLate", "AlertsWait"] {
        let late_s = templates.resource(WATCH, alarm)["Properties"]["Threshold"].as_u64().unwrap_or(0);
        if late_s <= openings_s {
            faults.push(format!("{alarm} is raised after {late_s} s, and openings may wait {openings_s} s"));
        }
    }

    let source = &function["Events"]["Alerts"]["Properties"];
    if source["FunctionResponseTypes"] != json!(["ReportBatchItemFailures"]) {
        faults.push("one alert that fails brings all of its batch again".to_owned());
    }
    for (what, file, value, wanted) in [
        ("the function reads", ALERTER, &source["Queue"], "${data.yaml/AlertQueue.Arn}"),
        ("the topic goes to", DATA, &properties("AlertSubscription")["Endpoint"], "${data.yaml/AlertQueue.Arn}"),
        (
            "what the topic can't hand over goes to",
            DATA,
            &properties("AlertSubscription")["RedrivePolicy"]["deadLetterTargetArn"],
            "${data.yaml/AlertDlq.Arn}",
        ),
        (
            "what the function can't handle goes to",
            DATA,
            &properties("AlertQueue")["RedrivePolicy"]["deadLetterTargetArn"],
            "${data.yaml/AlertDlq.Arn}",
        ),
    ] {
        let found = templates.origin(file, value);
        if found != wanted {
            faults.push(format!("{what} {found}, not {wanted}"));
        }
    }
    // The alerter reads the alert itself, without SNS's envelope.
    if properties("AlertSubscription")["RawMessageDelivery"] != json!(true) {
        faults.push("alerts arrive in an envelope".to_owned());
    }
    // A standard topic delivers only to standard queues, and a standard queue needs a standard dead letter queue.
    for name in ["AlertQueue", "AlertDlq"] {
        if !matches!(properties(name)["FifoQueue"], Value::Null | Value::Bool(false)) {
            faults.push(format!("{name} is a FIFO queue"));
        }
        if properties(name)["MessageRetentionPeriod"] != json!(QUEUE_RETENTION_S) {
            faults.push(format!("{name} does not keep alerts for {QUEUE_RETENTION_S} s"));
        }
    }
    faults
}
