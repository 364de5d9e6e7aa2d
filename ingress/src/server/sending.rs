//! Answers on their way to a client, and clients that do not take them.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::Response;
use bytes::Buf;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A client that takes no byte of an answer for this time is disconnected, whatever else it sends.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How often the answers of a connection are looked at while it has any.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How slowly a client may take an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The longest time without a byte.
    pub(super) stall: Duration,
    /// The lowest rate, after the first stall.
    pub(super) bytes_per_s: u64,
}

/// A client may be this slow. A slow mobile line carries twice as much.
pub(super) const USUAL: Patience = Patience { stall: STALL_TIMEOUT, bytes_per_s: 8 * 1024 };

/// The answers of one connection whose bytes are not all taken by the network.
#[derive(Debug)]
pub(super) struct Sending {
    answers: Mutex<Vec<Weak<Progress>>>,
    is_watched: AtomicBool,
    begun: Notify,
}

/// How far one answer is.
#[derive(Debug)]
struct Progress {
    begun: Instant,
    /// When a byte was last taken, in milliseconds after `begun`.
    moved_ms: AtomicU64,
    /// Bytes of the whole answer; of one whose size is not known, as many as were begun.
    bytes: AtomicU64,
}

impl Progress {
    fn moved(&self) {
        let after_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(after_ms, Ordering::Relaxed);
    }

    fn is_late(&self, patience: Patience) -> bool {
        let taken = self.begun.elapsed();
        let at_rate = self.bytes.load(Ordering::Relaxed) / patience.bytes_per_s;
        let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
        taken.saturating_sub(moved) >= patience.stall || taken >= patience.stall + Duration::from_secs(at_rate)
    }
}

impl Sending {
    pub(super) fn new() -> Self {
        Self { answers: Mutex::default(), is_watched: AtomicBool::new(false), begun: Notify::new() }
    }

    /// Watches an answer until the network has taken its last byte.
    pub(super) fn watch(&self, answer: Response) -> hyper::Response<Watched> {
        let progress = Arc::new(Progress {
            begun: Instant::now(),
            moved_ms: AtomicU64::new(0),
            bytes: AtomicU64::new(answer.body().size_hint().exact().unwrap_or(0)),
        });
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| answer.strong_count() > 0);
        answers.push(Arc::downgrade(&progress));
        drop(answers);
        if !self.is_watched.load(Ordering::Acquire) {
            self.begun.notify_one();
        }
        answer.map(|body| Watched { is_sized: body.size_hint().exact().is_some(), body, progress })
    }

    /// Is the client too slow with any answer?
    pub(super) fn is_late(&self, patience: Patience) -> bool {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().filter_map(Weak::upgrade).any(|answer| answer.is_late(patience))
    }

    /// Waits until the client is too slow with an answer.
    pub(super) async fn is_stalled(&self) {
        loop {
            self.begun.notified().await;
            self.is_watched.store(true, Ordering::Release);
            while self.is_open() {
                tokio::time::sleep(LOOK_EVERY).await;
                if self.is_late(USUAL) {
                    return;
                }
            }
        }
    }

    /// Is an answer on its way? If not, the next one is notified of.
    fn is_open(&self) -> bool {
        let is_open = || {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.iter().any(|answer| answer.strong_count() > 0)
        };
        if is_open() {
            return true;
        }
        self.is_watched.store(false, Ordering::Release);
        // One may have begun before it could see this.
        let is_open = is_open();
        self.is_watched.store(is_open, Ordering::Release);
        is_open
    }
}

/// The body of an answer that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    body: Body,
    is_sized: bool,
    progress: Arc<Progress>,
}

/// Bytes of an answer, until the network has taken them.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    progress: Arc<Progress>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if count > 0 {
            self.progress.moved();
        }
    }
}

impl hyper::body::Body for Watched {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let piece = |bytes: Bytes| {
            if !self.is_sized {
                self.progress.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            Piece { bytes, progress: Arc::clone(&self.progress) }
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    /// Takes pieces of a kilobyte of an answer whose size is not known, one after each pause. Returns whether the client
    /// is late after a minute.
    async fn is_late_after_a_minute(pause: Duration) -> bool {
        let sending = Sending::new();
        let pieces = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1_024])));
        let mut body = sending.watch(Response::new(Body::from_stream(pieces))).into_body();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            let mut piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            tokio::time::sleep(pause).await;
            piece.advance(piece.remaining());
        }
        sending.is_late(USUAL)
    }

    #[tokio::test(start_paused = true)]
    async fn an_export_goes_on_as_long_as_its_client_takes_it() {
        assert!(!is_late_after_a_minute(Duration::from_millis(50)).await, "20 KB a second");
        assert!(is_late_after_a_minute(Duration::from_millis(500)).await, "2 KB a second");
    }
}
