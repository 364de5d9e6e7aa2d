//! Installs Python programs for tests, once. Each set of fixed versions has its own environment under `target/`.

use std::panic::Location;
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

/// Asserts that a program succeeded. Otherwise it panics with the program's output. The lines that begin with `FAILED` come
/// again at the end, because a long log is often kept without its middle; for the same reason there is no backtrace.
#[track_caller]
#[expect(clippy::disallowed_macros, reason = "the test harness takes what the macro prints")]
pub fn assert_ran(output: &Output, what: &str) {
    if output.status.success() {
        return;
    }
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let failed = stdout.lines().filter(|line| line.starts_with("FAILED"));
    let failed: String = failed.map(|line| format!("{what}: {line}\n")).collect();
    let at = Location::caller();
    let message = format!("{at}: {what} ended with {}\n{stdout}{stderr}\n{failed}", output.status);
    eprintln!("{message}");
    // Unlike `panic!`, this prints no backtrace.
    std::panic::resume_unwind(Box::new(message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_failed_parts_stand_at_the_end() {
        let script = "echo ok first; echo FAILED second: too late; echo '    at flow'; echo said >&2; exit 1";
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        let panicked = std::panic::catch_unwind(|| assert_ran(&output, "flow.mjs")).unwrap_err();
        let message = panicked.downcast_ref::<String>().unwrap();
        assert!(message.contains("ok first") && message.contains("said"), "{message}");
        assert!(message.ends_with("\nflow.mjs: FAILED second: too late\n"), "{message}");
    }
}
