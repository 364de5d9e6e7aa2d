use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use stockline_service::Faults;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::answer;
use crate::config::Limits;
use crate::problem::Problem;
use crate::server::{self, Certificates, ServeOptions};
use crate::view::Health;

/// How long requests in progress may take once the ingress itself is back.
const DRAIN: Duration = Duration::from_millis(200);

/// Answers in place of the ingress while it can't run: 503 with the `faults` to every request but `/healthz`, until a
/// shutdown is requested. Clients learn that they should try again, and people why.
pub async fn stand_in(
    listener: TcpListener,
    tls: Option<Arc<Certificates>>,
    faults: Arc<Faults>,
    shutdown: CancellationToken,
) {
    let limits = Limits::default();
    let header_timeout = Duration::from_secs(limits.header_timeout_s);
    let connections = server::connections_that_fit(limits.connections);
    // Its answers are small: none waits for the bytes of another.
    let pressure = watch::Sender::new(());
    let options = ServeOptions { tls, connections, header_timeout, drain: DRAIN, pressure };
    let router = Router::new().route("/healthz", get(healthz)).fallback(not_ready).with_state(faults);
    server::serve(router, listener, options, shutdown).await;
}

async fn healthz() -> Result<Response, Problem> {
    answer::json(StatusCode::OK, &Health::of(Vec::new()))
}

async fn not_ready(State(faults): State<Arc<Faults>>) -> Problem {
    Problem::not_ready(&faults.text())
}
