//! Runs the AWS stand-in ministack as a process. It is installed once under `target/`, and each test that needs it
//! starts its own server.
//!
//! Tests must not rely on its known faults: a deletion with an expired receipt handle succeeds, a FIFO queue accepts a
//! standard dead letter queue, and it neither throttles nor answers `TransactionConflict`.

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
use crate::wanted::wanted;

/// The region of all resources.
pub const REGION: &str = "us-east-1";
/// The server accepts any credentials; these are made up.
pub const ACCESS_KEY_ID: &str = "test";
/// Belongs to [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "test";

const REQUIREMENTS: &str = include_str!("../../ministack/requirements.txt");
const SERVE: &str = include_str!("../../ministack/serve.py");

/// The time after which a start fails. It takes about a second on an idle machine.
const START_WITHIN: Duration = Duration::from_secs(60);
/// The number of attempts with another port, if the port was taken before the server could listen.
const STARTS_MAX: usize = 5;
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Returns the Python in whose environment ministack is installed.
pub fn python() -> PathBuf {
    python::environment("ministack", REQUIREMENTS)
}

/// Reports whether the tests on the AWS stand-in run. `STOCKLINE_TEST_AWS=0` skips them, and each one reports that. On
/// a machine without Python they fail.
pub fn aws_tests() -> bool {
    wanted("STOCKLINE_TEST_AWS", "the AWS stand-in")
}

/// A running, empty server. It ends when dropped, and when the test process ends in any way.
#[derive(Debug)]
pub struct Ministack {
    child: Child,
    /// `http://127.0.0.1:port` for every service.
    pub url: String,
    /// The folder of its log and of the unpacked functions.
    folder: TempDir,
    python: PathBuf,
}

impl Ministack {
    /// Starts a server and waits until it answers. The first start installs it.
    pub async fn start() -> Self {
        let python = tokio::task::spawn_blocking(python).await.unwrap();
        for _ in 0..STARTS_MAX {
            if let Some(server) = Self::start_on(&python, free_port()).await {
                return server;
            }
        }
        panic!("ministack found its port taken {STARTS_MAX} times in a row");
    }

    /// Returns `None` if the port was taken.
    async fn start_on(python: &Path, port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        // The health answer repeats this id. It proves that this server answers, and not another one on the same port.
        let mark = format!("stockline-{}-{port}", random_id());
        let url = format!("http://127.0.0.1:{port}");
        let child = Command::new(python)
            .args(["-c", SERVE])
            // Its functions inherit this environment, so it contains nothing of the test.
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
                // So that the log of the server contains the logs of its functions.
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

    /// Deletes everything: queues, tables, users and mails.
    pub async fn reset(&self) {
        let response = reqwest::Client::new().post(format!("{}/_ministack/reset", self.url)).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
    }

    /// Returns the mails that SES accepted, oldest first, as ministack shows them.
    pub async fn ses_messages(&self) -> Vec<Value> {
        let answer = self.get("/_ministack/ses/messages").await.unwrap();
        let by_account = answer["messages"].as_object().unwrap_or_else(|| panic!("no mails in {answer}"));
        by_account.values().flat_map(|mails| mails.as_array().cloned().unwrap_or_default()).collect()
    }

    /// Returns the messages of a queue as ministack shows them, without a delivery.
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

    /// Sends a request of a service, which must succeed, and returns the text of the answer.
    pub async fn post(&self, action: &str, headers: &[(&'static str, String)], body: String) -> String {
        let request = reqwest::Client::new().post(&self.url).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{action}: {status} {text}");
        text
    }

    async fn get(&self, path: &str) -> reqwest::Result<Value> {
        reqwest::get(format!("{}{path}", self.url)).await?.error_for_status()?.json().await
    }

    /// Returns the environment variables with which a program uses this server.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.url, ACCESS_KEY_ID)
    }

    /// Returns a zip that contains this text as an executable file.
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

    /// Returns the log, which contains the logs of the functions.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Returns a folder that is deleted with the server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // The end of its input ends the server and its child processes.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "ministack's log:\n{}", self.log());
        }
    }
}

/// Returns the environment variables with which a program of this name uses a stand-in at this address.
pub fn environment(url: &str, access_key_id: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", url.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", access_key_id.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}

/// Returns a loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns a random id for the names of a test.
#[expect(clippy::disallowed_methods, reason = "a test's own names")]
pub fn random_id() -> Uuid {
    Uuid::new_v4()
}
