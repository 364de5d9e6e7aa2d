//! Reads the templates of `deploy/` as CloudFormation does.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::ministack;
use crate::programs::repository;
use crate::python::assert_ran;

const AS_JSON: &str = include_str!("../../ministack/template.py");

/// The templates of an installation, the root first.
pub const ALL: [&str; 9] = [
    "template.yaml",
    "alerter.yaml",
    "data.yaml",
    "images.yaml",
    "network.yaml",
    "people.yaml",
    "scaling.yaml",
    "services.yaml",
    "watch.yaml",
];

/// Returns the folder `deploy/`.
pub fn folder() -> PathBuf {
    repository().join("deploy")
}

/// Reads a template. Short forms are written out: `!Ref A` is `{"Ref": "A"}`.
pub fn read(name: &str) -> Value {
    read_file(&folder().join(name))
}

/// Reads a template after SAM's transform, with the function's code at this bucket and key.
pub fn transformed(name: &str, bucket: &str, key: &str) -> Value {
    as_json(&folder().join(name), &[bucket, key])
}

/// Reads a template of any path.
pub fn read_file(file: &Path) -> Value {
    as_json(file, &[])
}

fn as_json(file: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(ministack::python())
        .args(["-c", AS_JSON])
        .arg(file)
        .args(arguments)
        .env("AWS_DEFAULT_REGION", ministack::REGION)
        .output()
        .unwrap();
    assert_ran(&output, &format!("reading {}", file.display()));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the resources of this type in a template, with their names.
pub fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_object().unwrap();
    all.iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), resource))
        .collect()
}
