//! The leases of a round on its messages: extended while it works, and ended by an acknowledgement or a return.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::{Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use stockline_core::ports::{CommandReceiver, Handle, QueueError};
use stockline_service::Retry;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The first pause before a returned message is delivered again; jittered by half.
const RETURN_PAUSE_FIRST: Duration = Duration::from_secs(1);

/// The longest such pause before jitter: with jitter at most 60 s (design.md §6).
const RETURN_PAUSE_MOST: Duration = Duration::from_secs(40);

/// From this delivery on the pause no longer grows.
const RETURN_PAUSE_GROWS_RECEIVES: u32 = 8;

/// A failed extension is retried after this fraction of the visibility timeout.
const RETRY_FRACTION: u32 = 8;

/// Returns how long a failed message stays invisible: it grows with the deliveries, is jittered, and never zero.
pub(crate) fn return_pause(receives: u32) -> Duration {
    growing_pause(receives, RETURN_PAUSE_MOST, RETURN_PAUSE_GROWS_RECEIVES)
}

fn growing_pause(receives: u32, most: Duration, grows_receives: u32) -> Duration {
    let mut pauses = Retry::new(RETURN_PAUSE_FIRST, most);
    let mut pause = pauses.next_pause();
    for _ in 1..receives.min(grows_receives) {
        pause = pauses.next_pause();
    }
    pause.max(RETURN_PAUSE_FIRST / 2)
}

/// The longest pause, before jitter, of the messages of an item that can't be read. A message may be received 1,000 times
/// (design.md §6): at this pace it waits ten days for a repair, and keeps its place.
const SET_ASIDE_PAUSE_MOST: Duration = Duration::from_secs(900);

/// From this delivery on that pause no longer grows.
const SET_ASIDE_PAUSE_GROWS_RECEIVES: u32 = 12;

/// Returns how long the messages of an item that can't be read stay invisible.
pub(crate) fn set_aside_pause(receives: u32) -> Duration {
    growing_pause(receives, SET_ASIDE_PAUSE_MOST, SET_ASIDE_PAUSE_GROWS_RECEIVES)
}

/// Holds the messages of one receive until each is acknowledged, returned, or lost to another worker.
#[derive(Debug)]
pub(crate) struct Leases {
    queue: Arc<dyn CommandReceiver>,
    /// Locked during an extension, so that it can't overtake an acknowledgement or a return.
    handles: Mutex<HashSet<Handle>>,
    expires_at: SyncMutex<Instant>,
    lost: SyncMutex<HashSet<Handle>>,
}

impl Leases {
    /// Leases on messages that were received at `received`.
    pub(crate) fn new(
        queue: Arc<dyn CommandReceiver>,
        handles: impl IntoIterator<Item = Handle>,
        received: Instant,
    ) -> Self {
        let expires_at = SyncMutex::new(received + queue.visibility_timeout());
        Self { queue, handles: Mutex::new(handles.into_iter().collect()), expires_at, lost: SyncMutex::default() }
    }

    /// Returns whether the visibility timeout has passed, so that another worker may hold these messages. No further
    /// attempt begins then.
    pub(crate) fn have_expired(&self) -> bool {
        Instant::now() >= *self.expires_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether this one message was lost to another worker.
    pub(crate) fn is_lost(&self, handle: &Handle) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).contains(handle)
    }

    /// Acknowledges messages. If that fails, they are delivered again and their commands are found decided.
    pub(crate) async fn ack(&self, handles: &[Handle]) {
        if handles.is_empty() {
            return;
        }
        self.forget(handles.iter()).await;
        let failed = self.queue.ack(handles).await.into_iter().filter_map(Result::err);
        if let Some((count, error)) = failed.fold(None, |seen: Option<(u32, _)>, error| match seen {
            None => Some((1, error)),
            Some((count, first)) => Some((count + 1, first)),
        }) {
            tracing::warn!(count, %error, "messages could not be acknowledged; they will be delivered again");
        }
    }

    /// Returns messages to the queue, each to be delivered again after its pause.
    pub(crate) async fn return_after(&self, messages: &[(Handle, Duration)]) {
        if messages.is_empty() {
            return;
        }
        self.forget(messages.iter().map(|(handle, _)| handle)).await;
        let failed = self.queue.change_visibility(messages).await.into_iter().filter(Result::is_err).count();
        if failed > 0 {
            tracing::debug!(failed, "messages could not be returned; they become visible after their timeout");
        }
    }

    /// Returns all remaining messages to the queue at once, for shutdown. The result is their number.
    pub(crate) async fn return_now(&self) -> usize {
        let handles = std::mem::take(&mut *self.handles.lock().await);
        let messages: Vec<_> = handles.into_iter().map(|handle| (handle, Duration::ZERO)).collect();
        if !messages.is_empty() {
            self.queue.change_visibility(&messages).await;
        }
        messages.len()
    }

    async fn forget(&self, handles: impl Iterator<Item = &Handle>) {
        let mut held = self.handles.lock().await;
        for handle in handles {
            held.remove(handle);
        }
    }

    /// Extends the leases after half the visibility timeout, as long as this future is polled.
    pub(crate) async fn keep(&self) -> Infallible {
        let timeout = self.queue.visibility_timeout();
        let mut pause = timeout / 2;
        loop {
            tokio::time::sleep(pause).await;
            pause = if self.extend(timeout).await { timeout / 2 } else { timeout / RETRY_FRACTION };
        }
    }

    /// Extends all leases and returns whether every message that is not lost was extended.
    async fn extend(&self, timeout: Duration) -> bool {
        let mut held = self.handles.lock().await;
        let extensions: Vec<_> = held.iter().map(|handle| (handle.clone(), timeout)).collect();
        if extensions.is_empty() {
            return true;
        }
        let asked = Instant::now();
        let answers = self.queue.change_visibility(&extensions).await;
        let mut all = answers.len() == extensions.len();
        for ((handle, _), answer) in extensions.into_iter().zip(answers) {
            match answer {
                Ok(()) => {}
                Err(QueueError::HandleExpired) => {
                    held.remove(&handle);
                    self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(handle);
                }
                Err(QueueError::Unavailable(_)) => all = false,
            }
        }
        if all {
            *self.expires_at.lock().unwrap_or_else(PoisonError::into_inner) = asked + timeout;
        }
        all
    }
}
