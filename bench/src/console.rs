//! Measures how long the console's pages take while tills sell, and how much they slow settling.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio::task::LocalSet;

use crate::http::Connection;
use crate::load::percentile_ms;
use crate::readers::{Times, fill, times};
use crate::server::{Server, stockline_binary, token};

/// The targets: the 95th percentile of a page, and how many times as long settling may take beside the pages.
const PAGE_MS_MAX: f64 = 50.0;
const SETTLE_TIMES_MAX: f64 = 1.2;

/// The pages. Reports read every level with its days, so they are measured and have no target.
const PAGES: [&str; 14] = [
    "",
    "/today",
    "/count",
    "/items",
    "/items?q=item-77",
    "/items?state=low",
    "/items/item-7",
    "/items/new",
    "/refused",
    "/import",
    "/export",
    "/reports",
    "/locations",
    "/operations",
];
const REPORTS: [&str; 4] = ["/reports/sales", "/reports/value", "/reports/reorder", "/today/orders"];

/// Options of `console`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConsoleOptions {
    /// Items of the store, each with two levels
    #[arg(long, default_value_t = 50_000)]
    items: usize,
    /// Commands a second, beside one till that waits for each outcome: half of what this machine sustains
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// People who go from page to page, each a second after the one before
    #[arg(long, default_value_t = 4)]
    people: usize,
    /// Seconds of each measurement, alone and beside the people
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// How long each page took, in µs.
type Taken = Rc<RefCell<BTreeMap<&'static str, Vec<u32>>>>;

/// Fills a store, measures, and fails if a target is missed.
pub(crate) async fn run(options: &ConsoleOptions) -> Result<()> {
    let measured = measure(options).await?;
    print(&measured)
}

struct Measured {
    alone: Times,
    beside: Times,
    pages: BTreeMap<&'static str, Vec<u32>>,
    reports: BTreeMap<&'static str, Vec<u32>>,
}

async fn measure(options: &ConsoleOptions) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    // The server creates the folder; a store alone is not one.
    drop(Server::start(&data)?);
    fill(&data, options.items).await?;
    let server = Server::start(&data)?;
    let till = token(&data, &["--till", "bench", "--ttl", "1d"])?;
    let cookie = signed_in(&server, &data).await?;
    let (duration, load) = (Duration::from_secs(options.seconds), (options.items, options.rate));
    println!("{} levels, {} commands/s, {} people at the pages", options.items * 2, options.rate, options.people);
    // The first sales and pages fill the caches of both measurements.
    times(&server, &till, load, Duration::from_secs(1)).await?;
    let warm = Taken::default();
    for page in PAGES {
        visit(&mut Connection::open(&server.address).await?, &cookie, page, &warm).await?;
    }
    let alone = times(&server, &till, load, duration).await?;
    let taken = Taken::default();
    let local = LocalSet::new();
    let people: Vec<_> = (0..options.people)
        .map(|n| local.spawn_local(browse(server.address.clone(), cookie.clone(), n, Rc::clone(&taken))))
        .collect();
    let beside = local.run_until(times(&server, &till, load, duration)).await?;
    for person in people.into_iter().filter(|person| person.is_finished()) {
        person.await?.context("a person ended")?;
    }
    drop(local);
    let reports = Taken::default();
    let mut http = Connection::open(&server.address).await?;
    for report in REPORTS.iter().cycle().take(3 * REPORTS.len()) {
        visit(&mut http, &cookie, report, &reports).await?;
    }
    server.stop()?;
    let [pages, reports] = [taken.take(), reports.take()].map(|mut taken| {
        taken.values_mut().for_each(|times| times.sort_unstable());
        taken
    });
    Ok(Measured { alone, beside, pages, reports })
}

/// Signs a manager in by a link, and returns the cookie.
async fn signed_in(server: &Server, data: &Path) -> Result<String> {
    let made = Command::new(stockline_binary()?)
        .args(["console", "link", "--role", "manager", "--data"])
        .arg(data)
        .output()?;
    let link = String::from_utf8(made.stdout)?;
    let code = link.trim().rsplit('/').next().context("no link")?;
    let head = "POST /console/sign-in HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n\
                content-type: application/x-www-form-urlencoded\r\n";
    let mut http = Connection::open(&server.address).await?;
    let answer = http.send(head, format!("code={code}").as_bytes()).await?;
    answer.cookie.with_context(|| format!("nobody was signed in: {}", answer.status))
}

/// Goes from page to page, one a second, until the task is dropped.
async fn browse(address: String, cookie: String, first: usize, taken: Taken) -> Result<()> {
    let mut http = Connection::open(&address).await?;
    let mut turns = tokio::time::interval(Duration::from_secs(1));
    for page in PAGES.into_iter().cycle().skip(first * 3) {
        turns.tick().await;
        visit(&mut http, &cookie, page, &taken).await?;
    }
    Ok(())
}

async fn visit(http: &mut Connection, cookie: &str, page: &'static str, taken: &Taken) -> Result<()> {
    let head = format!("GET /console{page} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n");
    let began = Instant::now();
    let answer = http.send(&head, &[]).await?;
    ensure!(answer.status == 200, "{page} answered {}", answer.status);
    let us = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
    taken.borrow_mut().entry(page).or_default().push(us);
    Ok(())
}

/// Prints the times and returns an error if a target is missed.
fn print(measured: &Measured) -> Result<()> {
    let mut missed = false;
    let mut verdict = |met: bool| {
        missed |= !met;
        if met { "met" } else { "MISSED" }
    };
    for (page, times) in &measured.pages {
        let (half, most) = (percentile_ms(times, 50.0), percentile_ms(times, 95.0));
        let met = verdict(most <= PAGE_MS_MAX);
        println!("/console{page:<18} {half:>8.1} ms p50 {most:>8.1} ms p95 (≤ {PAGE_MS_MAX} ms) {met}");
    }
    for (page, times) in &measured.reports {
        println!("/console{page:<18} {:>8.1} ms p50", percentile_ms(times, 50.0));
    }
    for (name, percentile) in [("settled p50", 50.0), ("settled p99", 99.0)] {
        let [alone, beside] =
            [&measured.alone, &measured.beside].map(|times| percentile_ms(&times.settled_us, percentile));
        let met = verdict(beside <= alone * SETTLE_TIMES_MAX);
        println!(
            "{name} {alone:.1} ms alone, {beside:.1} ms beside: {:.2} × (≤ {SETTLE_TIMES_MAX} ×) {met}",
            beside / alone
        );
    }
    if missed {
        bail!("a target was missed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_page_is_visited_while_tills_sell() {
        let options = ConsoleOptions { items: 300, rate: 50.0, people: 8, seconds: 3 };
        let measured = measure(&options).await.unwrap();
        assert!(
            measured.pages.len() == PAGES.len() && measured.reports.len() == REPORTS.len(),
            "{:?}",
            measured.pages.keys()
        );
        assert!(!measured.alone.settled_us.is_empty() && !measured.beside.settled_us.is_empty());
    }
}
