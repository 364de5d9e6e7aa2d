//! Decides which message is delivered next.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A group has at most this many messages in flight.
const IN_FLIGHT_PER_GROUP_MAX: usize = 10;

#[derive(Debug, Clone)]
struct Message {
    body: String,
    receives: u32,
}

/// The messages of one group.
#[derive(Debug, Default)]
struct GroupQueue {
    /// The waiting messages by sequence number.
    waiting: BTreeMap<u64, Message>,
    in_flight: usize,
    is_ready: bool,
}

/// A delivered message that is not deleted.
#[derive(Debug)]
struct InFlight {
    group: String,
    sequence: u64,
    message: Message,
    until: Instant,
}

/// A delivered message.
#[derive(Debug)]
pub(super) struct Delivered {
    handle: String,
    group: String,
    sequence: u64,
    receives: u32,
    pub(super) body: String,
}

impl Delivered {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "MessageId": self.sequence.to_string(), "ReceiptHandle": self.handle, "Body": self.body, "MD5OfBody": "",
            "Attributes": {
                "MessageGroupId": self.group, "ApproximateReceiveCount": self.receives.to_string(),
                "SequenceNumber": self.sequence.to_string(), "MessageDeduplicationId": self.sequence.to_string(),
                "SentTimestamp": "0", "ApproximateFirstReceiveTimestamp": "0",
            },
        })
    }
}

/// The messages of one queue.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    groups: HashMap<String, GroupQueue>,
    /// Groups with waiting messages and none in flight, in the order in which they became ready.
    ready: VecDeque<String>,
    in_flight: HashMap<String, InFlight>,
    last_sequence: u64,
    last_handle: u64,
    depth: usize,
}

impl Fifo {
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Appends a message and returns its id.
    pub(super) fn send(&mut self, group: &str, body: &str) -> String {
        self.last_sequence += 1;
        self.depth += 1;
        let message = Message { body: body.to_owned(), receives: 0 };
        self.groups.entry(group.to_owned()).or_default().waiting.insert(self.last_sequence, message);
        self.mark_ready(group);
        self.last_sequence.to_string()
    }

    /// Delivers up to `max` messages: first those of the group that has been ready longest, then those of the next.
    pub(super) fn receive(&mut self, max: usize, visibility: Duration) -> Vec<Delivered> {
        self.bring_back_overdue();
        let until = Instant::now() + visibility;
        let mut delivered = Vec::new();
        while delivered.len() < max
            && let Some(name) = self.ready.pop_front()
        {
            let Some(group) = self.groups.get_mut(&name) else {
                continue;
            };
            group.is_ready = false;
            let room = (max - delivered.len()).min(IN_FLIGHT_PER_GROUP_MAX);
            while group.in_flight < room
                && let Some((sequence, mut message)) = group.waiting.pop_first()
            {
                message.receives += 1;
                group.in_flight += 1;
                self.last_handle += 1;
                let handle = self.last_handle.to_string();
                let (receives, body) = (message.receives, message.body.clone());
                delivered.push(Delivered { handle: handle.clone(), group: name.clone(), sequence, receives, body });
                self.in_flight.insert(handle, InFlight { group: name.clone(), sequence, message, until });
            }
        }
        delivered
    }

    /// Deletes a message in flight; an unknown handle does nothing.
    pub(super) fn delete(&mut self, handle: &str) {
        if let Some(message) = self.in_flight.remove(handle) {
            self.depth -= 1;
            self.settled(&message.group);
        }
    }

    /// Sets how long a message stays in flight from now.
    pub(super) fn hide(&mut self, handle: &str, time: Duration) {
        if let Some(message) = self.in_flight.get_mut(handle) {
            message.until = Instant::now() + time;
        }
        self.bring_back_overdue();
    }

    fn bring_back_overdue(&mut self) {
        let now = Instant::now();
        let overdue = self
            .in_flight
            .extract_if(|_, message| message.until <= now)
            .map(|(_, message)| message)
            .collect::<Vec<_>>();
        for InFlight { group, sequence, message, .. } in overdue {
            if let Some(of) = self.groups.get_mut(&group) {
                of.waiting.insert(sequence, message);
            }
            self.settled(&group);
        }
    }

    fn settled(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name) {
            group.in_flight -= 1;
            if group.in_flight == 0 && group.waiting.is_empty() {
                self.groups.remove(name);
                return;
            }
        }
        self.mark_ready(name);
    }

    fn mark_ready(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name)
            && !group.is_ready
            && group.in_flight == 0
            && !group.waiting.is_empty()
        {
            group.is_ready = true;
            self.ready.push_back(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn bodies(delivered: &[Delivered]) -> Vec<&str> {
        delivered.iter().map(|message| message.body.as_str()).collect()
    }

    #[test]
    fn a_group_waits_until_its_messages_in_flight_are_deleted() {
        let mut fifo = Fifo::default();
        for n in 0..12 {
            fifo.send("a", &n.to_string());
        }
        fifo.send("b", "b0");
        let first = fifo.receive(10, LONG);
        assert_eq!(bodies(&first), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!(bodies(&fifo.receive(10, LONG)), ["b0"]);
        first.iter().skip(1).for_each(|message| fifo.delete(&message.handle));
        assert!(fifo.receive(10, LONG).is_empty());
        fifo.delete(&first[0].handle);
        assert_eq!(bodies(&fifo.receive(10, LONG)), ["10", "11"]);
        assert_eq!(fifo.depth(), 3);
    }

    #[test]
    fn a_returned_message_keeps_its_place_in_the_order() {
        let mut fifo = Fifo::default();
        for body in ["0", "1", "2"] {
            fifo.send("a", body);
        }
        let out = fifo.receive(2, LONG);
        out.iter().rev().for_each(|message| fifo.hide(&message.handle, Duration::ZERO));
        assert_eq!(bodies(&fifo.receive(10, LONG)), ["0", "1", "2"]);
    }
}
