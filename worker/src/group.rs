//! The messages of one item that a round holds, and how far it got with them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use stockline_core::domain::{
    CommandId, DeadLetter, ItemId, MessageError, Record, Slot, Timestamp, encode_message, set_message_aside,
};
use stockline_core::ports::{Delivery, Handle};
use stockline_service::Retry;
use tokio::time::Instant;
use uuid::Uuid;

use crate::gate::Newer;
use crate::held::give_back_after;
use crate::round::{Worker, YIELD_COMMANDS};

/// Failed attempts in a row after which a group is given back.
const ATTEMPTS_MAX: u32 = 8;

/// The first pause after a conflict; doubles with every further one.
const CONFLICT_PAUSE_FIRST: Duration = Duration::from_millis(5);

/// The longest pause after a conflict, before jitter.
const CONFLICT_PAUSE_MOST: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Message {
    handle: Handle,
    /// Its commands are those before this slot, and after the previous message's end.
    end: usize,
    receives: u32,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) item_id: ItemId,
    pub(crate) slots: Vec<Slot>,
    /// Slots before this one are settled: durable, their alerts out.
    pub(crate) pos: usize,
    /// Stored outcomes that commits met: all that is carried from one load to the next.
    pub(crate) decided: BTreeMap<CommandId, Record>,
    /// Not to be attempted before.
    pub(crate) ready_at: Option<Instant>,
    messages: VecDeque<Message>,
    /// Somewhere before this slot is one that can't be committed: halving is after it.
    suspect: Option<usize>,
    attempts: u32,
    pauses: Option<Box<Retry>>,
    /// A message of a later version stands in its way.
    blocked: bool,
}

/// The item that dead letters of a group are recorded under: the group itself, or, where it can't be an item id,
/// `not-an-item-` and the UUIDv5 (of the OID namespace) of the group's text, without hyphens.
pub(crate) fn item_of_group(group: &str) -> ItemId {
    group.parse().unwrap_or_else(|_| {
        let made = format!("not-an-item-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, group.as_bytes()).simple());
        #[expect(clippy::expect_used, reason = "44 letters, digits and hyphens are an id; a test holds it so")]
        made.parse().expect("an item id")
    })
}

/// Decodes deliveries command by command and sorts them by item, in order. Also what is to be given back: messages
/// of a later version, and those behind them.
pub(crate) async fn sort(worker: &Worker, deliveries: Vec<Delivery>) -> (VecDeque<Group>, Vec<(Handle, Duration)>) {
    let now = worker.adapters.clock.now();
    let mut groups: Vec<Group> = Vec::new();
    let mut by_text: HashMap<Arc<str>, usize> = HashMap::with_capacity(deliveries.len());
    let mut returned = Vec::new();
    let mut since_yield = 0;
    for delivery in deliveries {
        let index = *by_text.entry(delivery.group.clone()).or_insert_with(|| {
            groups.push(Group::new(item_of_group(&delivery.group)));
            groups.len() - 1
        });
        let group = &mut groups[index];
        if !group.blocked {
            match decode(worker, &group.item_id, &delivery, now) {
                Ok(slots) => {
                    count_undecodable(worker, &delivery, &group.item_id, &slots);
                    since_yield += slots.len();
                    group.add(delivery, slots);
                    if since_yield >= YIELD_COMMANDS {
                        since_yield = 0;
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                Err(MessageError::Newer(version)) => {
                    worker.gate.close(&Newer::Message(version));
                    group.blocked = true;
                }
            }
        }
        returned.push((delivery.handle, give_back_after(delivery.receives)));
    }
    groups.retain(|group| !group.messages.is_empty());
    (groups.into(), returned)
}

/// As [`decode_message`](stockline_core::domain::decode_message); a message on which that panics is set aside whole.
fn decode(worker: &Worker, item_id: &ItemId, delivery: &Delivery, now: Timestamp) -> Result<Vec<Slot>, MessageError> {
    let (decode, message_id, body) = (worker.decode, &*delivery.message_id, &*delivery.body);
    catch_unwind(|| decode(item_id, message_id, body, now)).unwrap_or_else(|_| {
        let reason = "reading the message panicked: a defect, please report it";
        Ok(vec![set_message_aside(item_id, message_id, body, reason, now)])
    })
}

fn count_undecodable(worker: &Worker, delivery: &Delivery, item_id: &ItemId, slots: &[Slot]) {
    let undecodable = slots.iter().filter(|slot| matches!(slot, Slot::Dead(_))).count();
    if undecodable > 0 {
        worker.meters.undecodable.increment(undecodable as u64);
        let message_id = &delivery.message_id;
        tracing::warn!(%item_id, %message_id, undecodable, "commands that can't be decoded are set aside");
    }
}

impl Group {
    pub(crate) fn new(item_id: ItemId) -> Self {
        Self {
            item_id,
            slots: Vec::new(),
            pos: 0,
            decided: BTreeMap::new(),
            ready_at: None,
            messages: VecDeque::new(),
            suspect: None,
            attempts: 0,
            pauses: None,
            blocked: false,
        }
    }

    fn add(&mut self, delivery: Delivery, mut slots: Vec<Slot>) {
        if self.slots.is_empty() {
            self.slots = slots;
        } else {
            self.slots.append(&mut slots);
        }
        let Delivery { handle, receives, .. } = delivery;
        self.messages.push_back(Message { handle, end: self.slots.len(), receives });
    }

    /// The first message that is not acknowledged.
    pub(crate) fn first_handle(&self) -> Option<&Handle> {
        self.messages.front().map(|message| &message.handle)
    }

    /// How far the next fold is offered slots: `max` undecided ones, or half of what halving suspects.
    pub(crate) fn offer(&mut self, max: usize) -> usize {
        let limit = match self.suspect {
            Some(end) if self.undecided(self.pos..end) > 0 => (self.undecided(self.pos..end) / 2).clamp(1, max),
            _ => {
                self.suspect = None;
                max
            }
        };
        if self.decided.is_empty() {
            return self.slots.len().min(self.pos + limit);
        }
        let mut undecided = 0;
        let rest = self.slots.iter().enumerate().skip(self.pos);
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

    fn undecided(&self, range: Range<usize>) -> usize {
        if self.decided.is_empty() {
            return range.len();
        }
        self.slots.get(range).unwrap_or_default().iter().filter(|slot| !self.is_decided(slot)).count()
    }

    /// The next `taken` slots are settled. The messages that can be acknowledged with them.
    pub(crate) fn settle(&mut self, taken: usize) -> impl Iterator<Item = Handle> + '_ {
        self.pos += taken;
        let pos = self.pos;
        let settled = self.messages.iter().take_while(|message| message.end <= pos).count();
        self.messages.drain(..settled).map(|message| message.handle)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.messages.is_empty()
    }

    /// All that is left, to come again together.
    pub(crate) fn into_returned(self) -> impl Iterator<Item = (Handle, Duration)> {
        let after = give_back_after(self.messages.front().map_or(1, |message| message.receives));
        self.messages.into_iter().map(move |message| (message.handle, after))
    }

    /// An attempt succeeded.
    pub(crate) fn attempt_succeeded(&mut self) {
        self.attempts = 0;
        self.pauses = None;
    }

    /// An attempt lost to another: pauses, or, where it lost too often, `false`.
    pub(crate) fn attempt_lost(&mut self) -> bool {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS_MAX {
            return false;
        }
        let pauses = self.pauses.get_or_insert_with(|| Box::new(Retry::new(CONFLICT_PAUSE_FIRST, CONFLICT_PAUSE_MOST)));
        self.ready_at = Some(Instant::now() + pauses.next_pause());
        true
    }

    /// Keeps stored outcomes; `false` where they say nothing that was not known.
    pub(crate) fn keep_decided(&mut self, records: impl IntoIterator<Item = Record>) -> bool {
        let mut news = false;
        for record in records {
            let (retry, status) = (record.retry, record.outcome.status);
            let before = self.decided.insert(record.outcome.command_id, record);
            news |= before.is_none_or(|before| before.retry != retry || before.outcome.status != status);
        }
        news
    }

    /// The slots up to `end` can't be committed together: halves them, or sets the single one aside in its place.
    /// `false` where even that can't be done.
    pub(crate) fn refuse(&mut self, end: usize, reason: &str, now: Timestamp) -> bool {
        if self.undecided(self.pos..end) > 1 {
            self.suspect = Some(end);
            return true;
        }
        self.suspect = None;
        let Some(index) = (self.pos..end).find(|index| !self.is_decided(&self.slots[*index])) else {
            return false;
        };
        let item_id = &self.item_id;
        match &mut self.slots[index] {
            Slot::Command(queued) => {
                let command_id = queued.command.command_id;
                tracing::error!(%item_id, %command_id, reason, "a command is set aside");
                let body = encode_message(item_id, [&**queued]);
                let letter = DeadLetter::of(reason.to_owned(), body);
                let record = Record::dead_letter(Some(queued), letter, (item_id.clone(), command_id), now);
                self.slots[index] = Slot::Dead(Box::new(record));
                true
            }
            Slot::Dead(_) => false,
        }
    }
}
