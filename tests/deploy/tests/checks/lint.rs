//! Checks the templates of `deploy/` with cfn-lint, `sam validate --lint`, `sam package` and checkov.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stockline_deploy_checks::cloudformation::{bucket, object};
use stockline_deploy_checks::ministack::{ACCESS_KEY_ID, Ministack, REGION, SECRET_ACCESS_KEY, aws_tests};
use stockline_deploy_checks::python::{assert_ran, environment};
use stockline_deploy_checks::templates;

const SAM: &str = include_str!("../../sam.txt");
const CHECKOV: &str = include_str!("../../checkov.txt");

/// The regions whose services the templates must support. cfn-lint knows the services of each region.
const REGIONS: [&str; 3] = ["us-east-1", "eu-central-1", "ap-southeast-2"];

/// Returns a command for a program from an environment with these requirements, isolated from the machine's own
/// settings.
fn program(name: &str, environment_name: &str, requirements: &str, home: &Path) -> Command {
    let python = environment(environment_name, requirements);
    let folder = python.parent().unwrap();
    let mut command = Command::new(&python);
    command
        .arg(folder.join(name))
        .current_dir(templates::folder())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("SAM_CLI_TELEMETRY", "0");
    command
}

fn cfn_lint(home: &Path, files: &[PathBuf]) -> Output {
    let mut command = program("cfn-lint", "sam", SAM, home);
    command.arg("--regions").args(REGIONS).arg("--template").args(files);
    command.output().unwrap()
}

/// Returns checkov's report on a folder.
fn checkov(home: &Path, folder: &Path) -> Value {
    let mut command = program("checkov", "checkov", CHECKOV, home);
    command.args(["--framework", "cloudformation", "--output", "json", "--skip-download", "--directory"]);
    let output = command.arg(folder).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "checkov: {error}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// A change of a template, and the rule that must find it: file, old text, new text, rule.
type Mistake = (&'static str, &'static str, &'static str, &'static str);

/// Copies the templates into a new folder and applies the mistakes to them.
fn with(mistakes: &[Mistake]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in templates::ALL {
        let mut text = std::fs::read_to_string(templates::folder().join(name)).unwrap();
        for (_, from, to, _) in mistakes.iter().filter(|(file, ..)| *file == name) {
            assert!(text.contains(from), "{name} has no {from:?} to change");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn all_in(folder: &Path) -> Vec<PathBuf> {
    templates::ALL.iter().map(|name| folder.join(name)).collect()
}

#[test]
fn cfn_lint_finds_nothing_in_the_templates_and_something_in_wrong_ones() {
    if !aws_tests() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    assert_ran(&cfn_lint(home.path(), &all_in(&templates::folder())), "cfn-lint");

    let mistakes: [Mistake; 5] = [
        ("services.yaml", "StopTimeout: 40", "StopTimeouts: 40", "E3002"),
        ("services.yaml", "!GetAtt IngressRole.Arn", "!GetAtt IngressRol.Arn", "E1010"),
        ("data.yaml", "KeyType: RANGE", "KeyType: ORDER", "E3002"),
        ("template.yaml", "Cidr: !Ref Cidr\n", "Cider: !Ref Cidr\n", "E3043"),
        ("network.yaml", "!Ref PublicRoutes }", "!Ref PublicRoads }", "E1020"),
    ];
    let wrong = with(&mistakes);
    let found = String::from_utf8(cfn_lint(home.path(), &all_in(wrong.path())).stdout).unwrap();
    for (file, from, to, rule) in mistakes {
        let told = found.split("\n\n").any(|fault| fault.starts_with(rule) && fault.contains(file));
        assert!(told, "in {file} {from} became {to}, and cfn-lint says\n{found}");
    }
}

#[test]
fn sam_takes_the_templates_and_packages_them_with_all_their_parts() {
    if !aws_tests() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    for file in ["template.yaml", "alerter.yaml"] {
        let mut command = program("sam", "sam", SAM, home.path());
        assert_ran(&command.args(["validate", "--lint", "--template", file]).output().unwrap(), "sam validate --lint");
    }

    // `sam deploy` begins in the same way: it uploads the parts and the alerter's code to a bucket, and the root refers
    // to them there.
    let folder = with(&[]);
    let code = folder.path().join(".build/alerter");
    std::fs::create_dir_all(&code).unwrap();
    std::fs::write(code.join("bootstrap"), "#!/bin/sh\n").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Ministack::start());
    runtime.block_on(bucket(&server, "packages"));
    let packaged = folder.path().join("packaged.yaml");
    let mut command = program("sam", "sam", SAM, home.path());
    command.current_dir(folder.path()).env("AWS_ENDPOINT_URL", &server.url);
    command.args(["package", "--template-file", "template.yaml", "--s3-bucket", "packages", "--output-template-file"]);
    assert_ran(&command.arg(&packaged).output().unwrap(), "sam package");

    let root = templates::read_file(&packaged);
    let parts = templates::resources(&root, "AWS::CloudFormation::Stack");
    assert_eq!(parts.len(), templates::ALL.len() - 2, "all but the root itself and the images' stack");
    for (name, part) in parts {
        let url = part["Properties"]["TemplateURL"].as_str().unwrap();
        let key = url.rsplit('/').next().unwrap();
        let text = runtime.block_on(object(&server, "packages", key));
        assert!(text.contains("AWSTemplateFormatVersion"), "{name} at {url}: {text}");
        if name == "Alerts" {
            assert!(text.contains("s3://packages/"), "the alerter's code stayed behind: {text}");
        }
    }
}

#[test]
fn checkov_finds_nothing_but_what_is_explained_and_something_in_wrong_ones() {
    if !aws_tests() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let report = checkov(home.path(), &templates::folder());
    let results = &report["results"];
    assert_eq!(results["failed_checks"], serde_json::json!([]), "checkov");
    assert_eq!(results["parsing_errors"], serde_json::json!([]), "checkov read all");
    assert!(results["passed_checks"].as_array().unwrap().len() > 80, "checkov looked at little");
    for skipped in results["skipped_checks"].as_array().unwrap() {
        let why = skipped["check_result"]["suppress_comment"].as_str().unwrap_or_default();
        let explained = why.split_whitespace().count() >= 5;
        assert!(explained, "{} of {} is left out, because: {why:?}", skipped["check_id"], skipped["resource"]);
    }

    let mistakes: [Mistake; 4] = [
        ("data.yaml", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "CKV_AWS_28"),
        (
            "network.yaml",
            "FromPort: 443, ToPort: 443, CidrIp: !Ref ClientCidr",
            "FromPort: 22, ToPort: 22, CidrIp: 0.0.0.0/0",
            "CKV_AWS_24",
        ),
        (
            "services.yaml",
            "Action: \"ecr:GetAuthorizationToken\", Resource: \"*\"",
            "Action: \"*\", Resource: \"*\"",
            "CKV_AWS_111",
        ),
        ("images.yaml", "ImageTagMutability: IMMUTABLE", "ImageTagMutability: MUTABLE", "CKV_AWS_51"),
    ];
    let wrong = with(&mistakes);
    let report = checkov(home.path(), wrong.path());
    let failed = report["results"]["failed_checks"].as_array().unwrap();
    let found: Vec<&str> = failed.iter().map(|failed| failed["check_id"].as_str().unwrap()).collect();
    for (file, from, to, check) in mistakes {
        assert!(found.contains(&check), "in {file} {from} became {to}, and checkov finds {found:?}");
    }
}
