//! Starts the binary and runs subcommands.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_stockline");

/// Returns a command that runs the binary with these arguments, without the caller's environment.
pub(crate) fn stockline(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().args(arguments);
    command
}

/// The output and the exit code of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs the binary until it ends.
    pub(crate) fn of(arguments: &[&str]) -> Self {
        Self::from(stockline(arguments).output().unwrap())
    }

    /// Asserts success.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Asserts the exit code and a part of the output.
    pub(crate) fn refused(self, code: i32, part: &str) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(part) || self.stdout.contains(part), "{part}: {self:?}");
        self
    }

    /// Parses the output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A data folder and the server on it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Option<Child>,
    arguments: Vec<String>,
    /// The log filter; the log goes into a file of the test. Without a filter, errors go to the test's own standard
    /// error.
    filter: Option<String>,
    /// The text that the server printed when it was ready.
    pub(crate) welcome: String,
    home: TempDir,
}

impl Server {
    /// Starts a server with these options on a new folder.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_with(None, options)
    }

    /// Starts a server whose log [`Server::log`] returns.
    pub(crate) fn start_logging(filter: &str, options: &[&str]) -> Self {
        Self::start_with(Some(filter.to_owned()), options)
    }

    fn start_with(filter: Option<String>, options: &[&str]) -> Self {
        let arguments = options.iter().map(ToString::to_string).collect();
        let home = tempfile::tempdir().unwrap();
        let mut server = Self { child: None, arguments, filter, welcome: String::new(), home };
        server.start_again();
        server
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Returns a folder for the test's own files.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Starts a server on the same folder and waits until it is ready.
    pub(crate) fn start_again(&mut self) {
        let data = self.data();
        let chosen = self.arguments.iter().any(|argument| argument == "--listen");
        let errors = match self.filter {
            Some(_) => std::fs::File::create(self.home.path().join("log")).unwrap().into(),
            None => Stdio::inherit(),
        };
        let mut child = stockline(&["--data", data.to_str().unwrap()])
            .args(["--metrics-listen", "127.0.0.1:0", "--log", self.filter.as_deref().unwrap_or("error")])
            .stderr(errors)
            .args(if chosen { &[] as &[&str] } else { &["--listen", "127.0.0.1:0"] })
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        self.welcome.clear();
        // The last line names the command for a token.
        while !line.contains("token --data") {
            line.clear();
            let read = out.read_line(&mut line).unwrap();
            assert!(read > 0, "the server ended: {} {:?}", self.welcome, child.wait());
            self.welcome.push_str(&line);
        }
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        self.child = Some(child);
    }

    /// Returns the text after a label of the welcome.
    pub(crate) fn said(&self, label: &str) -> String {
        let line = self.welcome.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        line.trim_start().trim_start_matches(label).trim().to_owned()
    }

    /// Runs a subcommand on this folder.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let data = self.data();
        let arguments: Vec<&str> = words.iter().copied().chain(["--data", data.to_str().unwrap()]).collect();
        Ran::of(&arguments)
    }

    /// Reads the stock of one level.
    pub(crate) fn on_hand(&self, item: &str, location: &str) -> String {
        let levels = self.run(&["stock", item, "--location", location, "--json"]).ok().json();
        levels[0]["on_hand"].as_str().unwrap_or_else(|| panic!("{levels}")).to_owned()
    }

    /// Sends SIGTERM and returns the exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let kill = Command::new("/bin/sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap();
        assert!(kill.success());
        child.wait().unwrap()
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
