//! The ports of one worker or one alerter, with faults at chosen calls: errors, lost answers, deaths, pauses.

mod alerter;
mod plan;
mod wire;
mod worker;

pub use alerter::{FaultyAlerter, Outbox};
pub use plan::{Call, Edge, Kind, Plan, Point};
pub use wire::FaultyWire;
pub use worker::{Faulty, GIVE_BACK_AT_SHUTDOWN, Oddities, SLOW_COMMIT, Traces};

/// Does `work` while the paused clock stands still. A paused clock does not wait for the threads and sockets of an
/// engine, and would advance to the next timer. So `work` must not wait for a timer itself.
pub async fn in_real_time<T>(work: impl Future<Output = T>) -> T {
    // The clock stands still while a blocking task of its runtime runs.
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let _stands = tokio::task::spawn_blocking(move || _ = wait.recv());
    let answer = work.await;
    drop(done);
    answer
}
