//! Which way the arrows go: what is deployed on AWS builds without SQLite, the core without any server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// The names of all packages that a package is built from, with these features.
fn built_with(package: &str, features: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"])
        .args(["--package", package, "--features", features])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The same without any.
fn built_from(package: &str) -> Vec<String> {
    built_with(package, "")
}

#[test]
fn what_is_deployed_on_aws_builds_with_the_sdk_and_without_sqlite() {
    for package in ["stockline-ingress", "stockline-worker", "stockline-alerter"] {
        let packages = built_with(package, "aws");
        assert!(packages.iter().any(|name| name == "aws-sdk-dynamodb"), "{package}: {packages:?}");
        assert!(!packages.iter().any(|name| name.contains("sqlite")), "{package} is built from SQLite");
    }
}

#[test]
fn ingress_worker_and_alerter_build_without_sqlite() {
    for package in ["stockline-ingress", "stockline-worker", "stockline-alerter"] {
        let packages = built_from(package);
        assert!(packages.iter().any(|name| name == "stockline-common"), "{package}: {packages:?}");
        assert!(!packages.iter().any(|name| name.contains("sqlite")), "{package} is built from SQLite");
    }
}

#[test]
fn the_standalone_binary_builds_without_any_aws_sdk() {
    let packages = built_from("stockline");
    assert!(packages.iter().any(|name| name == "rusqlite"), "{packages:?}");
    assert!(!packages.iter().any(|name| name.starts_with("aws-sdk") || name == "aws-config"));
}

#[test]
fn the_core_knows_no_server_and_no_client() {
    let packages = built_from("stockline-common");
    for above in ["axum", "hyper", "reqwest", "lettre", "clap"] {
        assert!(!packages.iter().any(|name| name == above), "the core is built from {above}");
    }
}
