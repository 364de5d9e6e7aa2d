//! The commands whose way is disturbed: between them they make the worker do everything that it does.

use std::time::Duration;

use stockline_core::domain::{
    CommandId, CommandKey, ItemId, Queued, Slot, decode_message, encode_command, join_message,
};

use crate::contract::store::{at, id, item_id, queued};
use crate::faulty::Oddities;

/// Longer than half the time that a delivery is held.
const SLOW: Duration = Duration::from_secs(45);

/// One message of an item.
#[derive(Debug, Clone)]
pub struct Message {
    /// As it is queued.
    pub body: String,
    /// Did the queue set it aside?
    pub set_aside: bool,
}

/// Messages of one item, in order, and what the store does with some of their commands.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// Begins the names of its items.
    pub name: &'static str,
    messages: fn(&str) -> Vec<Message>,
    oddities: fn() -> Oddities,
    /// What the worker must do at least once in it.
    pub edges: &'static [&'static str],
}

/// Stock that crosses thresholds: chunks, re-judging, a transfer that is taken back, costs, and all of it a second time.
pub const STOCK: Script = Script {
    name: "stock",
    messages: stock,
    oddities: || Oddities { busy: Some(id(7)), slow: Some((id(10), SLOW)), refused: None },
    edges: &[
        "receive",
        "load",
        "load to re-judge",
        "commit",
        "commit the item",
        "commit a chunk",
        "commit a rejection",
        "commit a reversal",
        "commit what is decided",
        "re-judge a level",
        "re-judge what is judged",
        "publish",
        "publish again",
        "ack",
        "hold longer",
        "give back",
    ],
};

/// What is not usual: undecodable commands, one that the store refuses, a late count, a resubmission, a retry, and a
/// message that the queue set aside.
pub const TROUBLE: Script = Script {
    name: "trouble",
    messages: trouble,
    oddities: || Oddities { busy: Some(id(13)), slow: None, refused: Some(id(10)) },
    edges: &[
        "receive",
        "receive what was set aside",
        "load",
        "load the history",
        "load a refused command",
        "commit",
        "commit a chunk",
        "commit a dead letter",
        "commit a rejection",
        "commit a resubmission",
        "commit a retry",
        "commit what is refused",
        "publish",
        "ack",
        "give back",
    ],
};

impl Script {
    /// The messages for this item.
    pub fn messages(&self, item: &str) -> Vec<Message> {
        (self.messages)(item)
    }

    /// What the store does.
    pub fn oddities(&self) -> Oddities {
        (self.oddities)()
    }
}

/// The ids that the commands of a message are decided under.
pub fn ids(item: &ItemId, message_id: &str, message: &Message) -> Vec<CommandId> {
    let slots = decode_message(item, message_id, &message.body, at(0)).unwrap();
    slots.iter().map(Slot::command_id).collect()
}

/// The commands' ids are 1, 2, 3 … in order.
fn numbered(item: &str) -> impl FnMut(&str, &str) -> Queued {
    let mut n = 0;
    move |kind, fields| {
        n += 1;
        queued(id(n), kind, item, fields, at(0))
    }
}

fn message(item: &str, commands: &[Queued]) -> Message {
    raw(item, &commands.iter().map(encode_command).collect::<Vec<_>>())
}

fn raw(item: &str, commands: &[String]) -> Message {
    Message { body: join_message(&item_id(item), commands), set_aside: false }
}

fn stock(item: &str) -> Vec<Message> {
    let mut next = numbered(item);
    let first = [
        next("register_item", r#","name":"Item""#),
        next("receive", r#","quantity":10,"unit_cost":"0.41""#),
        next("receive", r#","location_id":"north","quantity":5,"unit_cost":"0.4444""#),
    ];
    let second = [
        next("set_threshold", r#","location_id":"main","low_stock_threshold":9"#),
        next("sell", r#","quantity":2"#),
        next("sell", r#","quantity":8,"amount":"15.92""#),
        next("sell", r#","quantity":1"#),
        next("transfer", r#","from_location_id":"north","to_location_id":"main","quantity":1"#),
    ];
    let third = [
        next("set_threshold", r#","low_stock_threshold":6"#),
        next("sell", r#","location_id":"north","quantity":4"#),
        next("register_item", r#","name":"Again""#),
    ];
    let repeated = [second[1].clone(), third[0].clone(), next("return", r#","quantity":7"#)];
    let transfer = format!(r#","reverses":"{}""#, second[4].command.command_id);
    let taken_back = [next("reverse", &transfer), next("sell", r#","quantity":1"#), next("reverse", &transfer)];
    [&first[..], &second, &third, &repeated, &taken_back].map(|commands| message(item, commands)).to_vec()
}

fn trouble(item: &str) -> Vec<Message> {
    let mut next = numbered(item);
    let first = [
        next("register_item", r#","name":"Item","low_stock_threshold":5"#),
        next("receive", r#","quantity":20"#),
        next("sell", r#","quantity":999,"on_shortage":"reject""#),
    ];
    let sale = encode_command(&next("sell", r#","quantity":3"#));
    let undecodable =
        raw(item, &[sale, r#"{"a till":"that broke"}"#.into(), encode_command(&next("return", r#","quantity":1"#))]);
    let counted = [
        next("count", r#","counted":30,"occurred_at":"2026-01-31T07:15:00Z""#),
        next("sell", r#","quantity":2,"occurred_at":"2026-01-31T06:15:00Z""#),
    ];
    let mut resubmission = next("sell", r#","quantity":60,"on_shortage":"allow""#);
    resubmission.resubmits = Some(CommandKey { item_id: item_id(item), command_id: id(3) });
    let refused =
        [next("receive", r#","quantity":40"#), next("sell", r#","quantity":5"#), next("sell", r#","quantity":6"#)];
    let retried = Queued { retry: 1, ..refused[1].clone() };
    let aside = [next("return", r#","quantity":1"#), next("sell", r#","quantity":1"#)];
    vec![
        message(item, &first),
        undecodable,
        Message { body: "nobody can read this".into(), set_aside: false },
        message(item, &counted),
        message(item, &[resubmission]),
        message(item, &refused),
        message(item, &[retried]),
        Message { set_aside: true, ..message(item, &aside) },
    ]
}
