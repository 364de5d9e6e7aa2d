//! Measures the units of the bill: with the cost meter, from the CPU time of threads, and from the programs' metrics.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use stockline_alerter::Alerter;
use stockline_core::domain::{Alert, AlertKind, CommandId, Quantity};
use stockline_core::ports::{Clock, Mail, MailError, Mailer};
use stockline_service::{Emf, SystemClock};

use super::stored::Stored;
use crate::api::Api;
use crate::cost::{Counted, count_some};
use crate::cpu::{self, CpuFigures};
use crate::load::sale;
use crate::rng::Rng;
use crate::testbed::{Opening, Testbed, open};

/// A queue without progress for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Units per command.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct PerCommand {
    pub(crate) wru: f64,
    pub(crate) rru: f64,
    /// As billed, without empty receives.
    pub(crate) sqs_requests: f64,
    /// Receives that return messages.
    pub(crate) receives: f64,
    /// Message bytes, sent and received.
    pub(crate) sqs_bytes: f64,
    /// HTTP heads and bodies.
    pub(crate) http: Http,
}

/// Bytes of HTTP requests and answers.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Http {
    pub(crate) request_bytes: f64,
    pub(crate) answer_bytes: f64,
}

/// The metrics of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Metrics {
    pub(crate) program: &'static str,
    /// Label sets, zero counters included. Each becomes a CloudWatch metric once something is counted under it.
    pub(crate) series: usize,
    /// Bytes of the log lines that report all counters of this run, as every minute does.
    pub(crate) line_bytes: usize,
}

/// All measurements.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Measured {
    /// One command a message, one message a call.
    pub(crate) alone: PerCommand,
    /// One command a message, ten messages a call.
    pub(crate) full: PerCommand,
    /// Full packs of one item.
    pub(crate) hot: PerCommand,
    pub(crate) stored_per_command: Stored,
    pub(crate) stored_per_level: Stored,
    /// A status poll: its read units, request and answer.
    pub(crate) poll_rru: f64,
    pub(crate) poll_http: Http,
    /// An alert: the alerter's write and read units.
    pub(crate) alert_wru: f64,
    pub(crate) alert_rru: f64,
    pub(crate) metrics: Vec<Metrics>,
    pub(crate) cpu: CpuFigures,
}

/// Runs all measurements. `emf` records the metrics of this process, which runs all three programs.
pub(super) fn measure(emf: &Emf) -> Result<Measured> {
    let runtime = crate::aws_runtime()?;
    let (alone, full, hot, poll, alert) = runtime.block_on(async {
        let (alone, full, hot) =
            (count_some("low-load").await?, count_some("uniform").await?, count_some("hot").await?);
        anyhow::Ok((alone, full, hot, poll().await?, alert().await?))
    })?;
    drop(runtime);
    let metrics = metrics(emf);
    let row = |kind: &str| full.rows.get(kind).with_context(|| format!("no row of {kind} was written"));
    let stored = |kind: &str| row(kind).map(|rows| Stored::row(rows.mean_bytes, rows.mean_index_bytes));
    let of_each = |kind: &str| Ok::<_, anyhow::Error>(stored(kind)?.times(row(kind)?.per_command));
    Ok(Measured {
        stored_per_command: of_each("CMD")?.plus(of_each("LEDGER")?),
        stored_per_level: stored("LEVEL")?,
        alone: per_command(&alone),
        full: per_command(&full),
        hot: per_command(&hot),
        poll_rru: poll.0,
        poll_http: poll.1,
        alert_wru: alert.0,
        alert_rru: alert.1,
        metrics,
        cpu: cpu::figures()?,
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_command(counted: &Counted) -> PerCommand {
    let receives = counted.sqs_requests.get("ReceiveMessage").copied().unwrap_or_default();
    PerCommand {
        wru: counted.wru_per_command,
        rru: counted.rru_per_command,
        sqs_requests: counted.sqs_requests_per_command,
        receives: receives as f64 / counted.commands as f64,
        sqs_bytes: counted.sqs_bytes_per_command,
        http: Http {
            request_bytes: counted.request_bytes_per_command,
            answer_bytes: counted.response_bytes_per_command,
        },
    }
}

/// Polls a settled command over HTTP. It also calls the health checks of load balancer and container, because they have
/// metrics of their own.
#[expect(clippy::cast_precision_loss, reason = "bytes of one answer")]
async fn poll() -> Result<(f64, Http)> {
    let testbed = Testbed::start().await?;
    open(&*testbed.store, &[Opening { item_id: "item-0".parse()?, locations: vec!["main".parse()?], sales: 0 }])
        .await?;
    let api = Api::start(testbed.queue.clone(), testbed.store.clone()).await?;
    let worker = testbed.start_worker(1);
    let mut till = api.connect().await?;
    let mut body = Vec::new();
    sale(&mut Rng::fresh(), 1, &mut body);
    till.submit(std::str::from_utf8(&body)?).await?;
    testbed.stub.drained(PATIENCE).await?;
    worker.stop().await?;
    let json: serde_json::Value = serde_json::from_slice(&body)?;
    let id = json["command_id"].as_str().context("command_id")?;
    till.reset_bytes();
    testbed.meter.reset();
    let answer = till.get(&format!("/v1/items/item-0/commands/{id}")).await?;
    let (bytes, counts) = (till.reset_bytes(), testbed.meter.reset());
    ensure!(answer.contains(r#""status":"applied""#), "the settled command answers {answer}");
    for check in ["/healthz", "/readyz"] {
        till.get(check).await?;
    }
    api.stop().await?;
    Ok((counts.engine_rru, Http { request_bytes: bytes.sent as f64, answer_bytes: bytes.received as f64 }))
}

/// Accepts every mail and drops it.
#[derive(Debug)]
struct DiscardMails;

#[async_trait]
impl Mailer for DiscardMails {
    async fn send(&self, _: &Mail) -> Result<(), MailError> {
        Ok(())
    }
}

/// Returns the write and read units of mailing one alert.
async fn alert() -> Result<(f64, f64)> {
    let testbed = Testbed::start().await?;
    let store = &testbed.store;
    let adapters = stockline_alerter::Adapters {
        book: store.clone(),
        locations: store.clone(),
        queries: store.clone(),
        mailer: Arc::new(DiscardMails),
        clock: Arc::new(SystemClock),
    };
    let config = stockline_alerter::Config {
        recipients: vec!["manager@example.com".into()],
        lease: stockline_alerter::MIN_LEASE,
        public_url: None,
    };
    let alert = Alert {
        item_id: "cola".parse()?,
        location_id: "main".parse()?,
        alert_no: 1,
        kind: AlertKind::Out,
        on_hand: Quantity::ZERO,
        low_stock_threshold: None,
        seq: 7,
        opening: false,
        raised_at: SystemClock.now(),
        command_id: CommandId(Rng::fresh().uuid()),
        item_name: "Cola 0.5 l".into(),
        unit: "piece".into(),
        trace: None,
    };
    testbed.meter.reset();
    let results = Alerter::new(config, adapters).handle(&[("m", &serde_json::to_string(&alert)?)]).await;
    ensure!(results == [Ok(())], "the alert was not mailed: {results:?}");
    let counts = testbed.meter.reset();
    Ok((counts.engine_wru + counts.engine_index_wru, counts.engine_rru))
}

/// Splits the recorded metrics by program.
fn metrics(emf: &Emf) -> Vec<Metrics> {
    let of = |program, is_its: &dyn Fn(&str) -> bool| {
        let lines = emf.lines(program, SystemClock.now(), is_its);
        Metrics { program, series: emf.series(is_its), line_bytes: lines.iter().map(|line| line.len() + 1).sum() }
    };
    let ingress = |name: &str| name.starts_with("stockline_ingress_");
    let worker = |name: &str| name.starts_with("stockline_worker_");
    vec![
        of("ingress", &ingress),
        of("worker", &worker),
        of("alerter", &|name| name.starts_with("stockline_") && !ingress(name) && !worker(name)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_of_labels_is_a_metric_of_its_program() {
        let emf = Emf::default();
        ::metrics::with_local_recorder(&emf, || {
            ::metrics::counter!("stockline_ingress_packs_total").increment(3);
            ::metrics::counter!("stockline_ingress_problems_total", "code" => "no_role").absolute(0);
            ::metrics::counter!("stockline_ingress_problems_total", "code" => "overloaded").increment(2);
            ::metrics::histogram!("stockline_worker_fold_commands").record(1.0);
            ::metrics::counter!("stockline_mails_sent_total").increment(1);
        });
        let metrics = metrics(&emf);
        let series: Vec<_> = metrics.iter().map(|one| (one.program, one.series)).collect();
        assert_eq!(series, [("ingress", 3), ("worker", 1), ("alerter", 1)]);
        assert!(metrics.iter().all(|one| one.line_bytes > 100), "{metrics:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_poll_reads_one_unit_and_an_alert_writes_its_claim_and_its_mark() {
        let (rru, http) = poll().await.unwrap();
        assert_eq!(rru, 1.0);
        assert!(http.request_bytes > 500.0 && http.answer_bytes > 300.0, "{http:?}");
        let (wru, _) = alert().await.unwrap();
        assert!(wru >= 2.0, "{wru}");
    }
}
