//! Two workers against one, where the store takes its time: what a fleet gains.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stockline_core::domain::encode_message;
use stockline_core::ports::{CommandSender, Pack};

use crate::load::Dice;
use crate::slow::SlowStore;
use crate::stage::{Opening, Pace, Stage, open, queue_of, sold, start_worker};

/// How to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ScaleOptions {
    /// Commands of each run, each of an item of its own.
    #[arg(long, default_value_t = 2_400)]
    commands: usize,
    /// Receives in work at once, of each worker.
    #[arg(long, default_value_t = 8)]
    permits: usize,
    /// Receives that wait side by side, of each worker.
    #[arg(long, default_value_t = 1)]
    receivers: usize,
    /// Messages of one receive. On a busy machine fewer keep the engine, one thread here, from being what is measured.
    #[arg(long, default_value_t = 10)]
    receive_max: usize,
    /// Added to every call of the store, in milliseconds.
    #[arg(long, default_value_t = 100)]
    delay_ms: u64,
}

/// A queue in which nothing moved for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures and prints.
pub(crate) async fn run(options: &ScaleOptions) -> Result<()> {
    let stage = Stage::set().await?;
    let opening =
        |item| Ok(Opening { item_id: format!("item-{item}").parse()?, locations: vec!["main".parse()?], sales: 0 });
    let openings = (0..options.commands).map(opening).collect::<Result<Vec<_>>>()?;
    open(&*stage.store, &openings).await?;
    let delay = Duration::from_millis(options.delay_ms);
    let ScaleOptions { commands, permits, receivers, receive_max, .. } = options;
    println!(
        "{commands} commands of as many items, one a message; a worker has {permits} permits and {receivers} receivers \
         of {receive_max} messages"
    );
    let mut rates = Vec::new();
    for (what, workers, delay) in [
        ("one worker", 1_u32, delay),
        ("two workers", 2, delay),
        ("two workers, no delay: the engine's ceiling", 2, Duration::ZERO),
    ] {
        let rate = drain(&stage, &openings, workers, options, delay).await?;
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

/// One sale of each item, queued beforehand; commands per second until the last is settled.
async fn drain(
    stage: &Stage,
    openings: &[Opening],
    workers: u32,
    options: &ScaleOptions,
    delay: Duration,
) -> Result<f64> {
    stage.stub.hold(true);
    send(stage, openings).await?;
    let store = Arc::new(SlowStore::new(stage.store.clone(), delay, delay));
    // Each worker is a process with clients of its own.
    let pace = Pace { permits: options.permits, receivers: options.receivers, receive_max: options.receive_max };
    let working: Vec<_> =
        (0..workers).map(|_| start_worker(pace, Arc::new(queue_of(&stage.stub)), store.clone())).collect();
    let started = Instant::now();
    stage.stub.hold(false);
    stage.stub.drained(PATIENCE).await?;
    let elapsed = started.elapsed();
    for worker in working {
        worker.stop().await?;
    }
    Ok(openings.len() as f64 / elapsed.as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "each run's commands and packs are new ones")]
async fn send(stage: &Stage, openings: &[Opening]) -> Result<()> {
    let mut dice = Dice::fresh();
    let mut packs = Vec::with_capacity(openings.len());
    for Opening { item_id, locations, .. } in openings {
        let queued = sold(item_id, &locations[0], &mut dice)?;
        let body = encode_message(item_id, [&queued]).into();
        packs.push(Pack { item_id: item_id.clone(), dedup_id: uuid::Uuid::new_v4(), body });
    }
    for some in packs.chunks(stage.queue.max_batch()) {
        let failed = stage.queue.send(some.to_vec()).await.into_iter().find_map(Result::err);
        ensure!(failed.is_none(), "a pack could not be queued: {failed:?}");
    }
    Ok(())
}
