//! Measures what a till waits for that keeps its own list of the stock, while other tills sell.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::http::{Connection, head};
use crate::load::{self, Load, percentile_ms};
use crate::readers;
use crate::server::{Server, token};

/// The target for a page of [`PAGE`] levels, in milliseconds.
const PAGE_P99_MS_MAX: f64 = 20.0;
const PAGE: usize = 1_000;

/// Options of `sync`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SyncOptions {
    /// Items of the store, each with two levels
    #[arg(long, default_value_t = 50_000)]
    items: usize,
    /// Sales a second meanwhile
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Seconds of the measurement
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// What a reader got.
#[derive(Debug, Default)]
struct Read {
    /// The times of full pages, in µs.
    full_us: Vec<u32>,
    /// The times of readings that go on where the one before ended, in µs.
    next_us: Vec<u32>,
    /// The entries of those readings.
    changed: usize,
}

/// Fills a store, and fails if the target is missed.
pub(crate) async fn run(options: &SyncOptions) -> Result<()> {
    let mut read = measure(options).await?;
    read.full_us.sort_unstable();
    read.next_us.sort_unstable();
    let p = |sorted: &[u32], percentile| percentile_ms(sorted, percentile);
    println!(
        "{} pages of {PAGE} levels: p50 {:.1} ms, p99 {:.1} ms (≤ {PAGE_P99_MS_MAX} ms)",
        read.full_us.len(),
        p(&read.full_us, 50.0),
        p(&read.full_us, 99.0)
    );
    println!(
        "{} readings of what has changed, {} levels: p50 {:.1} ms, p99 {:.1} ms",
        read.next_us.len(),
        read.changed,
        p(&read.next_us, 50.0),
        p(&read.next_us, 99.0)
    );
    if p(&read.full_us, 99.0) > PAGE_P99_MS_MAX {
        bail!("the target was missed");
    }
    Ok(())
}

async fn measure(options: &SyncOptions) -> Result<Read> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    // The server creates the folder; a store alone is not one.
    drop(Server::start(&data)?);
    readers::fill(&data, options.items).await?;
    let server = Server::start(&data)?;
    let till = token(&data, &["--till", "bench", "--ttl", "1d"])?;
    let reader = token(&data, &["--role", "staff", "--subject", "reader", "--ttl", "1d"])?;
    let duration = Duration::from_secs(options.seconds);
    println!("{} levels, {} sales a second", 2 * options.items, options.rate);
    let load = Load {
        address: server.address.clone(),
        token: till,
        connections: 4,
        batch: 1,
        items: options.items,
        duration,
        rate: Some(options.rate),
    };
    let (_, read) = tokio::try_join!(load::run(&load), read(&server.address, &reader, duration))?;
    server.stop()?;
    Ok(read)
}

/// Reads the whole list again and again, and after each time once what has changed since.
async fn read(address: &str, token: &str, duration: Duration) -> Result<Read> {
    let mut http = Connection::open(address).await?;
    let (began, mut read) = (Instant::now(), Read::default());
    while began.elapsed() < duration {
        let (mut cursor, mut since) = (String::new(), "1970-01-01T00:00:00Z".to_owned());
        let is_first = |since: &str| since.starts_with("1970");
        loop {
            let mut path = format!("/v1/stock?updated_since={since}&limit={PAGE}");
            if !cursor.is_empty() {
                path.push_str(&format!("&cursor={cursor}"));
            }
            let asked = Instant::now();
            let response = http.send(&head("GET", &path, token, ""), &[]).await?;
            let us = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX);
            let body = std::str::from_utf8(response.body)?;
            if response.status != 200 {
                bail!("{path} answered {}: {body}", response.status);
            }
            let entries = body.matches(r#""item_id":"#).count();
            let text = |name: &str| body.rsplit_once(&format!(r#""{name}":""#))?.1.split('"').next();
            cursor = text("next_cursor").unwrap_or_default().to_owned();
            if !is_first(&since) {
                read.next_us.push(us);
                read.changed += entries;
            } else if entries == PAGE {
                read.full_us.push(us);
            }
            if cursor.is_empty() {
                if !is_first(&since) {
                    break;
                }
                since = text("next_updated_since").unwrap_or_default().to_owned();
            }
            if began.elapsed() >= duration {
                break;
            }
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_till_reads_every_level_and_then_what_has_changed() {
        let read = measure(&SyncOptions { items: 700, rate: 50.0, seconds: 3 }).await.unwrap();
        assert!(!read.full_us.is_empty() && !read.next_us.is_empty() && read.changed > 0, "{read:?}");
    }
}
