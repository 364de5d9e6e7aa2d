//! The listener on this machine to which the browser delivers the answer of one login (RFC 8252, section 7.3).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use stockline_service::output;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::oauth::describe;
use crate::exit::Unavailable;

/// The path of the callback.
const PATH: &str = "/callback";
/// How long the browser may take to load the last page.
const LAST_PAGE_TIMEOUT: Duration = Duration::from_secs(2);

const STYLE: &str =
    "<!doctype html><meta charset=\"utf-8\"><title>Stockline</title><p style=\"font-family:sans-serif\">";

/// Listens for the answer.
#[derive(Debug)]
pub(crate) struct Callback {
    listeners: Vec<TcpListener>,
    port: u16,
}

/// The query of the callback.
#[derive(Deserialize)]
struct Answer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    #[serde(default)]
    error_description: String,
}

/// The login that waits for the answer.
struct PendingLogin {
    state: String,
    answers: mpsc::Sender<Result<String, String>>,
    warned: AtomicBool,
}

impl Callback {
    /// Listens on this machine only; port 0 means any free port.
    pub(crate) async fn listen(port: u16) -> anyhow::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| bind_error(port, &error))?;
        let port = first.local_addr().context("the listener has no address")?.port();
        let mut listeners = vec![first];
        // Browsers may resolve `localhost` to IPv6 first, on machines that have it.
        match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
            Ok(second) => listeners.push(second),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(bind_error(port, &error)),
            Err(_) => {}
        }
        Ok(Self { listeners, port })
    }

    /// Returns the address that the login's client must have registered. Cognito compares it as a whole, port included,
    /// and accepts plain http only for `localhost`.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://localhost:{}{PATH}", self.port)
    }

    /// Waits for the code. An answer with another state is ignored: any page can send a browser here, and must not end
    /// the login.
    pub(crate) async fn code(self, state: &str, within: Duration) -> anyhow::Result<String> {
        let (answers, mut answer) = mpsc::channel(1);
        let pending = Arc::new(PendingLogin { state: state.to_owned(), answers, warned: AtomicBool::new(false) });
        let router = Router::new().route(PATH, get(receive)).with_state(Arc::clone(&pending));
        let (end, ended) = watch::channel(());
        let mut serving = JoinSet::new();
        for listener in self.listeners {
            let (router, mut ended) = (router.clone(), ended.clone());
            serving.spawn(async move {
                let end = async move {
                    // An error means that the sender was dropped: the login is over.
                    let _ = ended.changed().await;
                };
                axum::serve(listener, router).with_graceful_shutdown(end).await
            });
        }
        let answered = tokio::time::timeout(within, answer.recv()).await;
        drop(end);
        // After that, the browser has its page or does without it.
        let _ = tokio::time::timeout(LAST_PAGE_TIMEOUT, async { while serving.join_next().await.is_some() {} }).await;
        match answered {
            Ok(Some(Ok(code))) => Ok(code),
            Ok(Some(Err(refusal))) => Err(anyhow!("the login was refused: {refusal}")),
            Ok(None) => Err(anyhow!("the listener for the browser's answer ended")),
            Err(_) => Err(timed_out(&pending, within).into()),
        }
    }
}

fn timed_out(pending: &PendingLogin, within: Duration) -> Unavailable {
    let stale = if pending.warned.load(Ordering::Relaxed) {
        "; an answer arrived that was not for this login (its state differs): use the address printed last"
    } else {
        ""
    };
    Unavailable(format!("nobody logged in within {} s{stale}", within.as_secs()))
}

fn bind_error(port: u16, error: &std::io::Error) -> anyhow::Error {
    if error.kind() != std::io::ErrorKind::AddrInUse {
        return anyhow!("can't listen at 127.0.0.1:{port}: {error}");
    }
    let text = format!(
        "port {port} is in use, perhaps by another login: end it, or choose another port with --port; the login's client must have http://localhost:PORT{PATH} registered"
    );
    Unavailable(text).into()
}

async fn receive(State(pending): State<Arc<PendingLogin>>, Query(answer): Query<Answer>) -> Response {
    if answer.state.as_deref() != Some(pending.state.as_str()) {
        if !pending.warned.swap(true, Ordering::Relaxed) {
            output::note("an answer arrived that is not for this login (its state differs); still waiting");
        }
        return page(
            StatusCode::BAD_REQUEST,
            "This answer is not for the login that waits. Use the address that the terminal shows.",
        );
    }
    let result = match (answer.error, answer.code.filter(|code| !code.is_empty())) {
        (Some(error), _) => Err(describe(&error, &answer.error_description)),
        (None, Some(code)) => Ok(code),
        (None, None) => return page(StatusCode::BAD_REQUEST, "This answer holds no code."),
    };
    let refused = result.is_err();
    if pending.answers.try_send(result).is_err() {
        return page(StatusCode::CONFLICT, "This login has its answer already.");
    }
    if refused {
        return page(StatusCode::OK, "The login was refused; the terminal says why.");
    }
    page(StatusCode::OK, "You can close this page. The terminal says whether you are logged in.")
}

/// Makes a page that loads nothing, so that the code in its address reaches no other site.
fn page(status: StatusCode, text: &str) -> Response {
    let headers = [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ("x-content-type-options", "nosniff"),
        ("connection", "close"),
    ];
    (status, headers, Html(format!("{STYLE}{text}"))).into_response()
}
