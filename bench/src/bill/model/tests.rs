use super::*;
use crate::bill::measure::{Http, Metrics};
use crate::bill::stored::Stored;
use crate::cpu::CpuFigures;

/// Returns round figures near the measured ones.
fn measured() -> Measured {
    let http = Http { request_bytes: 1_000.0, answer_bytes: 400.0 };
    let alone = PerCommand { wru: 4.25, rru: 2.0, sqs_requests: 3.0, receives: 1.0, sqs_bytes: 700.0, http };
    let full_http = Http { request_bytes: 301.4, answer_bytes: 400.0 };
    let full = PerCommand { sqs_requests: 0.3, receives: 0.1, http: full_http, ..alone };
    let hot = PerCommand { wru: 2.25, rru: 0.0, sqs_requests: 0.025, receives: 0.001, ..full };
    Measured {
        alone,
        full,
        hot,
        stored_per_command: Stored { table: 900.0, indexes: 0.0 },
        stored_per_level: Stored { table: 700.0, indexes: 200.0 },
        poll_rru: 1.0,
        poll_http: Http { request_bytes: 900.0, answer_bytes: 600.0 },
        alert_wru: 2.0,
        alert_rru: 1.0,
        metrics: vec![
            Metrics { program: "ingress", series: 50, line_bytes: 5_000 },
            Metrics { program: "worker", series: 30, line_bytes: 3_000 },
            Metrics { program: "alerter", series: 10, line_bytes: 2_000 },
        ],
        cpu: CpuFigures {
            worker_single_s: 100e-6,
            worker_packed_s: 20e-6,
            ingress_single_s: 100e-6,
            ingress_batch_s: 20e-6,
        },
    }
}

#[track_caller]
fn assert_close(found: f64, right: f64) {
    assert!((found - right).abs() < 0.005 * right.abs().max(0.01), "{found} should be {right}");
}

fn dollars(month: &Month, service: &str) -> f64 {
    month.lines.iter().find(|line| line.service == service).unwrap().dollars
}

#[test]
fn one_command_a_second_pays_for_the_fixed_parts_and_for_polls() {
    let month = month(1.0, &measured(), &Assumptions::default().before());
    assert_eq!((month.commands, month.shops), (2_628_000.0, 1.0));
    assert_eq!((month.ingress_tasks, month.worker_tasks), (2.0, 2.0));
    // 2.628 M × 4.25 × $0.625; × 3 × $0.125, polls included; × 3 × $0.50
    assert_close(dollars(&month, "DynamoDB writes"), 6.981);
    assert_close(dollars(&month, "DynamoDB reads, status polls included"), 0.9855);
    assert_close(dollars(&month, "SQS FIFO, messages"), 3.942);
    // 1 / (exp(1/8 × 10) − 1) = 0.4016, and 2 polls of the dead letter queue in 30 s: × 2.628 M × $0.50
    assert_close(month.empty_receives, 0.4016);
    assert_close(dollars(&month, "SQS FIFO, empty receives"), 0.6152);
    // 2 × 730 h × (0.5 × 0.03238 + 0.00356)
    assert_close(dollars(&month, "Fargate, worker"), 28.835);
    // 730 × 0.0225, and 2,900 bytes a second: 0.00972 units × 730 × 0.008
    assert_close(dollars(&month, "Load balancer"), 16.482);
    // 2 × 730 × 0.045 and 6 × 2 × 730 × 0.01; messages of 1.7132 GB and lines of 0.7343 GB at 0.01
    assert_close(dollars(&month, "Private network"), 65.7 + 87.6 + 0.0245);
    // 90 + 60 metrics × 0.30, 68 × 0.10, 3, and 0.7343 GB × 0.50
    assert_close(dollars(&month, "CloudWatch"), 55.167);
    // 608.3 alerts: 5 polls in 20 s, 2 requests each, 2 WRU: 0.2628 + 0.0005 + …
    assert_close(dollars(&month, "Alerts: SNS, SQS, Lambda, DynamoDB"), 0.2664);
    assert_close(dollars(&month, "Cognito, machines"), 6.0 + 0.684);
    let sum: f64 = month.lines.iter().map(|line| line.dollars).sum();
    assert_close(month.dollars_per_million(), sum / 2.628);
}

#[test]
fn ten_thousand_a_second_use_full_calls_and_tasks_by_their_cpu() {
    let assumed = Assumptions::default();
    let month = month(10_000.0, &measured(), &assumed);
    // 10,000 × 100 µs = 1 vCPU for commands, another for polls, at half of 0.5 vCPU a task
    assert_eq!((month.ingress_tasks, month.worker_tasks), (8.0, 4.0));
    assert_close(dollars(&month, "SQS FIFO, messages"), 26_280.0 * 0.3 * 0.5);
    assert!(month.empty_receives < 1e-9, "{}", month.empty_receives);
    let half = Assumptions { hot_share: 0.5, ..assumed };
    let hot = super::month(10_000.0, &measured(), &half);
    // (4.25 + 2.25) / 2 × 26,280 M × $0.625
    assert_close(dollars(&hot, "DynamoDB writes"), 53_381.25);
    assert_eq!(hot.worker_tasks, 3.0);
}

#[test]
fn an_idle_worker_polls_once_per_wait_and_a_busy_one_gets_no_empty_receive() {
    assert_eq!(empty_receives(0.0, 8.0), 0.8);
    assert_close(empty_receives(0.001, 8.0), 0.7995);
    assert!(empty_receives(100.0, 8.0) < 1e-40);
}

#[test]
fn batches_share_the_cost_of_a_request() {
    assert_eq!(at_size(100.0, 20.0, 100.0, 1.0), 100.0);
    assert_close(at_size(100.0, 20.0, 100.0, 100.0), 20.0);
    let batches = Assumptions { commands_per_request: 500.0, polls: 0.0, ..Assumptions::default() };
    assert_close(http_bytes(&measured(), &batches).0, 301.4);
}

#[test]
fn gateways_and_x86_cost_more_where_chosen() {
    let assumed = Assumptions { nat: true, x86: true, ..Assumptions::default() };
    let month = month(1.0, &measured(), &assumed);
    // 2 × 730 × 0.045, 2.4475 GB × 0.045; two more addresses
    assert_close(dollars(&month, "Private network"), 65.81);
    assert_close(dollars(&month, "Public addresses"), 14.6);
    assert_close(dollars(&month, "Fargate, worker"), 2.0 * 730.0 * (0.02024 + 0.004_445));
}

#[test]
fn what_waits_for_each_other_shares_calls_and_nothing_else_changes() {
    let before = Assumptions::default().before();
    let paced = Assumptions { linger_ms: 100.0, receive_pause_ms: 400.0, ..before.clone() };
    let (alone, together) = (month(100.0, &measured(), &before), month(100.0, &measured(), &paced));
    // 50 a second and task: six in a send; 100 × 0.4 s for eight receivers: five in a receive and in a delete
    assert_close(dollars(&together, "SQS FIFO, messages"), 262.8 * (1.0 / 6.0 + 2.0 / 5.0) * 0.5);
    let others = |month: &Month| {
        let lines = month.lines.iter().filter(|line| !line.service.starts_with("SQS FIFO"));
        lines.copied().collect::<Vec<_>>()
    };
    assert_eq!(others(&alone), others(&together));
    let one = month(1.0, &measured(), &paced);
    assert!(dollars(&one, "SQS FIFO, messages") > 3.7, "one a second rarely meets another");
}

#[test]
fn the_savings_bring_a_hundred_a_second_below_six_tenths() {
    let assumed = Assumptions::default();
    let (before, after) = (month(100.0, &measured(), &assumed.before()), month(100.0, &measured(), &assumed.after()));
    assert!(after.dollars() < 0.6 * before.dollars(), "{} of {}", after.dollars(), before.dollars());
    // 425 write units a second at 70 %, and 300 read units
    assert_close(dollars(&after, "DynamoDB writes"), 425.0 / 0.7 * 730.0 * 0.000_65);
    assert_close(dollars(&after, "DynamoDB reads, status polls included"), 300.0 / 0.7 * 730.0 * 0.000_13);
    let reserved = Assumptions { capacity: Capacity::Reserved, savings_plan: 0.2, ..assumed.after() };
    assert!(month(100.0, &measured(), &reserved).dollars() < after.dollars());
}
