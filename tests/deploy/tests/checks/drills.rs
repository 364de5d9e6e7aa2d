//! Runs the faults of `deploy/drill` with the AWS command line against the stand-in. The stand-in does not keep which subnet a
//! network ACL belongs to: for `drill zone` a front of the command line keeps that. What a subnet without a way out does to
//! the tasks in it, only AWS can show.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockline_deploy_checks::cloudformation::create;
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_deploy_checks::operator::{command_line, drill, operator};
use stockline_deploy_checks::python::assert_ran;

/// How long a drill may take to be seen by the stand-in.
const PATIENCE: Duration = Duration::from_secs(60);

fn started() -> Option<(tokio::runtime::Runtime, Ministack)> {
    aws_tests().then(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let server = runtime.block_on(Ministack::start());
        (runtime, server)
    })
}

fn drilled(server: &Ministack, arguments: &[&str]) -> Output {
    drill(server, arguments).output().unwrap()
}

fn aws(server: &Ministack, arguments: &[&str]) -> Value {
    let output = operator(&command_line(), server).args(arguments).args(["--output", "json"]).output().unwrap();
    assert_ran(&output, arguments[1]);
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn refuses(server: &Ministack, arguments: &[&str], why: &str) {
    let output = drilled(server, arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains(why), "{arguments:?}: {told}");
}

#[test]
fn a_table_is_capped_and_an_item_damaged_and_both_are_taken_back() {
    let Some((runtime, server)) = started() else { return };
    let keys = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    let text = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let stack = runtime.block_on(create(
        &server,
        "drills",
        &json!({
            "Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [text("pk"), text("sk")],
                "KeySchema": [keys("pk", "HASH"), keys("sk", "RANGE")]}}},
            "Outputs": {"Table": {"Value": {"Ref": "Table"}}},
        }),
        &[],
    ));
    let table = stack["Table"].as_str();

    let most = || {
        let shown = aws(&server, &["dynamodb", "describe-table", "--table-name", table]);
        shown["Table"]["OnDemandThroughput"]["MaxWriteRequestUnits"].clone()
    };
    assert_ran(&drilled(&server, &["cap", "drills", "100"]), "drill cap");
    assert_eq!(most(), 100);
    assert_ran(&drilled(&server, &["cap", "drills", "off"]), "drill cap off");
    assert_eq!(most(), -1);

    let key = r#"{"pk":{"S":"ITEM#cola"},"sk":{"S":"ITEM"}}"#;
    let row = r#"{"pk":{"S":"ITEM#cola"},"sk":{"S":"ITEM"},"item":{"S":"{\"item_id\":\"cola\"}"},"version":{"N":"7"}}"#;
    let get = || aws(&server, &["dynamodb", "get-item", "--table-name", table, "--key", key])["Item"].clone();
    refuses(&server, &["stuck", "drills", "cola", "damage"], "there is no item cola");
    aws(&server, &["dynamodb", "put-item", "--table-name", table, "--item", row]);
    refuses(&server, &["stuck", "drills", "cola", "repair"], "nothing is to be taken back");
    let before = get();
    assert_ran(&drilled(&server, &["stuck", "drills", "cola", "damage"]), "drill stuck");
    assert_eq!(get()["item"]["S"], "damaged by a drill");
    refuses(&server, &["stuck", "drills", "cola", "damage"], "take the earlier change back first");
    assert_ran(&drilled(&server, &["stuck", "drills", "cola", "repair"]), "drill stuck repair");
    assert_eq!(get(), before, "the row is as it was");
    refuses(&server, &["cap", "nothing", "100"], "nothing");
}

#[test]
fn a_bad_image_is_waited_for_and_taken_back_if_ecs_does_not() {
    let Some((runtime, server)) = started() else { return };
    runtime.block_on(create(
        &server,
        "drills",
        &json!({
            "Resources": {
                "Cluster": {"Type": "AWS::ECS::Cluster"},
                "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {
                    "Family": "worker", "ContainerDefinitions": [{"Name": "worker", "Image": "worker:good", "Memory": 128}]}},
                "Service": {"Type": "AWS::ECS::Service", "Properties": {
                    "Cluster": {"Ref": "Cluster"}, "TaskDefinition": {"Ref": "Task"}, "DesiredCount": 0}},
            },
            "Outputs": {
                "Cluster": {"Value": {"Ref": "Cluster"}},
                "WorkerService": {"Value": {"Fn::GetAtt": ["Service", "Name"]}},
            },
        }),
        &[],
    ));
    let stack = &aws(&server, &["cloudformation", "describe-stacks", "--stack-name", "drills"])["Stacks"][0];
    let output = |name: &str| {
        let all = stack["Outputs"].as_array().unwrap();
        all.iter().find(|output| output["OutputKey"] == name).unwrap()["OutputValue"].as_str().unwrap().to_owned()
    };
    let (cluster, service) = (output("Cluster"), output("WorkerService"));
    let runs = || {
        let shown = aws(&server, &["ecs", "describe-services", "--cluster", &cluster, "--services", &service]);
        shown["services"][0]["taskDefinition"].as_str().unwrap().to_owned()
    };
    let image = |task: &str| {
        let shown = aws(&server, &["ecs", "describe-task-definition", "--task-definition", task]);
        shown["taskDefinition"]["containerDefinitions"][0]["image"].clone()
    };
    let good = runs();

    refuses(&server, &["bad-image", "drills", "--patience", "1"], "ECS did not take it back");
    assert_eq!(runs(), good, "the drill itself went back");

    let mut waits = drill(&server, &["bad-image", "drills"]);
    let waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while runs() == good {
        assert!(Instant::now() < deadline, "no other image was deployed");
    }
    assert_eq!(image(&runs()), "worker:no-such-image");
    // What ECS's circuit breaker does on AWS.
    aws(&server, &["ecs", "update-service", "--cluster", &cluster, "--service", &service, "--task-definition", &good]);
    let ended = waits.wait_with_output().unwrap();
    assert_ran(&ended, "drill bad-image");
    assert!(String::from_utf8_lossy(&ended.stdout).contains(&format!("ECS went back to {good}")));
}

/// Answers the two calls about associations from a file, after the real command line has checked their arguments, and passes
/// every other call on.
const FRONT: &str = r#"#!/usr/bin/env python3
import json, os, subprocess, sys
words, state = sys.argv[1:], os.environ["ASSOCIATIONS"]
operation = words[1] if words[:1] == ["ec2"] else ""
given = dict(zip(words[2::2], words[3::2]))
if operation not in ("describe-network-acls", "replace-network-acl-association"):
    os.execv(os.environ["REAL_AWS"], ["aws", *words])
subprocess.run([os.environ["REAL_AWS"], *words[:-2], "--generate-cli-skeleton", "output"], check=True, stdout=subprocess.DEVNULL)
with open(state) as file:
    kept = json.load(file)
if operation == "describe-network-acls":
    subnet = given["--filters"].split("Values=")[1]
    found = {"NetworkAclAssociationId": kept[subnet]["id"], "NetworkAclId": kept[subnet]["acl"], "SubnetId": subnet}
    print(json.dumps({"NetworkAcls": [{"NetworkAclId": kept[subnet]["acl"], "Associations": [found]}]}))
else:
    subnet = next(name for name, one in kept.items() if one["id"] == given["--association-id"])
    # Each replacement has an id of its own, as on AWS.
    kept[subnet] = {"id": kept[subnet]["id"] + "x", "acl": given["--network-acl-id"]}
    with open(state, "w") as file:
        json.dump(kept, file)
    print(json.dumps({"NewAssociationId": kept[subnet]["id"]}))
"#;

#[test]
fn a_zone_is_cut_off_and_connected_again_as_it_was() {
    let Some((runtime, server)) = started() else { return };
    let vpc = aws(&server, &["ec2", "create-vpc", "--cidr-block", "10.0.0.0/16"])["Vpc"]["VpcId"].clone();
    let vpc = vpc.as_str().unwrap();
    let subnet = |cidr: &str| {
        let made = aws(&server, &["ec2", "create-subnet", "--vpc-id", vpc, "--cidr-block", cidr]);
        made["Subnet"]["SubnetId"].as_str().unwrap().to_owned()
    };
    let (first, second) = (subnet("10.0.0.0/24"), subnet("10.0.1.0/24"));
    runtime.block_on(create(
        &server,
        "drills",
        &json!({
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {"PrivateSubnets": {"Value": format!("{first},{second}")}},
        }),
        &[],
    ));
    let bin = server.folder().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("aws"), FRONT).unwrap();
    std::fs::set_permissions(bin.join("aws"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let associations = server.folder().join("associations.json");
    let as_was = json!({&first: {"id": "aclassoc-1", "acl": "acl-default"}, &second: {"id": "aclassoc-2", "acl": "acl-default"}});
    std::fs::write(&associations, as_was.to_string()).unwrap();
    // The front comes first, before the real command line of an operator's environment.
    let path = format!("{}:{}:/usr/bin:/bin", bin.display(), command_line().parent().unwrap().display());
    let zone = |act: &str| {
        let mut command = drill(&server, &["zone", "drills", act]);
        command.env("PATH", &path).env("REAL_AWS", command_line()).env("ASSOCIATIONS", &associations);
        command.output().unwrap()
    };
    let kept = || serde_json::from_slice::<Value>(&std::fs::read(&associations).unwrap()).unwrap();
    let exists = |acl: &Value| {
        let shown = aws(&server, &["ec2", "describe-network-acls"]);
        shown["NetworkAcls"].as_array().unwrap().iter().any(|one| one["NetworkAclId"] == *acl)
    };

    assert!(!zone("back").status.success(), "nothing is cut off");
    assert_ran(&zone("lose"), "drill zone lose");
    let cut = kept();
    assert_ne!(cut[&first]["acl"], "acl-default");
    assert_eq!(cut[&second], as_was[&second], "the other zone is left alone");
    assert!(exists(&cut[&first]["acl"]));
    let rules =
        aws(&server, &["ec2", "describe-network-acls", "--network-acl-ids", cut[&first]["acl"].as_str().unwrap()]);
    let entries = rules["NetworkAcls"][0]["Entries"].as_array().cloned().unwrap_or_default();
    assert!(entries.iter().all(|entry| entry["RuleAction"] != "allow"), "{entries:?}");
    assert!(!zone("lose").status.success(), "a zone is lost once");
    assert_ran(&zone("back"), "drill zone back");
    assert_eq!(kept()[&first]["acl"], "acl-default");
    assert!(!exists(&cut[&first]["acl"]), "the network ACL is removed");
}
