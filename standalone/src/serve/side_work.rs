//! Tasks beside the parts. Each may fail without harm: its fault is named, and it begins anew after a pause.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusHandle;
use stockline_core::domain::{ItemId, Timestamp};
use stockline_core::ports::{Clock as _, CommandReceiver};
use stockline_ingress::metrics_router;
use stockline_service::{Faults, GuardedClock, Retry, Severity, lines_lost, lines_written};
use stockline_sqlite::SqliteAlertQueue;
use stockline_worker::Health;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::control::{self, CONTROL};
use super::sender_log::{SAVE_INTERVAL, SenderLog};
use super::{Listeners, Setup};
use crate::stores::Stores;

/// `/metrics`.
const METRICS: &str = "metrics";
/// The measurements of the queue, and the watch over log and worker.
const MEASURE: &str = "measurements";
/// The log.
const LOG: &str = "log";
/// Mails. The feed runs; the provider or the folder fails.
pub(super) const MAIL: &str = "mail";
/// Settling. The worker runs; the store or the alert queue fails.
const SETTLING: &str = "settling";
/// Items that the worker has set aside, because they can't be read.
const ITEMS: &str = "items";

/// The parts that fail without harm.
pub(crate) const PARTS: [&str; 7] = [CONTROL, METRICS, MEASURE, LOG, MAIL, SETTLING, ITEMS];

/// The most items that `/readyz` names.
const NAMED_MAX: usize = 20;

/// How often the queue's depth is measured.
const DEPTH_INTERVAL: Duration = Duration::from_secs(5);
/// The first and the longest pause before a task begins anew.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The messages that wait in the queue.
const QUEUE_VISIBLE: &str = "stockline_queue_visible";
/// The messages that the worker holds.
const QUEUE_IN_FLIGHT: &str = "stockline_queue_in_flight";
/// How long the oldest message has waited.
const QUEUE_OLDEST_AGE: &str = "stockline_queue_oldest_age_seconds";

/// The alerts that are not mailed to all their recipients.
const ALERTS_WAITING: &str = "stockline_alerts_waiting";

/// The running tasks.
#[derive(Debug)]
pub(crate) struct SideWork {
    trigger: CancellationToken,
    control: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
}

impl SideWork {
    /// Stops the tasks, after the order in progress.
    pub(crate) async fn end(mut self) {
        self.trigger.cancel();
        // A panic in the task was reported where it happened.
        let _ = (&mut self.control).await;
    }

    /// Cuts the tasks off. An order in progress may be carried out or not.
    pub(crate) async fn abandon(mut self) {
        let tasks: Vec<_> = self.others.drain(..).collect();
        self.control.abort();
        tasks.iter().for_each(JoinHandle::abort);
        // They were cut off.
        let _ = (&mut self.control).await;
        join_all(tasks).await;
    }
}

impl Drop for SideWork {
    fn drop(&mut self) {
        self.control.abort();
        self.others.iter().for_each(JoinHandle::abort);
    }
}

/// Starts the tasks.
pub(crate) fn start(
    setup: &Setup,
    listeners: &Listeners,
    stores: &Stores,
    health: Arc<Health>,
    mail_description: String,
) -> SideWork {
    let shutdown = CancellationToken::new();
    let trigger = shutdown.clone();
    let faults = &setup.faults;
    let path = setup.folder.control_socket();
    let subjects = Arc::new(control::Subjects {
        operator: stores.operator(),
        clock: Arc::clone(&stores.clock),
        folder: setup.folder.clone(),
        changed: setup.changed.clone(),
        alerts: Arc::clone(&stores.alerts),
        mails: Arc::clone(&setup.mails),
        mail_description,
        console: super::console::root(setup),
    });
    let control = tokio::spawn(keep_up(CONTROL, Arc::clone(faults), shutdown.clone(), {
        let (faults, shutdown) = (Arc::clone(faults), shutdown.clone());
        move || control::serve(path.clone(), Arc::clone(&subjects), Arc::clone(&faults), shutdown.clone())
    }));
    let measure = tokio::spawn(keep_up(MEASURE, Arc::clone(faults), shutdown.clone(), {
        let (queues, metrics, faults) = (
            (stores.queue.clone() as Arc<dyn CommandReceiver>, stores.alerts.clone()),
            setup.metrics.clone(),
            Arc::clone(faults),
        );
        let (clock, senders) = (Arc::clone(&stores.clock), Arc::clone(&setup.senders));
        move || {
            let kept = (Arc::clone(&clock), Arc::clone(&senders));
            measure(queues.clone(), kept, metrics.clone(), Arc::clone(&faults), Arc::clone(&health))
        }
    }));
    let serve = tokio::spawn(keep_up(METRICS, Arc::clone(faults), shutdown, {
        let (listener, metrics, faults) = (Arc::clone(&listeners.metrics), setup.metrics.clone(), Arc::clone(faults));
        move || serve_metrics(Arc::clone(&listener), metrics.clone(), Arc::clone(&faults))
    }));
    SideWork { trigger, control, others: vec![measure, serve] }
}

/// Runs a task until shutdown is requested. If it ends or panics before, it begins anew after a pause.
async fn keep_up<F>(part: &'static str, faults: Arc<Faults>, shutdown: CancellationToken, mut begin: impl FnMut() -> F)
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut pauses = Retry::new(PAUSES.0, PAUSES.1);
    loop {
        let ended = AssertUnwindSafe(begin()).catch_unwind().await;
        if shutdown.is_cancelled() {
            return;
        }
        match ended {
            Ok(Ok(())) => tracing::warn!(part, "the task ended without a request"),
            Ok(Err(error)) => tracing::warn!(part, "the task failed: {error:#}"),
            // The panic was logged where it happened.
            Err(_) => tracing::warn!(part, "the task panicked"),
        }
        faults.found(part, Severity::Degraded, "it has stopped and begins anew; the log says why");
        tokio::select! {
            () = tokio::time::sleep(pauses.next_pause()) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn serve_metrics(
    listener: Arc<std::net::TcpListener>,
    metrics: PrometheusHandle,
    faults: Arc<Faults>,
) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener.try_clone()?).context("can't listen for metrics")?;
    faults.over(METRICS);
    Ok(axum::serve(listener, metrics_router(move || metrics.render())).await?)
}

/// Keeps who sent movements over a restart. Sales do not depend on it.
pub(super) async fn save_senders(senders: &Arc<SenderLog>, now: Timestamp) {
    let senders = Arc::clone(senders);
    let saved = tokio::task::spawn_blocking(move || senders.save(now)).await;
    if let Err(error) = saved.map_err(anyhow::Error::from).flatten() {
        tracing::debug!("who sent movements can't be kept for after a restart: {error:#}");
    }
}

/// Measures the queue, watches what can't watch itself (the log and the worker), and keeps who sent movements.
async fn measure(
    (queue, alerts): (Arc<dyn CommandReceiver>, Arc<SqliteAlertQueue>),
    (clock, senders): (Arc<GuardedClock>, Arc<SenderLog>),
    metrics: PrometheusHandle,
    faults: Arc<Faults>,
    health: Arc<Health>,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(DEPTH_INTERVAL);
    let mut saves = tokio::time::interval(SAVE_INTERVAL);
    let mut condition = health.subscribe();
    let mut log = LogWatch::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                metrics.run_upkeep();
                // Nobody may ask for the time while the shop is closed, and a step must be told all the same.
                clock.now();
                log.look(&faults, lines_lost(), lines_written());
                if let Ok(depth) = queue.depth().await {
                    metrics::gauge!(QUEUE_VISIBLE).set(depth.visible as f64);
                    metrics::gauge!(QUEUE_IN_FLIGHT).set(depth.in_flight as f64);
                    metrics::gauge!(QUEUE_OLDEST_AGE).set(depth.oldest_age_ms as f64 / 1_000.0);
                }
                metrics::gauge!(ALERTS_WAITING).set(alerts.waiting() as f64);
                faults.over(MEASURE);
            }
            _ = saves.tick() => save_senders(&senders, clock.now()).await,
            // The worker's end is another part's death.
            Ok(()) = condition.changed() => {}
        }
        match health.condition().why() {
            // Commands are accepted all the same (P9).
            Some(why) => faults.found(SETTLING, Severity::Degraded, why),
            None => faults.over(SETTLING),
        }
        match set_aside(&health.items_set_aside()) {
            Some(why) => faults.found(ITEMS, Severity::Degraded, why),
            None => faults.over(ITEMS),
        }
    }
}

/// Names the items that are set aside; `None` if there are none. The log says why.
fn set_aside(items: &[(ItemId, String)]) -> Option<String> {
    let named: Vec<_> = items.iter().take(NAMED_MAX).map(|(item_id, _)| item_id.as_str()).collect();
    (!items.is_empty()).then(|| {
        format!("{} set aside, whose commands wait for stockline audit --repair: {}", items.len(), named.join(", "))
    })
}

/// Finds out whether the log takes lines.
#[derive(Debug, Default)]
struct LogWatch {
    lost: u64,
    written: u64,
    fails: bool,
}

impl LogWatch {
    /// Compares with the last look. While the log fails, each look writes a line: without one, nothing would show that it
    /// works again.
    fn look(&mut self, faults: &Faults, lost: u64, written: u64) {
        let (more_lost, more_written) = (lost > self.lost, written > self.written);
        (self.lost, self.written) = (lost, written);
        if more_lost {
            self.fails = true;
            faults.found(LOG, Severity::Degraded, "lines are lost: standard error does not take them");
        } else if self.fails && more_written {
            self.fails = false;
            faults.over(LOG);
        }
        if self.fails {
            tracing::warn!(lost, "log lines were lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_loses_lines_is_a_fault_until_it_takes_one_again() {
        let (faults, mut log) = (Faults::default(), LogWatch::default());
        let mut look = |lost, written| {
            log.look(&faults, lost, written);
            faults.text()
        };
        assert_eq!(look(0, 5), "");
        assert!(look(2, 5).starts_with("log: "));
        assert!(look(2, 5).starts_with("log: "), "nothing was written since");
        assert_eq!(look(2, 6), "");
    }

    #[test]
    fn items_set_aside_are_named_as_far_as_there_is_room() {
        assert_eq!(set_aside(&[]), None);
        let items = |count| (0..count).map(|n| (format!("item-{n}").parse().unwrap(), "damaged".to_owned()));
        let why = set_aside(&items(2).collect::<Vec<_>>()).unwrap();
        assert!(why.starts_with("2 set aside") && why.ends_with(": item-0, item-1"), "{why}");
        let why = set_aside(&items(5_000).collect::<Vec<_>>()).unwrap();
        assert!(why.starts_with("5000 set aside") && why.len() < 1_000, "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_or_panics_begins_anew_and_its_fault_is_named_meanwhile() {
        let (faults, shutdown) = (Arc::new(Faults::default()), CancellationToken::new());
        let (begun, mut begins) = tokio::sync::watch::channel(0);
        let task = tokio::spawn(keep_up(CONTROL, Arc::clone(&faults), shutdown.clone(), {
            let (faults, shutdown) = (Arc::clone(&faults), shutdown.clone());
            move || {
                begun.send_modify(|begun| *begun += 1);
                let (time, faults, shutdown) = (*begun.borrow(), Arc::clone(&faults), shutdown.clone());
                async move {
                    match time {
                        1 => anyhow::bail!("the socket is gone"),
                        2 => panic!("a defect"),
                        _ => {
                            faults.over(CONTROL);
                            shutdown.cancelled().await;
                            Ok(())
                        }
                    }
                }
            }
        }));
        begins.wait_for(|begun| *begun == 1).await.unwrap();
        tokio::task::yield_now().await;
        assert!(faults.text().starts_with("control: "), "{}", faults.text());
        begins.wait_for(|begun| *begun == 3).await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(faults.text(), "");
        shutdown.cancel();
        task.await.unwrap();
    }
}
