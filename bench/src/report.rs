//! Runs the standalone measurements and prints one line each.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::{Connection, head};
use crate::load::{self, Accepted, Load, percentile_ms};
use crate::reference;
use crate::rng::Rng;
use crate::rows;
use crate::server::{Server, token};

/// The settings of the measurements.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) commands: usize,
    pub(crate) items: usize,
    pub(crate) duration: Duration,
    pub(crate) connections: usize,
}

/// Commands per batch request.
const BATCH: usize = 100;
/// Connections for batches. Batches take longer, so fewer connections keep the server busy.
const BATCH_CONNECTIONS: usize = 16;

/// The figures of one load.
pub(crate) struct Measured {
    accepted: Accepted,
    pub(crate) applied_per_s: f64,
    settle_us: Vec<u32>,
    cpu_us_per_command: f64,
    rss_mb: f64,
}

impl Measured {
    /// Returns a percentile of the times from sending a command to its outcome, in milliseconds.
    pub(crate) fn settle_ms(&self, percentile: f64) -> f64 {
        percentile_ms(&self.settle_us, percentile)
    }
}

/// Runs all measurements and prints them.
pub(crate) async fn run(data: &Path, settings: &Settings) -> Result<()> {
    let fsync = reference::fsync_times_us(data)?;
    println!(
        "fsync of 4 KB       p50 {:.2} ms   p99 {:.2} ms",
        percentile_ms(&fsync, 50.0),
        percentile_ms(&fsync, 99.0)
    );

    // The first start creates the keys.
    Server::start(data)?.stop()?;
    let till = token(data, &["--till", "bench", "--ttl", "1d"])?;
    let cold = start_to_first_202(data, &till).await?;
    println!("start to first 202  {:.0} ms", cold.as_secs_f64() * 1_000.0);

    let server = Server::start(data)?;
    // The allocator returns the memory of the start after a while; nothing signals when.
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("idle RSS            {:.0} MB\n", server.rss_mb());

    let base = Load {
        address: server.address.clone(),
        token: till.clone(),
        connections: settings.connections,
        batch: 1,
        items: settings.items,
        duration: settings.duration,
        rate: None,
    };
    println!(
        "{:<22} {:>11} {:>11} {:>9} {:>9} {:>11} {:>11} {:>8} {:>7}",
        "load", "accepted/s", "applied/s", "p50 ms", "p99 ms", "settle p50", "settle p99", "CPU µs", "RSS MB"
    );
    let single = measure(&server, &base).await?;
    line("single POSTs", &single);
    let half = Load { rate: Some(single.accepted.per_second() / 2.0), ..base.clone() };
    let halved = measure(&server, &half).await?;
    line("single, half load", &halved);
    let batches = Load { batch: BATCH, connections: BATCH_CONNECTIONS, ..base.clone() };
    let batched = measure(&server, &batches).await?;
    line("batches of 100", &batched);
    let hot = measure(&server, &Load { items: 1, ..base.clone() }).await?;
    line("one hot item", &hot);
    server.stop()?;

    let parse_only = Server::start_parse_only()?;
    let alone = load::run(&Load { address: parse_only.address.clone(), ..base.clone() }).await?;
    reference_line("parse only, single", &alone);
    let alone = load::run(&Load { address: parse_only.address.clone(), ..batches }).await?;
    reference_line("parse only, batches", &alone);
    drop(parse_only);

    let bare = rows::bare_loop(data, settings.commands, settings.items, settings.duration)?;
    println!("{:<22} {:>11} {:>11.0}", "bare SQLite loop", "", bare);
    println!("\nbatches, applied ÷ bare SQLite loop: {:.2}", batched.applied_per_s / bare);
    let fsync_p99 = percentile_ms(&fsync, 99.0);
    println!("accept p99 at half load ÷ fsync p99: {:.1}", halved.accepted.percentile_ms(99.0) / fsync_p99);
    Ok(())
}

/// Sends the load and waits for the backlog, while one more connection samples settle times.
pub(crate) async fn measure(server: &Server, load: &Load) -> Result<Measured> {
    let (applied_before, cpu_before, started) = (server.applied(), server.cpu_seconds(), Instant::now());
    let sampler = settle_times(load);
    let (accepted, settle_us) = tokio::join!(load::run(load), sampler);
    let (accepted, mut settle_us) = (accepted?, settle_us?);
    let goal = applied_before + (accepted.commands + settle_us.len() as u64) as f64;
    server.until_applied(goal).await?;
    let elapsed = started.elapsed().as_secs_f64();
    let commands = goal - applied_before;
    settle_us.sort_unstable();
    Ok(Measured {
        applied_per_s: commands / elapsed,
        settle_us,
        cpu_us_per_command: (server.cpu_seconds() - cpu_before) * 1e6 / commands,
        rss_mb: server.rss_mb(),
        accepted,
    })
}

/// Samples the time from sending a command to its outcome, with `Prefer: wait` on a separate connection.
async fn settle_times(load: &Load) -> Result<Vec<u32>> {
    let head = head("POST", "/v1/commands", &load.token, "prefer: wait=20\r\n");
    let mut http = Connection::open(&load.address).await?;
    let (mut rng, mut times, mut body) = (Rng::fresh(), Vec::new(), Vec::new());
    let end = Instant::now() + load.duration;
    while Instant::now() < end {
        body.clear();
        load::sale(&mut rng, load.items, &mut body);
        let started = Instant::now();
        let response = http.send(&head, &body).await?;
        if response.status != 200 {
            bail!("no outcome within 20 s: status {} {}", response.status, String::from_utf8_lossy(response.body));
        }
        times.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
        // The samples must not add load.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(times)
}

/// Returns the time from starting a process, on a folder with keys, to the first accepted command.
async fn start_to_first_202(data: &Path, token: &str) -> Result<Duration> {
    let started = Instant::now();
    let server = Server::start(data)?;
    let mut http = Connection::open(&server.address).await?;
    let mut body = Vec::new();
    load::sale(&mut Rng::fresh(), 1, &mut body);
    let response = http.send(&head("POST", "/v1/commands", token, ""), &body).await.context("the first command")?;
    if response.status != 202 {
        bail!("the first command was answered {}", response.status);
    }
    let elapsed = started.elapsed();
    server.stop()?;
    Ok(elapsed)
}

fn line(name: &str, measured: &Measured) {
    println!(
        "{:<22} {:>11.0} {:>11.0} {:>9.2} {:>9.2} {:>11.2} {:>11.2} {:>8.1} {:>7.0}",
        name,
        measured.accepted.per_second(),
        measured.applied_per_s,
        measured.accepted.percentile_ms(50.0),
        measured.accepted.percentile_ms(99.0),
        measured.settle_ms(50.0),
        measured.settle_ms(99.0),
        measured.cpu_us_per_command,
        measured.rss_mb,
    );
}

fn reference_line(name: &str, accepted: &Accepted) {
    println!(
        "{:<22} {:>11.0} {:>11} {:>9.2} {:>9.2}",
        name,
        accepted.per_second(),
        "",
        accepted.percentile_ms(50.0),
        accepted.percentile_ms(99.0)
    );
}
