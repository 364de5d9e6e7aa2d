//! Prints the counts as a table or as JSON.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::{COMMANDS_PER_S, Counted};
use crate::prices::{LIST, LIST_IS_OF};

/// The calls and read units of one status poll.
type Poll = (BTreeMap<String, u64>, f64);

pub(super) fn json(counted: &[Counted], poll: &Poll) -> Result<()> {
    let report = json!({
        "prices": {
            "of": LIST_IS_OF, "wru_per_million": LIST.wru, "rru_per_million": LIST.rru,
            "sqs_requests_per_million": LIST.sqs_request,
        },
        "scenarios": counted,
        "status_poll": { "calls": poll.0, "rru": poll.1 },
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

pub(super) fn table(counted: &[Counted], poll: &Poll) -> Result<()> {
    println!(
        "list prices of {LIST_IS_OF}: ${} / million WRU, ${} / million RRU, ${} / million SQS FIFO requests\n",
        LIST.wru, LIST.rru, LIST.sqs_request
    );
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>11} {:>9} {:>8} {:>8} {:>9} {:>9} {:>7}",
        "", "commands", "$/million", "× usual", "with index", "× usual", "WRU", "RRU", "SQS req.", "per fold", "failed"
    );
    let usual = counted.iter().find(|one| one.name == "usual");
    for one in counted {
        let ratio = |dollars: fn(&Counted) -> f64| {
            usual.map(|usual| format!("{:.2}", dollars(one) / dollars(usual))).unwrap_or_default()
        };
        println!(
            "{:<10} {:>9} {:>9.2} {:>9} {:>11.2} {:>9} {:>8.3} {:>8.3} {:>9.3} {:>9.1} {:>7}",
            one.name,
            one.commands,
            one.dollars_per_million,
            ratio(|of| of.dollars_per_million),
            one.dollars_per_million_with_indexes,
            ratio(|of| of.dollars_per_million_with_indexes),
            one.wru_per_command,
            one.rru_per_command,
            one.sqs_requests_per_command,
            one.commands_per_transaction,
            one.failed_calls,
        );
    }
    println!(
        "\nUnits are per command. Empty receives and the preparation of items are not counted. WRU of the table follow"
    );
    println!(
        "AWS's rule: 2 for each started KB of each row. Index units are the engine's: one for each started KB, the lowest"
    );
    println!(
        "count of any engine. Stockline's movements change no index; the history of the usual design is an index."
    );
    for one in counted {
        detail(one);
    }
    println!("\na status poll: {:?}, {} RRU", poll.0, poll.1);
    Ok(())
}

fn detail(one: &Counted) {
    println!("\n{}: {}", one.name, one.what);
    println!(
        "  the engine's count: {:.3} WRU of the table, {:.3} WRU of indexes",
        one.engine_wru_per_command, one.engine_index_wru_per_command
    );
    for (kind, rows) in &one.rows {
        println!(
            "  {kind:<8} {:>7.4} rows, {:>6.0} bytes on average, {:>6} at most, {:>6.3} WRU",
            rows.per_command, rows.mean_bytes, rows.max_bytes, rows.wru_per_command
        );
    }
    println!("  DynamoDB calls {:?}", one.calls);
    println!("  SQS requests {:?}", one.sqs_requests);
    if !one.hottest_row.is_empty() {
        println!("  at {COMMANDS_PER_S} commands/s:");
        println!("    {} takes {:.0} WCU/s", one.hottest_row, one.hottest_row_wcu_per_s);
        println!(
            "    {} takes {:.0} WCU/s, the most of any partition key",
            one.hottest_partition, one.hottest_partition_wcu_per_s
        );
    }
}
