use std::collections::VecDeque;
use std::time::Duration;

use stockline_core::domain::{MAX_PACK_BYTES, MAX_PACK_COMMANDS, MESSAGE_FRAME_BYTES};
use stockline_core::ports::Pack;
use stockline_service::Retry;
use tokio::time::Instant;

/// The longest that a pack of a busy item lingers to fill, after the pack before it was acknowledged.
pub(super) const MAX_LINGER: Duration = Duration::from_millis(20);
/// If no command for a busy item arrives in this time, its pack is sent.
const QUIET: Duration = Duration::from_millis(1);

/// A line of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineOf {
    pub(super) request: u64,
    pub(super) line: u32,
}

/// A command that waits for its turn.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) of: LineOf,
    pub(super) envelope: String,
    pub(super) deadline: Instant,
}

/// A pack that was sent at least once and is not acknowledged.
#[derive(Debug)]
pub(super) struct UnacknowledgedPack {
    pub(super) pack: Pack,
    pub(super) lines: Vec<LineOf>,
    pub(super) retry: Retry,
    pub(super) deadline: Instant,
}

/// What happens next to an item's pack.
///
/// ```text
///                                acknowledged, nothing waits ──▶ (dropped)
///            dispatched            │
///   Ready ───────────────▶ Sent ───┤ acknowledged, more waits
///     ▲ ▲                   │      └──────────────▶ Lingering
///     │ │    due again      │ failed                    │
///     │ └────────────── Backoff                         │
///     └─────────────────────────────────────────────────┘
///              full, or quiet, or the linger is over
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is in the list of packs to be sent.
    Ready,
    /// It fills until the item is quiet or the linger is over.
    Lingering { since: Instant },
    /// It is in flight.
    Sent,
    /// It is sent again at `due`.
    Backoff { due: Instant },
}

/// The commands of one item that are not acknowledged by the queue.
#[derive(Debug)]
pub(super) struct ItemBacklog {
    pub(super) waiting: VecDeque<Entry>,
    waiting_bytes: usize,
    pub(super) stage: Stage,
    pub(super) unacknowledged: Option<UnacknowledgedPack>,
    linger: Duration,
    last_arrival: Instant,
}

impl ItemBacklog {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            stage: Stage::Ready,
            unacknowledged: None,
            linger: Duration::ZERO,
            last_arrival: now,
        }
    }

    pub(super) fn push(&mut self, entry: Entry, now: Instant) {
        self.waiting_bytes += entry.envelope.len() + 1;
        self.waiting.push_back(entry);
        self.last_arrival = now;
    }

    /// Is the next pack full already?
    fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_PACK_COMMANDS || self.waiting_bytes + MESSAGE_FRAME_BYTES >= MAX_PACK_BYTES
    }

    /// Removes the commands of the next pack and returns them in order.
    pub(super) fn take_pack(&mut self) -> Vec<Entry> {
        let (mut count, mut bytes) = (0, MESSAGE_FRAME_BYTES);
        for entry in self.waiting.iter().take(MAX_PACK_COMMANDS) {
            bytes += entry.envelope.len() + 1;
            if count > 0 && bytes > MAX_PACK_BYTES {
                break;
            }
            count += 1;
        }
        let taken: Vec<_> = self.waiting.drain(..count).collect();
        self.waiting_bytes -= taken.iter().map(|entry| entry.envelope.len() + 1).sum::<usize>();
        taken
    }

    /// Removes the waiting commands that `unwanted` selects, and returns their lines.
    pub(super) fn remove(&mut self, unwanted: impl Fn(&Entry) -> bool) -> Vec<LineOf> {
        let mut removed = Vec::new();
        let bytes = &mut self.waiting_bytes;
        self.waiting.retain(|entry| {
            let gone = unwanted(entry);
            if gone {
                *bytes -= entry.envelope.len() + 1;
                removed.push(entry.of);
            }
            !gone
        });
        removed
    }

    /// Begins to linger after a pack was acknowledged and more commands wait. Returns when to look again, or `None` to
    /// send now.
    pub(super) fn begin_linger(&mut self, now: Instant) -> Option<Instant> {
        if self.is_full() || self.linger.is_zero() {
            self.linger = self.linger.max(QUIET);
            self.stage = Stage::Ready;
            return None;
        }
        self.stage = Stage::Lingering { since: now };
        Some(now + QUIET)
    }

    /// Looks whether the linger ends. Returns when to look again, or `None` to send now. While commands keep arriving,
    /// the linger grows.
    pub(super) fn check_linger(&mut self, since: Instant, now: Instant) -> Option<Instant> {
        let end = since + self.linger;
        let quiet = self.last_arrival + QUIET;
        if now >= end && now < quiet {
            self.linger = (self.linger * 2).min(MAX_LINGER);
        }
        if self.is_full() || now >= end || now >= quiet {
            self.stage = Stage::Ready;
            return None;
        }
        Some(end.min(quiet))
    }
}
