//! The messages that a round holds: kept invisible while it works, acknowledged, or given back.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::{Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use stockline_core::ports::{CommandReceiver, Handle, QueueError};
use stockline_service::Retry;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The first pause before a message comes again after a failure; jittered by half.
const GIVE_BACK_FIRST: Duration = Duration::from_secs(1);

/// The longest, before jitter: with it at most 60 s (design.md §6).
const GIVE_BACK_MOST: Duration = Duration::from_secs(40);

/// From this delivery on the pause no longer grows.
const GIVE_BACK_GROWS_RECEIVES: u32 = 8;

/// After a failed extension the next one is tried after this part of the visibility timeout.
const RETRY_PART: u32 = 8;

/// How long a failed group's messages stay away: growing with their deliveries, jittered, never zero.
pub(crate) fn give_back_after(receives: u32) -> Duration {
    let mut pauses = Retry::new(GIVE_BACK_FIRST, GIVE_BACK_MOST);
    let mut pause = pauses.next_pause();
    for _ in 1..receives.min(GIVE_BACK_GROWS_RECEIVES) {
        pause = pauses.next_pause();
    }
    pause.max(GIVE_BACK_FIRST / 2)
}

#[derive(Debug)]
pub(crate) struct Held {
    queue: Arc<dyn CommandReceiver>,
    /// Locked while an extension is under way, so that none overtakes an acknowledgement or a give-back.
    handles: Mutex<HashSet<Handle>>,
    visible_at: SyncMutex<Instant>,
    lost: SyncMutex<HashSet<Handle>>,
}

impl Held {
    /// Of messages that were received at `received`.
    pub(crate) fn new(
        queue: Arc<dyn CommandReceiver>,
        handles: impl IntoIterator<Item = Handle>,
        received: Instant,
    ) -> Self {
        let visible_at = SyncMutex::new(received + queue.visibility_timeout());
        Self { queue, handles: Mutex::new(handles.into_iter().collect()), visible_at, lost: SyncMutex::default() }
    }

    /// Has the visibility run out, so that another may hold these messages? No further attempt is begun then.
    pub(crate) fn has_run_out(&self) -> bool {
        Instant::now() >= *self.visible_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Was this one message lost to another?
    pub(crate) fn is_lost(&self, handle: &Handle) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).contains(handle)
    }

    /// Acknowledges messages. One that can't be comes again, and its commands are found decided.
    pub(crate) async fn ack(&self, handles: &[Handle]) {
        if handles.is_empty() {
            return;
        }
        self.let_go(handles.iter()).await;
        let failed = self.queue.ack(handles).await.into_iter().filter_map(Result::err);
        if let Some((count, error)) = failed.fold(None, |seen: Option<(u32, _)>, error| match seen {
            None => Some((1, error)),
            Some((count, first)) => Some((count + 1, first)),
        }) {
            tracing::warn!(count, %error, "messages could not be acknowledged; they come again");
        }
    }

    /// Gives messages back, each to come again after its time.
    pub(crate) async fn give_back(&self, messages: &[(Handle, Duration)]) {
        if messages.is_empty() {
            return;
        }
        self.let_go(messages.iter().map(|(handle, _)| handle)).await;
        let failed = self.queue.change_visibility(messages).await.into_iter().filter(Result::is_err).count();
        if failed > 0 {
            tracing::debug!(failed, "messages could not be given back; they come when their visibility runs out");
        }
    }

    /// Gives everything that is left back at once: for shutdown. How many that was.
    pub(crate) async fn give_back_now(&self) -> usize {
        let handles = std::mem::take(&mut *self.handles.lock().await);
        let messages: Vec<_> = handles.into_iter().map(|handle| (handle, Duration::ZERO)).collect();
        if !messages.is_empty() {
            self.queue.change_visibility(&messages).await;
        }
        messages.len()
    }

    async fn let_go(&self, handles: impl Iterator<Item = &Handle>) {
        let mut held = self.handles.lock().await;
        for handle in handles {
            held.remove(handle);
        }
    }

    /// Extends the visibility of what is held at half its time, for as long as it is polled.
    pub(crate) async fn keep(&self) -> Infallible {
        let timeout = self.queue.visibility_timeout();
        let mut pause = timeout / 2;
        loop {
            tokio::time::sleep(pause).await;
            pause = if self.extend(timeout).await { timeout / 2 } else { timeout / RETRY_PART };
        }
    }

    /// True where all that can still be extended was.
    async fn extend(&self, timeout: Duration) -> bool {
        let mut held = self.handles.lock().await;
        let wanted: Vec<_> = held.iter().map(|handle| (handle.clone(), timeout)).collect();
        if wanted.is_empty() {
            return true;
        }
        let asked = Instant::now();
        let answers = self.queue.change_visibility(&wanted).await;
        let mut all = answers.len() == wanted.len();
        for ((handle, _), answer) in wanted.into_iter().zip(answers) {
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
            *self.visible_at.lock().unwrap_or_else(PoisonError::into_inner) = asked + timeout;
        }
        all
    }
}
