//! Compares two workers with one on a slow store: the gain of a fleet.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stockline_core::domain::encode_message;
use stockline_core::ports::{CommandSender, Pack};

use crate::rng::Rng;
use crate::slow::SlowStore;
use crate::testbed::{Opening, ReceiveSettings, Testbed, open, queue_of, sold, start_worker};

/// Options of `scale-out`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ScaleOptions {
    /// Commands per run, each for its own item
    #[arg(long, default_value_t = 2_400)]
    commands: usize,
    /// Receives that each worker processes at once
    #[arg(long, default_value_t = 8)]
    permits: usize,
    /// Receives that wait in parallel in each worker
    #[arg(long, default_value_t = 1)]
    receivers: usize,
    /// Messages per receive; on a busy machine use fewer, or the engine's single thread limits the result
    #[arg(long, default_value_t = 10)]
    receive_max: usize,
    /// Milliseconds added to every store call
    #[arg(long, default_value_t = 100)]
    delay_ms: u64,
}

/// A queue without progress for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures and prints the result.
pub(crate) async fn run(options: &ScaleOptions) -> Result<()> {
    let testbed = Testbed::start().await?;
    let opening =
        |item| Ok(Opening { item_id: format!("item-{item}").parse()?, locations: vec!["main".parse()?], sales: 0 });
    let openings = (0..options.commands).map(opening).collect::<Result<Vec<_>>>()?;
    open(&*testbed.store, &openings).await?;
    let delay = Duration::from_millis(options.delay_ms);
    let ScaleOptions { commands, permits, receivers, receive_max, .. } = options;
    println!(
        "{commands} commands for as many items, one per message; each worker has {permits} permits and {receivers} \
         receivers of {receive_max} messages"
    );
    let mut rates = Vec::new();
    for (what, workers, delay) in [
        ("one worker", 1_u32, delay),
        ("two workers", 2, delay),
        ("two workers, no delay: the engine's ceiling", 2, Duration::ZERO),
    ] {
        let rate = drain(&testbed, &openings, workers, options, delay).await?;
        let message_ms = 1_000.0 * f64::from(workers) / rate;
        println!(
            "{what:<44} {rate:>8.0} commands/s, {message_ms:>6.2} ms of a worker per message   {} ms added per store call",
            delay.as_millis()
        );
        rates.push(rate);
    }
    println!("\ntwo ÷ one: {:.2}; two ÷ ceiling: {:.2}", rates[1] / rates[0], rates[1] / rates[2]);
    Ok(())
}

/// Queues one sale per item, starts the workers, and returns the commands settled per second.
async fn drain(
    testbed: &Testbed,
    openings: &[Opening],
    workers: u32,
    options: &ScaleOptions,
    delay: Duration,
) -> Result<f64> {
    testbed.stub.hold(true);
    send(testbed, openings).await?;
    let store = Arc::new(SlowStore::new(testbed.store.clone(), delay, delay));
    // Deployed workers are separate processes, so each gets its own clients.
    let pace =
        ReceiveSettings { permits: options.permits, receivers: options.receivers, receive_max: options.receive_max };
    let working: Vec<_> =
        (0..workers).map(|_| start_worker(pace, Arc::new(queue_of(&testbed.stub)), store.clone())).collect();
    let started = Instant::now();
    testbed.stub.hold(false);
    testbed.stub.drained(PATIENCE).await?;
    let elapsed = started.elapsed();
    for worker in working {
        worker.stop().await?;
    }
    Ok(openings.len() as f64 / elapsed.as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "every run sends new commands and packs")]
async fn send(testbed: &Testbed, openings: &[Opening]) -> Result<()> {
    let mut rng = Rng::fresh();
    let mut packs = Vec::with_capacity(openings.len());
    for Opening { item_id, locations, .. } in openings {
        let queued = sold(item_id, &locations[0], &mut rng)?;
        let body = encode_message(item_id, [&queued]).into();
        packs.push(Pack { item_id: item_id.clone(), dedup_id: uuid::Uuid::new_v4(), body });
    }
    for some in packs.chunks(testbed.queue.max_batch()) {
        let failed = testbed.queue.send(some.to_vec()).await.into_iter().find_map(Result::err);
        ensure!(failed.is_none(), "a pack could not be queued: {failed:?}");
    }
    Ok(())
}
