//! What would hurt on the first bad day, and that no program assumes.

use serde_json::{Value, json};
use stockline_deploy_checks::templates;
use stockline_deploy_checks::wiring::ROOT;

use super::Faults;
use super::programs::{Deployment, NETWORK, SERVICES, WATCH};

/// The fewest addresses of a subnet: a fleet at its most with a deployment beside it, and the balancer's.
const SUBNET_BITS_MIN: u64 = 9;

pub(crate) fn is_thought_of(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let mut wants = |what: &str, holds: bool| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    let resource = |file, name: &str| &deployment.templates.resource(file, name)["Properties"];

    let subnets = ["PublicA", "PublicB", "PrivateA", "PrivateB"];
    let mut parts: Vec<_> = subnets.iter().map(|name| resource(NETWORK, name)["CidrBlock"].clone()).collect();
    let split = json!({"Fn::Cidr": [{"Ref": "Cidr"}, 4, {"Ref": "SubnetBits"}]});
    let follows = parts.iter().all(|part| part["Fn::Select"][1] == split);
    parts.sort_by_key(Value::to_string);
    parts.dedup();
    wants("the subnets are not the four parts of the network's addresses", follows && parts.len() == subnets.len());
    let bits = number(&deployment.templates.of(ROOT)["Parameters"]["SubnetBits"]["Default"]);
    wants("the subnets are too small by default", bits >= SUBNET_BITS_MIN);

    let failed = resource(WATCH, "DeploymentFailed");
    let events = &failed["EventPattern"]["detail"]["eventName"];
    wants("nobody is told that a release was taken back", *events == json!(["SERVICE_DEPLOYMENT_FAILED"]));
    let services = failed["EventPattern"]["resources"].to_string();
    wants(
        "not both fleets' releases are watched",
        ["IngressService", "WorkerService"].iter().all(|name| services.contains(name)),
    );
    wants("what is told reaches nobody", failed["Targets"][0]["Arn"] == json!({"Ref": "Ops"}));

    let mails = &resource("people.yaml", "Users")["EmailConfiguration"]["Fn::If"];
    wants("people's mails end at Cognito's 50 a day", mails[1]["EmailSendingAccount"] == "DEVELOPER");

    let settings = std::fs::read_to_string(templates::folder().join("samconfig.toml")).unwrap();
    let runbook = std::fs::read_to_string(templates::folder().join("README.md")).unwrap();
    let asks = settings.contains("confirm_changeset = true") && !runbook.contains("--include-nested-stacks");
    wants("a change set is confirmed that shows nothing of the parts", !asks);

    let writes_keys = resource(SERVICES, "WorkerRole").to_string().contains("ISSUERKEYS");
    wants("a worker may write the issuer's keys", !writes_keys);
    faults
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}
