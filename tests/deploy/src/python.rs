//! Installs Python programs for tests, once. Each set of fixed versions has its own environment under `target/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::installed::installed;

/// Returns the Python of an environment with these requirements. Installs the environment if it is missing, in one
/// process at a time. `requirements` names every package with its version, indirect dependencies included.
pub fn environment(name: &str, requirements: &str) -> PathBuf {
    let python = |environment: &Path| environment.join("bin/python");
    let install = |environment: &Path| install(environment, &python(environment), requirements);
    python(&installed(name, requirements, install))
}

fn install(environment: &Path, python: &Path, requirements: &str) {
    let made = Command::new("python3").args(["-m", "venv"]).arg(environment).output();
    let made = made.unwrap_or_else(|error| {
        panic!(
            "python3 can't be started ({error}). Some tests run tools that are Python packages: they need Python 3.10 \
             or later with its venv module (Debian and Ubuntu: apt install python3 python3-venv)"
        )
    });
    assert_ran(&made, "python3 -m venv (Debian and Ubuntu: apt install python3-venv)");
    let file = environment.join("requirements.txt");
    std::fs::write(&file, requirements).unwrap();
    let installed = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"])
        .arg(&file)
        .output()
        .unwrap();
    assert_ran(&installed, "pip install (it needs the network once)");
}

/// Asserts that a program succeeded. Otherwise it panics with the program's output.
pub fn assert_ran(output: &Output, what: &str) {
    assert!(
        output.status.success(),
        "{what} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
