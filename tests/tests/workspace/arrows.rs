//! Checks the direction of dependencies: the programs for AWS build without SQLite, and the core builds without any
//! server.

use std::process::Command;

/// Returns the names of all packages that a package is built from, with these features.
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

/// The crates of this workspace that each crate of `common`, and the console, depends on: the arrows of ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 6] = [
    ("stockline-core", &[]),
    ("stockline-import", &["stockline-core"]),
    ("stockline-service", &["stockline-core"]),
    ("stockline-sqlite", &["stockline-core"]),
    ("stockline-aws", &["stockline-core", "stockline-service"]),
    ("stockline-console", &["stockline-core", "stockline-import"]),
];

const MANIFESTS: [&str; 10] = [
    "common/core",
    "common/import",
    "common/service",
    "common/sqlite",
    "common/aws",
    "ingress",
    "worker",
    "alerter",
    "console",
    "standalone",
];

/// Returns the same names for a build without features.
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
        assert!(packages.iter().any(|name| name == "stockline-core"), "{package}: {packages:?}");
        assert!(!packages.iter().any(|name| name == "stockline-aws"), "{package} names an adapter");
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
fn the_crates_of_common_are_built_from_each_other_as_the_map_says() {
    for (package, expected) in ARROWS {
        let mut below: Vec<_> = built_from(package).into_iter().filter(|name| name.starts_with("stockline")).collect();
        below.sort();
        below.dedup();
        below.retain(|name| name != package);
        assert_eq!(below, expected, "{package}");
    }
}

#[test]
fn only_the_mains_the_simulation_and_what_tests_share_are_behind_features() {
    for manifest in MANIFESTS {
        let text = std::fs::read_to_string(format!("{}/../{manifest}/Cargo.toml", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let features = text.split_once("[features]").map_or("", |(_, rest)| rest.split("\n[").next().unwrap_or(rest));
        for line in features.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let name = line.split_once(" = ").map(|(name, _)| name.trim());
            let shared = ["common/core", "common/service", "common/sqlite"].contains(&manifest);
            let allowed = |name| ["aws", "simulation"].contains(&name) || (shared && name == "testing");
            assert!(name.is_none_or(allowed), "{manifest}: {line}");
        }
    }
}

#[test]
fn the_core_knows_no_server_and_no_client_and_the_services_know_only_the_collector() {
    let above = ["axum", "lettre", "clap", "rusqlite"];
    let with_a_network = ["tokio", "hyper", "reqwest"];
    let refuse = |package: &str, names: &[&str]| {
        let packages = built_from(package);
        for name in names {
            assert!(!packages.iter().any(|other| other == name), "{package} is built from {name}");
        }
    };
    refuse("stockline-core", &above);
    refuse("stockline-core", &with_a_network);
    refuse("stockline-service", &above);
}
