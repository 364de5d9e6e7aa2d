//! A month's bill at one rate. Nothing here measures or prints.

use super::assume::{Assumptions, DLQ_INTERVAL_S, RECEIVE_WAIT_S};
use super::measure::{Measured, PerCommand};
use super::tokens::Tokens;
use super::{GB, HOURS, SECONDS};
use crate::prices::list;
use crate::{cost, cpu};

/// Lambda keeps so many long polls at a queue (AWS Lambda developer guide, "Using Lambda with Amazon SQS").
const LAMBDA_POLLERS: f64 = 5.0;
/// And each lasts so long where nothing comes, in seconds.
const LAMBDA_POLL_S: f64 = 20.0;
/// The alerter's memory and the time of an alert, most of it waiting for store and mail.
const ALERTER_GB: f64 = 0.25;
const ALERT_S: f64 = 0.3;
/// One capacity unit of the load balancer: so many bytes an hour, or so many connections.
const LCU_CONNECTIONS: f64 = 3_000.0;
/// The receipt keys.
const SECRETS: f64 = 1.0;
/// Some versions of both images.
const IMAGES_GB: f64 = 0.5;
const MONTH_DAYS: f64 = HOURS / 24.0;

/// A line of the bill.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Line {
    pub(super) service: &'static str,
    pub(super) dollars: f64,
}

/// A month without what is kept for good.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct Month {
    pub(super) rate: f64,
    pub(super) commands: f64,
    pub(super) shops: f64,
    pub(super) ingress_tasks: f64,
    pub(super) worker_tasks: f64,
    /// Of the workers, per second.
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

/// Reckons.
pub(super) fn month(rate: f64, measured: &Measured, assumed: &Assumptions) -> Month {
    let commands = rate * SECONDS;
    let shops = assumed.shops(rate);
    let unit = units(rate, measured, assumed);
    let ingress_tasks = tasks(rate * ingress_cpu_s(measured, assumed), assumed);
    let worker_tasks = tasks(rate * worker_cpu_s(rate, measured, assumed), assumed);
    let empty_receives = empty_receives(rate * unit.receives, worker_tasks * assumed.receivers);
    let looks = worker_tasks / DLQ_INTERVAL_S;
    let alerts = shops * assumed.alerts * MONTH_DAYS;
    let http_bytes = http_bytes(measured, assumed);
    let log_bytes = log_bytes(measured, ingress_tasks, worker_tasks);
    let line = |service, dollars| Line { service, dollars };
    let lines = vec![
        line("DynamoDB writes", list::WRU.of(commands * unit.wru)),
        line(
            "DynamoDB reads, polls of the status too",
            list::RRU.of(commands * (unit.rru + assumed.polls * measured.poll_rru)),
        ),
        line("SQS FIFO, messages", list::SQS_FIFO.of(commands * unit.sqs_requests)),
        line("SQS FIFO, polls that bring nothing", list::SQS_FIFO.of((empty_receives + looks) * SECONDS)),
        line("Fargate, ingress", fargate(ingress_tasks, assumed)),
        line("Fargate, worker", fargate(worker_tasks, assumed)),
        line("Load balancer", balancer(rate * (http_bytes.0 + http_bytes.1), shops * assumed.tills)),
        line("Public addresses", list::IPV4.of((assumed.zones + gateways(assumed)) * HOURS)),
        line("Private network", network((commands * unit.sqs_bytes + log_bytes) / GB, assumed)),
        line("Data out", list::TRANSFER_OUT.of(commands * http_bytes.1 / GB)),
        line("CloudWatch", watching(log_bytes / GB, measured, assumed)),
        line("Alerts: SNS, SQS, Lambda, DynamoDB", alerting(alerts, measured)),
        line("Alerts: SES", list::SES.of(alerts)),
        line("Cognito, machines", Tokens::of(shops, shops * assumed.tills, assumed.token_hours).dollars()),
        line("Cognito, people", list::PERSON.of(shops * assumed.people)),
        line("Secrets Manager, ECR", list::SECRET.of(SECRETS) + list::IMAGES.of(IMAGES_GB)),
    ];
    Month { rate, commands, shops, ingress_tasks, worker_tasks, empty_receives, lines }
}

fn is_full(rate: f64, assumed: &Assumptions) -> bool {
    rate >= assumed.full_calls_from
}

/// The units of a command at this rate.
fn units(rate: f64, measured: &Measured, assumed: &Assumptions) -> PerCommand {
    if !is_full(rate, assumed) {
        return measured.alone;
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

/// What is measured for one and for `many` commands a request is a part per request and a part per command.
fn at_size(single: f64, batched: f64, many: f64, size: f64) -> f64 {
    let per_request = (single - batched) / (1.0 - 1.0 / many);
    single - per_request + per_request / size
}

/// Of a command and its polls; a poll counts as a single command.
fn ingress_cpu_s(measured: &Measured, assumed: &Assumptions) -> f64 {
    let cpu = &measured.cpu;
    let command = at_size(cpu.ingress_single_s, cpu.ingress_batch_s, cpu::BATCH as f64, assumed.commands_per_request);
    command + assumed.polls * cpu.ingress_single_s
}

fn worker_cpu_s(rate: f64, measured: &Measured, assumed: &Assumptions) -> f64 {
    let hot = if is_full(rate, assumed) { assumed.hot_share } else { 0.0 };
    measured.cpu.worker_single_s * (1.0 - hot) + measured.cpu.worker_packed_s * hot
}

/// Request and answer bytes of a command and its polls.
fn http_bytes(measured: &Measured, assumed: &Assumptions) -> (f64, f64) {
    let (single, batched, poll) = (measured.alone.http, measured.full.http, measured.poll_http);
    let size = |single, batched| at_size(single, batched, cost::BATCH as f64, assumed.commands_per_request);
    (
        size(single.request_bytes, batched.request_bytes) + assumed.polls * poll.request_bytes,
        size(single.answer_bytes, batched.answer_bytes) + assumed.polls * poll.answer_bytes,
    )
}

/// Tasks for so many CPU seconds a second.
fn tasks(cpu_s: f64, assumed: &Assumptions) -> f64 {
    (cpu_s / (assumed.task_vcpu * assumed.busy)).ceil().max(assumed.tasks_min)
}

/// Receives per second that end without a message, where so many wait side by side and messages come at random: one
/// that waits w seconds ends so with probability exp(−λw) and lasts (1 − exp(−λw)) / λ on average.
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
    vcpu.of(tasks * assumed.task_vcpu * HOURS) + gb.of(tasks * assumed.task_gb * HOURS)
}

/// Each till keeps a connection, so that new ones don't count.
fn balancer(bytes_per_s: f64, connections: f64) -> f64 {
    let units = (bytes_per_s * 3_600.0 / GB).max(connections / LCU_CONNECTIONS);
    list::ALB.of(HOURS) + list::LCU.of(units * HOURS)
}

/// NAT gateways, each with an address: one in each zone, or beside endpoints a single one, by which ingress fetches
/// Cognito's keys (a user pool with sign-in pages has no endpoint).
const fn gateways(assumed: &Assumptions) -> f64 {
    if assumed.nat { assumed.zones } else { 1.0 }
}

/// The queue's and the logs' data go through it; DynamoDB and the images' layers have gateway endpoints, which are free.
fn network(gb: f64, assumed: &Assumptions) -> f64 {
    let gateways = list::NAT.of(gateways(assumed) * HOURS);
    if assumed.nat {
        gateways + list::NAT_GB.of(gb)
    } else {
        gateways + list::ENDPOINT.of(assumed.endpoints * assumed.zones * HOURS) + list::ENDPOINT_GB.of(gb)
    }
}

/// The programs tell their metrics once a minute, each task for itself.
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

/// Each alert by itself: published, received, its function run, deleted; and Lambda's own polls.
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
