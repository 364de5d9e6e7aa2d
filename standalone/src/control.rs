//! Orders from the command line to the running server, over a socket in the data folder: one JSON line in, one out.
//! Only one process may write the queue, so what must write it is asked of that process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use stockline_service::Shutdown;
use stockline_worker::operator::{Ended, Operator, Order};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::exit;
use crate::files::SECRET;

/// The longest order or answer, in bytes.
const MAX_LINE_BYTES: u64 = 4 * 1024;
/// How long an order may take to come, and its answer to be read.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The exit code of the command line.
    pub(crate) code: u8,
    /// For people.
    pub(crate) text: String,
}

impl Done {
    fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// Carries out an order, and says what became of it.
pub(crate) async fn carry_out(operator: &Operator, order: &Order) -> Done {
    let (ended, text) = operator.carry_out(order).await;
    let code = match ended {
        Ended::Done => exit::OK,
        Ended::Refused => exit::FOUND,
        Ended::Unavailable => exit::UNAVAILABLE,
    };
    Done::new(code, text)
}

/// Listens for orders. The caller holds the folder's lock, so a socket that is there is a dead one's.
pub(crate) fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SECRET))?;
    Ok(listener)
}

/// After a failed accept.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// Takes orders one after the other until shutdown is asked for.
pub(crate) async fn serve(listener: UnixListener, operator: Operator, shutdown: Shutdown) {
    loop {
        // Only the wait for the next caller is cancelled, never an order.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.requested() => return,
        };
        let answered = match accepted {
            Ok((stream, _)) => tokio::time::timeout(EXCHANGE_TIMEOUT, answer(stream, &operator)).await,
            Err(error) => {
                // Out of descriptors, most likely: asking again at once would spin.
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

async fn answer(stream: UnixStream, operator: &Operator) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_LINE_BYTES)).read_line(&mut line).await?;
    let done = match serde_json::from_str::<Order>(&line) {
        Ok(order) => carry_out(operator, &order).await,
        Err(error) => Done::new(exit::USAGE, format!("the server does not understand this order: {error}")),
    };
    let mut text = serde_json::to_vec(&done)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    Ok(())
}

/// Asks the running server; `None` where none listens.
pub(crate) async fn ask(path: &Path, order: &Order) -> anyhow::Result<Option<Done>> {
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
    let done = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await.context("the server does not answer")?;
    Ok(Some(done.context("the server's answer can't be read")?))
}
