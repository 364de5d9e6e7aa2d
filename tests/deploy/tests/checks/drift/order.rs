use serde_json::{Value, json};
use stockline_deploy_checks::wiring::ROOT;

use super::Faults;
use super::programs::{Deployment, SERVICES};

pub(crate) fn is_safe(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let templates = &deployment.templates;
    for (file, later, earlier) in [
        // Workers must read every version of messages that the ingress writes, and alerters every version that workers
        // write.
        (SERVICES, "IngressService", "WorkerService"),
        (ROOT, "Services", "Alerts"),
        // A service with a target group needs its listener first.
        (SERVICES, "IngressService", "Https"),
    ] {
        if !depends(&templates.resource(file, later)["DependsOn"], earlier) {
            faults.push(format!("{later} may be deployed before {earlier}"));
        }
    }
    for service in ["IngressService", "WorkerService"] {
        let deploys = &templates.resource(SERVICES, service)["Properties"]["DeploymentConfiguration"];
        if deploys["DeploymentCircuitBreaker"] != json!({"Enable": true, "Rollback": true}) {
            faults.push(format!("a bad deploy of {service} is not taken back"));
        }
        if deploys["MinimumHealthyPercent"].as_u64().unwrap_or(0) < 100 {
            faults.push(format!("a deploy of {service} takes running tasks away first"));
        }
    }
    faults
}

fn depends(on: &Value, name: &str) -> bool {
    on == name || on.as_array().is_some_and(|all| all.iter().any(|one| one == name))
}
