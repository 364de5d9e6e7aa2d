//! Runs the measured server as a separate process and reads its figures from the kernel.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use stockline_tests::process::rss_mb;

/// The counter of settled commands.
const APPLIED: &str = "stockline_worker_applied_total";
/// The backlog must be settled within this time after the load.
const DRAIN: Duration = Duration::from_secs(120);

/// A running server. It is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// `host:port` of the API.
    pub(crate) address: String,
    /// `host:port` of `/metrics`.
    pub(crate) metrics: String,
}

/// Returns the `stockline` binary next to this one, or above it if this is a test.
pub(crate) fn stockline_binary() -> Result<PathBuf> {
    let mut path = std::env::current_exe()?.with_file_name("stockline");
    if let (false, Some(above)) = (path.exists(), path.parent().and_then(Path::parent)) {
        path = above.join("stockline");
    }
    if !path.exists() {
        bail!("build the server first: cargo build --release -p stockline");
    }
    Ok(path)
}

/// Returns an address whose port was free a moment ago.
fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

impl Server {
    /// Starts `stockline serve` on a folder and waits until it is ready.
    pub(crate) fn start(data: &Path) -> Result<Self> {
        let (address, metrics) = (free_address()?, free_address()?);
        let child = Command::new(stockline_binary()?)
            .args(["serve", "--log", "error"])
            .args(["--listen", &address, "--metrics-listen", &metrics, "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .context("can't start stockline")?;
        let server = Self { child, address, metrics };
        server.until_ready()?;
        Ok(server)
    }

    /// Starts this program itself as the server that only parses.
    pub(crate) fn start_parse_only() -> Result<Self> {
        let address = free_address()?;
        let child = Command::new(std::env::current_exe()?)
            .args(["parse-only-server", "--listen", &address])
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { child, address, metrics: String::new() };
        server.until_ready()?;
        Ok(server)
    }

    /// Polls until the server is ready.
    fn until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Self::get(&self.address, "/readyz").is_none_or(|(status, _)| status != 200) {
            if Instant::now() > deadline {
                bail!("the server was not ready within 60 s");
            }
            // The poll interval adds to the measured start time, so it is short.
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Sends a GET without an async runtime; `None` if nothing answers.
    pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let status = text.get(9..12)?.parse().ok()?;
        let body = text.split_once("\r\n\r\n")?.1.to_owned();
        Some((status, body))
    }

    /// Returns the commands settled since the start.
    pub(crate) fn applied(&self) -> f64 {
        self.counter(APPLIED)
    }

    /// Waits until this many commands are settled.
    pub(crate) async fn until_applied(&self, goal: f64) -> Result<()> {
        let deadline = Instant::now() + DRAIN;
        while self.applied() < goal {
            if Instant::now() > deadline {
                bail!("only {} of {goal} commands were settled in time", self.applied());
            }
            // The counter belongs to another process, so it is polled until the deadline.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Returns the sum of a counter over its labels, or 0 if it does not exist.
    fn counter(&self, name: &str) -> f64 {
        let text = Self::get(&self.metrics, "/metrics").map(|(_, body)| body).unwrap_or_default();
        let value = |line: &str| -> Option<f64> {
            let rest = line.strip_prefix(name)?;
            let labelled = rest.starts_with('{') || rest.starts_with(' ');
            labelled.then(|| line.rsplit(' ').next()?.parse().ok()).flatten()
        };
        text.lines().filter_map(value).sum()
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the CPU seconds of all threads so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        const TICKS_PER_SECOND: f64 = 100.0;
        (ticks(11) + ticks(12)) / TICKS_PER_SECOND
    }

    /// Returns the resident memory in MB.
    pub(crate) fn rss_mb(&self) -> f64 {
        rss_mb(self.child.id())
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(mut self) -> Result<()> {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("stockline exited with {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a token with `stockline token`.
pub(crate) fn token(data: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(stockline_binary()?).arg("token").args(arguments).arg("--data").arg(data).output()?;
    if !output.status.success() {
        bail!("stockline token failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = BufReader::new(&output.stdout[..]).lines().next().context("no token")??;
    Ok(text)
}
