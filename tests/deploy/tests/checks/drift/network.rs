use serde_json::{Value, json};
use stockline_deploy_checks::templates::resources;

use super::Faults;
use super::programs::{Deployment, NETWORK, SERVICES};

const BALANCER: &str = "${network.yaml/BalancerGroup}";
const INGRESS: &str = "${network.yaml/IngressGroup}";
const WORKER: &str = "${network.yaml/WorkerGroup}";
const PROMETHEUS: &str = "${ScrapeSecurityGroup}";

/// An allowed connection: from, to, first port and last port.
type Way = (String, String, u64, u64);

pub(crate) fn ports_are_the_same_everywhere(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    for (program, listens) in [("ingress", "STOCKLINE_LISTEN"), ("worker", "STOCKLINE_HEALTH_LISTEN")] {
        let ports = [deployment.port(program, listens), deployment.port(program, "STOCKLINE_METRICS_LISTEN")];
        let mapped = json!(ports.map(|port| json!({"ContainerPort": port})));
        if ports[0] == ports[1] || deployment.container(program)["PortMappings"] != mapped {
            faults.push(format!(
                "{program} listens at {ports:?}; mapped are {}",
                deployment.container(program)["PortMappings"]
            ));
        }
    }
    let api = deployment.port("ingress", "STOCKLINE_LISTEN");
    let properties = |name: &str| &deployment.templates.resource(SERVICES, name)["Properties"];
    let balanced = &properties("IngressService")["LoadBalancers"][0];
    for (what, found) in
        [("the balancer's targets", &properties("IngressTargets")["Port"]), ("the service", &balanced["ContainerPort"])]
    {
        if found != api {
            faults.push(format!("the API listens at {api}, {what} expect {found}"));
        }
    }
    let targets = deployment.templates.origin(SERVICES, &balanced["TargetGroupArn"]);
    if targets != "${services.yaml/IngressTargets}" {
        faults.push(format!("the balancer sends to {targets}"));
    }
    for (program, group) in [("Ingress", INGRESS), ("Worker", WORKER)] {
        let configuration = &properties(&format!("{program}Service"))["NetworkConfiguration"]["AwsvpcConfiguration"];
        let found = deployment.templates.origin(SERVICES, &configuration["SecurityGroups"][0]);
        if found != group || configuration["AssignPublicIp"] != "DISABLED" {
            faults.push(format!("{program} tasks have the rules {found}, and are they private?"));
        }
    }
    faults
}

pub(crate) fn nobody_reaches_more(deployment: &Deployment) -> Faults {
    let mut faults = Faults::new();
    let ways = ways(deployment);
    let api = deployment.port("ingress", "STOCKLINE_LISTEN");
    let metrics = |program| deployment.port(program, "STOCKLINE_METRICS_LISTEN");

    // Both ends must allow the call: a rule for the balancer's outgoing calls, and a rule for the tasks' incoming
    // calls.
    let from_balancer: Vec<&Way> = ways.iter().filter(|(from, to, _, _)| from == BALANCER && !is_nobody(to)).collect();
    let way = |from: &str, to: &str, port: u64| (from.to_owned(), to.to_owned(), port, port);
    let wanted = way(BALANCER, INGRESS, api);
    if from_balancer.len() != 2 || from_balancer.iter().any(|way| **way != wanted) {
        faults.push(format!("the balancer may call {from_balancer:?}, and not just the API, by a rule at each end"));
    }
    let mut to_tasks: Vec<&Way> = ways.iter().filter(|(_, to, _, _)| to == INGRESS || to == WORKER).collect();
    to_tasks.sort();
    to_tasks.dedup();
    let mut wanted = [wanted, way(PROMETHEUS, INGRESS, metrics("ingress")), way(PROMETHEUS, WORKER, metrics("worker"))];
    wanted.sort();
    if to_tasks != wanted.iter().collect::<Vec<_>>() {
        faults.push(format!("tasks may be called by {to_tasks:?}, and not just {wanted:?}"));
    }
    faults
}

/// Reports whether an address leads nowhere. A rule to it only keeps a group's list of rules from being empty.
fn is_nobody(address: &str) -> bool {
    address == "127.0.0.1/32"
}

/// Returns the connections that any rule allows. Rules under a condition count too.
fn ways(deployment: &Deployment) -> Vec<Way> {
    let template = deployment.templates.of(NETWORK);
    let mut ways = Vec::new();
    for (name, group) in resources(template, "AWS::EC2::SecurityGroup") {
        let this = format!("${{{NETWORK}/{name}}}");
        for (list, outward) in [("SecurityGroupIngress", false), ("SecurityGroupEgress", true)] {
            let rules = group["Properties"][list].as_array().into_iter().flatten();
            ways.extend(rules.flat_map(branches).map(|rule| way(deployment, &this, rule, outward)));
        }
    }
    for (kind, outward) in [("AWS::EC2::SecurityGroupIngress", false), ("AWS::EC2::SecurityGroupEgress", true)] {
        for (_, rule) in resources(template, kind) {
            let rule = &rule["Properties"];
            let this = deployment.templates.origin(NETWORK, &rule["GroupId"]);
            ways.push(way(deployment, &this, rule, outward));
        }
    }
    ways
}

/// Returns a rule, or both rules that an `!If` chooses between, without `AWS::NoValue`.
fn branches(rule: &Value) -> Vec<&Value> {
    match rule["Fn::If"].as_array() {
        Some(parts) => parts.iter().skip(1).filter(|part| part.get("IpProtocol").is_some()).collect(),
        None => vec![rule],
    }
}

fn way(deployment: &Deployment, this: &str, rule: &Value, outward: bool) -> Way {
    let names =
        ["CidrIp", "CidrIpv6", "SourceSecurityGroupId", "DestinationSecurityGroupId", "DestinationPrefixListId"];
    let other = names.into_iter().find_map(|name| rule.get(name));
    let other = other.map(|other| deployment.templates.origin(NETWORK, other)).unwrap_or_default();
    // A rule without ports allows every port.
    let port = |name: &str, otherwise| {
        if rule["IpProtocol"] == "tcp" { rule[name].as_u64().unwrap_or(otherwise) } else { otherwise }
    };
    let (from, to) = if outward { (this.to_owned(), other) } else { (other, this.to_owned()) };
    (from, to, port("FromPort", 0), port("ToPort", u64::from(u16::MAX)))
}
