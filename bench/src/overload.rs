//! Offers the standalone server ten times its capacity, which the same run measures.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use stockline_core::ports::Clock as _;
use stockline_service::SystemClock;
use stockline_sqlite::{DataFolder, SqliteStore};
use stockline_tests::process::rss_mb;

use crate::flood::{self, Flood, Flooded};
use crate::http::{Connection, head};
use crate::load::{self, Load, percentile_ms};
use crate::prefill;
use crate::quota::CpuQuota;
use crate::rng::Rng;
use crate::server::{Server, token};

/// The offered load as a multiple of the capacity.
const OVERLOAD_FACTOR: f64 = 10.0;
/// The targets.
const GOODPUT_MIN: f64 = 0.9;
const RECOVERY_MAX: Duration = Duration::from_secs(10);
const RSS_MAX_MB: f64 = 512.0;
const LATENCY_MAX: Duration = Duration::from_secs(5);
/// The number of samples of the usual latency, and how many in a row must be as usual after the overload.
const USUAL_SAMPLES: usize = 100;
const USUAL_IN_A_ROW: usize = 10;
/// A sample is as usual up to this multiple of the usual p99, or up to this minimum.
const USUAL_TIMES: u32 = 2;
const USUAL_MIN: Duration = Duration::from_millis(50);

/// Options of `overload`.
#[derive(Debug, Args)]
pub(crate) struct OverloadOptions {
    /// Seconds of overload
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds of each capacity measurement, before and after the overload
    #[arg(long, default_value_t = 15)]
    peak_seconds: u64,
    /// Connections during the overload; more than the server handles concurrently
    #[arg(long, default_value_t = 4_000)]
    connections: usize,
    /// Closed-loop connections of the capacity measurement; more would not raise it
    #[arg(long, default_value_t = 1_000)]
    peak_connections: usize,
    /// Items that are sold
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// Share of a core for the server (0.1 is a tenth), so that this machine can send the whole load; needs write
    /// access to control groups
    #[arg(long)]
    server_cpu: Option<f64>,
}

/// Measures the peak, floods the server, waits until latencies are as usual, measures the peak again, and prints.
pub(crate) async fn run(options: &OverloadOptions) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    // The server creates the folder; a store alone is not one.
    drop(Server::start(&data)?);
    {
        let folder = DataFolder::open(&data)?;
        let store = SqliteStore::open(&folder.stock_db(), Default::default(), &Default::default())?;
        prefill::fill(&store, options.items, 0, SystemClock.now()).await?;
    }
    // It must be dropped after the server.
    let quota = options.server_cpu.map(CpuQuota::of).transpose()?;
    let server = Server::start(&data)?;
    let till = token(&data, &["--till", "bench", "--ttl", "1d"])?;
    pin_to_cores(server.pid());
    if let (Some(quota), Some(share)) = (&quota, options.server_cpu) {
        quota.apply_to(server.pid())?;
        println!("the server has {share} of its core");
    }
    let usual = usual_latencies(&server, &till, options.items).await?;
    println!("usual: settled p50 {:.1} ms, p99 {:.1} ms", ms(&usual, 50.0), ms(&usual, 99.0));

    let before_s = peak(&server, &till, options).await?;
    let flood = Flood {
        address: server.address.clone(),
        token: till.clone(),
        rate: OVERLOAD_FACTOR * before_s,
        connections: options.connections,
        items: options.items,
        duration: Duration::from_secs(options.seconds),
    };
    let (before, begun) = (server.applied(), Instant::now());
    let memory = Memory::watch(server.pid());
    let flooded = flood::run(&flood).await?;
    let took = begun.elapsed();
    let settled_per_s = (server.applied() - before) / took.as_secs_f64();
    let ended = Instant::now();
    let recovered = recovery(&server, &till, options.items, &usual, ended).await?;
    let rss = memory.end();
    print_flood(&flood, &flooded, took);
    // The speed of a shared machine changes within minutes, so the goodput is compared with a peak before and one
    // after.
    let after_s = peak(&server, &till, options).await?;
    println!();
    print_targets(&Measured {
        peak_per_s: f64::midpoint(before_s, after_s),
        settled_per_s,
        recovered,
        rss,
        flooded: &flooded,
    })
}

/// Returns the commands settled per second under a closed loop, the time to settle the backlog included.
async fn peak(server: &Server, till: &str, options: &OverloadOptions) -> Result<f64> {
    let load = Load {
        address: server.address.clone(),
        token: till.to_owned(),
        connections: options.peak_connections,
        batch: 1,
        items: options.items,
        duration: Duration::from_secs(options.peak_seconds),
        rate: None,
    };
    let (before, begun) = (server.applied(), Instant::now());
    let accepted = load::run(&load).await?;
    server.until_applied(before + accepted.commands as f64).await?;
    let settled_s = (server.applied() - before) / begun.elapsed().as_secs_f64();
    println!(
        "peak: {} connections, {:.0} accepted/s, {settled_s:.0} settled/s, p50 {:.1} ms, p99 {:.1} ms",
        options.peak_connections,
        accepted.per_second(),
        accepted.percentile_ms(50.0),
        accepted.percentile_ms(99.0)
    );
    Ok(settled_s)
}

/// Pins the server and this generator to separate cores if there are two, so that they do not compete for one.
fn pin_to_cores(server: u32) {
    for (core, pid) in [("0", server), ("1", std::process::id())] {
        let mut command = Command::new("taskset");
        command.args(["-a", "-c", "-p", core, &pid.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            println!("(server and generator share the cores)");
            return;
        }
    }
    println!("server on core 0, generator on core 1");
}

/// Returns the times from sending to the outcome, one command after the other, in µs, sorted.
async fn usual_latencies(server: &Server, till: &str, items: usize) -> Result<Vec<u32>> {
    let mut till = SettleProbe::open(server, till, items).await?;
    let mut times = Vec::new();
    for _ in 0..USUAL_SAMPLES {
        times.push(u32::try_from(till.settle().await?.as_micros()).unwrap_or(u32::MAX));
    }
    times.sort_unstable();
    Ok(times)
}

/// Returns how long after the overload commands settle as usual again: the first of several in a row.
async fn recovery(server: &Server, till: &str, items: usize, usual: &[u32], ended: Instant) -> Result<Duration> {
    let p99 = Duration::from_micros(usual[usual.len() * 99 / 100].into());
    let bound = (p99 * USUAL_TIMES).max(USUAL_MIN);
    let mut till = SettleProbe::open(server, till, items).await?;
    let (mut in_a_row, mut since) = (0, ended.elapsed());
    while in_a_row < USUAL_IN_A_ROW {
        let began = ended.elapsed();
        if till.settle().await? > bound {
            in_a_row = 0;
        } else {
            if in_a_row == 0 {
                since = began;
            }
            in_a_row += 1;
        }
    }
    Ok(since)
}

/// A till that waits for each outcome.
pub(crate) struct SettleProbe {
    http: Connection,
    head: String,
    rng: Rng,
    items: usize,
}

impl SettleProbe {
    pub(crate) async fn open(server: &Server, till: &str, items: usize) -> Result<Self> {
        let head = head("POST", "/v1/commands", till, "prefer: wait=20\r\n");
        Ok(Self { http: Connection::open(&server.address).await?, head, rng: Rng::fresh(), items })
    }

    /// Repeats a command until it is settled and returns how long that took.
    pub(crate) async fn settle(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let mut body = Vec::new();
        load::sale(&mut self.rng, self.items, &mut body);
        loop {
            match self.http.send(&self.head, &body).await?.status {
                200 => return Ok(began.elapsed()),
                202 | 429 | 503 => {}
                status => bail!("a till got status {status}"),
            }
        }
    }
}

/// Samples the server's memory on its own thread.
struct Memory {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<f64>>,
}

impl Memory {
    fn watch(pid: u32) -> Self {
        const EVERY: Duration = Duration::from_millis(500);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut rss = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                rss.push(rss_mb(pid));
                // The memory of another process must be polled.
                std::thread::sleep(EVERY);
            }
            rss
        });
        Self { stop, thread }
    }

    /// Returns the samples in MB, from the start of the overload to the end of the recovery.
    fn end(self) -> Vec<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

struct Measured<'a> {
    peak_per_s: f64,
    settled_per_s: f64,
    recovered: Duration,
    rss: Vec<f64>,
    flooded: &'a Flooded,
}

fn print_flood(flood: &Flood, flooded: &Flooded, took: Duration) {
    let per_s = |count: u64| count as f64 / took.as_secs_f64();
    println!(
        "overload: {:.0} due/s for {} s on {} connections: {:.0} sent/s, {:.0}/s found no free connection",
        flood.rate,
        flood.duration.as_secs(),
        flood.connections,
        per_s(flooded.sent),
        per_s(flooded.unsent)
    );
    println!(
        "answers: {:.0} accepted/s, {:.0}/s refused with Retry-After, {} other answers, {} broken connections",
        per_s(flooded.accepted),
        per_s(flooded.shed),
        flooded.wrong,
        flooded.broken
    );
}

/// Prints the targets and returns an error if one is missed.
fn print_targets(measured: &Measured<'_>) -> Result<()> {
    let latencies = &measured.flooded.latencies_us;
    let share = measured.settled_per_s / measured.peak_per_s;
    let most = measured.rss.iter().copied().fold(0.0, f64::max);
    let at = |part: usize| measured.rss.get(measured.rss.len() * part / 4).copied().unwrap_or(f64::NAN);
    let rows = [
        (
            "goodput",
            format!("{:.0} settled/s, {:.0} % of the peaks", measured.settled_per_s, share * 100.0),
            "≥ 90 %".to_owned(),
            share >= GOODPUT_MIN,
        ),
        (
            "latency of the accepted",
            format!("p50 {:.0} ms, p99 {:.0} ms", ms(latencies, 50.0), ms(latencies, 99.0)),
            format!("p99 ≤ {} s", LATENCY_MAX.as_secs()),
            ms(latencies, 99.0) <= LATENCY_MAX.as_secs_f64() * 1_000.0,
        ),
        (
            "memory",
            format!("{:.0}, {:.0}, {:.0} MB at 0, ¼, ½; at most {most:.0}", at(0), at(1), at(2)),
            format!("≤ {RSS_MAX_MB} MB"),
            most <= RSS_MAX_MB,
        ),
        (
            "recovery",
            format!("{:.1} s", measured.recovered.as_secs_f64()),
            format!("≤ {} s", RECOVERY_MAX.as_secs()),
            measured.recovered <= RECOVERY_MAX,
        ),
        (
            "refusals without Retry-After",
            measured.flooded.wrong.to_string(),
            "0".to_owned(),
            measured.flooded.wrong == 0,
        ),
    ];
    for (name, found, target, met) in &rows {
        println!("{name:<40} {found:<45} {target:<12} {}", if *met { "met" } else { "MISSED" });
    }
    if rows.iter().any(|(.., met)| !met) {
        bail!("a target was missed");
    }
    Ok(())
}

fn ms(sorted_us: &[u32], percentile: f64) -> f64 {
    percentile_ms(sorted_us, percentile)
}
