use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{Mutation, Suite};

/// The time limit of a test, in seconds. On the original code each takes less than half of it. A test that hangs on a
/// mutation has noticed it.
const TEST_TIMEOUT_S: u64 = 120;

/// Each program is built once and run once, so a fast build matters more than fast code.
const PROFILE: [&str; 6] = [
    "--config",
    "profile.dev.package.stockline-core.opt-level=0",
    "--config",
    "profile.dev.package.stockline-worker.opt-level=0",
    "--config",
    "profile.dev.debug=false",
];

/// The result of one mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The named test failed.
    Killed,
    /// The named test did not finish in time.
    Hung,
    /// The named test passed.
    Survived,
    /// The mutation does not apply or does not build, or the test does not exist.
    Broken(String),
}

/// A copy of the workspace with its own target folder.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    target: PathBuf,
}

impl Tree {
    /// Copies all tracked and untracked files that are not ignored from `workspace` into `folder`. Unchanged files are
    /// left alone, so that builds stay incremental.
    ///
    /// # Errors
    /// `git` can't list the files, or a file can't be copied.
    pub fn of(workspace: &Path, folder: &Path) -> Result<Self> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(workspace)
            .output()
            .context("git ls-files")?;
        if !listed.status.success() {
            bail!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        }
        let root = folder.join("tree");
        let listed = String::from_utf8(listed.stdout)?;
        let names: BTreeSet<&str> = listed.split('\0').filter(|name| workspace.join(name).is_file()).collect();
        fs::create_dir_all(&root)?;
        remove_others(&root, &root, &names)?;
        for name in names {
            let (from, to) = (workspace.join(name), root.join(name));
            let text = fs::read(&from).with_context(|| format!("reading {name}"))?;
            if fs::read(&to).is_ok_and(|there| there == text) {
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::copy(&from, &to).with_context(|| format!("copying {name}"))?;
        }
        Ok(Self { root, target: folder.join("target") })
    }

    /// Returns the tests that do not pass on the original code, with the reason. They can't judge a mutation.
    ///
    /// # Errors
    /// Cargo or the tests can't be run.
    pub fn unfit<'t>(
        &self,
        suite: &Suite,
        tests: impl IntoIterator<Item = &'t str>,
    ) -> Result<BTreeMap<&'t str, Ending>> {
        let program = self.build(suite)?;
        let mut unfit = BTreeMap::new();
        for test in tests {
            let ending = match &program {
                Ok(program) => run(program, &self.root, suite, test)?,
                Err(why) => Ending::Broken(why.clone()),
            };
            if ending != Ending::Survived {
                unfit.insert(test, ending);
            }
        }
        Ok(unfit)
    }

    /// Applies the mutation, runs its test, and reverts the mutation.
    ///
    /// # Errors
    /// A file can't be written, or cargo can't be run.
    pub fn try_out(&self, mutation: &Mutation) -> Result<Ending> {
        let mut texts: BTreeMap<&str, (String, String)> = BTreeMap::new();
        for edit in mutation.edits {
            let (_, changed) = match texts.remove(edit.file) {
                Some(texts) => texts,
                None => {
                    let text = fs::read_to_string(self.root.join(edit.file)).with_context(|| edit.file.to_owned())?;
                    (text.clone(), text)
                }
            };
            let original = fs::read_to_string(self.root.join(edit.file))?;
            match edit.apply(&changed) {
                Ok(changed) => texts.insert(edit.file, (original, changed)),
                Err(why) => return Ok(Ending::Broken(why)),
            };
        }
        for (file, (_, changed)) in &texts {
            fs::write(self.root.join(file), changed)?;
        }
        let ending = match self.build(mutation.suite) {
            Ok(Ok(program)) => run(&program, &self.root, mutation.suite, mutation.killed_by),
            Ok(Err(why)) => Ok(Ending::Broken(why)),
            Err(error) => Err(error),
        };
        for (file, (original, _)) in &texts {
            fs::write(self.root.join(file), original)?;
        }
        ending
    }

    /// Returns the test program of a suite, or the reason why it can't be built.
    fn build(&self, suite: &Suite) -> Result<Result<PathBuf, String>> {
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--no-run", "--quiet", "--locked", "--message-format", "json-render-diagnostics"])
            .args(suite.arguments)
            .args(PROFILE)
            .env("CARGO_TARGET_DIR", &self.target)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .output()
            .context("cargo test")?;
        if !built.status.success() {
            return Ok(Err(format!("it does not build:\n{}", String::from_utf8_lossy(&built.stderr))));
        }
        let mut programs = built.stdout.split(|byte| *byte == b'\n').filter_map(|line| {
            let message: Value = serde_json::from_slice(line).ok()?;
            let is_test = message["profile"]["test"] == true;
            message["executable"].as_str().filter(|_| is_test).map(PathBuf::from)
        });
        Ok(programs.next_back().ok_or_else(|| "cargo built no test program".to_owned()))
    }
}

/// Removes the files below `folder` that are not among `names` (paths from `root`): leftovers of an earlier copy.
fn remove_others(root: &Path, folder: &Path, names: &BTreeSet<&str>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, names)?;
        } else if !path.strip_prefix(root)?.to_str().is_some_and(|name| names.contains(name)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn run(program: &Path, root: &Path, suite: &Suite, test: &str) -> Result<Ending> {
    let log = program.with_extension("log");
    let written = fs::File::create(&log)?;
    // Like cargo, it runs tests in the folder of their package.
    let folder = root.join(suite.sources);
    let package = folder.ancestors().find(|folder| folder.join("Cargo.toml").is_file()).unwrap_or(root);
    let mut child = Command::new(program)
        .args(["--exact", test])
        .current_dir(package)
        .stdin(Stdio::null())
        .stderr(written.try_clone()?)
        .stdout(written)
        .spawn()
        .with_context(|| program.display().to_string())?;
    let Some(passed) = wait(&mut child)? else {
        return Ok(Ending::Hung);
    };
    let output = fs::read_to_string(&log).unwrap_or_default();
    if output.contains(&format!("test {test} ... FAILED")) {
        return Ok(Ending::Killed);
    }
    if passed && output.contains("test result: ok. 1 passed") {
        return Ok(Ending::Survived);
    }
    Ok(Ending::Broken(format!("the test did not run:\n{output}")))
}

/// Returns whether it succeeded, or `None` if it did not finish in time and was killed.
fn wait(child: &mut Child) -> Result<Option<bool>> {
    let end = Instant::now() + Duration::from_secs(TEST_TIMEOUT_S);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
