//! Runs the scripts of `deploy/` with the AWS command line against the stand-in.

use std::process::Output;

use serde_json::json;
use stockline_deploy_checks::cloudformation::create;
use stockline_deploy_checks::ministack::{Ministack, aws_tests};
use stockline_deploy_checks::operator::{command_line, operator};
use stockline_deploy_checks::python::assert_ran;
use stockline_deploy_checks::templates;

fn receipt_keys(server: &Ministack, arguments: &[&str]) -> Output {
    operator(&templates::folder().join("receipt-keys"), server).args(arguments).output().unwrap()
}

fn keys(server: &Ministack, secret: &str) -> Vec<String> {
    let asked =
        ["secretsmanager", "get-secret-value", "--secret-id", secret, "--query", "SecretString", "--output", "text"];
    let output = operator(&command_line(), server).args(asked).output().unwrap();
    assert_ran(&output, "aws secretsmanager get-secret-value");
    String::from_utf8(output.stdout).unwrap().trim().split(',').map(str::to_owned).collect()
}

#[test]
fn receipt_keys_rotate_so_that_every_task_verifies_a_key_before_one_signs_with_it() {
    if !aws_tests() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Ministack::start());
    // This stack has a cluster, a service and a secret, under the same outputs as the real stack.
    let stack = runtime.block_on(create(
        &server,
        "keys",
        &json!({
            "Resources": {
                "Cluster": {"Type": "AWS::ECS::Cluster"},
                "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {
                    "ContainerDefinitions": [{"Name": "ingress", "Image": "none", "Memory": 128}]}},
                "Service": {"Type": "AWS::ECS::Service", "Properties": {
                    "Cluster": {"Ref": "Cluster"}, "TaskDefinition": {"Ref": "Task"}, "DesiredCount": 0}},
                "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "old"}},
            },
            "Outputs": {
                "ReceiptKeys": {"Value": {"Ref": "Secret"}},
                "Cluster": {"Value": {"Ref": "Cluster"}},
                "IngressService": {"Value": {"Fn::GetAtt": ["Service", "Name"]}},
            },
        }),
        &[],
    ));
    let secret = &stack["ReceiptKeys"];

    let rotated = receipt_keys(&server, &["keys", "rotate"]);
    assert_ran(&rotated, "receipt-keys rotate");
    let now = keys(&server, secret);
    assert!(
        now.len() == 2 && now[1] == "old" && now[0].len() == 44,
        "the new key signs, the old one verifies: {now:?}"
    );
    let told = String::from_utf8(rotated.stdout).unwrap();
    let steps: Vec<&str> = told.lines().collect();
    assert_eq!(steps, ["restarting ingress: the new key verifies", "restarting ingress: the new key signs"]);

    assert_ran(&receipt_keys(&server, &["keys", "finish"]), "receipt-keys finish");
    assert_eq!(keys(&server, secret), [now[0].clone()]);

    for wrong in [&["keys"][..], &["keys", "turn"], &["nothing", "rotate"]] {
        let output = receipt_keys(&server, wrong);
        assert!(!output.status.success(), "{wrong:?} was taken");
    }
    assert_eq!(keys(&server, secret), [now[0].clone()], "what was refused changed nothing");
}
