//! What was counted, for people and as JSON.
#![expect(clippy::print_stdout, reason = "the report is this program's output")]

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::{COMMANDS_PER_S, Counted};
use crate::prices::{LIST, LIST_IS_OF};

/// Calls and read units of one status poll.
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
        "{:<10} {:>9} {:>9} {:>9} {:>8} {:>8} {:>10} {:>10} {:>9} {:>8}",
        "", "commands", "$/million", "× usual", "WRU", "RRU", "SQS req.", "per fold", "index WRU", "failed"
    );
    let usual = counted.iter().find(|one| one.name == "usual");
    for one in counted {
        let ratio = usual.map(|usual| format!("{:.2}", one.dollars_per_million / usual.dollars_per_million));
        println!(
            "{:<10} {:>9} {:>9.2} {:>9} {:>8.3} {:>8.3} {:>10.3} {:>10.1} {:>9.3} {:>8}",
            one.name,
            one.commands,
            one.dollars_per_million,
            ratio.unwrap_or_default(),
            one.wru_per_command,
            one.rru_per_command,
            one.sqs_requests_per_command,
            one.commands_per_transaction,
            one.index_wru_per_command_as_engine_says,
            one.failed_calls,
        );
    }
    println!("\nper command; polls that brought nothing are not counted, nor is opening the items. WRU by AWS's rule,");
    println!("2 for each begun KB of each row; dollars without the indexes, which engines count differently.");
    for one in counted {
        detail(one);
    }
    println!("\na status poll: {:?}, {} RRU", poll.0, poll.1);
    Ok(())
}

fn detail(one: &Counted) {
    println!("\n{}: {}", one.name, one.what);
    println!(
        "  WRU as the engine says {:.3}; with its index units ${:.2} / million",
        one.wru_per_command_as_engine_says, one.dollars_per_million_with_indexes
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
        println!("    {} takes {:.0} WCU/s, the most of all partition keys", one.hottest_partition, one.hottest_partition_wcu_per_s);
    }
}
