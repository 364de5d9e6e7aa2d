use std::collections::VecDeque;

use stockline_core::domain::{MAX_PACK_BYTES, MAX_PACK_COMMANDS, MESSAGE_FRAME_BYTES};
use stockline_core::ports::Pack;
use stockline_service::Retry;
use tokio::time::{Duration, Instant};

use super::{MAX_LINGER, QUIET};

/// Which line of which request.
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

/// A pack that was sent at least once and not acknowledged.
#[derive(Debug)]
pub(super) struct Flying {
    pub(super) pack: Pack,
    pub(super) lines: Vec<LineOf>,
    pub(super) retry: Retry,
    pub(super) deadline: Instant,
}

/// Where an item's next pack stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// In the list of those to be sent next.
    Ready,
    /// Filling until the item is quiet or its linger is over.
    Held { since: Instant },
    /// In flight.
    Sent,
    /// To be sent again then.
    Backoff { due: Instant },
}

/// The commands of one item.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) waiting: VecDeque<Entry>,
    waiting_bytes: usize,
    pub(super) stage: Stage,
    pub(super) flying: Option<Flying>,
    linger: Duration,
    last_arrival: Instant,
}

impl Group {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            stage: Stage::Ready,
            flying: None,
            linger: Duration::ZERO,
            last_arrival: now,
        }
    }

    pub(super) fn push(&mut self, entry: Entry, now: Instant) {
        self.waiting_bytes += entry.envelope.len() + 1;
        self.waiting.push_back(entry);
        self.last_arrival = now;
    }

    /// Would waiting longer not make the next pack larger?
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_PACK_COMMANDS || self.waiting_bytes + MESSAGE_FRAME_BYTES >= MAX_PACK_BYTES
    }

    /// The commands of the next pack, in order.
    pub(super) fn take(&mut self) -> Vec<Entry> {
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

    /// Takes out what `unwanted` names.
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

    /// After a pack landed and more waits: when to look again, or `None` to send now.
    pub(super) fn hold(&mut self, now: Instant) -> Option<Instant> {
        if self.is_full() || self.linger.is_zero() {
            self.linger = self.linger.max(QUIET);
            self.stage = Stage::Ready;
            return None;
        }
        self.stage = Stage::Held { since: now };
        Some(now + QUIET)
    }

    /// While held: when to look again, or `None` to send now. Commands that keep coming make the linger grow.
    pub(super) fn look(&mut self, since: Instant, now: Instant) -> Option<Instant> {
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
