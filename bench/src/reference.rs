//! References for the figures: a server that only parses, and the sync time of the disk.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::Value;

/// Serves a reference that parses the JSON of a command or batch and answers 202 with as many bytes as Stockline does.
pub(crate) async fn serve_parse_only(address: &str) -> Result<()> {
    async fn accept(body: Bytes) -> impl IntoResponse {
        let Ok(json) = serde_json::from_slice::<Value>(&body) else {
            return (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/json")], String::new());
        };
        let commands = json.get("commands").and_then(Value::as_array).map_or(1, Vec::len);
        const ANSWER_BYTES: usize = 260;
        let answer = format!("{{\"padding\":\"{}\"}}", "x".repeat(ANSWER_BYTES * commands));
        (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], answer)
    }
    let router = Router::new()
        .route("/v1/commands", post(accept))
        .route("/v1/commands/batch", post(accept))
        .route("/readyz", get(|| async { "ready" }));
    let listener = tokio::net::TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            // A client that disconnects ends only its own connection.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

/// Returns the times to append 4 KB and sync them, in µs, sorted. They are the limit of the disk.
pub(crate) fn fsync_times_us(folder: &Path) -> Result<Vec<u32>> {
    const BLOCK: [u8; 4096] = [7; 4096];
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let started = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        times.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    times.sort_unstable();
    Ok(times)
}
