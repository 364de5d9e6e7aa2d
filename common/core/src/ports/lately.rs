//! What one process has accepted lately, for people who look after the shop.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Movement;
use crate::domain::{Command, ItemId, LocationId, Timestamp};

/// The most senders at locations that are remembered. Beyond that, the older half is forgotten.
const SENDERS_MAX: usize = 10_000;
/// The latest movements whose items are remembered.
const MOVES_MAX: usize = 1_000;

/// A sender that sent nothing for longer is out of use, in milliseconds.
pub const SENDER_USED_MS: i64 = 7 * 24 * 3_600_000;

/// Who sent a movement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// The device that the movement names.
    Device(String),
    /// The holder of the token, where the movement names no device.
    Subject(Arc<str>),
}

/// A sender at a location, with the time of its last movement there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSent {
    /// Who sent it.
    pub by: Sender,
    /// Where it was moved.
    pub location_id: LocationId,
    /// When it was accepted.
    pub at: Timestamp,
}

/// The items that the latest movements moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatestMoves {
    /// How many movements these are.
    pub movements: usize,
    /// When the first of them was accepted; `None` without any.
    pub since: Option<Timestamp>,
    /// How many movements each item has.
    pub by_item: HashMap<ItemId, usize>,
}

/// Remembers who sent movements to this process, and which items they moved, whatever became of them. It costs a sale no read
/// and no write. It is in memory: what [`Lately::last_sent`] returns is kept over a restart, and [`Lately::recall`] adds what was
/// recorded since. It tells of a whole installation only where one process accepts everything.
#[derive(Debug, Default)]
pub struct Lately(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    senders: HashMap<(Sender, LocationId), Timestamp>,
    moves: VecDeque<(ItemId, LocationId, Timestamp)>,
}

impl Lately {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the movements among the commands of a request. A transfer is noted at the giving location.
    pub fn note(&self, commands: &[Command], submitted_by: &Arc<str>, now: Timestamp) {
        let mut kept = self.kept();
        for command in commands.iter().filter(|command| command.kind().is_movement()) {
            let Some(location_id) = command.action.locations().next() else { continue };
            let sender = sender(command.details.device_id.as_deref(), submitted_by);
            kept.put(sender, command.item_id.clone(), location_id.clone(), now);
        }
    }

    /// Notes movements that were recorded before, given newest first.
    pub fn recall(&self, movements: Vec<Movement>) {
        let mut kept = self.kept();
        for Movement { item_id, location_id, entry, .. } in movements.into_iter().rev() {
            let sender = sender(entry.device_id.as_deref(), &entry.submitted_by);
            kept.put(sender, item_id, location_id, entry.recorded_at);
        }
    }

    /// Returns what is to be kept over a restart: all senders that are in use.
    pub fn last_sent(&self, now: Timestamp) -> Vec<LastSent> {
        let kept = self.kept();
        let last = kept.senders.iter().filter(|(_, at)| now.millis_since(**at) <= SENDER_USED_MS);
        last.map(|((by, location_id), at)| LastSent { by: by.clone(), location_id: location_id.clone(), at: *at })
            .collect()
    }

    /// Notes what was kept over a restart. A time after `now` is of a wrong clock, and is left out.
    pub fn resume(&self, last_sent: Vec<LastSent>, now: Timestamp) {
        let mut kept = self.kept();
        for LastSent { by, location_id, at } in last_sent.into_iter().filter(|last| last.at <= now) {
            kept.put_sender(by, location_id, at);
        }
    }

    /// Returns who sent movements at the locations that `sees` accepts, with the time of the last one.
    pub fn senders(&self, sees: impl Fn(&LocationId) -> bool) -> HashMap<Sender, Timestamp> {
        let mut last: HashMap<Sender, Timestamp> = HashMap::new();
        for ((sender, _), at) in self.kept().senders.iter().filter(|((_, location_id), _)| sees(location_id)) {
            last.entry(sender.clone()).and_modify(|known| *known = (*known).max(*at)).or_insert(*at);
        }
        last
    }

    /// Returns which items the latest movements moved at the locations that `sees` accepts.
    pub fn moves(&self, sees: impl Fn(&LocationId) -> bool) -> LatestMoves {
        let mut latest = LatestMoves::default();
        for (item_id, _, at) in self.kept().moves.iter().filter(|(_, location_id, _)| sees(location_id)) {
            latest.movements += 1;
            latest.since = latest.since.min(Some(*at)).or(Some(*at));
            *latest.by_item.entry(item_id.clone()).or_default() += 1;
        }
        latest
    }
}

fn sender(device_id: Option<&str>, submitted_by: &Arc<str>) -> Sender {
    match device_id {
        Some(device_id) => Sender::Device(device_id.to_owned()),
        None => Sender::Subject(Arc::clone(submitted_by)),
    }
}

impl Kept {
    fn put(&mut self, sender: Sender, item_id: ItemId, location_id: LocationId, at: Timestamp) {
        if self.moves.len() >= MOVES_MAX {
            self.moves.pop_front();
        }
        self.moves.push_back((item_id, location_id.clone(), at));
        self.put_sender(sender, location_id, at);
    }

    fn put_sender(&mut self, sender: Sender, location_id: LocationId, at: Timestamp) {
        let last = self.senders.entry((sender, location_id)).or_insert(at);
        *last = at.max(*last);
        if self.senders.len() > SENDERS_MAX {
            let mut times: Vec<Timestamp> = self.senders.values().copied().collect();
            let (_, median, _) = times.select_nth_unstable(SENDERS_MAX / 2);
            let median = *median;
            self.senders.retain(|_, at| *at > median);
        }
    }
}
