use serde_json::{Value, json};
use stockline_aws::QUEUE_MAX_RECEIVES;
use stockline_core::domain::MAX_PACK_BYTES;
use stockline_core::ports::{QUEUE_RETENTION_S, RETENTION_MS};

use super::Faults;
use super::programs::{DATA, Deployment};

/// Checks the queues as the adapter does when a program starts (common/aws/src/sqs/check.rs), but more strictly: the
/// adapter only warns of some faults.
pub(crate) fn are_as_the_adapter_wants_them(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let mut kept_s = 0;
    for name in ["CommandQueue", "CommandDlq"] {
        let queue = &deployment.templates.resource(DATA, name)["Properties"];
        for (attribute, wanted) in [
            ("FifoQueue", json!(true)),
            ("DeduplicationScope", json!("messageGroup")),
            ("FifoThroughputLimit", json!("perMessageGroupId")),
            ("MessageRetentionPeriod", json!(QUEUE_RETENTION_S)),
        ] {
            if queue[attribute] != wanted {
                faults.push(format!("{attribute} of {name} is {}, not {wanted}", queue[attribute]));
            }
        }
        // Each pack has its own id, and equal packs are different sales.
        if !matches!(queue["ContentBasedDeduplication"], Value::Null | Value::Bool(false)) {
            faults.push(format!("{name} takes equal packs for one"));
        }
        if queue["MaximumMessageSize"].as_u64().is_some_and(|bytes| bytes < MAX_PACK_BYTES as u64) {
            faults.push(format!("{name} takes no pack of {MAX_PACK_BYTES} bytes"));
        }
        let visibility = deployment.templates.origin(DATA, &queue["VisibilityTimeout"]);
        let of_workers = deployment.value("worker", "STOCKLINE_VISIBILITY_S");
        if visibility != of_workers {
            faults.push(format!("{name} holds messages for {visibility}, workers for {of_workers}"));
        }
        kept_s += queue["MessageRetentionPeriod"].as_u64().unwrap_or(0);
    }
    if RETENTION_MS.cast_unsigned() != kept_s * 1_000 {
        faults.push(format!(
            "the programs take {RETENTION_MS} ms for the time that both queues keep messages: {kept_s} s"
        ));
    }
    let redrive = &deployment.templates.resource(DATA, "CommandQueue")["Properties"]["RedrivePolicy"];
    let target = deployment.templates.origin(DATA, &redrive["deadLetterTargetArn"]);
    if target != "${data.yaml/CommandDlq.Arn}" {
        faults.push(format!("messages are set aside to {target}"));
    }
    if redrive["maxReceiveCount"] != json!(QUEUE_MAX_RECEIVES) {
        faults.push(format!("messages are set aside after {} receives", redrive["maxReceiveCount"]));
    }
    faults
}
