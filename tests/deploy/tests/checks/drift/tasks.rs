use serde_json::{Value, json};
use stockline_aws::deployed::STOP_TIMEOUT;
use stockline_ingress::Limits;
use stockline_ingress::server::IDLE_TIMEOUT;

use super::Faults;
use super::programs::{Deployment, SERVICES};

/// The longest that Fargate waits before it kills a task, in seconds.
const FARGATE_STOP_S: u64 = 120;

pub(crate) fn are_run_as_the_programs_need_it(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    for (program, named) in [("ingress", "Ingress"), ("worker", "Worker")] {
        let task = &deployment.templates.resource(SERVICES, &format!("{named}Task"))["Properties"];
        let role = deployment.templates.origin(SERVICES, &task["TaskRoleArn"]);
        let container = deployment.container(program);
        let mut wants = |what: &str, holds: bool| {
            if !holds {
                faults.push(format!("{program}: {what}"));
            }
        };
        // The programs themselves assert that the drain's deadline is below `STOP_TIMEOUT`.
        let stop_s = container["StopTimeout"].as_u64().unwrap_or(0);
        wants("killed before it is drained", stop_s > STOP_TIMEOUT.as_secs() && stop_s <= FARGATE_STOP_S);
        // The probe must call /healthz, which an outage of the store does not change. With /readyz an outage would
        // restart every task.
        let probe = json!(["CMD", format!("/{program}"), "probe"]);
        wants("not looked at by its own probe", container["HealthCheck"]["Command"] == probe);
        wants("may write to its image", container["ReadonlyRootFilesystem"] == json!(true));
        wants("keeps capabilities", container["LinuxParameters"]["Capabilities"]["Drop"] == json!(["ALL"]));
        let user = container["User"].as_str().and_then(|user| user.split(':').next()).unwrap_or("0");
        wants("acts in another role than is looked at", role == format!("${{services.yaml/{named}Role.Arn}}"));
        wants("runs as root", user.parse::<u32>().is_ok_and(|user| user > 0));
    }
    faults
}

pub(crate) fn the_balancer_waits_as_long_as_it_must(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let properties = |name: &str| &deployment.templates.resource(SERVICES, name)["Properties"];
    let targets = properties("IngressTargets");
    if targets["HealthCheckPath"] != "/readyz" || targets["Matcher"]["HttpCode"] != "200" {
        faults.push("the balancer does not ask whether the ingress is ready".to_owned());
    }
    let limits = Limits::default();
    let idle_s = seconds(&properties("Balancer")["LoadBalancerAttributes"], "idle_timeout.timeout_seconds");
    if idle_s >= IDLE_TIMEOUT.as_secs() {
        faults.push(format!("the balancer keeps connections {idle_s} s, the ingress {} s", IDLE_TIMEOUT.as_secs()));
    }
    // While the server works on a request, no byte crosses its connection.
    let longest_s = limits.wait_s + limits.request_timeout_s;
    if idle_s <= longest_s {
        faults.push(format!("the balancer gives up after {idle_s} s, a request may take {longest_s} s"));
    }
    let drained_s = seconds(&targets["TargetGroupAttributes"], "deregistration_delay.timeout_seconds");
    if drained_s <= limits.wait_s {
        faults.push(format!("the balancer leaves an ingress after {drained_s} s, a request waits {} s", limits.wait_s));
    }
    faults
}

/// Returns the value of an attribute in a list, or 0 if it is not set.
fn seconds(attributes: &Value, key: &str) -> u64 {
    let found = attributes.as_array().into_iter().flatten().find(|attribute| attribute["Key"] == key);
    found.and_then(|attribute| attribute["Value"].as_str()?.parse().ok()).unwrap_or(0)
}
