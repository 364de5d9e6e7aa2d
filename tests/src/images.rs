//! Assembles the images as `deploy/image-root` does from the Dockerfiles, and runs their programs as in a container.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use stockline_deploy_checks::programs::{repository, target_folder};
use stockline_deploy_checks::python::assert_ran;
use stockline_deploy_checks::wanted::wanted;
use tempfile::TempDir;

/// Reports whether the tests of the images run. `STOCKLINE_TEST_IMAGES=0` skips them, and each one reports that.
pub fn image_tests() -> bool {
    wanted("STOCKLINE_TEST_IMAGES", "the images")
}

/// The images. Each has a folder that is its root.
#[derive(Debug)]
pub struct Images(TempDir);

impl Images {
    /// Builds the programs if they are missing, and assembles both images and the alerter's folder. The first time
    /// takes minutes, because it needs a release build of its own.
    pub fn assemble() -> Self {
        let images = Self(tempfile::tempdir_in(target_folder()).unwrap());
        // The image's user must be able to enter the folder.
        assert_ran(&Command::new("chmod").arg("755").arg(images.0.path()).output().unwrap(), "chmod");
        for (file, name, stage) in [
            ("Dockerfile.ingress", "ingress", None),
            ("Dockerfile.worker", "worker", None),
            ("Dockerfile.worker", "alerter", Some("alerter")),
        ] {
            let mut command = script("image-root");
            command.arg(repository().join(file)).arg(images.root(name)).args(stage);
            let output = command.output().unwrap();
            assert_ran(&output, &format!("image-root {file}"));
            print!("{name}:\n{}", String::from_utf8_lossy(&output.stdout));
        }
        images
    }

    /// Returns the root of the image `ingress` or `worker`, or the folder of `alerter`.
    pub fn root(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the files of an image with their sizes in bytes, in order.
    pub fn files(&self, name: &str) -> Vec<(String, u64)> {
        let root = self.root(name);
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let path = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                    found.push((path, entry.metadata().unwrap().len()));
                }
            }
        }
        found.sort();
        found
    }

    /// Returns a command that runs a program as a container does: as the image's user, in the image's read-only root.
    pub fn command(&self, name: &str, program: &str) -> Command {
        let mut command = script("image-run");
        command.arg(self.root(name)).arg(program);
        command
    }
}

/// Returns a command that runs a script of `deploy/` without the variables that cargo sets for tests. They would
/// cause a full recompilation.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(repository().join("deploy").join(name));
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| is_of_cargo(&variable.to_string_lossy())) {
        command.env_remove(variable);
    }
    command
}

fn is_of_cargo(variable: &str) -> bool {
    let kept = ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "CARGO_BUILD_JOBS"];
    variable.starts_with("CARGO") && !kept.contains(&variable)
}

/// Reports whether a program needs only the kernel: it is a 64-bit ELF file without an interpreter, which would be the
/// dynamic linker.
pub fn is_static(path: &Path) -> bool {
    const INTERPRETER: u32 = 3;
    let mut file = File::open(path).unwrap();
    let mut head = [0; 64];
    file.read_exact(&mut head).unwrap();
    assert_eq!(&head[..6], b"\x7fELF\x02\x01", "{} is no 64-bit little-endian ELF file", path.display());
    let number = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let table = u64::from_le_bytes(head[32..40].try_into().unwrap());
    let (size, count) = (number(54), number(56));
    let mut headers = vec![0; size * count];
    file.seek(SeekFrom::Start(table)).unwrap();
    file.read_exact(&mut headers).unwrap();
    headers.chunks(size).all(|header| u32::from_le_bytes(header[..4].try_into().unwrap()) != INTERPRETER)
}
