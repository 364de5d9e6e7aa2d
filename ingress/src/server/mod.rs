//! Serves HTTP/1.1 and HTTP/2, plain or over TLS, with a bound on the number of connections and on the time of each.

pub(crate) mod certificates;
mod chain;
mod connection;
mod host;
mod open_files;
mod sending;
pub(crate) mod tls;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service as _;

pub(crate) use certificates::CERTIFICATE;
pub use certificates::Certificates;
pub use connection::IDLE_TIMEOUT;
pub use open_files::connections_that_fit;
pub use sending::STALL_TIMEOUT;

use self::connection::{Requests, TimedIo};
use self::sending::{Patience, Sending};
use tokio_util::sync::CancellationToken;

/// Time for a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the head of a request, and bytes of an HTTP/1 body that are read ahead. A token takes 1 to 4 KB of it.
pub const HEAD_BYTES: usize = 16 * 1024;
/// Bytes of one HTTP/2 body that are read ahead.
const HTTP2_AHEAD_BYTES: u32 = 64 * 1024;
/// Requests in progress at once on one HTTP/2 connection. Each may hold a head and an answer.
pub const HTTP2_STREAMS: u32 = 16;
/// HTTP/2 requests that a client reset before they were served, or that broke a rule, until the connection is closed.
const HTTP2_RESETS: usize = 64;
/// Bytes of an answer that one HTTP/2 stream takes ahead of the network.
const HTTP2_SEND_BYTES: usize = 64 * 1024;
/// Bytes of answers that the system takes ahead of the network, for one connection; Linux doubles it. So a slow client
/// still takes bytes often, and clients that take none can't fill the memory of the system.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// Connections that may wait to be accepted; the system may allow fewer (Linux 4,096, by `net.core.somaxconn`).
const BACKLOG: u32 = 4_096;
/// How long connections may take to close after the drain.
const CLOSE: Duration = Duration::from_secs(1);
/// While all connections are taken, a connection is closed after it was idle for this time: it had no request in progress
/// and moved no bytes, or did not end its handshake or the head of a request.
pub const RECLAIM_AFTER: Duration = Duration::from_secs(2);
/// How slowly a client may take its answers while other clients wait for the connection or for the answers' memory.
const UNDER_PRESSURE: Patience = Patience { stall: RECLAIM_AFTER, bytes_per_s: 64 * 1024 };
/// How often idle connections are looked for while all are taken.
const RECLAIM_EVERY: Duration = Duration::from_millis(500);
/// The pause after an accept failed because files or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens at an address. The backlog has room for all tills of a chain that reconnect at once.
///
/// # Errors
/// The address is in use, is not one of this machine, or is not allowed to this user.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The connections of an ended process must not stop the next one from starting. Elsewhere the option shares the port.
    socket.set_reuseaddr(cfg!(unix))?;
    // Accepted connections have it from here.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    // No more than may be open: behind a longer queue of idle connections, a till would wait for several times
    // [`RECLAIM_AFTER`].
    let fit = open_files::files_for_connections().and_then(|fit| u32::try_from(fit).ok());
    socket.listen(fit.map_or(BACKLOG, |fit| fit.min(BACKLOG)))
}

/// How connections are served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The certificate to serve HTTPS with; `None` serves plain HTTP.
    pub tls: Option<Arc<Certificates>>,
    /// Open connections, at least 1. Further ones wait in the listener's backlog, and idle ones are closed for them.
    pub connections: usize,
    /// Time to send the head of a request.
    pub header_timeout: Duration,
    /// How long requests in progress may take after a shutdown request.
    pub drain: Duration,
    /// Signals that an answer waits for the memory of others.
    pub pressure: watch::Sender<()>,
}

/// The phase of the server, which only moves forward.
///
/// ```text
/// Serving ──shutdown requested──▶ Draining ──the drain is over──▶ Closed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Connections finish their requests in progress and accept no others.
    Draining,
    /// Connections are cut off.
    Closed,
}

/// Serves until a shutdown is requested. Then it accepts no more connections, lets requests in progress finish for
/// [`ServeOptions::drain`], and closes the remaining connections. Failures of accepts and connections never end it.
pub async fn serve(router: Router, listener: TcpListener, options: ServeOptions, shutdown: CancellationToken) {
    let most = u32::try_from(options.connections.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let permits = Arc::new(Semaphore::new(most as usize));
    let (phase, phases) = watch::channel(Phase::Serving);
    let server = Arc::new(Server {
        http: http(),
        // Builds the routes once instead of for every request.
        router: router.with_state(()),
        tls: options.tls,
        header_timeout: options.header_timeout,
        reclaim: watch::Sender::new(()),
        pressure: options.pressure,
    });
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &permits, &server.reclaim) => accepted,
        };
        if let Some((stream, permit)) = accepted {
            let (server, phases) = (Arc::clone(&server), phases.clone());
            tokio::spawn(async move {
                server.connection(stream, phases).await;
                drop(permit);
            });
        }
    }
    drop(listener);
    phase.send_replace(Phase::Draining);
    if tokio::time::timeout(options.drain, permits.acquire_many(most)).await.is_err() {
        let open = most as usize - permits.available_permits();
        tracing::warn!(connections = open, drain = ?options.drain, "requests in progress did not finish in time and are cut off");
        phase.send_replace(Phase::Closed);
        // They only have to be dropped. One that hangs ends with the process.
        let _ = tokio::time::timeout(CLOSE, permits.acquire_many(most)).await;
    }
}

/// Accepts the next connection as soon as a place is free; returns `None` after a failure that has passed. Safe to drop.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    reclaim: &watch::Sender<()>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = loop {
        match tokio::time::timeout(RECLAIM_EVERY, Arc::clone(permits).acquire_owned()).await {
            // The semaphore is never closed, so this can't fail.
            Ok(permit) => break permit.ok()?,
            Err(_) => reclaim.send_replace(()),
        }
    };
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            if !is_of_one_connection(&error) {
                tracing::error!(%error, "connections can't be accepted now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

/// Did the connection end before it was accepted? Other errors (too many open files, no memory) stay for a while.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// The first byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 22;
/// The answer to a request that is not encrypted.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 65\r\nconnection: close\r\n\r\n\
    this port speaks HTTPS only: begin the address with https://...\r\n";

/// Makes a TLS handshake. A client that sends plain HTTP is told so.
async fn shake_hands(tls: &TlsAcceptor, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE && first[0].is_ascii_uppercase() {
        // Unread bytes would reset the connection before the client has the answer.
        let _ = stream.try_read(&mut [0; HEAD_BYTES]);
        stream.write_all(PLAIN_HTTP).await?;
        stream.shutdown().await?;
        return Err(io::Error::other("the client sent plain HTTP"));
    }
    tls.accept(stream).await
}

fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    // `TimedIo` cuts off slow heads.
    http.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES);
    http.http2().max_concurrent_streams(HTTP2_STREAMS).max_header_list_size(HEAD_BYTES as u32);
    http.http2().max_pending_accept_reset_streams(HTTP2_RESETS).max_local_error_reset_streams(HTTP2_RESETS);
    http.http2().max_send_buf_size(HTTP2_SEND_BYTES);
    // Bounds the bytes that are read ahead of bodies that wait: for one request, and for a whole connection.
    http.http2().initial_stream_window_size(HTTP2_AHEAD_BYTES).initial_connection_window_size(2 * HTTP2_AHEAD_BYTES);
    http
}

/// The state that all connections share.
struct Server {
    http: Builder<TokioExecutor>,
    router: Router,
    tls: Option<Arc<Certificates>>,
    header_timeout: Duration,
    /// Signals that a client waits for a connection.
    reclaim: watch::Sender<()>,
    /// Signals that an answer waits for the memory of others.
    pressure: watch::Sender<()>,
}

impl Server {
    async fn connection(&self, stream: TcpStream, mut phases: watch::Receiver<Phase>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection ended before it was served");
            return;
        }
        let Some(tls) = &self.tls else { return self.http(stream, phases).await };
        let tls = TlsAcceptor::from(tls.config());
        if let Some(stream) = self.handshake(&tls, stream, &mut phases).await {
            self.http(stream, phases).await;
        }
    }

    /// Makes the TLS handshake of a connection; returns `None` if it failed.
    async fn handshake(
        &self,
        tls: &TlsAcceptor,
        stream: TcpStream,
        phases: &mut watch::Receiver<Phase>,
    ) -> Option<TlsStream<TcpStream>> {
        let begun = Instant::now();
        let mut reclaim = self.reclaim.subscribe();
        let mut handshake = pin!(tokio::time::timeout(HANDSHAKE_TIMEOUT, shake_hands(tls, stream)));
        loop {
            tokio::select! {
                biased;
                done = &mut handshake => {
                    return match done {
                        Ok(Ok(stream)) => Some(stream),
                        Ok(Err(error)) => {
                            tracing::debug!(%error, "a TLS handshake failed");
                            None
                        }
                        Err(_) => {
                            tracing::debug!("a TLS handshake took too long");
                            None
                        }
                    };
                }
                Ok(()) = reclaim.changed() => {
                    if begun.elapsed() >= RECLAIM_AFTER {
                        tracing::debug!("a TLS handshake is cut off for a waiting client");
                        return None;
                    }
                }
                // The client has not sent a request yet.
                _ = phases.wait_for(|phase| *phase != Phase::Serving) => return None,
            }
        }
    }

    async fn http<S>(&self, stream: S, mut phases: watch::Receiver<Phase>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, sending) = (Arc::new(Requests::new()), Arc::new(Sending::new()));
        let io = TokioIo::new(TimedIo::new(stream, Arc::clone(&requests), self.header_timeout));
        let service = service_fn(|request: Request<Incoming>| {
            let in_progress = requests.begin(request.version());
            let answer = host::fault(&request).map_or_else(|| Ok(self.router.clone().call(request)), Err);
            let sending = Arc::clone(&sending);
            async move {
                let answer = match answer {
                    Ok(answer) => answer.await?,
                    Err(problem) => problem.into_response(),
                };
                in_progress.answered();
                Ok::<_, Infallible>(sending.watch(answer))
            }
        });
        let connection = self.http.serve_connection(io, service);
        tokio::pin!(connection);
        let (mut stalled, mut given_up) = (pin!(sending.is_stalled()), pin!(requests.are_given_up()));
        let (mut reclaim, mut pressure) = (self.reclaim.subscribe(), self.pressure.subscribe());
        loop {
            let phase = *phases.borrow_and_update();
            match phase {
                Phase::Serving => {}
                Phase::Draining => connection.as_mut().graceful_shutdown(),
                Phase::Closed => return,
            }
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                () = &mut given_up => {
                    tracing::debug!("a connection is closed because its client gave up too many requests");
                    return;
                }
                () = &mut stalled => {
                    tracing::debug!("a connection is closed because its client does not take its answers");
                    return;
                }
                Ok(()) = reclaim.changed() => {
                    if requests.idle_for() >= RECLAIM_AFTER || sending.is_late(UNDER_PRESSURE) {
                        tracing::debug!("an idle connection is closed for a waiting client");
                        return;
                    }
                }
                Ok(()) = pressure.changed() => {
                    if sending.is_late(UNDER_PRESSURE) {
                        tracing::debug!("a slow connection is closed for the answers of other clients");
                        return;
                    }
                }
                changed = phases.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
