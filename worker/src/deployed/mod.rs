//! The worker on AWS: SQS, DynamoDB and SNS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use stockline_aws::deployed::{self, StartChecks};
use stockline_aws::dynamodb::Backfill;
use stockline_aws::{Clients, DynamoOptions, DynamoStore, Repair, SnsPublisher, SqsOptions, SqsQueue, StartError};
use stockline_core::domain::FoldLimits;
use stockline_core::ports::Clock;
use stockline_service::{CLOCK_REMEDY, EmfEmitter, GuardedClock, Variable, install_metrics_and_emf, on_termination};
use stockline_worker::audit::AuditOptions;
use stockline_worker::{Adapters, Config, Health, Parking};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod cli;
mod clients;
mod health;
mod operate;
mod settings;

use cli::{AuditArgs, TornArgs};
pub(crate) use cli::{Cli, Command, Operation};
pub(crate) use settings::{HEALTH_LISTEN, Settings};

/// The most messages of one receive; SQS returns no more.
const RECEIVE_MAX: usize = 10;

/// How long an empty receive waits. SQS allows up to 20 s. This also bounds how long an idle worker takes to stop.
const RECEIVE_WAIT: Duration = Duration::from_secs(10);

/// How long rounds in progress may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(20);

/// How long ending a receive and returning messages may take beyond that.
const STOP_ROOM: Duration = Duration::from_secs(6);

const _: () = assert!(DRAIN.as_secs() + STOP_ROOM.as_secs() < deployed::STOP_TIMEOUT.as_secs());
const _: () = assert!(RECEIVE_WAIT.as_secs() + STOP_ROOM.as_secs() < deployed::STOP_TIMEOUT.as_secs());

/// The adapters, checked at start.
#[derive(Debug)]
pub(crate) struct Connected {
    store: Arc<DynamoStore>,
    queue: Arc<SqsQueue>,
    alerts: Arc<SnsPublisher>,
    clock: Arc<dyn Clock>,
}

/// Runs the operation and returns the exit code.
pub(crate) async fn run(operation: Operation, settings: Settings) -> anyhow::Result<u8> {
    let _logging = settings.logs.begin("stockline-worker")?;
    match operation {
        Operation::Run => work(settings).await.map(|()| 0),
        Operation::Audit(AuditArgs {
            json,
            torn: TornArgs { restored_at: Some(restored_at), window_minutes, apply },
            ..
        }) => {
            let window_ms = i64::from(window_minutes) * 60_000;
            let repair = Repair { restored_at, window_ms, apply };
            operate::run_repair(&connect(&settings).await?, repair, json).await
        }
        Operation::Audit(AuditArgs { json, at_once, resume, .. }) => {
            let options = AuditOptions { at_once: at_once as usize, resume, ..AuditOptions::default() };
            operate::run_audit(&connect(&settings).await?, options, json).await
        }
        Operation::Backfill { records, json } => {
            let what = if records { Backfill::Records } else { Backfill::Chunks };
            operate::run_backfill(&connect(&settings).await?, what, json).await
        }
        Operation::Smoke { no_queue, json } => operate::run_smoke(&connect(&settings).await?, !no_queue, json).await,
        Operation::Clients(command) => clients::run_clients(&connect(&settings).await?, command).await,
        Operation::DeadLetters(command) => operate::run_dead_letters(&connect(&settings).await?, command).await,
    }
}

/// Works until SIGTERM.
async fn work(settings: Settings) -> anyhow::Result<()> {
    // From here on a signal ends the program in order, also while it starts.
    let mut signal = tokio::spawn(on_termination());
    let metrics = install_metrics_and_emf().context("can't set up metrics")?;
    let connected = tokio::select! {
        connected = connect(&settings) => connected?,
        signal = &mut signal => return signal?.context("can't listen for signals"),
    };
    let health = Arc::new(Health::default());
    let shutdown = CancellationToken::new();
    let trigger = shutdown.clone();
    let ready = health::router(health.clone(), connected.clock.clone(), shutdown.clone());
    serve(settings.health_listen, "STOCKLINE_HEALTH_LISTEN", ready).await?;
    if let Some(address) = settings.metrics_listen {
        let metrics = metrics.0.clone();
        serve(address, "STOCKLINE_METRICS_LISTEN", health::metrics(move || metrics.render())).await?;
    }
    let emitter_stops = CancellationToken::new();
    let stop_emitter = emitter_stops.clone();
    let emitter =
        EmfEmitter::new("worker", &settings.logs.metrics_namespace, metrics).context("can't write metrics")?;
    let emitter = tokio::spawn(emitter.run(emitter_stops));
    let Connected { store, queue, alerts, clock } = connected;
    let adapters = Adapters { queue, store, alerts, clock };
    let mut working = tokio::spawn(stockline_worker::run_with_health(config(&settings), adapters, health, shutdown));
    tracing::info!(permits = settings.permits, receivers = settings.receivers, "the worker is receiving");
    let ended = tokio::select! {
        ended = &mut working => ended,
        signal = signal => {
            signal?.context("can't listen for signals")?;
            tracing::info!("stopping");
            trigger.cancel();
            working.await
        }
    };
    stop_emitter.cancel();
    emitter.await?;
    ended.context("the worker stopped by itself")?;
    tracing::info!("stopped; all messages in flight are settled or returned");
    Ok(())
}

/// Makes the adapters, and checks that their table, queues and topic exist and are configured right.
async fn connect(settings: &Settings) -> anyhow::Result<Connected> {
    let clock: Arc<dyn Clock> = Arc::new(GuardedClock::new(None, CLOCK_REMEDY));
    let clients = Clients::from_env().await;
    let options = SqsOptions { visibility_timeout: settings.visibility, ..SqsOptions::default() };
    let queue = SqsQueue::new(clients.sqs, settings.queue_url.clone(), Some(settings.dlq_url.clone()), options);
    let options = DynamoOptions::default().of_a_fleet();
    let store = DynamoStore::new(clients.dynamodb, settings.table.clone(), options, Arc::clone(&clock));
    let alerts = SnsPublisher::new(clients.sns, settings.topic_arn.clone());
    let (store_found, queue_found, topic_found) = tokio::join!(store.check(), queue.check(), alerts.check());
    let mut checks = StartChecks::default();
    checks.add(&deployed::TABLE, store_found);
    checks.add(queue_variable(settings, &queue_found), queue_found);
    checks.add(settings::TOPIC, topic_found);
    checks.finish()?;
    Ok(Connected { store: Arc::new(store), queue: Arc::new(queue), alerts: Arc::new(alerts), clock })
}

/// Returns the variable that an error of the queues is about. If the error names both queues, it is the main one.
fn queue_variable(settings: &Settings, found: &Result<(), StartError>) -> &'static Variable {
    let names = |url: &str| found.as_ref().is_err_and(|error| error.to_string().contains(url));
    if names(&settings.dlq_url) && !names(&settings.queue_url) { &deployed::DLQ_URL } else { &deployed::QUEUE_URL }
}

fn config(settings: &Settings) -> Config {
    Config {
        permits: settings.permits,
        receivers: settings.receivers,
        receive_max: RECEIVE_MAX,
        receive_wait: RECEIVE_WAIT,
        receive_pause: settings.receive_pause,
        parking: Some(Parking::default()),
        rules: settings.rules,
        fold_limits: FoldLimits::default(),
        retention_ms: stockline_core::ports::RETENTION_MS,
        drain: DRAIN,
    }
}

async fn serve(address: SocketAddr, variable: &str, router: axum::Router) -> anyhow::Result<()> {
    let bound = TcpListener::bind(address).await;
    let listener = bound.with_context(|| format!("{variable}: can't listen at {address}"))?;
    tracing::info!(address = %listener.local_addr()?, variable, "listening");
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}
