use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use stockline_deploy_checks::programs::binary;

use super::POLL_EVERY;
use crate::images::Images;
use crate::process::{PATIENCE, signal};
use crate::stack;

/// The origin of the programs.
#[derive(Debug, Default)]
pub enum Programs {
    /// The build of `cargo test`.
    #[default]
    Tested,
    /// The programs of the images.
    Images(Images),
}

impl Programs {
    pub(super) fn command(&self, name: &str) -> Command {
        match self {
            Self::Tested => Command::new(binary(name)),
            Self::Images(images) => images.command(name, &format!("/{name}")),
        }
    }

    pub(super) fn alerter(&self) -> PathBuf {
        match self {
            Self::Tested => binary("alerter"),
            Self::Images(images) => images.root("alerter").join("bootstrap"),
        }
    }
}

/// A running program. It is killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    /// `http://127.0.0.1:port` of the API of the ingress, or of the health of a worker.
    pub url: String,
    log: PathBuf,
}

impl Program {
    /// Starts the program by this command and waits until it reports that it is ready.
    pub(super) async fn start(
        name: &str,
        mut command: Command,
        port: u16,
        variables: &[(&str, String)],
        folder: &Path,
    ) -> Self {
        let log = folder.join(format!("{name}-{port}.log"));
        let append = |path: &Path| File::options().create(true).append(true).open(path).unwrap();
        let stdout = append(&log.with_extension(stack::STDOUT));
        let child = command
            .env_clear()
            .envs(variables.iter().map(|(variable, value)| (*variable, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(append(&log))
            .spawn()
            .unwrap();
        let mut program = Self { name: name.to_owned(), child, url: format!("http://127.0.0.1:{port}"), log };
        let deadline = Instant::now() + PATIENCE;
        while program.ready().await != Some(true) {
            if let Some(status) = program.child.try_wait().unwrap() {
                panic!("{name} ended with {status} before it was ready:\n{}", program.log());
            }
            assert!(Instant::now() < deadline, "{name} was not ready in time:\n{}", program.log());
            tokio::time::sleep(POLL_EVERY).await;
        }
        program
    }

    /// Returns the status of `/readyz`, or `None` if there is no answer.
    pub async fn ready(&self) -> Option<bool> {
        let answer = reqwest::get(format!("{}/readyz", self.url)).await.ok()?;
        Some(answer.status().is_success())
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name: `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Sends SIGKILL, so that the process can finish nothing.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM. The process must end with exit code 0.
    pub async fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} did not end in time:\n{}", self.name, self.log());
            tokio::time::sleep(POLL_EVERY).await;
        };
        assert!(status.success(), "{} ended with {status} after SIGTERM:\n{}", self.name, self.log());
    }

    /// Returns the log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A process that was stopped or killed has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "log of {} at {}:\n{}", self.name, self.url, self.log());
        }
    }
}
