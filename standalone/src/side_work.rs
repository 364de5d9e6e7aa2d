//! What runs beside the parts and may fail without harm: metrics, orders of the command line.

use std::sync::Arc;
use std::time::Duration;

use stockline_core::ports::CommandReceiver as _;
use stockline_service::{Shutdown, ShutdownTrigger};
use stockline_worker::operator::Operator;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::control;
use crate::folder::Folder;
use crate::serve::Stores;

/// How often the queue's depth is measured.
const DEPTH_INTERVAL: Duration = Duration::from_secs(5);

/// Messages that wait in the queue.
const QUEUE_VISIBLE: &str = "stockline_queue_visible";
/// Messages that the worker holds.
const QUEUE_IN_FLIGHT: &str = "stockline_queue_in_flight";
/// How long the oldest message has waited.
const QUEUE_OLDEST_AGE: &str = "stockline_queue_oldest_age_seconds";

/// What runs beside and may fail without harm: metrics, the control socket.
#[derive(Debug)]
pub(crate) struct SideWork {
    trigger: ShutdownTrigger,
    control: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl SideWork {
    /// Ends it, an order that is being carried out first.
    pub(crate) async fn end(self) {
        self.trigger.request();
        if let Some(control) = self.control {
            // A panic of the task was reported where it happened.
            let _ = control.await;
        }
        for task in self.others {
            task.abort();
        }
    }
}

/// Starts it.
pub(crate) fn start<R>(stores: &Stores, folder: &Folder, metrics: R, listener: TcpListener) -> SideWork
where
    R: MetricsText,
{
    let (trigger, shutdown) = Shutdown::new();
    let operator = Operator {
        queries: stores.store.clone(),
        store: stores.store.clone(),
        sender: stores.queue.clone(),
        clock: Arc::clone(&stores.clock),
    };
    let control = match control::listen(&folder.control_socket()) {
        Ok(listener) => Some(tokio::spawn(control::serve(listener, operator, shutdown))),
        Err(error) => {
            let path = folder.control_socket();
            tracing::warn!("no orders at {} ({error}): dead-letters needs the server stopped", path.display());
            None
        }
    };
    let queue = stores.queue.clone();
    let upkeep = metrics.clone();
    let measure = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(DEPTH_INTERVAL);
        loop {
            ticks.tick().await;
            upkeep.upkeep();
            if let Ok(depth) = queue.depth().await {
                metrics::gauge!(QUEUE_VISIBLE).set(depth.visible as f64);
                metrics::gauge!(QUEUE_IN_FLIGHT).set(depth.in_flight as f64);
                metrics::gauge!(QUEUE_OLDEST_AGE).set(depth.oldest_age_ms as f64 / 1_000.0);
            }
        }
    });
    let router = axum::Router::new().route("/metrics", axum::routing::get(move || async move { metrics.text() }));
    let serve = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!("metrics are no longer served: {error}");
        }
    });
    SideWork { trigger, control, others: vec![measure, serve] }
}

/// What the metrics recorder gives.
pub(crate) trait MetricsText: Clone + Send + Sync + 'static {
    /// In Prometheus's text format.
    fn text(&self) -> String;
    /// To be called every few seconds.
    fn upkeep(&self);
}

impl MetricsText for metrics_exporter_prometheus::PrometheusHandle {
    fn text(&self) -> String {
        self.render()
    }

    fn upkeep(&self) {
        self.run_upkeep();
    }
}
