//! A clean Debian in a folder, and our package for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use stockline_deploy_checks::installed::installed;
use stockline_deploy_checks::programs::target_folder;
use stockline_deploy_checks::python::assert_ran;
use stockline_deploy_checks::wanted::wanted;
use tempfile::TempDir;

use crate::images::script;

const RELEASE: &str = "bookworm";
/// What a server has besides the smallest Debian.
const PACKAGES: &str = "systemd";
const CARGO_DEB: &str = "3.8.0";

/// Runs a command in the root; the kernel's view of processes is mounted for it alone.
const INSIDE: &str = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\"";

/// Reports whether the tests of the package run. `STOCKLINE_TEST_DEB=0` skips them, and each one reports that.
pub fn debian_tests() -> bool {
    wanted("STOCKLINE_TEST_DEB", "a Debian root, and so root and debootstrap")
}

/// Returns the package of the program that the tests run, in two versions. It is built once.
pub fn packages() -> &'static [PathBuf; 2] {
    static PACKAGES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    PACKAGES.get_or_init(|| ["0.1.0-1", "0.1.1-1"].map(build))
}

fn build(version: &str) -> PathBuf {
    let cargo_deb = installed("cargo-deb", CARGO_DEB, |folder| {
        let made = Command::new("cargo")
            .args(["install", "cargo-deb", "--locked", "--debug", "--version", CARGO_DEB, "--root"])
            .arg(folder)
            .current_dir(folder.parent().unwrap())
            .output()
            .unwrap();
        assert_ran(&made, "cargo install cargo-deb (it needs the network once)");
    });
    let file = target_folder().join("debian-packages").join(format!("stockline_{version}.deb"));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut paths = vec![cargo_deb.join("bin")];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let built = script("build-deb")
        .args(["--profile", "dev", "--no-build", "--strip", "--fast", "--deb-version", version, "--output"])
        .arg(&file)
        .env("PATH", std::env::join_paths(paths).unwrap())
        .output()
        .unwrap();
    assert_ran(&built, "build-deb");
    file
}

/// A Debian of its own.
#[derive(Debug)]
pub struct Debian(TempDir);

impl Debian {
    /// Returns a clean one. The first time it is fetched, which takes a minute.
    pub fn clean() -> Self {
        let base = installed("debian", &format!("{RELEASE} {PACKAGES}"), |folder| {
            let made = Command::new("debootstrap")
                .args(["--variant=minbase", &format!("--include={PACKAGES}"), RELEASE])
                .arg(folder)
                .output()
                .unwrap_or_else(|error| panic!("debootstrap can't be started ({error}): apt install debootstrap"));
            assert_ran(&made, "debootstrap (it needs root, and the network once)");
            // What it fetched is installed; each test would copy it.
            for fetched in ["var/cache/apt/archives", "var/lib/apt/lists"] {
                std::fs::remove_dir_all(folder.join(fetched)).unwrap();
            }
        });
        let debian = Self(tempfile::tempdir_in(target_folder()).unwrap());
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--reflink=auto"]).arg(base.join(".")).arg(debian.root());
        assert_ran(&copy.output().unwrap(), "cp");
        debian
    }

    /// Returns its root folder.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Returns a file in it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Reads a file in it.
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Returns a command that a shell runs in it as root.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", INSIDE]).arg(self.root());
        command.args(["/bin/sh", "-c", line]).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs a shell's line as root.
    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a shell's line as root, which must succeed, and returns everything that it printed.
    pub fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert_ran(&output, line);
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat()
    }

    /// Installs a package, or upgrades to it.
    pub fn install(&self, package: &Path) -> String {
        let name = package.file_name().unwrap().to_str().unwrap();
        std::fs::copy(package, self.path("tmp").join(name)).unwrap();
        self.ok(&format!("dpkg --install /tmp/{name}"))
    }
}
