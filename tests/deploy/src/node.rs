//! Installs Node packages for tests, once. Each lock file has its own folder under `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installed::installed;
use crate::python::assert_ran;

/// Returns a folder with the `node_modules` of this lock file. Installs them if they are missing, in one process at a
/// time.
pub fn packages(name: &str, manifest: &str, lock: &str) -> PathBuf {
    installed(name, lock, |folder| install(folder, manifest, lock))
}

fn install(folder: &Path, manifest: &str, lock: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("package.json"), manifest).unwrap();
    std::fs::write(folder.join("package-lock.json"), lock).unwrap();
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .output();
    let npm = npm.unwrap_or_else(|error| {
        panic!(
            "npm can't be started ({error}). The tests of generated clients need Node 20 or later with npm (Debian and \
             Ubuntu: apt install nodejs npm)"
        )
    });
    assert_ran(&npm, "npm ci (it needs the network once)");
}
