//! Orders from the command line to the running server, over a socket in the data folder: one JSON line each way.
//! Only one process may write the queue, so the command line asks the server to do it.

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use stockline_core::ports::{Clock as _, PageRequest};
use stockline_ingress::auth::FilesChanged;
use stockline_service::{Faults, GuardedClock, output};
use stockline_sqlite::SqliteAlertQueue;
use stockline_worker::operator::{Ended, Operator, Order};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::mail_log::MailLog;
use crate::exit::{self, Unavailable};
use crate::files::SECRET;
use crate::folder::Folder;
use crate::issuer::links;
use crate::issuer::orders::KeysOrder;
use crate::issuer::tokens::TokenRequest;

/// Orders of the command line.
pub(super) const CONTROL: &str = "control";
/// The longest order or answer, in bytes.
const MAX_LINE_BYTES: u64 = 256 * 1024;
/// The newest alerts among which the status of mails finds those that have not reached everybody.
const ALERTS_LOOKED_AT: usize = 1_000;
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
    /// About keys and tokens.
    Keys {
        /// What to do.
        keys: KeysOrder,
    },
    /// About the console.
    Console {
        /// What to do.
        console: ConsoleOrder,
    },
    /// About mails.
    Mail {
        /// What to do.
        mail: MailOrder,
    },
    /// About a dead letter.
    Letter(Order),
}

/// An order about the server's mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailOrder {
    /// Say what is delivered and what is not.
    Status,
    /// Say it as JSON.
    StatusJson,
}

/// An order about the console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConsoleOrder {
    /// Make a link that signs a person in once.
    Link(TokenRequest),
}

/// What orders are about.
#[derive(Debug)]
pub(crate) struct Subjects {
    pub(super) operator: Operator,
    pub(super) clock: Arc<GuardedClock>,
    pub(super) folder: Folder,
    /// Makes the API read the files of keys and tokens again.
    pub(super) changed: FilesChanged,
    pub(super) alerts: Arc<SqliteAlertQueue>,
    pub(super) mails: Arc<MailLog>,
    /// How mails are sent.
    pub(super) mail_description: String,
    /// The address of the console's first page.
    pub(super) console: String,
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

/// How the reply to an unknown order begins, also that of an earlier version.
const NOT_UNDERSTOOD: &str = "the server does not understand this order";

impl Reply {
    /// Reports whether the server does not know the order.
    pub(crate) fn is_not_understood(&self) -> bool {
        self.code == exit::USAGE && self.text.starts_with(NOT_UNDERSTOOD)
    }

    /// Prints the reply, and returns its exit code.
    pub(crate) fn print(&self) -> anyhow::Result<u8> {
        if self.code == exit::OK {
            output::line(&self.text)?;
        } else {
            output::note(format_args!("error: {}", output::printable(&self.text)));
        }
        Ok(self.code)
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

/// Executes an order about keys and tokens. The next request is judged by what it has changed.
async fn execute_keys(subjects: &Subjects, order: KeysOrder) -> Reply {
    let (folder, now) = (subjects.folder.clone(), subjects.clock.now());
    let ended = tokio::task::spawn_blocking(move || order.carry_out(&folder, now)).await;
    // A part of it may be done also where it failed.
    subjects.changed.tell();
    match ended.map_err(anyhow::Error::from).flatten() {
        Ok(text) => Reply::new(exit::OK, text),
        Err(error) => Reply::new(exit::code_of(&error), format!("{error:#}")),
    }
}

/// Makes a sign-in link and answers its address.
async fn execute_console(subjects: &Subjects, ConsoleOrder::Link(request): ConsoleOrder) -> Reply {
    let (folder, now) = (subjects.folder.clone(), subjects.clock.now());
    let made = tokio::task::spawn_blocking(move || links::make(&folder, &request, now)).await;
    match made.map_err(anyhow::Error::from).flatten() {
        Ok(code) => Reply::new(exit::OK, links::address(&subjects.console, &code)),
        Err(error) => Reply::new(exit::code_of(&error), format!("{error:#}")),
    }
}

async fn execute_mail(subjects: &Subjects, order: MailOrder) -> Reply {
    let now = subjects.clock.now();
    let newest = match subjects.operator.queries.alerts(None, PageRequest::first(ALERTS_LOOKED_AT)).await {
        Ok(page) => page.entries,
        Err(error) => return Reply::new(exit::UNAVAILABLE, error.to_string()),
    };
    let status = subjects.mails.status(&subjects.mail_description, subjects.alerts.waiting(), &newest, now);
    let code = if status.is_well() { exit::OK } else { exit::FOUND };
    match order {
        MailOrder::Status => Reply::new(code, status.text()),
        MailOrder::StatusJson => match serde_json::to_string(&status) {
            Ok(json) => Reply::new(code, json),
            Err(error) => Reply::new(exit::FOUND, error.to_string()),
        },
    }
}

/// The longest path of a socket that every system takes, in bytes: `sun_path` has 104 to 108 with its end.
const SOCKET_PATH_MAX_BYTES: usize = 100;

/// A path of the same socket that is short enough for the system, however deep its folder is: through the folder's
/// descriptor, which must stay open while the path is used.
struct ShortPath {
    path: PathBuf,
    _folder: Option<std::fs::File>,
}

impl ShortPath {
    fn of(path: &Path) -> std::io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Self { path: path.to_owned(), _folder: None });
        };
        if path.as_os_str().len() <= SOCKET_PATH_MAX_BYTES {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let folder = std::fs::File::open(folder)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// Listens for orders. The caller holds the folder's lock, so an existing socket belongs to a dead process.
pub(crate) fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let short = ShortPath::of(path)?;
    let listener = UnixListener::bind(short.path())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SECRET))?;
    Ok(listener)
}

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How often the server looks whether its socket is still in the folder. Somebody may have removed it.
const SOCKET_INTERVAL: Duration = Duration::from_secs(5);

/// Listens at `path` and executes orders one after the other until shutdown is requested.
///
/// # Errors
/// The socket can't be made, or is no longer in its folder.
pub(crate) async fn serve(
    path: PathBuf,
    subjects: Arc<Subjects>,
    faults: Arc<Faults>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let refused = || {
        let path = path.display();
        format!("can't listen for orders at {path}; stop the server to retry or discard dead letters")
    };
    let listener = listen(&path).with_context(refused)?;
    let place = place_of(&path).with_context(refused)?;
    faults.over(CONTROL);
    loop {
        // Only the wait for the next caller is cancelled, never an order.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(SOCKET_INTERVAL) => {
                anyhow::ensure!(place_of(&path).is_ok_and(|now| now == place), "{} was removed", path.display());
                continue;
            }
        };
        let answered = match accepted {
            Ok((stream, _)) => tokio::time::timeout(EXCHANGE_TIMEOUT, answer(stream, &subjects)).await,
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

/// Names a file however its path changes: the numbers of its device and of its inode.
fn place_of(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

async fn answer(stream: UnixStream, subjects: &Subjects) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_LINE_BYTES)).read_line(&mut line).await?;
    let reply = match serde_json::from_str::<AnyOrder>(&line) {
        Ok(AnyOrder::Clock { clock: order }) => execute_clock(&subjects.clock, order),
        Ok(AnyOrder::Keys { keys }) => execute_keys(subjects, keys).await,
        Ok(AnyOrder::Console { console }) => execute_console(subjects, console).await,
        Ok(AnyOrder::Mail { mail }) => execute_mail(subjects, mail).await,
        Ok(AnyOrder::Letter(order)) => execute(&subjects.operator, &order).await,
        Err(error) => Reply::new(exit::USAGE, format!("{NOT_UNDERSTOOD}: {error}")),
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    Ok(())
}

/// Says what is known of an order without an answer: nothing. The server may still carry it out.
fn unanswered(order: &AnyOrder) -> Unavailable {
    let look = match order {
        AnyOrder::Letter(order) => {
            format!("look what became of the command with stockline status {} {}", order.item_id, order.command_id)
        }
        AnyOrder::Clock { .. } => "look what time it is with stockline clock".to_owned(),
        AnyOrder::Mail { .. } | AnyOrder::Console { .. } => "ask again".to_owned(),
        AnyOrder::Keys { keys } => keys.advice().to_owned(),
    };
    let again =
        if matches!(order, AnyOrder::Keys { .. }) { "" } else { ", or give the same order again, which is safe" };
    Unavailable(format!(
        "the server did not answer within {} s, and may still carry the order out: {look}{again}",
        EXCHANGE_TIMEOUT.as_secs(),
    ))
}

/// Sends an order to the running server; returns `None` if no server listens.
pub(crate) async fn ask(path: &Path, order: &AnyOrder) -> anyhow::Result<Option<Reply>> {
    let Ok(short) = ShortPath::of(path) else { return Ok(None) };
    let Ok(stream) = UnixStream::connect(short.path()).await else {
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
    let reply = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await.map_err(|_| unanswered(order))?;
    Ok(Some(reply.context("the server's answer can't be read")?))
}

#[cfg(test)]
mod tests {
    use stockline_core::domain::CommandId;
    use stockline_worker::operator::Op;

    use super::*;

    /// A path of a socket has at most 107 bytes.
    #[tokio::test]
    async fn a_folder_with_a_long_path_takes_orders_too() {
        let folder = tempfile::tempdir().unwrap();
        for parts in 0..4 {
            let deep = (0..parts).fold(folder.path().to_owned(), |path, _| path.join("d".repeat(60)));
            std::fs::create_dir_all(&deep).unwrap();
            let path = deep.join("control.sock");
            assert!(
                ask(&path, &AnyOrder::Clock { clock: ClockOrder::Show }).await.unwrap().is_none(),
                "nobody listens"
            );
            let listener = listen(&path).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, SECRET);
            let answering = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"{\"code\":0,\"text\":\"here\"}\n").await.unwrap();
            });
            let reply = ask(&path, &AnyOrder::Clock { clock: ClockOrder::Show }).await.unwrap();
            assert_eq!(reply, Some(Reply::new(exit::OK, "here")), "{parts}");
            answering.await.unwrap();
        }
    }

    /// A server that takes the order and never answers: it may be carrying it out.
    #[tokio::test(start_paused = true)]
    async fn an_order_without_an_answer_is_said_to_be_possibly_carried_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _listener = listen(&path).unwrap();
        let command_id = CommandId(uuid::Uuid::from_u128(7));
        let order = Order { op: Op::Retry, item_id: "cola".parse().unwrap(), command_id };
        let error = ask(&path, &AnyOrder::Letter(order)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("may still carry the order out"), "{text}");
        assert!(text.contains(&format!("stockline status cola {command_id}")), "{text}");
        assert_eq!(exit::code_of(&error), exit::UNAVAILABLE);
    }
}
