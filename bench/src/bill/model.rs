//! Computes a month's bill at one rate. Nothing here measures or prints.

use super::assumptions::{Assumptions, Capacity, DLQ_INTERVAL_S, RECEIVE_WAIT_S};
use super::measure::{Measured, PerCommand};
use super::tokens::Tokens;
use super::{GB, HOURS, SECONDS};
use crate::prices::list;
use crate::{cost, cpu};

/// Lambda keeps this many long polls open on a queue (AWS Lambda developer guide, "Using Lambda with Amazon SQS").
const LAMBDA_POLLERS: f64 = 5.0;
/// A long poll without a message lasts this many seconds.
const LAMBDA_POLL_S: f64 = 20.0;
/// The alerter's memory, and its time per alert: mostly waiting for the store and the mail provider.
const ALERTER_GB: f64 = 0.25;
const ALERT_S: f64 = 0.3;
/// One capacity unit of the load balancer covers 1 GB an hour or this many connections.
const LCU_CONNECTIONS: f64 = 3_000.0;
/// One secret: the receipt keys.
const SECRETS: f64 = 1.0;
/// Several versions of both images.
const IMAGES_GB: f64 = 0.5;
const MONTH_DAYS: f64 = HOURS / 24.0;

/// One line of the bill.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Line {
    pub(super) service: &'static str,
    pub(super) dollars: f64,
}

/// The bill of one month, without permanent storage.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct Month {
    pub(super) rate: f64,
    pub(super) commands: f64,
    pub(super) shops: f64,
    pub(super) ingress_tasks: f64,
    pub(super) worker_tasks: f64,
    /// Receives of all workers that return no message, per second.
    pub(super) empty_receives: f64,
    pub(super) lines: Vec<Line>,
}

impl Month {
    pub(super) fn dollars(&self) -> f64 {
        self.lines.iter().map(|line| line.dollars).sum()
    }

    pub(super) fn dollars_per_million(&self) -> f64 {
        self.dollars() / self.commands * 1e6
    }
}

/// Computes the bill.
pub(super) fn month(rate: f64, measured: &Measured, assumed: &Assumptions) -> Month {
    let commands = rate * SECONDS;
    let shops = assumed.shops(rate);
    let ingress_tasks = tasks(rate * ingress_cpu_s(measured, assumed), assumed);
    let worker_tasks = tasks(rate * worker_cpu_s(rate, measured, assumed), assumed);
    let unit = units(rate, ingress_tasks, worker_tasks, measured, assumed);
    let empty_receives = empty_receives(rate * unit.receives, worker_tasks * assumed.receivers);
    let dlq_polls = worker_tasks / DLQ_INTERVAL_S;
    let alerts = shops * assumed.alerts * MONTH_DAYS;
    let http_bytes = http_bytes(measured, assumed);
    let log_bytes = log_bytes(measured, ingress_tasks, worker_tasks);
    let line = |service, dollars| Line { service, dollars };
    let lines = vec![
        line("DynamoDB writes", writes(rate * unit.wru, assumed)),
        line(
            "DynamoDB reads, status polls included",
            reads(rate * (unit.rru + assumed.polls * measured.poll_rru), assumed),
        ),
        line("SQS FIFO, messages", list::SQS_FIFO.of(commands * unit.sqs_requests)),
        line("SQS FIFO, empty receives", list::SQS_FIFO.of((empty_receives + dlq_polls) * SECONDS)),
        line("Fargate, ingress", fargate(ingress_tasks, assumed)),
        line("Fargate, worker", fargate(worker_tasks, assumed)),
        line("Load balancer", balancer(rate * (http_bytes.0 + http_bytes.1), shops * assumed.tills)),
        line("Public addresses", list::IPV4.of(2.0 * assumed.zones * HOURS)),
        line("Private network", network((commands * unit.sqs_bytes + log_bytes) / GB, assumed)),
        line("Data out", list::TRANSFER_OUT.of(commands * http_bytes.1 / GB)),
        line("CloudWatch", watching(log_bytes / GB, measured, assumed)),
        line("Alerts: SNS, SQS, Lambda, DynamoDB", alerting(alerts, measured)),
        line("Alerts: SES", list::SES.of(alerts)),
        line("Cognito, machines", machines(shops, assumed)),
        line("Cognito, people", list::PERSON.of(shops * assumed.people)),
        line("Secrets Manager, ECR", list::SECRET.of(SECRETS) + list::IMAGES.of(IMAGES_GB)),
    ];
    Month { rate, commands, shops, ingress_tasks, worker_tasks, empty_receives, lines }
}

fn is_full(rate: f64, assumed: &Assumptions) -> bool {
    rate >= assumed.full_calls_from
}

/// The most messages of one call.
const CALL_MESSAGES: f64 = 10.0;

/// Returns the units per command at this rate.
fn units(rate: f64, ingress_tasks: f64, worker_tasks: f64, measured: &Measured, assumed: &Assumptions) -> PerCommand {
    if !is_full(rate, assumed) {
        return paced(rate, ingress_tasks, worker_tasks, measured.alone, assumed);
    }
    let (one, hot) = (&measured.full, &measured.hot);
    let mix = |of: fn(&PerCommand) -> f64| of(one) * (1.0 - assumed.hot_share) + of(hot) * assumed.hot_share;
    PerCommand {
        wru: mix(|of| of.wru),
        rru: mix(|of| of.rru),
        sqs_requests: mix(|of| of.sqs_requests),
        receives: mix(|of| of.receives),
        sqs_bytes: mix(|of| of.sqs_bytes),
        http: one.http,
    }
}

/// Returns the units of messages that wait for each other. Alone, a message is sent, received and deleted by a call each.
/// While ingress lingers, a task's call takes the message that it waits with and those that come meanwhile. While
/// receivers pause, their next receive takes what came meanwhile, and its messages are deleted by one call.
fn paced(rate: f64, ingress_tasks: f64, worker_tasks: f64, alone: PerCommand, assumed: &Assumptions) -> PerCommand {
    let sent_together = (1.0 + rate / ingress_tasks * assumed.linger_ms / 1_000.0).min(CALL_MESSAGES);
    let receivers = assumed.receivers * worker_tasks;
    let received_together = (rate * assumed.receive_pause_ms / 1_000.0 / receivers).clamp(1.0, CALL_MESSAGES);
    let each = alone.sqs_requests / 3.0;
    PerCommand {
        sqs_requests: each / sent_together + 2.0 * each / received_together,
        receives: alone.receives / received_together,
        ..alone
    }
}

fn writes(per_s: f64, assumed: &Assumptions) -> f64 {
    let provisioned = per_s / assumed.capacity_used * HOURS;
    match assumed.capacity {
        Capacity::OnDemand => list::WRU.of(per_s * SECONDS),
        Capacity::Provisioned => list::WCU.of(provisioned),
        Capacity::Reserved => list::RESERVED_WCU.of(provisioned),
    }
}

fn reads(per_s: f64, assumed: &Assumptions) -> f64 {
    let provisioned = per_s / assumed.capacity_used * HOURS;
    match assumed.capacity {
        Capacity::OnDemand => list::RRU.of(per_s * SECONDS),
        Capacity::Provisioned => list::RCU.of(provisioned),
        Capacity::Reserved => list::RESERVED_RCU.of(provisioned),
    }
}

fn machines(shops: f64, assumed: &Assumptions) -> f64 {
    let tokens = Tokens::of(shops, shops * assumed.tills, assumed.token_hours);
    if assumed.machine_clients { tokens.dollars() } else { tokens.token_dollars }
}

/// Returns a cost per command at `size` commands a request. The cost has a part per request and a part per command;
/// both follow from the measurements at one and at `many` commands a request.
fn at_size(single: f64, batched: f64, many: f64, size: f64) -> f64 {
    let per_request = (single - batched) / (1.0 - 1.0 / many);
    single - per_request + per_request / size
}

/// Returns the CPU time of a command and its polls. A poll counts as one command.
fn ingress_cpu_s(measured: &Measured, assumed: &Assumptions) -> f64 {
    let cpu = &measured.cpu;
    let command = at_size(cpu.ingress_single_s, cpu.ingress_batch_s, cpu::BATCH as f64, assumed.commands_per_request);
    command + assumed.polls * cpu.ingress_single_s
}

fn worker_cpu_s(rate: f64, measured: &Measured, assumed: &Assumptions) -> f64 {
    let hot = if is_full(rate, assumed) { assumed.hot_share } else { 0.0 };
    measured.cpu.worker_single_s * (1.0 - hot) + measured.cpu.worker_packed_s * hot
}

/// Returns the request and answer bytes of a command and its polls.
fn http_bytes(measured: &Measured, assumed: &Assumptions) -> (f64, f64) {
    let (single, batched, poll) = (measured.alone.http, measured.full.http, measured.poll_http);
    let size = |single, batched| at_size(single, batched, cost::BATCH as f64, assumed.commands_per_request);
    (
        size(single.request_bytes, batched.request_bytes) + assumed.polls * poll.request_bytes,
        size(single.answer_bytes, batched.answer_bytes) + assumed.polls * poll.answer_bytes,
    )
}

/// Returns the tasks needed for this many CPU seconds a second.
fn tasks(cpu_s: f64, assumed: &Assumptions) -> f64 {
    (cpu_s / (assumed.task_vcpu * assumed.busy)).ceil().max(assumed.tasks_min)
}

/// Returns the receives per second that end without a message, if `waiting` receives wait in parallel and messages
/// arrive at random. A receive that waits w seconds stays empty with probability exp(−λw) and lasts (1 − exp(−λw)) / λ
/// on average.
fn empty_receives(messages_per_s: f64, waiting: f64) -> f64 {
    let expected = messages_per_s / waiting * RECEIVE_WAIT_S;
    if expected < 1e-9 { waiting / RECEIVE_WAIT_S } else { messages_per_s / expected.exp_m1() }
}

fn fargate(tasks: f64, assumed: &Assumptions) -> f64 {
    let (vcpu, gb) = if assumed.x86 {
        (list::FARGATE_X86_VCPU, list::FARGATE_X86_GB)
    } else {
        (list::FARGATE_ARM_VCPU, list::FARGATE_ARM_GB)
    };
    (vcpu.of(tasks * assumed.task_vcpu * HOURS) + gb.of(tasks * assumed.task_gb * HOURS)) * (1.0 - assumed.savings_plan)
}

/// Each till keeps its connection open, so new connections cost nothing.
fn balancer(bytes_per_s: f64, connections: f64) -> f64 {
    let units = (bytes_per_s * 3_600.0 / GB).max(connections / LCU_CONNECTIONS);
    list::ALB.of(HOURS) + list::LCU.of(units * HOURS)
}

/// Each zone has a NAT gateway with a public address, also with endpoints: ingress fetches Cognito's keys through it.
/// Queue and log data pass through the endpoints, or without them through the gateways. DynamoDB and the image layers use
/// gateway endpoints, which are free.
fn network(gb: f64, assumed: &Assumptions) -> f64 {
    let gateways = list::NAT.of(assumed.zones * HOURS);
    if assumed.nat {
        gateways + list::NAT_GB.of(gb)
    } else {
        gateways + list::ENDPOINT.of(assumed.endpoints * assumed.zones * HOURS) + list::ENDPOINT_GB.of(gb)
    }
}

/// Every task logs its metrics once a minute.
#[expect(clippy::cast_precision_loss, reason = "some kilobytes")]
fn log_bytes(measured: &Measured, ingress_tasks: f64, worker_tasks: f64) -> f64 {
    let tasks = |program| match program {
        "ingress" => ingress_tasks,
        "worker" => worker_tasks,
        _ => 1.0,
    };
    let minutes = SECONDS / 60.0;
    measured.metrics.iter().map(|of| of.line_bytes as f64 * tasks(of.program) * minutes).sum()
}

#[expect(clippy::cast_precision_loss, reason = "some hundred")]
fn watching(log_gb: f64, measured: &Measured, assumed: &Assumptions) -> f64 {
    let series: usize = measured.metrics.iter().map(|of| of.series).sum();
    list::METRIC.of(series as f64 + assumed.insights_metrics)
        + list::ALARM.of(assumed.alarm_metrics)
        + list::DASHBOARD.of(1.0)
        + list::LOGS.of(log_gb)
}

/// Returns the cost of alerts that arrive one by one: publish, receive, function run, delete, and Lambda's own polls.
fn alerting(alerts: f64, measured: &Measured) -> f64 {
    const REQUESTS: f64 = 2.0;
    let polls = LAMBDA_POLLERS / LAMBDA_POLL_S * SECONDS;
    list::SNS.of(alerts)
        + list::SQS_STANDARD.of(alerts * REQUESTS + polls)
        + list::LAMBDA_REQUESTS.of(alerts + HOURS)
        + list::LAMBDA_ARM.of((alerts + HOURS) * ALERT_S * ALERTER_GB)
        + list::WRU.of(alerts * measured.alert_wru)
        + list::RRU.of(alerts * measured.alert_rru)
}

#[cfg(test)]
mod tests;
