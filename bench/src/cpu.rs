//! CPU time per command of worker and ingress with the AWS adapters, against endpoints that answer at once.
//!
//! What is measured runs on threads of its own name, and the kernel tells what they used; generator and endpoints run
//! beside it on others.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stockline_aws::{DynamoOptions, DynamoStore};
use stockline_core::domain::encode_message;
use stockline_core::ports::{CommandSender, Pack};
use stockline_service::SystemClock;
use tokio::runtime::Runtime;

use crate::api::Api;
use crate::canned::Canned;
use crate::engine::{TABLE, dynamodb_client};
use crate::load::{self, Dice, Load};
use crate::stage::{Opening, Pace, Stage, open, queue_of, sold, start_worker};
use crate::stub::Stub;

/// How to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CpuOptions {
    /// Messages of the worker's runs.
    #[arg(long, default_value_t = 5_000)]
    messages: usize,
    /// Seconds of each of the ingress's runs.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Receives in work at once.
    #[arg(long, default_value_t = 8)]
    permits: usize,
}

/// The name of threads whose time counts.
const MEASURED: &str = "measured";
/// Items of the ingress's runs and of the worker's with one command a message.
const ITEMS: usize = 1_000;
/// A queue in which nothing moved for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures and prints.
pub(crate) fn run(options: &CpuOptions) -> Result<()> {
    let beside = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{:<44} {:>12} {:>14} {:>10}", "", "commands/s", "CPU µs/command", "commands");
    for (what, pack, items) in [
        ("worker, one command a message", 1, ITEMS),
        ("worker, 10 a message", 10, ITEMS),
        ("worker, 100 a message, one item", 100, 1),
    ] {
        let messages = if items == 1 { options.messages.div_ceil(10) } else { options.messages };
        let measured = measure_worker(&beside, options, pack, items, messages)?;
        print_line(what, &measured);
    }
    for (what, batch, connections) in
        [("ingress, single POSTs, 64 connections", 1, 64), ("ingress, batches of 100, 16 connections", BATCH, 16)]
    {
        let measured = measure_ingress(&beside, options, batch, connections)?;
        print_line(what, &measured);
    }
    Ok(())
}

/// CPU seconds per command.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct CpuFigures {
    /// Worker, one command a message and ten messages a receive.
    pub(crate) worker_single_s: f64,
    /// Worker, a hundred a message, all of one item.
    pub(crate) worker_packed_s: f64,
    /// Ingress, one command a request.
    pub(crate) ingress_single_s: f64,
    /// Ingress, [`BATCH`] commands a request.
    pub(crate) ingress_batch_s: f64,
}

/// Commands of a request where they come in batches.
pub(crate) const BATCH: usize = 100;

/// Measures for a few seconds.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn figures() -> Result<CpuFigures> {
    let options = CpuOptions { messages: 3_000, seconds: 3, permits: 8 };
    let beside = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let per_command = |measured: Measured| measured.cpu.as_secs_f64() / (measured.commands.max(1) as f64);
    Ok(CpuFigures {
        worker_single_s: per_command(measure_worker(&beside, &options, 1, ITEMS, options.messages)?),
        worker_packed_s: per_command(measure_worker(&beside, &options, 100, 1, options.messages / 10)?),
        ingress_single_s: per_command(measure_ingress(&beside, &options, 1, 64)?),
        ingress_batch_s: per_command(measure_ingress(&beside, &options, BATCH, 16)?),
    })
}

struct Measured {
    commands: u64,
    elapsed: Duration,
    cpu: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn print_line(what: &str, measured: &Measured) {
    let commands = measured.commands as f64;
    let rate = commands / measured.elapsed.as_secs_f64();
    println!("{what:<44} {rate:>12.0} {:>14.1} {commands:>10.0}", measured.cpu.as_secs_f64() * 1e6 / commands);
}

/// Two threads, as on this many cores.
fn measured_runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name(MEASURED).enable_all().build()?)
}

fn measure_worker(
    beside: &Runtime,
    options: &CpuOptions,
    pack: usize,
    items: usize,
    messages: usize,
) -> Result<Measured> {
    let (stub, canned) = beside.block_on(prepare_worker(pack, items, messages))?;
    let runtime = measured_runtime()?;
    let worker = runtime.block_on(async {
        let client = dynamodb_client(canned.url(), None);
        let store = DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), Arc::new(SystemClock));
        start_worker(Pace::of(options.permits), Arc::new(queue_of(&stub)), Arc::new(store))
    });
    let (cpu, started) = (cpu_time()?, Instant::now());
    stub.hold(false);
    beside.block_on(stub.drained(PATIENCE))?;
    let measured = Measured { commands: (messages * pack) as u64, elapsed: started.elapsed(), cpu: cpu_time()? - cpu };
    beside.block_on(worker.stop())?;
    Ok(measured)
}

/// A table to answer from, and messages that wait.
#[expect(clippy::disallowed_methods, reason = "each pack is a new one")]
async fn prepare_worker(pack: usize, items: usize, messages: usize) -> Result<(Stub, Canned)> {
    let stage = Stage::set().await?;
    let opening =
        |item| Ok(Opening { item_id: format!("item-{item}").parse()?, locations: vec!["main".parse()?], sales: 6 });
    let openings = (0..items).map(opening).collect::<Result<Vec<_>>>()?;
    open(&*stage.store, &openings).await?;
    let canned = Canned::copy_of(&stage.engine).await?;
    stage.stub.hold(true);
    let mut dice = Dice::fresh();
    for n in 0..messages {
        let Opening { item_id, locations, .. } = &openings[n % items];
        let queued = (0..pack).map(|_| sold(item_id, &locations[0], &mut dice)).collect::<Result<Vec<_>>>()?;
        let body = encode_message(item_id, &queued).into();
        let pack = Pack { item_id: item_id.clone(), dedup_id: uuid::Uuid::new_v4(), body };
        let failed = stage.queue.send(vec![pack]).await.into_iter().find_map(Result::err);
        ensure!(failed.is_none(), "a pack could not be queued: {failed:?}");
    }
    Ok((stage.stub, canned))
}

fn measure_ingress(beside: &Runtime, options: &CpuOptions, batch: usize, connections: usize) -> Result<Measured> {
    let stub = Stub::start()?;
    let runtime = measured_runtime()?;
    let api = runtime.block_on(async {
        // Accepting commands reads nothing: no table is behind it.
        let client = dynamodb_client(stub.url(), None);
        let queries = DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), Arc::new(SystemClock));
        // Its tasks are to run on the measured threads.
        tokio::spawn(Api::start(Arc::new(queue_of(&stub)), Arc::new(queries))).await?
    })?;
    let load = Load {
        address: api.address.clone(),
        token: api.token.clone(),
        connections,
        batch,
        items: ITEMS,
        duration: Duration::from_secs(options.seconds),
        rate: None,
    };
    let cpu = cpu_time()?;
    let accepted = beside.block_on(load::run(&load))?;
    let measured = Measured { commands: accepted.commands, elapsed: accepted.elapsed, cpu: cpu_time()? - cpu };
    beside.block_on(api.stop())?;
    Ok(measured)
}

/// What the measured threads used so far (proc_pid_schedstat(5): nanoseconds on the CPU first).
fn cpu_time() -> Result<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let path = thread?.path();
        if name_of(&path).as_deref() == Some(MEASURED) {
            let text = std::fs::read_to_string(path.join("schedstat"))?;
            nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// `None` for a thread that has ended meanwhile.
fn name_of(thread: &Path) -> Option<String> {
    Some(std::fs::read_to_string(thread.join("comm")).ok()?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_measured_threads_is_told() {
        let beside = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = CpuOptions { messages: 20, seconds: 1, permits: 2 };
        let worker = measure_worker(&beside, &options, 2, 5, 20).unwrap();
        assert_eq!(worker.commands, 40);
        assert!(worker.cpu > Duration::ZERO && worker.cpu < 2 * worker.elapsed, "{:?}", worker.cpu);
        let ingress = measure_ingress(&beside, &options, 1, 2).unwrap();
        assert!(ingress.commands > 0 && ingress.cpu > Duration::ZERO);
    }
}
