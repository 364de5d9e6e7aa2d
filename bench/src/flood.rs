//! The open-loop load generator: requests are due at a fixed rate, whether earlier ones were answered or not, and
//! clients ignore `Retry-After`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::LocalSet;

use crate::http::{Connection, head};
use crate::load;
use crate::rng::Rng;

/// A request that finds no free connection for this long is counted and not sent.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(1);

/// The load to offer.
#[derive(Debug, Clone)]
pub(crate) struct Flood {
    /// `host:port`.
    pub(crate) address: String,
    /// A till's token.
    pub(crate) token: String,
    /// Requests per second, each with one command.
    pub(crate) rate: f64,
    /// Connections with one request at a time each; more than the server handles concurrently.
    pub(crate) connections: usize,
    /// Items that are sold.
    pub(crate) items: usize,
    /// How long to send.
    pub(crate) duration: Duration,
}

/// The answers, counted.
#[derive(Debug, Default)]
pub(crate) struct Flooded {
    /// Requests that were sent.
    pub(crate) sent: u64,
    /// Due requests that found no free connection.
    pub(crate) unsent: u64,
    /// Requests that were answered 202.
    pub(crate) accepted: u64,
    /// Requests that were answered 429 or 503 with `Retry-After`.
    pub(crate) shed: u64,
    /// Requests with any other answer, 429 or 503 without `Retry-After` included.
    pub(crate) wrong: u64,
    /// Connections that broke.
    pub(crate) broken: u64,
    /// The times of accepted requests from sending to the answer, in µs, sorted.
    pub(crate) latencies_us: Vec<u32>,
}

/// Hands out the send times in order.
struct Turns {
    began: Instant,
    rate: f64,
    next: Cell<u64>,
}

impl Turns {
    /// Returns the next send time. Send times that no connection was free for are skipped and counted.
    fn take(&self, flooded: &RefCell<Flooded>) -> Instant {
        let at = |turn: u64| self.began + Duration::from_secs_f64(turn as f64 / self.rate);
        let mut turn = self.next.get();
        let behind = self.began.elapsed().saturating_sub(WAIT_FOR_CONNECTION);
        let oldest = (behind.as_secs_f64() * self.rate) as u64;
        if turn < oldest {
            flooded.borrow_mut().unsent += oldest - turn;
            turn = oldest;
        }
        self.next.set(turn + 1);
        at(turn)
    }
}

/// Sends the load on the runtime of this thread.
pub(crate) async fn run(flood: &Flood) -> Result<Flooded> {
    let head: Rc<str> = head("POST", "/v1/commands", &flood.token, "").into();
    let turns = Rc::new(Turns { began: Instant::now(), rate: flood.rate, next: Cell::new(0) });
    let flooded = Rc::new(RefCell::new(Flooded::default()));
    let local = LocalSet::new();
    for _ in 0..flood.connections {
        local.spawn_local(client(flood.clone(), head.clone(), turns.clone(), flooded.clone()));
    }
    local.await;
    let mut flooded = flooded.take();
    flooded.latencies_us.sort_unstable();
    Ok(flooded)
}

async fn client(flood: Flood, head: Rc<str>, turns: Rc<Turns>, flooded: Rc<RefCell<Flooded>>) {
    let (mut rng, mut body) = (Rng::fresh(), Vec::new());
    let end = turns.began + flood.duration;
    let mut connection: Option<Connection> = None;
    loop {
        let due = turns.take(&flooded);
        if due >= end || Instant::now() >= end {
            return;
        }
        tokio::time::sleep_until(due.into()).await;
        let Some(open) = &mut connection else {
            connection = Connection::open(&flood.address).await.ok();
            continue;
        };
        body.clear();
        load::sale(&mut rng, flood.items, &mut body);
        flooded.borrow_mut().sent += 1;
        let sent = Instant::now();
        let answer = open.send(&head, &body).await.map(|answer| (answer.status, answer.retry_after));
        let mut flooded = flooded.borrow_mut();
        match answer {
            Ok((202, _)) => {
                flooded.accepted += 1;
                flooded.latencies_us.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Ok((429 | 503, true)) => flooded.shed += 1,
            Ok(_) => flooded.wrong += 1,
            Err(_) => {
                flooded.broken += 1;
                connection = None;
            }
        }
    }
}
