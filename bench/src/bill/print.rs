//! Prints the bill as tables or as JSON.
#![expect(clippy::print_stdout, reason = "the bill is this program's output")]

use anyhow::Result;
use serde_json::json;

use super::GB;
use super::assumptions::Assumptions;
use super::measure::{Measured, PerCommand};
use super::model::Month;
use super::storage::Storage;
use super::stored::Stored;
use super::tokens::Choice;
use crate::prices::{LIST_IS_OF, list};

/// The figures to print.
pub(super) struct Bill<'a> {
    pub(super) measured: &'a Measured,
    pub(super) assumed: &'a Assumptions,
    pub(super) months: &'a [Month],
    /// The same months as the templates set the installation up, and with all that saves money.
    pub(super) before: &'a [Month],
    pub(super) after: &'a [Month],
    pub(super) storage: &'a [Storage],
    pub(super) tokens: &'a [Choice],
}

/// The ages at which storage is shown, in months.
const AGES: [(&str, f64); 2] = [("1 year", 12.0), ("5 years", 60.0)];

impl Bill<'_> {
    pub(super) fn json(&self) -> Result<()> {
        let totals = self.months.iter().map(|month| {
            json!({"rate": month.rate, "dollars": month.dollars(), "dollars_per_million": month.dollars_per_million()})
        });
        let report = json!({
            "prices_of": LIST_IS_OF, "prices": list::ALL, "assumed": self.assumed, "measured": self.measured,
            "months": self.months, "before": self.before, "after": self.after, "totals": totals.collect::<Vec<_>>(), "storage": self.storage,
            "tokens": self.tokens,
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
        Ok(())
    }

    pub(super) fn tables(&self) -> Result<()> {
        self.services();
        self.savings();
        self.packing();
        self.stored();
        self.machines();
        self.notes();
        Ok(())
    }

    fn services(&self) {
        let months = self.months;
        row("dollars a month, at commands/s", months.iter().map(|month| count(month.rate)));
        for (at, line) in months.first().iter().flat_map(|month| month.lines.iter().enumerate()) {
            row(line.service, months.iter().map(|month| dollars(month.lines[at].dollars)));
        }
        row("sum, without storage", months.iter().map(|month| dollars(month.dollars())));
        row("  per million commands", months.iter().map(|month| dollars(month.dollars_per_million())));
        for (age, after) in AGES {
            let kept = self.storage.iter().map(|storage| storage.after(after).dollars());
            row(&format!("storage with recovery, after {age}"), kept.map(dollars));
        }
        println!();
        row("million commands a month", months.iter().map(|month| dollars(month.commands / 1e6)));
        let tasks = |month: &Month| format!("{} + {}", count(month.ingress_tasks), count(month.worker_tasks));
        row("tasks of ingress + worker", months.iter().map(tasks));
        row("empty receives a second", months.iter().map(|month| dollars(month.empty_receives)));
    }

    /// Prints what the parameters that save money change.
    fn savings(&self) {
        let sums = |months: &[Month]| months.iter().map(|month| dollars(month.dollars())).collect::<Vec<_>>();
        println!();
        row("sum without storage, at commands/s", self.before.iter().map(|month| count(month.rate)));
        row("before, with each machine client billed", sums(self.before));
        row("after", sums(self.after));
        let parts = self.before.iter().zip(self.after).map(|(before, after)| after.dollars() / before.dollars());
        row("  per cent of it", parts.map(|part| format!("{:.0}", part * 100.0)));
        for service in
            ["DynamoDB writes", "DynamoDB reads, status polls included", "SQS FIFO, messages", "Cognito, machines"]
        {
            let of = |month: &Month| month.lines.iter().filter(|line| line.service == service).map(|l| l.dollars).sum();
            let pair = |(before, after): (&Month, &Month)| format!("{} → {}", dollars(of(before)), dollars(of(after)));
            row(&format!("  {service}"), self.before.iter().zip(self.after).map(pair));
        }
        println!(
            "(after: LingerMs=100, ReceivePauseMs=400, Capacity=provisioned at {:.0} % use, and Cognito's newer price, which is\nper token. --capacity reserved and --savings-plan show what a year's commitment saves besides.)",
            self.assumed.capacity_used * 100.0
        );
    }

    fn packing(&self) {
        let Measured { alone, full, hot, .. } = self.measured;
        let all = [alone, full, hot];
        let sum = |one: &PerCommand| {
            list::WRU.of(one.wru * 1e6) + list::RRU.of(one.rru * 1e6) + list::SQS_FIFO.of(one.sqs_requests * 1e6)
        };
        let head = ["message alone", "ten a call", "hot item"];
        println!();
        row("measured, per command", head.map(str::to_owned));
        row("write units", all.map(|one| format!("{:.3}", one.wru)));
        row("read units", all.map(|one| format!("{:.3}", one.rru)));
        row("SQS requests", all.map(|one| format!("{:.3}", one.sqs_requests)));
        row("dollars per million of these three", all.map(|one| dollars(sum(one))));
    }

    fn stored(&self) {
        let gb = |stored: Stored| dollars((stored.table + stored.indexes) / GB);
        println!();
        row("stored for good, at commands/s", self.months.iter().map(|month| count(month.rate)));
        row("GB more each month", self.storage.iter().map(|storage| gb(storage.a_month)));
        row("GB of levels, which do not grow", self.storage.iter().map(|storage| gb(storage.levels)));
        for (age, after) in AGES {
            row(&format!("GB after {age}"), self.storage.iter().map(|storage| gb(storage.after(after))));
        }
        row("dollars a month, more each month", self.storage.iter().map(|storage| dollars(storage.a_month.dollars())));
        for (age, after) in AGES {
            let all = self.storage.iter().map(|storage| dollars(storage.after(after).dollars()));
            row(&format!("dollars a month after {age}"), all);
            let table = self.storage.iter().map(|storage| dollars(list::PITR.of(storage.after(after).table / GB)));
            row("  of it for recovery", table);
        }
    }

    fn machines(&self) {
        println!();
        row("machine tokens, at commands/s", self.months.iter().map(|month| count(month.rate)));
        let tills = count(self.assumed.tills);
        row("shops × tills", self.months.iter().map(|month| format!("{} × {tills}", count(month.shops))));
        println!("dollars a month, clients + tokens:");
        for Choice { client_per, token_hours, months } in self.tokens {
            let pair = |month: &super::tokens::Tokens| {
                format!("{} + {}", dollars(month.client_dollars), dollars(month.token_dollars))
            };
            row(&format!("  client per {client_per}, tokens of {token_hours} h"), months.iter().map(pair));
        }
        println!(
            "(Cognito's pricing of 2024 charges for each client. Its newer developer guide, \"Monitoring and managing costs\",\n\
             names only tokens. The sum above has {}.)",
            if self.assumed.machine_clients {
                "both"
            } else {
                "only tokens; --machine-clients adds the first of each pair"
            }
        );
    }

    fn notes(&self) {
        let Self { measured, assumed, .. } = self;
        let us = |seconds: f64| format!("{:.0}", seconds * 1e6);
        let metrics = measured.metrics.iter().map(|of| format!("{} {}", of.series, of.program));
        println!("\nList prices of {LIST_IS_OF} (--prices lists them with their pages), without free tiers.");
        println!(
            "Measured in this run: units above; stored {:.0} bytes a command and {:.0} + {:.0} a level in the indexes; CPU µs\n\
             a command: ingress {} (batches {}), worker {} (full packs {}); HTTP bytes a command {:.0} in, {:.0} out;\n\
             a poll: {} read units, {:.0} bytes in, {:.0} out; an alert: {} write units; CloudWatch metrics: {}.",
            measured.stored_per_command.table + measured.stored_per_command.indexes,
            measured.stored_per_level.table,
            measured.stored_per_level.indexes,
            us(measured.cpu.ingress_single_s),
            us(measured.cpu.ingress_batch_s),
            us(measured.cpu.worker_single_s),
            us(measured.cpu.worker_packed_s),
            measured.alone.http.request_bytes,
            measured.alone.http.answer_bytes,
            measured.poll_rru,
            measured.poll_http.request_bytes,
            measured.poll_http.answer_bytes,
            measured.alert_wru,
            metrics.collect::<Vec<_>>().join(", "),
        );
        println!(
            "Assumed (each has an option): {} commands a request, {} polls each; messages alone below {} commands/s, ten a\n\
             call from there, {} % of commands of hot items; a shop: {} commands/s, {} tills with tokens of {} h, {} levels,\n\
             {} people, {} alerts a day; tasks of {} vCPU ({}) and {} GB, {} % busy, at least {}; {} receivers a worker;\n\
             {} zones, {}; {} metrics of alarms, {} of Container Insights.",
            assumed.commands_per_request,
            assumed.polls,
            count(assumed.full_calls_from),
            assumed.hot_share * 100.0,
            assumed.shop_rate,
            assumed.tills,
            assumed.token_hours,
            count(assumed.levels),
            assumed.people,
            assumed.alerts,
            assumed.task_vcpu,
            if assumed.x86 { "x86-64" } else { "ARM64" },
            assumed.task_gb,
            assumed.busy * 100.0,
            assumed.tasks_min,
            assumed.receivers,
            assumed.zones,
            if assumed.nat {
                "NAT gateways".to_owned()
            } else {
                format!("{} interface endpoints and NAT gateways", assumed.endpoints)
            },
            assumed.alarm_metrics,
            assumed.insights_metrics,
        );
        println!(
            "Left out: reads by people, retries, backups besides recovery, requests to KMS, HTTP around queue messages, and\n\
             the overhead of transactions on stored rows."
        );
    }
}

/// Prints one price a line.
pub(super) fn prices() {
    println!("list prices of {LIST_IS_OF}, without free tiers\n");
    for price in list::ALL {
        let per = if price.per > 1.0 { format!("{} {}", count(price.per), price.unit) } else { price.unit.to_owned() };
        println!("{:>12} $ / {per:<22} {:<64} {}", price.dollars, price.what, price.page);
    }
}

fn row(what: &str, cells: impl IntoIterator<Item = String>) {
    let cells: String = cells.into_iter().map(|cell| format!("{cell:>20}")).collect();
    println!("{what:<39}{cells}");
}

/// Formats an amount, with two decimals below a thousand.
fn dollars(value: f64) -> String {
    if value < 1_000.0 { format!("{value:.2}") } else { count(value.round()) }
}

/// Formats a number with commas between thousands.
fn count(value: f64) -> String {
    let text = value.to_string();
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), String::new()), |(a, b)| (a, format!(".{b}")));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_easy_to_read() {
        assert_eq!((dollars(0.684), dollars(999.5)), ("0.68".into(), "999.50".into()));
        assert_eq!((dollars(68_454.6), dollars(1_234_567.0)), ("68,455".into(), "1,234,567".into()));
        assert_eq!((count(10_000.0), count(0.5), count(100.0)), ("10,000".into(), "0.5".into(), "100".into()));
    }
}
