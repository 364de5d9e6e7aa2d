//! Measures the CPU time per command of worker and ingress with the AWS adapters, against endpoints that answer at
//! once.
//!
//! The measured code runs on threads with a name of their own, whose CPU time the kernel reports. Generator and
//! endpoints run on other threads.
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
use crate::load::{self, Load};
use crate::rng::Rng;
use crate::sqs_stub::SqsStub;
use crate::testbed::{Opening, ReceiveSettings, Testbed, open, queue_of, sold, start_worker};

/// Options of `cpu`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CpuOptions {
    /// Messages per worker run
    #[arg(long, default_value_t = 5_000)]
    messages: usize,
    /// Seconds per ingress run
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Receives that are processed at once
    #[arg(long, default_value_t = 8)]
    permits: usize,
}

/// The name of the measured threads.
const MEASURED: &str = "measured";
/// Items of the ingress runs, and of the worker runs with one command a message.
const ITEMS: usize = 1_000;
/// A queue without progress for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures and prints the result.
pub(crate) fn run(options: &CpuOptions) -> Result<()> {
    let background = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{:<44} {:>12} {:>14} {:>10}", "", "commands/s", "CPU µs/command", "commands");
    for (what, pack, items) in [
        ("worker, one command a message", 1, ITEMS),
        ("worker, 10 a message", 10, ITEMS),
        ("worker, 100 a message, one item", 100, 1),
    ] {
        let messages = if items == 1 { options.messages.div_ceil(10) } else { options.messages };
        let measured = measure_worker(&background, options, pack, items, messages)?;
        print_line(what, &measured);
    }
    for (what, batch, connections) in
        [("ingress, single POSTs, 64 connections", 1, 64), ("ingress, batches of 100, 16 connections", BATCH, 16)]
    {
        let measured = measure_ingress(&background, options, batch, connections)?;
        print_line(what, &measured);
    }
    Ok(())
}

/// CPU seconds per command.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct CpuFigures {
    /// The worker with one command a message and ten messages a receive.
    pub(crate) worker_single_s: f64,
    /// The worker with a hundred commands a message, all for one item.
    pub(crate) worker_packed_s: f64,
    /// The ingress with one command a request.
    pub(crate) ingress_single_s: f64,
    /// The ingress with [`BATCH`] commands a request.
    pub(crate) ingress_batch_s: f64,
}

/// Commands per batch request.
pub(crate) const BATCH: usize = 100;

/// Measures all four figures in a few seconds.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn figures() -> Result<CpuFigures> {
    let options = CpuOptions { messages: 3_000, seconds: 3, permits: 8 };
    let background = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let per_command = |measured: Measured| measured.cpu.as_secs_f64() / (measured.commands.max(1) as f64);
    Ok(CpuFigures {
        worker_single_s: per_command(measure_worker(&background, &options, 1, ITEMS, options.messages)?),
        worker_packed_s: per_command(measure_worker(&background, &options, 100, 1, options.messages / 10)?),
        ingress_single_s: per_command(measure_ingress(&background, &options, 1, 64)?),
        ingress_batch_s: per_command(measure_ingress(&background, &options, BATCH, 16)?),
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

/// Returns a runtime with two threads, as on two cores.
fn measured_runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name(MEASURED).enable_all().build()?)
}

fn measure_worker(
    background: &Runtime,
    options: &CpuOptions,
    pack: usize,
    items: usize,
    messages: usize,
) -> Result<Measured> {
    let (stub, canned) = background.block_on(prepare_worker(pack, items, messages))?;
    let runtime = measured_runtime()?;
    let worker = runtime.block_on(async {
        let client = dynamodb_client(canned.url(), None);
        let store = DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), Arc::new(SystemClock));
        start_worker(ReceiveSettings::one_receiver(options.permits), Arc::new(queue_of(&stub)), Arc::new(store))
    });
    let (cpu, started) = (cpu_time()?, Instant::now());
    stub.hold(false);
    background.block_on(stub.drained(PATIENCE))?;
    let measured = Measured { commands: (messages * pack) as u64, elapsed: started.elapsed(), cpu: cpu_time()? - cpu };
    background.block_on(worker.stop())?;
    Ok(measured)
}

/// Returns a queue with waiting messages and a table to answer from.
#[expect(clippy::disallowed_methods, reason = "every pack is new")]
async fn prepare_worker(pack: usize, items: usize, messages: usize) -> Result<(SqsStub, Canned)> {
    let testbed = Testbed::start().await?;
    let opening =
        |item| Ok(Opening { item_id: format!("item-{item}").parse()?, locations: vec!["main".parse()?], sales: 6 });
    let openings = (0..items).map(opening).collect::<Result<Vec<_>>>()?;
    open(&*testbed.store, &openings).await?;
    let canned = Canned::copy_of(&testbed.engine).await?;
    testbed.stub.hold(true);
    let mut rng = Rng::fresh();
    for n in 0..messages {
        let Opening { item_id, locations, .. } = &openings[n % items];
        let queued = (0..pack).map(|_| sold(item_id, &locations[0], &mut rng)).collect::<Result<Vec<_>>>()?;
        let body = encode_message(item_id, &queued).into();
        let pack = Pack { item_id: item_id.clone(), dedup_id: uuid::Uuid::new_v4(), body };
        let failed = testbed.queue.send(vec![pack]).await.into_iter().find_map(Result::err);
        ensure!(failed.is_none(), "a pack could not be queued: {failed:?}");
    }
    Ok((testbed.stub, canned))
}

fn measure_ingress(background: &Runtime, options: &CpuOptions, batch: usize, connections: usize) -> Result<Measured> {
    let stub = SqsStub::start()?;
    let runtime = measured_runtime()?;
    let api = runtime.block_on(async {
        // Accepting commands reads nothing, so no table is needed.
        let client = dynamodb_client(stub.url(), None);
        let queries = DynamoStore::new(client, TABLE.into(), DynamoOptions::default(), Arc::new(SystemClock));
        // The tasks of the ingress must run on the measured threads.
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
    let accepted = background.block_on(load::run(&load))?;
    let measured = Measured { commands: accepted.commands, elapsed: accepted.elapsed, cpu: cpu_time()? - cpu };
    background.block_on(api.stop())?;
    Ok(measured)
}

/// Returns the CPU time of the measured threads so far (proc_pid_schedstat(5): the first number is nanoseconds on the
/// CPU).
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

/// Returns the name of a thread, or `None` if it has ended.
fn name_of(thread: &Path) -> Option<String> {
    Some(std::fs::read_to_string(thread.join("comm")).ok()?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_measured_threads_is_counted() {
        let background = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = CpuOptions { messages: 20, seconds: 1, permits: 2 };
        let worker = measure_worker(&background, &options, 2, 5, 20).unwrap();
        assert_eq!(worker.commands, 40);
        assert!(worker.cpu > Duration::ZERO && worker.cpu < 2 * worker.elapsed, "{:?}", worker.cpu);
        let ingress = measure_ingress(&background, &options, 1, 2).unwrap();
        assert!(ingress.commands > 0 && ingress.cpu > Duration::ZERO);
    }
}
