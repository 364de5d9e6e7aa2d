//! A connection that may not be held without use.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a connection may be quiet between requests, or while its client takes an answer. Longer than the 60 s
/// after which load balancers let go, so that they never send a request into a connection that we close.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// The requests of one connection, as its input and output need to know them.
#[derive(Debug)]
pub(super) struct Requests {
    in_work: AtomicUsize,
    begun: AtomicUsize,
    http2: AtomicBool,
    connected: Instant,
    /// Since when it has been of no use, in milliseconds after it connected.
    useless_since_ms: AtomicU64,
}

/// A request in work, from its head to the head of its answer.
#[derive(Debug)]
pub(super) struct InWork(Arc<Requests>);

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            in_work: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            http2: AtomicBool::new(false),
            connected: Instant::now(),
            useless_since_ms: AtomicU64::new(0),
        }
    }

    /// For how long it has served nobody: no request in work, and nothing moved or a head on its way.
    pub(super) fn of_no_use_for(&self) -> Duration {
        if self.in_work.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let since = Duration::from_millis(self.useless_since_ms.load(Ordering::Relaxed));
        self.connected.elapsed().saturating_sub(since)
    }

    pub(super) fn begin(self: &Arc<Self>, version: Version) -> InWork {
        self.in_work.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.http2.store(true, Ordering::Relaxed);
        }
        InWork(Arc::clone(self))
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.in_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Input and output of a connection, ended with an error when a request's head takes longer than `header_timeout`, or
/// nothing moves for [`IDLE_TIMEOUT`] while no request is in work. (How long requests take, and their bodies, is
/// limited by the routes.) Hyper's own timeout would count the quiet between requests as a slow head, and does not
/// cover the first bytes, by which it tells HTTP/2 from HTTP/1.
#[derive(Debug)]
pub(super) struct TimedIo<S> {
    inner: S,
    requests: Arc<Requests>,
    header_timeout: Duration,
    /// When bytes last moved, or the connection began.
    moved: Instant,
    /// When the head of the request that is being read began.
    head: Option<Instant>,
    /// Requests whose head is behind us.
    begun: usize,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedIo<S> {
    pub(super) fn new(inner: S, requests: Arc<Requests>, header_timeout: Duration) -> Self {
        let now = Instant::now();
        Self { inner, requests, header_timeout, moved: now, head: Some(now), begun: 0, alarm: None }
    }

    /// When the head that is on its way began. A client of HTTP/2 also sends what is no request, so only its first one
    /// is timed.
    fn timed_head(&self) -> Option<Instant> {
        self.head.filter(|_| !self.requests.http2.load(Ordering::Relaxed))
    }

    fn deadline(&self) -> Instant {
        self.timed_head().map_or(self.moved + IDLE_TIMEOUT, |began| began + self.header_timeout)
    }

    fn note_use(&self) {
        let since = self.timed_head().unwrap_or(self.moved) - self.requests.connected;
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.requests.useless_since_ms.store(since_ms, Ordering::Relaxed);
    }

    /// Is a request in work? Also notes whether the head that was being read became one.
    fn is_working(&mut self) -> bool {
        let begun = self.requests.begun.load(Ordering::Relaxed);
        if begun != self.begun {
            self.begun = begun;
            self.head = None;
        }
        self.requests.in_work.load(Ordering::Relaxed) > 0
    }

    /// Called where nothing can be read or written now: is the time over? Otherwise sees to being called again.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let now = Instant::now();
        let working = self.is_working();
        if working {
            self.moved = now;
        }
        let deadline = self.deadline();
        if !working && deadline <= now {
            return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client was quiet for too long"));
        }
        // Also while a request is in work: Hyper may not read again after it, since it was told to wait.
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // One that is too early only looks again: setting it back after every request would cost more.
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
        if !self.is_working() && read {
            self.head.get_or_insert(now);
        }
        self.note_use();
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
        self.or_deadline(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.or_deadline(cx, poll)
    }
}

impl<S> TimedIo<S> {
    fn wrote(&mut self, poll: &Poll<io::Result<usize>>) {
        if matches!(poll, Poll::Ready(Ok(1..))) {
            self.has_moved(false);
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
