//! Counts what a million commands cost on AWS, with the real ingress, worker and adapters.
//!
//! Sales pass through the HTTP API, its packer, the SQS adapter, the worker and the DynamoDB adapter. The queue is a
//! stand-in that counts requests. The table is an engine that reports its consumption. Every scenario is settled to the
//! last message. Preparing the items is not counted.

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
use crate::sqs_stub::{BilledByAction, EMPTY_RECEIVE, SqsStub};
use crate::testbed::{Opening, Testbed, open};
use crate::usual;

/// Options of `cost`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CostOptions {
    /// Items of the uniform load
    #[arg(long, default_value_t = 10_000)]
    items: usize,
    /// Sales of each of these items
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Sales of the hot item
    #[arg(long, default_value_t = 10_000)]
    hot_commands: usize,
    /// Folder with real till data (sales-*.csv.gz); without it the data are generated
    #[arg(long)]
    till: Option<PathBuf>,
    /// Number of sale lines to use, from the first
    #[arg(long, default_value_t = 20_000)]
    till_lines: usize,
    /// Run only these scenarios: uniform, till, hot, low-load, usual, reports
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The write units of the hottest key are shown for this many commands a second.
const COMMANDS_PER_S: f64 = 5_000.0;
/// Commands per API request.
pub(crate) const BATCH: usize = 500;
/// Sales of the low-load scenario.
const LOW_LOAD_COMMANDS: usize = 300;
/// Sales of the usual design.
const USUAL_COMMANDS: usize = 1_000;
/// Receives that are processed at once.
const PERMITS: usize = 4;
/// A queue without progress for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// The sales of one scenario, in sending order.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// The name of the scenario.
    name: &'static str,
    /// A description of the load.
    what: String,
    /// The items to prepare.
    openings: Vec<Opening>,
    /// The commands in JSON, by request.
    requests: Vec<Vec<String>>,
    /// Requests that gather in the queue before the worker gets them and settles them.
    gather: usize,
}

/// The counts of one scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Counted {
    name: String,
    what: String,
    pub(crate) commands: u64,
    pub(crate) dollars_per_million: f64,
    dollars_per_million_with_indexes: f64,
    pub(crate) wru_per_command: f64,
    engine_wru_per_command: f64,
    engine_index_wru_per_command: f64,
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

/// Counts all scenarios and prints the result.
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
    if options.json {
        return print::json(&counted, &poll);
    }
    print::table(&counted, &poll)?;
    if wanted("reports") { crate::reports::count_on_aws().await } else { Ok(()) }
}

/// Counts one scenario with few commands.
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

/// Runs one scenario through the whole system.
async fn count(scenario: &Scenario, one_item: bool) -> Result<Counted> {
    let testbed = Testbed::start().await?;
    scenarios::put_locations(&*testbed.store, &scenario.openings).await?;
    open(&*testbed.store, &scenario.openings).await?;
    let api = Api::start(testbed.queue.clone(), testbed.store.clone()).await?;
    let worker = testbed.start_worker(PERMITS);
    let mut till = api.connect().await?;
    testbed.meter.reset();
    testbed.stub.reset();
    let single = scenario.requests.iter().all(|lines| lines.len() == 1);
    for some in scenario.requests.chunks(scenario.gather.max(1)) {
        testbed.stub.hold(!single);
        for lines in some {
            match lines.as_slice() {
                [only] => till.submit(only).await?,
                lines => till.submit_batch(lines).await?,
            }
        }
        testbed.stub.hold(false);
        testbed.stub.drained(PATIENCE).await?;
    }
    let (counts, billed, http) = (testbed.meter.reset(), testbed.stub.reset(), till.reset_bytes());
    worker.stop().await?;
    api.stop().await?;
    let commands: usize = scenario.requests.iter().map(Vec::len).sum();
    let recorded = counts.written.get("CMD").map_or(0, |written| written.rows);
    ensure!(recorded >= commands as u64, "{commands} commands were sent, but only {recorded} outcomes were written");
    Ok(sum_up(scenario.name, &scenario.what, commands, &counts, &billed, http, one_item))
}

/// Counts the uniform load in the usual design.
async fn count_usual() -> Result<Counted> {
    let (engine, stub, meter) = (Engine::start()?, SqsStub::start()?, Meter::default());
    let sales = scenarios::uniform_sales(USUAL_COMMANDS, 1).concat();
    let begin = || drop((meter.reset(), stub.reset()));
    usual::run(&engine, &meter, &stub, USUAL_COMMANDS, &sales, begin).await?;
    let what = "one message and one transaction of three rows per command; received and deleted by ten";
    Ok(sum_up("usual", what, sales.len(), &meter.reset(), &stub.reset(), Bytes::default(), false))
}

/// Counts the calls and read units of polling a settled command's status.
async fn count_status_poll() -> Result<(BTreeMap<String, u64>, f64)> {
    use stockline_core::ports::Queries;
    let testbed = Testbed::start().await?;
    let scenario = scenarios::one_sale()?;
    open(&*testbed.store, &scenario.openings).await?;
    let api = Api::start(testbed.queue.clone(), testbed.store.clone()).await?;
    let worker = testbed.start_worker(1);
    let sale = scenario.requests.concat().concat();
    api.connect().await?.submit(&sale).await?;
    testbed.stub.drained(PATIENCE).await?;
    worker.stop().await?;
    testbed.meter.reset();
    let sale: serde_json::Value = serde_json::from_str(&sale)?;
    let text = |name: &str| sale[name].as_str().context(name.to_owned());
    let key = CommandKey { item_id: text("item_id")?.parse()?, command_id: text("command_id")?.parse()? };
    let found = testbed.store.records(&[key]).await?;
    ensure!(found.iter().all(Option::is_some), "the settled command was not found");
    let counts = testbed.meter.reset();
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
    // Only if one item gets all commands do the units of its keys grow with the load.
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
        engine_wru_per_command: counts.engine_wru / all,
        engine_index_wru_per_command: one.index_wru,
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
        assert_eq!((counted.wru_per_command, counted.engine_wru_per_command), (4.0, 4.0));
        assert_eq!((counted.rru_per_command, counted.engine_index_wru_per_command), (2.0, 0.0));
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
