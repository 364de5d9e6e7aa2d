//! What a million commands cost on AWS, counted on the real ingress, worker and adapters.
//!
//! Sales go through the HTTP API, its packer, the SQS adapter, the worker and the DynamoDB adapter. The queue is a
//! stand-in that counts requests, the table an engine that says what it consumes. Every scenario is settled to the
//! last message. Items are opened beforehand, and not counted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use stockline_core::domain::CommandKey;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

mod print;
mod scenarios;

use crate::api::Api;
use crate::engine::Engine;
use crate::http::Bytes;
use crate::meter::{Counts, Meter};
use crate::prices::{LIST, Units};
use crate::stage::{Opening, Stage, open};
use crate::stub::{BilledByAction, EMPTY_RECEIVE, Stub};
use crate::usual;

/// What to count.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CostOptions {
    /// Items of the uniform load.
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// How often each of them is sold.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Sales of the one hot item.
    #[arg(long, default_value_t = 10_000)]
    hot_commands: usize,
    /// A folder with real till data (sales-*.csv.gz); made-up ones unless given.
    #[arg(long)]
    till: Option<PathBuf>,
    /// Sale lines of the till data, from the first.
    #[arg(long, default_value_t = 20_000)]
    till_lines: usize,
    /// Only these scenarios: uniform, till, hot, low-load, usual.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Commands a second of the hottest key, for which its write units are told.
const COMMANDS_PER_S: f64 = 5_000.0;
/// Lines of one request to the API.
pub(crate) const BATCH: usize = 500;
/// Sales at low load.
const LOW_LOAD_COMMANDS: usize = 300;
/// Sales by the usual design.
const USUAL_COMMANDS: usize = 1_000;
/// Receives in work at once.
const PERMITS: usize = 4;
/// A queue in which nothing moved for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sales in the order in which they are sent.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Its name.
    name: &'static str,
    /// What is sold, and how it is sent.
    what: String,
    /// The items, opened before.
    openings: Vec<Opening>,
    /// As JSON, by request; the queue is settled after so many requests.
    requests: Vec<Vec<String>>,
    /// Requests that gather in the queue before the worker gets them.
    gather: usize,
}

/// What was counted for one scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Counted {
    name: String,
    what: String,
    pub(crate) commands: u64,
    pub(crate) dollars_per_million: f64,
    dollars_per_million_with_indexes: f64,
    pub(crate) wru_per_command: f64,
    wru_per_command_as_engine_says: f64,
    index_wru_per_command_as_engine_says: f64,
    pub(crate) rru_per_command: f64,
    pub(crate) sqs_requests_per_command: f64,
    pub(crate) sqs_requests: BTreeMap<String, u64>,
    pub(crate) sqs_bytes_per_command: f64,
    pub(crate) request_bytes_per_command: f64,
    pub(crate) response_bytes_per_command: f64,
    commands_per_transaction: f64,
    failed_calls: u64,
    calls: BTreeMap<String, u64>,
    pub(crate) rows: BTreeMap<String, RowsCounted>,
    hottest_row: String,
    hottest_row_wcu_per_s: f64,
    hottest_partition: String,
    hottest_partition_wcu_per_s: f64,
}

/// Rows of one kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RowsCounted {
    pub(crate) per_command: f64,
    pub(crate) mean_bytes: f64,
    max_bytes: u64,
    pub(crate) mean_index_bytes: f64,
    wru_per_command: f64,
}

/// Counts and prints.
pub(crate) async fn run(options: &CostOptions) -> Result<()> {
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut counted = Vec::new();
    for name in ["uniform", "till", "hot", "low-load"] {
        if wanted(name) {
            let scenario = scenarios::make(name, options)?;
            counted.push(count(&scenario, name == "hot").await?);
        }
    }
    if wanted("usual") {
        counted.push(count_usual().await?);
    }
    let poll = count_status_poll().await?;
    if options.json { print::json(&counted, &poll) } else { print::table(&counted, &poll) }
}

/// Counts one scenario, not many commands of it.
pub(crate) async fn count_some(name: &str) -> Result<Counted> {
    let options = CostOptions {
        items: 1_000,
        rounds: 2,
        hot_commands: 4_000,
        till: None,
        till_lines: 2_000,
        only: Vec::new(),
        json: false,
    };
    count(&scenarios::make(name, &options)?, name == "hot").await
}

/// Runs one scenario through everything.
async fn count(scenario: &Scenario, one_item: bool) -> Result<Counted> {
    let stage = Stage::set().await?;
    scenarios::put_locations(&*stage.store, &scenario.openings).await?;
    open(&*stage.store, &scenario.openings).await?;
    let api = Api::start(stage.queue.clone(), stage.store.clone()).await?;
    let worker = stage.start_worker(PERMITS);
    let mut till = api.connect().await?;
    stage.meter.reset();
    stage.stub.reset();
    let single = scenario.requests.iter().all(|lines| lines.len() == 1);
    for some in scenario.requests.chunks(scenario.gather.max(1)) {
        stage.stub.hold(!single);
        for lines in some {
            match lines.as_slice() {
                [only] => till.submit(only).await?,
                lines => till.submit_batch(lines).await?,
            }
        }
        stage.stub.hold(false);
        stage.stub.drained(PATIENCE).await?;
    }
    let (counts, billed, http) = (stage.meter.reset(), stage.stub.reset(), till.reset_bytes());
    worker.stop().await?;
    api.stop().await?;
    let commands: usize = scenario.requests.iter().map(Vec::len).sum();
    let recorded = counts.written.get("CMD").map_or(0, |written| written.rows);
    ensure!(recorded >= commands as u64, "{commands} commands were sent and {recorded} outcomes written");
    Ok(sum_up(scenario.name, &scenario.what, commands, &counts, &billed, http, one_item))
}

/// The same sales by the usual design.
async fn count_usual() -> Result<Counted> {
    let (engine, stub, meter) = (Engine::start()?, Stub::start()?, Meter::default());
    let sales = scenarios::uniform_sales(USUAL_COMMANDS, 1).concat();
    let begin = || drop((meter.reset(), stub.reset()));
    usual::run(&engine, &meter, &stub, USUAL_COMMANDS, &sales, begin).await?;
    let what = "one message and one transaction of three rows per command; received and deleted by ten";
    Ok(sum_up("usual", what, sales.len(), &meter.reset(), &stub.reset(), Bytes::default(), false))
}

/// A poll of a settled command's status: its calls and read units.
async fn count_status_poll() -> Result<(BTreeMap<String, u64>, f64)> {
    use stockline_core::ports::Queries;
    let stage = Stage::set().await?;
    let scenario = scenarios::one_sale()?;
    open(&*stage.store, &scenario.openings).await?;
    let api = Api::start(stage.queue.clone(), stage.store.clone()).await?;
    let worker = stage.start_worker(1);
    let sale = scenario.requests.concat().concat();
    api.connect().await?.submit(&sale).await?;
    stage.stub.drained(PATIENCE).await?;
    worker.stop().await?;
    stage.meter.reset();
    let sale: serde_json::Value = serde_json::from_str(&sale)?;
    let text = |name: &str| sale[name].as_str().context(name.to_owned());
    let state = CommandKey { item_id: text("item_id")?.parse()?, command_id: text("command_id")?.parse()? };
    let found = stage.store.records(&[state]).await?;
    ensure!(found.iter().all(Option::is_some), "the settled command was not found");
    let counts = stage.meter.reset();
    api.stop().await?;
    Ok((calls(&counts), counts.engine_rru))
}

fn calls(counts: &Counts) -> BTreeMap<String, u64> {
    counts.calls.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn sum_up(
    name: &str,
    what: &str,
    commands: usize,
    counts: &Counts,
    billed: &BilledByAction,
    http: Bytes,
    one_item: bool,
) -> Counted {
    let all = commands as f64;
    let sqs: u64 =
        billed.iter().filter(|(action, _)| **action != EMPTY_RECEIVE).map(|(_, billed)| billed.requests).sum();
    let units = Units {
        commands: all,
        wru: counts.rule_wru(),
        index_wru: counts.engine_index_wru,
        rru: counts.engine_rru,
        sqs_requests: sqs as f64,
    };
    let one = units.per_command();
    let rows = counts.written.iter().map(|(kind, written)| {
        let of_kind = RowsCounted {
            per_command: written.rows as f64 / all,
            mean_bytes: written.bytes as f64 / written.rows.max(1) as f64,
            max_bytes: written.max_bytes,
            mean_index_bytes: written.index_bytes as f64 / written.rows.max(1) as f64,
            wru_per_command: written.wru / all,
        };
        (kind.clone(), of_kind)
    });
    // Where one item takes all commands, its keys' units grow with them; else the share of the hottest tells nothing.
    let hottest = |keys: &std::collections::HashMap<String, f64>, of: &str| {
        let most = keys.iter().filter(|(key, _)| key.contains(of)).max_by(|a, b| a.1.total_cmp(b.1));
        most.map(|(key, wru)| (key.clone(), wru / all * COMMANDS_PER_S)).filter(|_| one_item).unwrap_or_default()
    };
    let (row, partition) = (hottest(&counts.by_row, " LEVEL#"), hottest(&counts.by_partition, ""));
    let transactions = counts.calls.get("TransactWriteItems").copied().unwrap_or_default().max(1);
    Counted {
        name: name.to_owned(),
        what: what.to_owned(),
        commands: commands as u64,
        dollars_per_million: units.dollars_per_million(&LIST),
        dollars_per_million_with_indexes: units.dollars_with_indexes(&LIST),
        wru_per_command: one.wru,
        wru_per_command_as_engine_says: counts.engine_wru / all,
        index_wru_per_command_as_engine_says: one.index_wru,
        rru_per_command: one.rru,
        sqs_requests_per_command: one.sqs_requests,
        sqs_requests: billed.iter().map(|(action, billed)| ((*action).to_owned(), billed.requests)).collect(),
        sqs_bytes_per_command: billed.values().map(|billed| billed.bytes).sum::<u64>() as f64 / all,
        request_bytes_per_command: http.sent as f64 / all,
        response_bytes_per_command: http.received as f64 / all,
        commands_per_transaction: all / transactions as f64,
        failed_calls: counts.failed,
        calls: calls(counts),
        rows: rows.collect(),
        hottest_row: row.0,
        hottest_row_wcu_per_s: row.1,
        hottest_partition: partition.0,
        hottest_partition_wcu_per_s: partition.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_sale_is_two_rows_two_reads_and_three_requests() {
        let counted = count(&scenarios::one_sale().unwrap(), true).await.unwrap();
        assert_eq!((counted.wru_per_command, counted.wru_per_command_as_engine_says), (4.0, 4.0));
        assert_eq!((counted.rru_per_command, counted.index_wru_per_command_as_engine_says), (2.0, 0.0));
        assert_eq!((counted.sqs_requests_per_command, counted.commands_per_transaction), (3.0, 1.0));
        assert_eq!(counted.rows.keys().collect::<Vec<_>>(), ["CMD", "LEVEL"]);
        assert_eq!(counted.hottest_row, "ITEM#item-0 LEVEL#main");
        // 4 × 0.625 + 2 × 0.125 + 3 × 0.50
        assert_eq!(counted.dollars_per_million, 4.25);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_status_poll_is_one_read() {
        let (calls, rru) = count_status_poll().await.unwrap();
        assert_eq!((calls, rru), (BTreeMap::from([("GetItem".to_owned(), 1)]), 1.0));
    }
}
