//! `audit` and `dead-letters`: one-off tasks beside the running workers.

use std::sync::Arc;

use indicatif::ProgressBar;
use serde_json::json;
use stockline_aws::dynamodb::{Backfill, Backfilled};
use stockline_aws::{Repair, RepairLine, RepairReport};
use stockline_core::domain::Record;
use stockline_core::ports::{CommandSender, Queries, StoreError};
use stockline_service::output;
use stockline_worker::audit::{AuditOptions, Checkpoint, Progress, audit_with};
use stockline_worker::dead_letters::{self, Retried};
use stockline_worker::operator::{Ended, Op, Operator, Order};
use stockline_worker::smoke::{self, Step, Tools, smoke};
use uuid::Uuid;

use super::Connected;
use super::cli::DeadLettersCommand;

/// Success.
pub(super) const OK: u8 = 0;
/// A fault was found, or an order was refused.
pub(super) const FOUND: u8 = 1;
/// The store or the queue can't be reached now.
const UNAVAILABLE: u8 = 3;

/// The most dead letters of one read.
pub(super) const PAGE: usize = 1_000;

/// Runs `worker audit` and returns the exit code.
pub(crate) async fn run_audit(connected: &Connected, options: AuditOptions, json: bool) -> anyhow::Result<u8> {
    let bar = ProgressBar::new_spinner();
    let began = connected.clock.now();
    let mut printed = options.resume.clone();
    let mut progress = |read: &Progress| {
        bar.set_message(format!("{} items, {} ledger entries, {} outcomes", read.items, read.entries, read.records));
        bar.tick();
        if let Some(checkpoint) = read.checkpoint.as_ref().filter(|checkpoint| printed.as_ref() != Some(checkpoint)) {
            output::note(checkpoint_text(checkpoint, read.faults));
            printed = Some(checkpoint.clone());
        }
    };
    let report = match audit_with(&*connected.store, &*connected.store, &mut progress, options).await {
        Ok(report) => report,
        Err(error) => return Ok(unavailable(&error)),
    };
    bar.finish_and_clear();
    output::note(rate_text(&report.read, connected.clock.now().millis_since(began)));
    if json {
        output::json(&report.to_json())?;
    } else {
        output::print(report.to_text("stop the workers, back up the table, and report the faults"))?;
    }
    Ok(if report.is_sound() { OK } else { FOUND })
}

fn checkpoint_text(checkpoint: &Checkpoint, faults: u64) -> String {
    let after = &checkpoint.after;
    format!("the items up to {after} are audited, with {faults} fault(s); to go on from here: --resume {checkpoint}")
}

/// Says how fast the audit was, for a forecast of the next one.
fn rate_text(read: &Progress, took_ms: i64) -> String {
    let rows = read.items + read.levels + read.entries + read.records;
    let took_s = took_ms.max(1) as f64 / 1_000.0;
    let per_s = rows as f64 / took_s;
    format!(
        "{rows} rows and entries in {took_s:.1} s: {per_s:.0} a second, so a billion in {:.1} hours",
        1e9 / per_s.max(1.0) / 3_600.0
    )
}

/// Runs `worker audit --repair` and returns the exit code.
pub(crate) async fn run_repair(connected: &Connected, repair: Repair, json: bool) -> anyhow::Result<u8> {
    let report = match connected.store.repair(repair).await {
        Ok(report) => report,
        Err(error) => return Ok(unavailable(&error)),
    };
    if json {
        let line = |line: &RepairLine| json!({"item_id": line.item_id, "rows": line.rows, "what": line.what});
        let lines: Vec<_> = report.lines.iter().map(line).collect();
        output::json(&json!({
            "applied": repair.apply, "rows": report.rows, "items": report.items, "torn": report.torn,
            "refused": report.refused, "lines": lines,
        }))?;
    } else {
        output::print(repair_text(&report, repair.apply))?;
    }
    let is_open = report.refused > 0 || (report.torn > 0 && !repair.apply);
    Ok(if is_open { FOUND } else { OK })
}

fn repair_text(report: &RepairReport, applied: bool) -> String {
    let RepairReport { rows, items, torn, refused, lines } = report;
    let mut text = vec![format!("{rows} rows read, {items} items changed in the window")];
    for line in lines {
        let what = line.what.join("; ");
        text.push(match line.rows {
            Some(rows) => format!("  {}: {rows} rows: {what}", line.item_id),
            None => format!("  {}: NOT REPAIRED: {what}", line.item_id),
        });
    }
    let listed = lines.len() as u64;
    if torn + refused > listed {
        text.push(format!("  … and {} more", torn + refused - listed));
    }
    text.push(match (torn + refused, applied) {
        (0, _) => "nothing is torn".to_owned(),
        (_, true) => format!("{torn} repaired, {refused} not; run the audit now"),
        (_, false) => format!("{torn} would be repaired, {refused} would not; run it again with --apply"),
    });
    text.push(String::new());
    text.join("\n")
}

/// Runs `worker backfill` and returns the exit code.
pub(crate) async fn run_backfill(connected: &Connected, what: Backfill, json: bool) -> anyhow::Result<u8> {
    let named = match what {
        Backfill::Chunks => "chunks listed",
        Backfill::Records => "outcomes made compact",
    };
    let bar = ProgressBar::new_spinner();
    let mut progress = |done: &Backfilled| {
        bar.set_message(format!("{} MB of the table read, {} {named}", done.answers, done.rows));
        bar.tick();
    };
    let done = match connected.store.backfill(what, &mut progress).await {
        Ok(done) => done,
        Err(error) => return Ok(unavailable(&error)),
    };
    bar.finish_and_clear();
    if json {
        output::json(&json!({"rows": done.rows, "unreadable": done.unreadable}))?;
    } else {
        output::line(format_args!("{} {named}, {} can't be read", done.rows, done.unreadable))?;
    }
    Ok(if done.unreadable == 0 { OK } else { FOUND })
}

/// Runs `worker smoke` and returns the exit code.
pub(crate) async fn run_smoke(connected: &Connected, through_the_queue: bool, json: bool) -> anyhow::Result<u8> {
    #[expect(clippy::disallowed_methods, reason = "the test's commands are new ones")]
    let new_id = Uuid::new_v4;
    let tools = Tools {
        store: connected.store.clone(),
        queries: connected.store.clone(),
        audit: connected.store.clone(),
        sender: through_the_queue.then(|| connected.queue.clone() as Arc<dyn CommandSender>),
        clock: Arc::clone(&connected.clock),
        new_id,
    };
    let steps = smoke(&tools).await;
    let fails = steps.iter().any(|step| matches!(step.ended, smoke::Ended::Fails(_)));
    if json {
        let steps: Vec<_> = steps.iter().map(Step::line).collect();
        output::json(&json!({"works": !fails, "steps": steps}))?;
    } else {
        for step in &steps {
            output::line(step.line())?;
        }
    }
    Ok(if fails { FOUND } else { OK })
}

/// Runs `worker dead-letters` and returns the exit code.
pub(crate) async fn run_dead_letters(connected: &Connected, command: DeadLettersCommand) -> anyhow::Result<u8> {
    match command {
        DeadLettersCommand::List { json } => list(&*connected.store, json).await,
        DeadLettersCommand::Retry { all: true, .. } => retry_all(connected).await,
        DeadLettersCommand::Retry { which, .. } => match (which.item_id, which.command_id) {
            (Some(item_id), Some(command_id)) => order(connected, &Order { op: Op::Retry, item_id, command_id }).await,
            _ => anyhow::bail!("name a dead letter by its item and its id, or use --all"),
        },
        DeadLettersCommand::Discard { item_id, command_id } => {
            order(connected, &Order { op: Op::Discard, item_id, command_id }).await
        }
    }
}

async fn order(connected: &Connected, order: &Order) -> anyhow::Result<u8> {
    let operator = Operator {
        queries: connected.store.clone(),
        store: connected.store.clone(),
        sender: connected.queue.clone(),
        clock: Arc::clone(&connected.clock),
    };
    let (ended, text) = operator.carry_out(order).await;
    let code = match ended {
        Ended::Done => {
            output::line(text)?;
            return Ok(OK);
        }
        Ended::Refused => FOUND,
        Ended::Unavailable => UNAVAILABLE,
    };
    output::note(format_args!("error: {text}"));
    Ok(code)
}

async fn list(queries: &dyn Queries, json: bool) -> anyhow::Result<u8> {
    let mut cursor: Option<String> = None;
    let mut listed = Vec::new();
    loop {
        let page = match dead_letters::list(queries, false, cursor.as_deref(), PAGE).await {
            Ok(page) => page,
            Err(error) => return Ok(unavailable(&error)),
        };
        for record in page.entries {
            if json {
                listed.push(json!({"retry": record.retry, "outcome": record.outcome}));
            } else {
                output::line(line(&record))?;
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if json {
        output::json(&listed)?;
    }
    Ok(OK)
}

/// Returns time, item, id, kind and reason. Control characters are replaced, so that stored text can't steer a terminal.
fn line(record: &Record) -> String {
    let outcome = &record.outcome;
    let kind = outcome.command.as_ref().map_or("unreadable", |command| command.kind().as_str());
    let reason = outcome.dead_letter.as_ref().map_or("", |letter| letter.reason.as_str());
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{}  {}  {}  {kind}  {reason}", outcome.settled_at, outcome.item_id, outcome.command_id)
}

async fn retry_all(connected: &Connected) -> anyhow::Result<u8> {
    let lines = match dead_letters::retry_all(&*connected.store, &*connected.queue).await {
        Ok(lines) => lines,
        Err(error) => return Ok(unavailable(&error)),
    };
    let mut code = OK;
    for line in &lines {
        let result = match &line.retried {
            Retried::Queued(n) => format!("queued again, as retry {n}"),
            Retried::Refused(refusal) => {
                code = code.max(FOUND);
                refusal.to_string()
            }
            Retried::Failed(error) => {
                code = code.max(UNAVAILABLE);
                error.to_string()
            }
        };
        output::line(format_args!("{}  {}  {result}", line.item_id, line.command_id))?;
    }
    if lines.len() >= dead_letters::RETRY_ALL_MAX {
        output::line("there may be more dead letters: run the command again")?;
    }
    Ok(code)
}

pub(super) fn unavailable(error: &StoreError) -> u8 {
    output::note(format_args!("error: {error}"));
    UNAVAILABLE
}
