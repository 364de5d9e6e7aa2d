//! Which message is delivered next.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A group has at most so many messages out.
const IN_FLIGHT_PER_GROUP_MAX: usize = 10;

#[derive(Debug, Clone)]
struct Message {
    body: String,
    receives: u32,
}

#[derive(Debug, Default)]
struct Group {
    /// By sequence number.
    waiting: BTreeMap<u64, Message>,
    out: usize,
    listed: bool,
}

#[derive(Debug)]
struct Out {
    group: String,
    sequence: u64,
    message: Message,
    until: Instant,
}

/// A message as delivered.
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

/// One queue's messages.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    groups: HashMap<String, Group>,
    /// Groups with waiting messages and none out, oldest first.
    ready: VecDeque<String>,
    out: HashMap<String, Out>,
    last_sequence: u64,
    last_handle: u64,
    depth: usize,
}

impl Fifo {
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Appends a message; its id.
    pub(super) fn send(&mut self, group: &str, body: &str) -> String {
        self.last_sequence += 1;
        self.depth += 1;
        let message = Message { body: body.to_owned(), receives: 0 };
        self.groups.entry(group.to_owned()).or_default().waiting.insert(self.last_sequence, message);
        self.list(group);
        self.last_sequence.to_string()
    }

    /// The next messages: of the group that is ready longest as many as it has, then of the next.
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
            group.listed = false;
            let room = (max - delivered.len()).min(IN_FLIGHT_PER_GROUP_MAX);
            while group.out < room
                && let Some((sequence, mut message)) = group.waiting.pop_first()
            {
                message.receives += 1;
                group.out += 1;
                self.last_handle += 1;
                let handle = self.last_handle.to_string();
                let (receives, body) = (message.receives, message.body.clone());
                delivered.push(Delivered { handle: handle.clone(), group: name.clone(), sequence, receives, body });
                self.out.insert(handle, Out { group: name.clone(), sequence, message, until });
            }
        }
        delivered
    }

    /// Deletes a message that is out; another handle does nothing.
    pub(super) fn delete(&mut self, handle: &str) {
        if let Some(out) = self.out.remove(handle) {
            self.depth -= 1;
            self.returned(&out.group);
        }
    }

    /// Sets how long from now a message stays out.
    pub(super) fn hide(&mut self, handle: &str, time: Duration) {
        if let Some(out) = self.out.get_mut(handle) {
            out.until = Instant::now() + time;
        }
        self.bring_back_overdue();
    }

    fn bring_back_overdue(&mut self) {
        let now = Instant::now();
        let overdue = self.out.extract_if(|_, out| out.until <= now).map(|(_, out)| out).collect::<Vec<_>>();
        for Out { group, sequence, message, .. } in overdue {
            if let Some(of) = self.groups.get_mut(&group) {
                of.waiting.insert(sequence, message);
            }
            self.returned(&group);
        }
    }

    fn returned(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name) {
            group.out -= 1;
            if group.out == 0 && group.waiting.is_empty() {
                self.groups.remove(name);
                return;
            }
        }
        self.list(name);
    }

    fn list(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name)
            && !group.listed
            && group.out == 0
            && !group.waiting.is_empty()
        {
            group.listed = true;
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
    fn a_group_waits_until_what_is_out_is_deleted() {
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
    fn what_is_given_back_comes_again_in_order() {
        let mut fifo = Fifo::default();
        for body in ["0", "1", "2"] {
            fifo.send("a", body);
        }
        let out = fifo.receive(2, LONG);
        out.iter().rev().for_each(|message| fifo.hide(&message.handle, Duration::ZERO));
        assert_eq!(bodies(&fifo.receive(10, LONG)), ["0", "1", "2"]);
    }
}
