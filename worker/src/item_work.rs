//! The messages of one item that a round holds, and its progress with them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use stockline_core::domain::{CommandId, DeadLetter, ItemId, Record, Slot, Timestamp, encode_message};
use stockline_core::ports::{Delivery, Handle};
use stockline_service::Retry;
use tokio::time::Instant;

use crate::config::Parking;
use crate::spans::Spans;

/// After this many lost attempts in a row the messages are returned.
const ATTEMPTS_MAX: u32 = 8;

/// The first pause after a conflict; doubles with every further one.
const CONFLICT_PAUSE_FIRST: Duration = Duration::from_millis(5);

/// The longest pause after a conflict, before jitter.
const CONFLICT_PAUSE_MOST: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Message {
    handle: Handle,
    /// The slot after its last one. Its first is the end of the message before.
    end: usize,
    receives: u32,
}

/// How many slots the next fold is offered.
///
/// ```text
///                 refused, several are undecided
///   ┌───────┐ ─────────────────────────────────► ┌─────────┐ ─┐ refused, several are undecided:
///   │ Whole │                                    │ Halving │  │ half of the smaller range
///   └───────┘ ◄───────────────────────────────── └─────────┘ ◄┘
///       ▲  │      all slots of the range decided,
///       └──┘      or one was refused: it becomes a dead letter
///   one was refused
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// As many as a commit may hold.
    Whole,
    /// Half of the undecided slots before `end`: one of them can't be committed, and this finds it.
    Halving { end: usize },
}

/// The attempts in a row that lost to another worker.
#[derive(Debug)]
struct Conflicts {
    count: u32,
    pauses: Retry,
}

#[derive(Debug)]
pub(crate) struct ItemWork {
    pub(crate) item_id: ItemId,
    pub(crate) slots: Vec<Slot>,
    /// The number of leading slots that are durable and whose alerts are published.
    pub(crate) settled: usize,
    /// The stored outcomes that commits met. Nothing else is carried from one load to the next.
    pub(crate) decided: BTreeMap<CommandId, Record>,
    /// No attempt begins before this time.
    pub(crate) ready_at: Option<Instant>,
    messages: VecDeque<Message>,
    offer: Offer,
    /// `None` after a success. Boxed because most items never meet a conflict.
    conflicts: Option<Box<Conflicts>>,
    pub(crate) spans: Spans,
}

impl ItemWork {
    pub(crate) fn new(item_id: ItemId) -> Self {
        Self {
            item_id,
            slots: Vec::new(),
            settled: 0,
            decided: BTreeMap::new(),
            ready_at: None,
            messages: VecDeque::new(),
            offer: Offer::Whole,
            conflicts: None,
            spans: Spans::default(),
        }
    }

    /// Appends a message with its slots.
    pub(crate) fn add(&mut self, delivery: Delivery, mut slots: Vec<Slot>) {
        self.spans.begin(&self.item_id, &slots);
        if self.slots.is_empty() {
            self.slots = slots;
        } else {
            self.slots.append(&mut slots);
        }
        let Delivery { handle, receives, .. } = delivery;
        self.messages.push_back(Message { handle, end: self.slots.len(), receives });
    }

    /// Returns the handle of the first message that is not acknowledged.
    pub(crate) fn first_handle(&self) -> Option<&Handle> {
        self.messages.front().map(|message| &message.handle)
    }

    /// Returns whether the item's first message was tried often enough, or long enough, although the item can't be read.
    pub(crate) fn is_to_be_parked(&self, parking: Parking, now: Timestamp) -> bool {
        let receives = self.messages.front().map_or(0, |message| message.receives);
        let first = self.slots.iter().skip(self.settled).find_map(Slot::queued);
        let is_old = first.is_some_and(|queued| now.millis_since(queued.accepted_at) >= parking.age_ms);
        receives >= parking.receives || (is_old && receives >= Parking::RECEIVES_MIN)
    }

    /// Replaces the undecided commands before `end` by their dead letters.
    pub(crate) fn park(&mut self, end: usize, why: &str, now: Timestamp) {
        let reason = format!("the item can't be read, so that it was set aside: {why}");
        for index in self.settled..end {
            if !self.is_decided(&self.slots[index]) {
                self.set_slot_aside(index, &reason, now);
            }
        }
    }

    /// Replaces the command of a slot by its dead letter. Returns `false` if it is one already.
    fn set_slot_aside(&mut self, index: usize, reason: &str, now: Timestamp) -> bool {
        let item_id = &self.item_id;
        let Slot::Command(queued) = &mut self.slots[index] else { return false };
        let command_id = queued.command.command_id;
        tracing::error!(%item_id, %command_id, reason, "a command is dead-lettered");
        let letter = DeadLetter::of(reason.to_owned(), encode_message(item_id, [&**queued]));
        let record = Record::dead_letter(Some(queued), letter, (item_id.clone(), command_id), now);
        self.slots[index] = Slot::Dead(Box::new(record));
        true
    }

    /// Returns the end of the slots that the next fold is offered: at most `max` undecided ones.
    pub(crate) fn next_end(&mut self, max: usize) -> usize {
        let limit = match self.offer {
            Offer::Halving { end } if self.undecided(self.settled..end) > 0 => {
                (self.undecided(self.settled..end) / 2).clamp(1, max)
            }
            Offer::Halving { .. } | Offer::Whole => {
                self.offer = Offer::Whole;
                max
            }
        };
        if self.decided.is_empty() {
            return self.slots.len().min(self.settled + limit);
        }
        let mut undecided = 0;
        let rest = self.slots.iter().enumerate().skip(self.settled);
        for (index, slot) in rest {
            undecided += usize::from(!self.is_decided(slot));
            if undecided == limit {
                return index + 1;
            }
        }
        self.slots.len()
    }

    fn is_decided(&self, slot: &Slot) -> bool {
        self.decided.get(&slot.command_id()).is_some_and(|record| record.decides(slot.retry()))
    }

    /// Returns whether one of the messages has this command with this time of acceptance.
    pub(crate) fn holds_message_of(&self, record: &Record) -> bool {
        let (id, accepted_at) = (record.outcome.command_id, record.outcome.accepted_at);
        let mut commands = self.slots.iter().filter_map(Slot::queued);
        commands.any(|queued| queued.command.command_id == id && queued.accepted_at == accepted_at)
    }

    fn undecided(&self, range: Range<usize>) -> usize {
        if self.decided.is_empty() {
            return range.len();
        }
        self.slots.get(range).unwrap_or_default().iter().filter(|slot| !self.is_decided(slot)).count()
    }

    /// Settles the next `taken` slots and returns the messages that can be acknowledged with them.
    pub(crate) fn settle(&mut self, taken: usize) -> impl Iterator<Item = Handle> + '_ {
        self.settled += taken;
        let settled = self.settled;
        let complete = self.messages.iter().take_while(|message| message.end <= settled).count();
        self.messages.drain(..complete).map(|message| message.handle)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the remaining messages with one pause for all, so that they are delivered again together.
    /// `pause` says how long, by the deliveries of the first.
    pub(crate) fn into_returned(self, pause: fn(u32) -> Duration) -> impl Iterator<Item = (Handle, Duration)> {
        let pause = pause(self.messages.front().map_or(1, |message| message.receives));
        self.messages.into_iter().map(move |message| (message.handle, pause))
    }

    /// Records that an attempt succeeded.
    pub(crate) fn attempt_succeeded(&mut self) {
        self.conflicts = None;
    }

    /// Records that an attempt lost to another worker, and pauses. Returns `false` if it lost too often.
    #[must_use]
    pub(crate) fn attempt_lost(&mut self) -> bool {
        let first = || Box::new(Conflicts { count: 0, pauses: Retry::new(CONFLICT_PAUSE_FIRST, CONFLICT_PAUSE_MOST) });
        let conflicts = self.conflicts.get_or_insert_with(first);
        conflicts.count += 1;
        if conflicts.count >= ATTEMPTS_MAX {
            return false;
        }
        self.ready_at = Some(Instant::now() + conflicts.pauses.next_pause());
        true
    }

    /// Prepares the same attempt once more, after a pause. It forgets the outcomes that it met: the next attempt must
    /// meet them again, because their alerts are not published and their levels not re-judged.
    pub(crate) fn try_again_after(&mut self, pause: Duration) {
        self.decided.clear();
        self.ready_at = Some(Instant::now() + pause);
    }

    /// Keeps stored outcomes. Returns `false` if all of them were known.
    #[must_use]
    pub(crate) fn keep_decided(&mut self, records: impl IntoIterator<Item = Record>) -> bool {
        let mut learned = false;
        for record in records {
            let (retry, status) = (record.retry, record.outcome.status);
            let before = self.decided.insert(record.outcome.command_id, record);
            learned |= before.is_none_or(|before| before.retry != retry || before.outcome.status != status);
        }
        learned
    }

    /// Records that the slots up to `end` can't be committed together. It halves them, or replaces a single one by its
    /// dead letter. Returns `false` if even the dead letter was refused.
    #[must_use]
    pub(crate) fn refuse(&mut self, end: usize, reason: &str, now: Timestamp) -> bool {
        if self.undecided(self.settled..end) > 1 {
            self.offer = Offer::Halving { end };
            return true;
        }
        self.offer = Offer::Whole;
        let Some(index) = (self.settled..end).find(|index| !self.is_decided(&self.slots[*index])) else {
            return false;
        };
        self.set_slot_aside(index, reason, now)
    }
}
