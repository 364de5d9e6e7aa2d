//! Where the browser brings the answer (RFC 8252, section 7.3): a listener on this machine, for one login.

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
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::oauth::told;
use crate::exit::Unavailable;

/// The path of the callback.
const PATH: &str = "/callback";
/// How long the browser may take to fetch the page that says that all is done.
const GOODBYE: Duration = Duration::from_secs(2);

const STYLE: &str =
    "<!doctype html><meta charset=\"utf-8\"><title>Stockline</title><p style=\"font-family:sans-serif\">";

/// Listens for the answer.
#[derive(Debug)]
pub(super) struct Callback {
    listeners: Vec<TcpListener>,
    port: u16,
}

/// What the browser brings.
#[derive(Deserialize)]
struct Brought {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    #[serde(default)]
    error_description: String,
}

/// Who waits for it.
struct Waiting {
    state: String,
    answers: mpsc::Sender<Result<String, String>>,
    warned: AtomicBool,
}

impl Callback {
    /// Listens on this machine only; port 0 takes any.
    pub(super) async fn listen(port: u16) -> anyhow::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| in_the_way(port, &error))?;
        let port = first.local_addr().context("the listener has no address")?.port();
        let mut listeners = vec![first];
        // Browsers may try `localhost` there first; where there is no IPv6, they don't.
        match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
            Ok(second) => listeners.push(second),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(in_the_way(port, &error)),
            Err(_) => {}
        }
        Ok(Self { listeners, port })
    }

    /// The address that must be registered with the login's client, port and all: Cognito compares it whole, and takes
    /// plain http for `localhost` only.
    pub(super) fn redirect_uri(&self) -> String {
        format!("http://localhost:{}{PATH}", self.port)
    }

    /// The code, once the browser brings it. An answer with another state is none: anybody's page can make a browser
    /// come here, and must not end the login.
    pub(super) async fn code(self, state: &str, within: Duration) -> anyhow::Result<String> {
        let (answers, mut answer) = mpsc::channel(1);
        let waiting = Arc::new(Waiting { state: state.to_owned(), answers, warned: AtomicBool::new(false) });
        let router = Router::new().route(PATH, get(brought)).with_state(Arc::clone(&waiting));
        let (end, ended) = watch::channel(());
        let mut serving = JoinSet::new();
        for listener in self.listeners {
            let (router, mut ended) = (router.clone(), ended.clone());
            serving.spawn(async move {
                let end = async move {
                    // Asked to end, or nobody waits any more.
                    let _ = ended.changed().await;
                };
                axum::serve(listener, router).with_graceful_shutdown(end).await
            });
        }
        let answered = tokio::time::timeout(within, answer.recv()).await;
        drop(end);
        // The browser has its page by then, or does without.
        let _ = tokio::time::timeout(GOODBYE, async { while serving.join_next().await.is_some() {} }).await;
        match answered {
            Ok(Some(Ok(code))) => Ok(code),
            Ok(Some(Err(refusal))) => Err(anyhow!("the login was refused: {refusal}")),
            Ok(None) => Err(anyhow!("the listener for the browser's answer ended")),
            Err(_) => Err(late(&waiting, within).into()),
        }
    }
}

fn late(waiting: &Waiting, within: Duration) -> Unavailable {
    let stale = if waiting.warned.load(Ordering::Relaxed) {
        "; an answer came that was not to this login (its state differs): use the address printed last"
    } else {
        ""
    };
    Unavailable(format!("nobody logged in within {} s{stale}", within.as_secs()))
}

fn in_the_way(port: u16, error: &std::io::Error) -> anyhow::Error {
    if error.kind() != std::io::ErrorKind::AddrInUse {
        return anyhow!("can't listen at 127.0.0.1:{port}: {error}");
    }
    let text = format!(
        "port {port} is taken, perhaps by another login: end that one, or name another port with --port, whose http://localhost:PORT{PATH} must be registered with the login's client"
    );
    Unavailable(text).into()
}

async fn brought(State(waiting): State<Arc<Waiting>>, Query(brought): Query<Brought>) -> Response {
    if brought.state.as_deref() != Some(waiting.state.as_str()) {
        if !waiting.warned.swap(true, Ordering::Relaxed) {
            eprintln!("an answer came that is not to this login (its state differs); still waiting");
        }
        return page(
            StatusCode::BAD_REQUEST,
            "This is not the answer to the login that waits. Use the address that the terminal shows.",
        );
    }
    let answer = match (brought.error, brought.code.filter(|code| !code.is_empty())) {
        (Some(error), _) => Err(told(&error, &brought.error_description)),
        (None, Some(code)) => Ok(code),
        (None, None) => return page(StatusCode::BAD_REQUEST, "There is no code in this answer."),
    };
    let refused = answer.is_err();
    if waiting.answers.try_send(answer).is_err() {
        return page(StatusCode::CONFLICT, "This login has its answer already.");
    }
    if refused {
        return page(StatusCode::OK, "The login was refused; the terminal says why.");
    }
    page(StatusCode::OK, "Done here. The terminal says whether you are logged in; this page can be closed.")
}

/// A page that loads nothing and hands the code in its address to nobody.
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
