//! The AWS stand-in ministack as a process: installed once under `target/`, one server per test that asks for one.
//!
//! What it gets wrong is not tested on it: deleting with an expired receipt handle succeeds, a FIFO queue accepts a
//! standard dead letter queue, and it never throttles nor answers `TransactionConflict`.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::python::{self, assert_ran};

/// The region that everything is in.
pub const REGION: &str = "us-east-1";
/// Takes any credentials; these are nobody's.
pub const ACCESS_KEY_ID: &str = "test";
/// As [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "test";

const REQUIREMENTS: &str = include_str!("../../ministack/requirements.txt");
const SERVE: &str = include_str!("../../ministack/serve.py");

/// How long a start may take; it takes about a second on an idle machine.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How often another free port is tried when one was taken between choosing and listening.
const STARTS_MAX: usize = 5;
const POLL_EVERY: Duration = Duration::from_millis(20);

/// The Python that ministack is installed for.
pub fn python() -> PathBuf {
    python::environment("ministack", REQUIREMENTS)
}

/// Are the tests against the AWS stand-in to run? `STOCKLINE_TEST_AWS=0` leaves them out, and each one says so.
/// Nothing else does: a machine without Python fails them.
#[expect(clippy::disallowed_methods, reason = "a switch of the test run, not of the product")]
pub fn aws_tests() -> bool {
    let left_out = std::env::var("STOCKLINE_TEST_AWS").is_ok_and(|value| value == "0");
    if left_out {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Written past the capture of a passing test's output.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: {test} needs the AWS stand-in, and STOCKLINE_TEST_AWS=0");
    }
    !left_out
}

/// A running server with nothing in it; gone when dropped, and when the test process ends in whatever way.
#[derive(Debug)]
pub struct Ministack {
    child: Child,
    /// `http://127.0.0.1:port`, of every service.
    pub url: String,
    /// Its log, and what it unpacks functions to.
    folder: TempDir,
    python: PathBuf,
}

impl Ministack {
    /// Starts one and waits until it answers. The first start of all installs it.
    pub async fn start() -> Self {
        let python = tokio::task::spawn_blocking(python).await.unwrap();
        for _ in 0..STARTS_MAX {
            if let Some(server) = Self::start_on(&python, free_port()).await {
                return server;
            }
        }
        panic!("ministack found its port taken {STARTS_MAX} times in a row");
    }

    /// `None` where the port was taken.
    async fn start_on(python: &Path, port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        // Health repeats it: that it is this server that answers, not a neighbour's on the same port.
        let mark = format!("stockline-{}-{port}", random_id());
        let url = format!("http://127.0.0.1:{port}");
        let child = Command::new(python)
            .args(["-c", SERVE])
            // Its functions inherit this environment, so it holds nothing of the test's own.
            .env_clear()
            .envs([
                ("PATH", "/usr/local/bin:/usr/bin:/bin"),
                ("HOME", folder.path().to_str().unwrap()),
                ("AWS_ENDPOINT_URL", &url),
                ("IOT_MTLS_ENABLED", "0"),
                ("BIND_HOST", "127.0.0.1"),
                ("GATEWAY_PORT", &port.to_string()),
                ("MINISTACK_HOST", "127.0.0.1"),
                ("MINISTACK_REGION", REGION),
                ("MINISTACK_EDITION", &mark),
                // So that its functions' logs are in its own.
                ("LOG_LEVEL", "INFO"),
                ("TMPDIR", folder.path().to_str().unwrap()),
                ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
                ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
            ])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let mut server = Self { child, url, folder, python: python.to_owned() };
        let deadline = Instant::now() + START_WITHIN;
        loop {
            if let Ok(health) = server.get("/_ministack/health").await {
                return (health["edition"] == mark.as_str()).then_some(server);
            }
            if let Some(status) = server.child.try_wait().unwrap() {
                let log = server.log();
                assert!(log.contains("already in use"), "ministack ended with {status}:\n{log}");
                return None;
            }
            assert!(Instant::now() < deadline, "ministack was not up in time:\n{}", server.log());
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Forgets everything: queues, tables, users, mails.
    pub async fn reset(&self) {
        let response = reqwest::Client::new().post(format!("{}/_ministack/reset", self.url)).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
    }

    /// The mails that SES took, oldest first, as ministack shows them.
    pub async fn ses_messages(&self) -> Vec<Value> {
        let answer = self.get("/_ministack/ses/messages").await.unwrap();
        let by_account = answer["messages"].as_object().unwrap_or_else(|| panic!("no mails in {answer}"));
        by_account.values().flat_map(|mails| mails.as_array().cloned().unwrap_or_default()).collect()
    }

    /// The messages that a queue holds, as ministack shows them; looking delivers nothing.
    pub async fn queue_messages(&self, queue_url: &str) -> Vec<Value> {
        fn collect(value: &Value, found: &mut Vec<Value>) {
            match value {
                Value::Object(fields) if fields.contains_key("ReceiveCount") => found.push(value.clone()),
                Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
                Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        collect(&self.get(&format!("/_ministack/sqs/messages?QueueUrl={queue_url}")).await.unwrap(), &mut found);
        found
    }

    async fn get(&self, path: &str) -> reqwest::Result<Value> {
        reqwest::get(format!("{}{path}", self.url)).await?.error_for_status()?.json().await
    }

    /// What a program needs in its environment to speak to this server.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.url, ACCESS_KEY_ID)
    }

    /// A zip with one file of this text in it, to be run as a program.
    pub async fn zip(&self, name: &str, text: &str) -> Vec<u8> {
        const ZIP: &str = "import sys, zipfile\n\
            file = zipfile.ZipInfo(sys.argv[2])\n\
            file.external_attr = 0o755 << 16\n\
            zipfile.ZipFile(sys.argv[1], 'w').writestr(file, sys.argv[3])";
        let path = self.folder.path().join(format!("{}.zip", random_id()));
        let mut command = Command::new(&self.python);
        command.args(["-c", ZIP]).arg(&path).args([name, text]);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert_ran(&output, "zipping");
        std::fs::read(path).unwrap()
    }

    /// What it logged: the functions' own logs are in it too.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A folder that goes with the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // The end of its input kills it and all that it runs.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "ministack's log:\n{}", self.log());
        }
    }
}

/// What a program needs in its environment to speak to a stand-in at this address, in this name.
pub fn environment(url: &str, access_key_id: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", url.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", access_key_id.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}

/// A port of the loopback that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// For names of a test's own.
#[expect(clippy::disallowed_methods, reason = "a test's own names")]
pub fn random_id() -> Uuid {
    Uuid::new_v4()
}
