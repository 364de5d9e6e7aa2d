//! Runs the real `stockline` binary as a process, sends it requests and kills it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

/// The time after which a test fails. It is long, because a test without faults never reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Returns `target/…/stockline`, which `cargo test --workspace` builds because its package has integration tests. It
/// is beside the running program, or one folder above a test.
pub fn stockline_binary() -> PathBuf {
    let running = std::env::current_exe().unwrap();
    let beside = running.with_file_name("stockline");
    if beside.exists() {
        return beside;
    }
    let path = running.parent().and_then(Path::parent).unwrap().join("stockline");
    assert!(path.exists(), "no {}: run cargo build -p stockline first", path.display());
    path
}

/// Runs a subcommand to its end.
pub fn stockline(arguments: &[&str], data: &Path) -> Output {
    Command::new(stockline_binary()).args(arguments).arg("--data").arg(data).output().unwrap()
}

/// Runs a subcommand, which must succeed, and returns its standard output.
pub fn stockline_ok(arguments: &[&str], data: &Path) -> String {
    let output = stockline(arguments, data);
    assert!(
        output.status.success(),
        "stockline {arguments:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A running `stockline serve`. It is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// `http://host:port`
    pub url: String,
    /// The data folder.
    pub data: PathBuf,
    http: reqwest::Client,
    /// A Manager's token.
    pub manager: String,
}

/// Returns `127.0.0.1:port` with a port that was free a moment ago.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Returns the resident memory of a process in MB, or NaN if there is no such process.
pub fn rss_mb(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN) / 1024.0
}

impl Server {
    /// Starts a server on a folder and waits until it is ready.
    pub async fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::start_by(Command::new(stockline_binary()), data, arguments).await
    }

    /// Starts a server by a command that ends in the binary, such as a shell that first sets limits.
    pub async fn start_by(command: Command, data: &Path, arguments: &[&str]) -> Self {
        let mut server = Self::spawn(command, &free_address(), data, arguments);
        server.be_ready().await;
        server
    }

    /// Starts a server at this address and does not wait.
    pub fn spawn(mut command: Command, address: &str, data: &Path, arguments: &[&str]) -> Self {
        let child = command
            .args(["serve", "--listen", address, "--metrics-listen", &free_address()])
            .args(arguments)
            .arg("--data")
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { child, url: format!("http://{address}"), data: data.to_owned(), http, manager: String::new() }
    }

    /// Waits until the server is ready, and creates the Manager's token.
    pub async fn be_ready(&mut self) {
        self.wait_until_ready().await;
        self.manager = self.token(&["--role", "manager"]);
    }

    async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(response) = self.http.get(format!("{}/readyz", self.url)).send().await
                && response.status().is_success()
            {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("stockline ended with {status} before it was ready");
            }
            assert!(Instant::now() < deadline, "stockline was not ready in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns a token from the command line tool.
    pub fn token(&self, arguments: &[&str]) -> String {
        let mut all = vec!["token"];
        all.extend(arguments);
        stockline_ok(&all, &self.data).trim().to_owned()
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request as the Manager.
    pub async fn request(&self, method: &str, path: &str, body: Option<&Value>) -> reqwest::Result<(u16, Value)> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.manager);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null)))
    }

    /// Sends one command and waits for its outcome.
    pub async fn settle(&self, command: Value) -> Value {
        let response = self
            .http
            .post(format!("{}/v1/commands", self.url))
            .bearer_auth(&self.manager)
            .header("prefer", "wait=20")
            .json(&with_id(command))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    /// Sends a GET, which must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, None).await.unwrap();
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// Registers an item and receives `quantity` of it at `main`.
    pub async fn stock_up(&self, item_id: &str, quantity: &str) {
        let item = json!({"type": "register_item", "item_id": item_id, "name": item_id});
        assert_eq!(self.settle(item).await["status"], "applied");
        let receive = json!({"type": "receive", "item_id": item_id, "quantity": quantity});
        assert_eq!(self.settle(receive).await["status"], "applied");
    }

    /// Sends a signal by its name: `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Sends SIGKILL, so that the process can finish nothing.
    pub fn kill(mut self) -> PathBuf {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.data.clone()
    }

    /// Sends SIGTERM. The process must end with exit code 0.
    pub fn stop(self) -> PathBuf {
        self.stop_by("TERM")
    }

    /// Sends another signal that asks it to stop. The process must end with exit code 0.
    pub fn stop_by(mut self, name: &str) -> PathBuf {
        self.signal(name);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "stockline ended with {status} after SIG{name}");
        self.data.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that was stopped or killed has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal by its name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(sent.success(), "SIG{name} did not reach {pid}");
}

/// Returns the command with a fresh id if it has none.
#[expect(clippy::disallowed_methods, reason = "a client makes its own ids")]
pub fn with_id(mut command: Value) -> Value {
    if command.get("command_id").is_none() {
        command["command_id"] = json!(Uuid::now_v7());
    }
    command
}

/// Asserts that the store's own audit finds no fault.
pub fn audit(data: &Path) {
    stockline_ok(&["audit"], data);
}
