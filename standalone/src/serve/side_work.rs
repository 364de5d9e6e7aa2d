//! Tasks beside the parts that may fail without harm: metrics, and orders from the command line.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use stockline_core::ports::{Clock as _, CommandReceiver as _};
use stockline_ingress::metrics_router;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::control;
use crate::folder::Folder;
use crate::stores::Stores;

/// How often the queue's depth is measured.
const DEPTH_INTERVAL: Duration = Duration::from_secs(5);

/// The messages that wait in the queue.
const QUEUE_VISIBLE: &str = "stockline_queue_visible";
/// The messages that the worker holds.
const QUEUE_IN_FLIGHT: &str = "stockline_queue_in_flight";
/// How long the oldest message has waited.
const QUEUE_OLDEST_AGE: &str = "stockline_queue_oldest_age_seconds";

/// The running tasks.
#[derive(Debug)]
pub(crate) struct SideWork {
    trigger: CancellationToken,
    control: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl SideWork {
    /// Stops the tasks, after the order in progress.
    pub(crate) async fn end(self) {
        self.trigger.cancel();
        if let Some(control) = self.control {
            // A panic in the task was reported where it happened.
            let _ = control.await;
        }
        for task in self.others {
            task.abort();
        }
    }
}

/// Starts the tasks.
pub(crate) fn start(stores: &Stores, folder: &Folder, metrics: PrometheusHandle, listener: TcpListener) -> SideWork {
    let shutdown = CancellationToken::new();
    let trigger = shutdown.clone();
    let control = match control::listen(&folder.control_socket()) {
        Ok(listener) => Some(tokio::spawn(control::serve(listener, stores.operator(), stores.clock.clone(), shutdown))),
        Err(error) => {
            let path = folder.control_socket();
            tracing::warn!(
                "can't listen for orders at {} ({error}): stop the server to retry or discard dead letters",
                path.display()
            );
            None
        }
    };
    let (queue, clock) = (stores.queue.clone(), stores.clock.clone());
    let upkeep = metrics.clone();
    let measure = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(DEPTH_INTERVAL);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
            // Nobody may ask for the time while the shop is closed, and a step must be told all the same.
            clock.now();
            if let Ok(depth) = queue.depth().await {
                metrics::gauge!(QUEUE_VISIBLE).set(depth.visible as f64);
                metrics::gauge!(QUEUE_IN_FLIGHT).set(depth.in_flight as f64);
                metrics::gauge!(QUEUE_OLDEST_AGE).set(depth.oldest_age_ms as f64 / 1_000.0);
            }
        }
    });
    let router = metrics_router(move || metrics.render());
    let serve = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!("metrics are no longer served: {error}");
        }
    });
    SideWork { trigger, control, others: vec![measure, serve] }
}
