//! A connection that is closed when it stays idle.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::sending::STALL_TIMEOUT;

/// How long a connection may be idle between requests. Load balancers close an idle
/// connection after 60 s; this is longer, so that they never send a request into a connection that we close.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Requests that a client may give up, more than it lets the server answer, until its connection is closed.
const GIVE_UPS_MAX: usize = 64;

/// The requests of one connection, shared with its input and output.
#[derive(Debug)]
pub(super) struct Requests {
    in_progress: AtomicUsize,
    begun: AtomicUsize,
    /// Requests that the client may still give up.
    give_ups: AtomicUsize,
    given_up: Notify,
    http2: AtomicBool,
    connected: Instant,
    /// Since when the connection is idle, in milliseconds after it connected.
    idle_since_ms: AtomicU64,
}

/// A request in progress, from its head to the head of its answer.
#[derive(Debug)]
pub(super) struct InProgress {
    requests: Arc<Requests>,
    is_answered: bool,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            in_progress: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            give_ups: AtomicUsize::new(GIVE_UPS_MAX),
            given_up: Notify::new(),
            http2: AtomicBool::new(false),
            connected: Instant::now(),
            idle_since_ms: AtomicU64::new(0),
        }
    }

    /// Returns how long the connection is idle: without a request in progress, and without moving bytes or with an
    /// incomplete head.
    pub(super) fn idle_for(&self) -> Duration {
        if self.in_progress.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let since = Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed));
        self.connected.elapsed().saturating_sub(since)
    }

    pub(super) fn begin(self: &Arc<Self>, version: Version) -> InProgress {
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.http2.store(true, Ordering::Relaxed);
        }
        InProgress { requests: Arc::clone(self), is_answered: false }
    }

    /// Waits until the client gave up too many requests: they cost the server work, and the client nothing
    /// (CVE-2023-44487).
    pub(super) async fn are_given_up(&self) {
        self.given_up.notified().await;
    }
}

impl InProgress {
    /// Ends the request, because its answer is known.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
        let more = |left: usize| (left < GIVE_UPS_MAX).then_some(left + 1);
        // At the maximum it stays.
        let _ = self.requests.give_ups.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.requests.in_progress.fetch_sub(1, Ordering::Relaxed);
        let fewer = |left: usize| left.checked_sub(1);
        let give_ups = &self.requests.give_ups;
        if !self.is_answered && give_ups.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_err() {
            self.requests.given_up.notify_one();
        }
    }
}

/// The input and output of a connection. It ends with an error if the head of a request takes longer than
/// `header_timeout`, if no bytes move for [`IDLE_TIMEOUT`] while no request is in progress, or if the client takes no
/// bytes for [`STALL_TIMEOUT`] while there are some. (The router limits the time of requests and of their bodies.)
///
/// Hyper's own timeout would count the idle time between requests as a slow head. It also does not cover the first bytes,
/// by which Hyper distinguishes HTTP/2 from HTTP/1.
#[derive(Debug)]
pub(super) struct TimedIo<S> {
    inner: S,
    requests: Arc<Requests>,
    header_timeout: Duration,
    /// When bytes last moved, or when the connection began.
    moved: Instant,
    /// When the first byte of the head that is being read arrived.
    head: Option<Instant>,
    /// Since when the network takes no bytes.
    blocked: Option<Instant>,
    /// Requests whose head was read.
    begun: usize,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedIo<S> {
    pub(super) fn new(inner: S, requests: Arc<Requests>, header_timeout: Duration) -> Self {
        let now = Instant::now();
        Self { inner, requests, header_timeout, moved: now, head: Some(now), blocked: None, begun: 0, alarm: None }
    }

    /// Returns when the incomplete head began. An HTTP/2 client also sends bytes that belong to no request, so only its
    /// first head is timed.
    fn timed_head(&self) -> Option<Instant> {
        self.head.filter(|_| !self.requests.http2.load(Ordering::Relaxed))
    }

    fn deadline(&self) -> Instant {
        self.timed_head().map_or(self.moved + IDLE_TIMEOUT, |began| began + self.header_timeout)
    }

    fn note_activity(&self) {
        let since = self.timed_head().unwrap_or(self.moved) - self.requests.connected;
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.requests.idle_since_ms.store(since_ms, Ordering::Relaxed);
    }

    /// Is a request in progress? Also notes whether the head that was being read became one.
    fn is_serving(&mut self) -> bool {
        let begun = self.requests.begun.load(Ordering::Relaxed);
        if begun != self.begun {
            self.begun = begun;
            self.head = None;
        }
        self.requests.in_progress.load(Ordering::Relaxed) > 0
    }

    /// Is the time over? Called when no bytes can be read or written now. If not, it arranges to be called again.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let now = Instant::now();
        let serving = self.is_serving();
        if serving {
            self.moved = now;
        }
        let stalled = self.blocked.map(|since| since + STALL_TIMEOUT);
        let idle = self.deadline();
        if stalled.is_some_and(|stalled| stalled <= now) || (!serving && idle <= now) {
            return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client was idle for too long"));
        }
        let deadline = stalled.map_or(idle, |stalled| stalled.min(idle));
        // Also while a request is in progress: after it Hyper may not read again, because the last read was pending.
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // An early alarm only looks again. Resetting it after every request would cost more.
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    fn has_moved(&mut self, read: bool) {
        let now = Instant::now();
        self.moved = now;
        if !self.is_serving() && read {
            self.head.get_or_insert(now);
        }
        self.note_activity();
    }

    fn or_deadline<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match poll {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_deadline(cx).map(Err),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedIo<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.has_moved(true);
        }
        self.or_deadline(cx, poll)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(&poll);
        self.or_deadline(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(&poll);
        self.or_deadline(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_flush(cx);
        self.took(poll.is_ready());
        self.or_deadline(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.or_deadline(cx, poll)
    }
}

impl<S> TimedIo<S> {
    /// Notes whether the network takes bytes.
    fn took(&mut self, taken: bool) {
        self.blocked = if taken { None } else { Some(self.blocked.unwrap_or_else(Instant::now)) };
    }

    fn wrote(&mut self, poll: &Poll<io::Result<usize>>) {
        self.took(poll.is_ready());
        if matches!(poll, Poll::Ready(Ok(1..))) {
            self.has_moved(false);
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
