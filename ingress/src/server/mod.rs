//! Serves HTTP/1.1 and HTTP/2, plain or over TLS, with every connection bounded in number and in time.

mod connection;
mod open_files;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use stockline_service::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service as _;

pub use connection::IDLE_TIMEOUT;
pub use open_files::connections_that_fit;
pub use tls::tls_config;

use self::connection::{Requests, TimedIo};
use crate::config::TlsFiles;
use crate::error::IngressError;

/// Time for a TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head, and of what is read ahead of a body.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Requests in work at once on one HTTP/2 connection.
pub const HTTP2_STREAMS: u32 = 100;
/// Connections that may wait to be accepted; the system may allow fewer (Linux 4,096, by `net.core.somaxconn`).
const BACKLOG: u32 = 4_096;
/// How long connections may take to be closed once the drain is over.
const CLOSE: Duration = Duration::from_secs(1);
/// While all connections are taken, those give way that were of no use for so long: no request in work, nothing moved, or
/// the handshake or the head of a request begun and not ended.
pub const GIVE_WAY_AFTER: Duration = Duration::from_secs(2);
/// How often they are asked to.
const GIVE_WAY_EVERY: Duration = Duration::from_millis(500);
/// Pause after an accept that failed for want of files or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens, with room for all tills of a chain to come back at once.
///
/// # Errors
/// An address that is taken, not ours, or not allowed to this user.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of a process that ended are no reason not to start the next one; elsewhere it would share the port.
    socket.set_reuseaddr(cfg!(unix))?;
    socket.bind(address)?;
    // No more than may be open: behind a longer line of connections of no use, a till would wait for several times
    // [`GIVE_WAY_AFTER`].
    let fit = open_files::files_for_connections().and_then(|fit| u32::try_from(fit).ok());
    socket.listen(fit.map_or(BACKLOG, |fit| fit.min(BACKLOG)))
}

/// How connections are served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Serve HTTPS with these files.
    pub tls: Option<TlsFiles>,
    /// Open connections, at least 1; more wait in the listener's backlog, and who is of no use gives way to them.
    pub connections: usize,
    /// Time to send a request's head.
    pub header_timeout: Duration,
    /// How long requests in work may take after shutdown was asked for.
    pub drain: Duration,
}

/// What connections do: goes forward only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Finish the request in work, take no other.
    Draining,
    /// The drain is over.
    Closed,
}

/// Serves until shutdown is asked for; then accepts no more, lets requests in work finish for [`ServeOptions::drain`],
/// and closes what is left. Failing accepts and connections never end it.
///
/// # Errors
/// [`IngressError::Config`] where the TLS files can't be used.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    options: ServeOptions,
    shutdown: Shutdown,
) -> Result<(), IngressError> {
    let tls = options.tls.as_ref().map(tls_config).transpose()?.map(TlsAcceptor::from);
    let most = u32::try_from(options.connections.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let permits = Arc::new(Semaphore::new(most as usize));
    let (phase, phases) = watch::channel(Phase::Serving);
    let server = Arc::new(Server {
        http: http(),
        // So that routes are put together once and not for every request.
        router: router.with_state(()),
        tls,
        header_timeout: options.header_timeout,
        crowd: watch::Sender::new(()),
    });
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.requested() => break,
            accepted = accept(&listener, &permits, &server.crowd) => accepted,
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
        tracing::warn!(connections = open, drain = ?options.drain, "requests in work did not finish in time and are cut off");
        phase.send_replace(Phase::Closed);
        // They only have to be dropped; one that hangs is left to the end of the process.
        let _ = tokio::time::timeout(CLOSE, permits.acquire_many(most)).await;
    }
    Ok(())
}

/// The next connection, once there is room for it; `None` after a failure that is over. Safe to drop.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    crowd: &watch::Sender<()>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = loop {
        match tokio::time::timeout(GIVE_WAY_EVERY, Arc::clone(permits).acquire_owned()).await {
            // Never closed, so this can't fail.
            Ok(permit) => break permit.ok()?,
            Err(_) => crowd.send_replace(()),
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

/// Errors of a connection that ended before it was accepted; others (too many open files, no memory) stay for a while.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    // Slow heads are seen to by `TimedIo`.
    http.http1().header_read_timeout(None).max_buf_size(HEAD_BYTES);
    http.http2().max_concurrent_streams(HTTP2_STREAMS).max_header_list_size(HEAD_BYTES as u32);
    // What is read ahead of bodies that wait for room: of one request, and of all of a connection.
    http.http2().initial_stream_window_size(HEAD_BYTES as u32).initial_connection_window_size(2 * HEAD_BYTES as u32);
    http
}

/// What all connections share.
struct Server {
    http: Builder<TokioExecutor>,
    router: Router,
    tls: Option<TlsAcceptor>,
    header_timeout: Duration,
    /// Says that somebody waits for a connection.
    crowd: watch::Sender<()>,
}

impl Server {
    async fn connection(&self, stream: TcpStream, mut phases: watch::Receiver<Phase>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection was gone before it was served");
            return;
        }
        let Some(tls) = &self.tls else { return self.http(stream, phases).await };
        if let Some(stream) = self.shake(tls, stream, &mut phases).await {
            self.http(stream, phases).await;
        }
    }

    /// The TLS handshake of a connection; `None` where it came to nothing.
    async fn shake(
        &self,
        tls: &TlsAcceptor,
        stream: TcpStream,
        phases: &mut watch::Receiver<Phase>,
    ) -> Option<TlsStream<TcpStream>> {
        let begun = Instant::now();
        let mut crowd = self.crowd.subscribe();
        let mut shaking = pin!(tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)));
        loop {
            tokio::select! {
                biased;
                shaken = &mut shaking => {
                    return match shaken {
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
                Ok(()) = crowd.changed() => {
                    if begun.elapsed() >= GIVE_WAY_AFTER {
                        tracing::debug!("a TLS handshake gives way");
                        return None;
                    }
                }
                // It has not sent a request yet.
                _ = phases.wait_for(|phase| *phase != Phase::Serving) => return None,
            }
        }
    }

    async fn http<S>(&self, stream: S, mut phases: watch::Receiver<Phase>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests = Arc::new(Requests::new());
        let io = TokioIo::new(TimedIo::new(stream, Arc::clone(&requests), self.header_timeout));
        let service = service_fn(|request: Request<Incoming>| {
            let in_work = requests.begin(request.version());
            let answer = self.router.clone().call(request);
            async move {
                let answer = answer.await;
                drop(in_work);
                answer
            }
        });
        let connection = self.http.serve_connection(io, service);
        tokio::pin!(connection);
        let mut crowd = self.crowd.subscribe();
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
                Ok(()) = crowd.changed() => {
                    if requests.of_no_use_for() >= GIVE_WAY_AFTER {
                        tracing::debug!("a connection of no use gives way");
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
