//! Runs the faults of `deploy/drill` with the AWS command line against the stand-in. It does not keep which subnet a network
//! ACL belongs to, so `drill zone` runs only on AWS.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockline_deploy_checks::cloudformation::create;
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_deploy_checks::python::assert_ran;
use stockline_deploy_checks::templates;

use super::scripts::{command_line, operator};

/// How long a drill may take to be seen by the stand-in.
const PATIENCE: Duration = Duration::from_secs(60);

fn started() -> Option<(tokio::runtime::Runtime, Ministack)> {
    aws_tests().then(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let server = runtime.block_on(Ministack::start());
        (runtime, server)
    })
}

fn drill(server: &Ministack, arguments: &[&str]) -> Command {
    let mut command = operator(Path::new("/usr/bin/env"), server);
    command.arg("python3").arg(templates::folder().join("drill")).args(arguments).current_dir(server.folder());
    command
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
