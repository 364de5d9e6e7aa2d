//! Orders from the command line to the running server, over a socket in the data folder: one JSON line each way.
//! Only one process may write the queue, so the command line asks the server to do it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use stockline_core::ports::Clock as _;
use stockline_service::GuardedClock;
use stockline_worker::operator::{Ended, Operator, Order};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::exit;
use crate::files::SECRET;

/// The longest order or answer, in bytes.
const MAX_LINE_BYTES: u64 = 4 * 1024;
/// The longest exchange of an order and its reply.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// An order about the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClockOrder {
    /// Say what time it is, and whether that is in doubt.
    Show,
    /// Take the machine's clock as it is.
    Confirm,
}

/// What the command line can order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum AnyOrder {
    /// About the clock.
    Clock {
        /// What to do.
        clock: ClockOrder,
    },
    /// About a dead letter.
    Letter(Order),
}

/// The reply to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// The exit code for the command line.
    pub(crate) code: u8,
    /// The text for people.
    pub(crate) text: String,
}

impl Reply {
    fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// Executes an order.
pub(crate) async fn execute(operator: &Operator, order: &Order) -> Reply {
    let (ended, text) = operator.carry_out(order).await;
    let code = match ended {
        Ended::Done => exit::OK,
        Ended::Refused => exit::FOUND,
        Ended::Unavailable => exit::UNAVAILABLE,
    };
    Reply::new(code, text)
}

/// Executes an order about the clock.
fn execute_clock(clock: &GuardedClock, order: ClockOrder) -> Reply {
    if order == ClockOrder::Confirm {
        let step_ms = clock.confirm();
        let text = format!("the time is {} now: it moved by {} s", clock.now(), step_ms / 1_000);
        return Reply::new(exit::OK, text);
    }
    match clock.doubt() {
        None => Reply::new(exit::OK, format!("the time is {}", clock.now())),
        Some(doubt) => Reply::new(exit::FOUND, doubt),
    }
}

/// Listens for orders. The caller holds the folder's lock, so an existing socket belongs to a dead process.
pub(crate) fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SECRET))?;
    Ok(listener)
}

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Executes orders one after the other until shutdown is requested.
pub(crate) async fn serve(
    listener: UnixListener,
    operator: Operator,
    clock: Arc<GuardedClock>,
    shutdown: CancellationToken,
) {
    loop {
        // Only the wait for the next caller is cancelled, never an order.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let answered = match accepted {
            Ok((stream, _)) => tokio::time::timeout(EXCHANGE_TIMEOUT, answer(stream, &operator, &clock)).await,
            Err(error) => {
                // Most likely the process is out of file descriptors; an immediate retry would spin.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                Ok(Err(error.into()))
            }
        };
        match answered {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("an order of the command line failed: {error:#}"),
            Err(_) => tracing::warn!("an order of the command line took too long"),
        }
    }
}

async fn answer(stream: UnixStream, operator: &Operator, clock: &GuardedClock) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_LINE_BYTES)).read_line(&mut line).await?;
    let reply = match serde_json::from_str::<AnyOrder>(&line) {
        Ok(AnyOrder::Clock { clock: order }) => execute_clock(clock, order),
        Ok(AnyOrder::Letter(order)) => execute(operator, &order).await,
        Err(error) => Reply::new(exit::USAGE, format!("the server does not understand this order: {error}")),
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    Ok(())
}

/// Sends an order to the running server; returns `None` if no server listens.
pub(crate) async fn ask(path: &Path, order: &AnyOrder) -> anyhow::Result<Option<Reply>> {
    let Ok(stream) = UnixStream::connect(path).await else {
        return Ok(None);
    };
    let exchange = async {
        let (read, mut write) = stream.into_split();
        let mut text = serde_json::to_vec(order)?;
        text.push(b'\n');
        write.write_all(&text).await?;
        let mut line = String::new();
        BufReader::new(read.take(MAX_LINE_BYTES)).read_line(&mut line).await?;
        anyhow::Ok(serde_json::from_str(&line)?)
    };
    let reply = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await.context("the server does not answer")?;
    Ok(Some(reply.context("the server's answer can't be read")?))
}
