//! The closed-loop load generator: each connection sends its next request when the last one was answered.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::task::LocalSet;

use crate::http::{Connection, head};
use crate::rng::Rng;

/// The load to send.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// `host:port`.
    pub(crate) address: String,
    /// A till's token.
    pub(crate) token: String,
    /// Keep-alive connections; each is a closed loop.
    pub(crate) connections: usize,
    /// Commands per request: 1 is a single POST, more a batch.
    pub(crate) batch: usize,
    /// Sales go to `item-0` … `item-(items−1)`, uniformly.
    pub(crate) items: usize,
    /// How long to send.
    pub(crate) duration: Duration,
    /// Requests per second over all connections; `None` sends as fast as answers arrive.
    pub(crate) rate: Option<f64>,
}

/// The answers, counted.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    /// Commands that were answered 202.
    pub(crate) commands: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// The times of all requests from sending to the answer, in µs, sorted.
    pub(crate) latencies_us: Vec<u32>,
}

impl Accepted {
    pub(crate) fn per_second(&self) -> f64 {
        self.commands as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn percentile_ms(&self, percentile: f64) -> f64 {
        percentile_ms(&self.latencies_us, percentile)
    }
}

/// Returns a percentile of sorted times in µs, as milliseconds.
pub(crate) fn percentile_ms(sorted_us: &[u32], percentile: f64) -> f64 {
    let at = ((sorted_us.len() as f64 * percentile / 100.0) as usize).min(sorted_us.len().saturating_sub(1));
    sorted_us.get(at).map_or(f64::NAN, |us| f64::from(*us) / 1_000.0)
}

/// Appends one sale as JSON.
pub(crate) fn sale(rng: &mut Rng, items: usize, out: &mut Vec<u8>) {
    let (id, item) = (rng.uuid(), rng.below(items));
    out.extend_from_slice(
        format!(
            r#"{{"type":"sell","command_id":"{id}","item_id":"item-{item}","location_id":"main","quantity":"1","on_shortage":"allow","device_id":"till-1"}}"#
        )
        .as_bytes(),
    );
}

fn body(rng: &mut Rng, load: &Load, out: &mut Vec<u8>) {
    out.clear();
    if load.batch == 1 {
        return sale(rng, load.items, out);
    }
    out.extend_from_slice(br#"{"commands":["#);
    for index in 0..load.batch {
        if index > 0 {
            out.push(b',');
        }
        sale(rng, load.items, out);
    }
    out.extend_from_slice(b"]}");
}

/// Sends the load on the runtime of this thread.
pub(crate) async fn run(load: &Load) -> Result<Accepted> {
    let path = if load.batch == 1 { "/v1/commands" } else { "/v1/commands/batch" };
    let head = Rc::new(head("POST", path, &load.token, ""));
    let started = Instant::now();
    let sent = Rc::new(Cell::new(0_u64));
    let local = LocalSet::new();
    let mut tasks = Vec::new();
    for _ in 0..load.connections {
        let (load, head, sent) = (load.clone(), head.clone(), sent.clone());
        tasks.push(local.spawn_local(async move {
            let mut rng = Rng::fresh();
            let mut http = Connection::open(&load.address).await?;
            let (mut request, mut latencies, mut accepted) = (Vec::new(), Vec::new(), 0_u64);
            while started.elapsed() < load.duration {
                let mut due = Instant::now();
                if let Some(rate) = load.rate {
                    let turn = sent.get();
                    sent.set(turn + 1);
                    let turn_at = started + Duration::from_secs_f64(turn as f64 / rate);
                    if turn_at > due {
                        // The request is in time. The timer's delay belongs to the generator, so it is not counted.
                        tokio::time::sleep_until(turn_at.into()).await;
                        due = Instant::now();
                    } else {
                        due = turn_at;
                    }
                }
                body(&mut rng, &load, &mut request);
                let response = http.send(&head, &request).await?;
                if response.status != 202 {
                    bail!("answered {}: {}", response.status, String::from_utf8_lossy(response.body));
                }
                accepted += load.batch as u64;
                // A late request counts from its due time, because waiting for a slow server is latency too.
                latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Ok((accepted, latencies))
        }));
    }
    let mut all = Accepted::default();
    local
        .run_until(async {
            for task in tasks {
                let (accepted, latencies) = task.await??;
                all.commands += accepted;
                all.latencies_us.extend(latencies);
            }
            anyhow::Ok(())
        })
        .await?;
    all.elapsed = started.elapsed();
    all.latencies_us.sort_unstable();
    Ok(all)
}
