//! The order within a group, and the lock of a group.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stockline_core::ports::Delivery;

use super::{Home, LONG, NEVER_SET_ASIDE, Queue, SHORT, bodies, fresh};
use crate::process::PATIENCE;

const RECEIVERS: usize = 8;
const GROUPS: usize = 6;
const MESSAGES_PER_GROUP: usize = 15;

/// The next expected number of each group, and whether a receiver holds the group.
type Held = Mutex<HashMap<Arc<str>, (usize, bool)>>;

/// This is promise P3 under load.
pub async fn eight_racing_receivers_see_each_group_in_order_and_never_two_of_them_one_group(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    let held: Arc<Held> = Arc::default();
    let left = Arc::new(AtomicUsize::new(GROUPS * MESSAGES_PER_GROUP));
    let senders = (0..GROUPS).map(|group| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.send(&format!("g{group}"), 0..MESSAGES_PER_GROUP).await })
    });
    let senders: Vec<_> = senders.collect();
    let receivers = (0..RECEIVERS).map(|_| {
        let (queue, held, left) = (queue.clone(), Arc::clone(&held), Arc::clone(&left));
        tokio::spawn(async move { race(&queue, &held, &left).await })
    });
    for task in senders.into_iter().chain(receivers.collect::<Vec<_>>()) {
        task.await.unwrap();
    }
    queue.assert_empty().await;
}

async fn race(queue: &Queue, held: &Held, left: &AtomicUsize) {
    let deadline = Instant::now() + PATIENCE;
    while left.load(Ordering::SeqCst) > 0 {
        assert!(Instant::now() < deadline, "{left:?} messages did not come");
        let deliveries = queue.receiver.receive(10, Duration::from_millis(100), fresh()).await.unwrap();
        let mut groups: BTreeMap<Arc<str>, Vec<Delivery>> = BTreeMap::new();
        for delivery in deliveries {
            groups.entry(Arc::clone(&delivery.group)).or_default().push(delivery);
        }
        for (group, deliveries) in &groups {
            let mut held = held.lock().unwrap();
            let (next, locked) = held.entry(Arc::clone(group)).or_default();
            assert!(!std::mem::replace(locked, true), "two receivers have messages of {group}");
            assert_eq!(bodies(deliveries), (*next..*next + deliveries.len()).collect::<Vec<_>>());
            *next += deliveries.len();
        }
        tokio::task::yield_now().await;
        for (group, deliveries) in &groups {
            held.lock().unwrap().get_mut(group).unwrap().1 = false;
            queue.ack(deliveries).await;
            left.fetch_sub(deliveries.len(), Ordering::SeqCst);
        }
    }
}

/// The lock ends when the last message in flight is acknowledged. Other groups go on meanwhile.
pub async fn a_group_is_locked_while_any_of_its_messages_is_in_flight(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    queue.send("a", 0..12).await;
    queue.send("b", [100]).await;
    let first = queue.receive_some(10).await;
    assert_eq!(bodies(&first), (0..10).collect::<Vec<_>>());
    queue.ack(&first[1..]).await;
    let other = queue.receive_some(10).await;
    assert_eq!(bodies(&other), [100], "another group goes on, this one is locked");
    assert!(queue.receive(10).await.is_empty());
    queue.ack(&first[..1]).await;
    let rest = queue.receive_some(10).await;
    assert_eq!(bodies(&rest), [10, 11]);
    queue.ack(&rest).await;
    queue.ack(&other).await;
    queue.assert_empty().await;
}

/// The receiver acknowledges some messages, out of order. The others are delivered again when their visibility runs
/// out, and no later message overtakes them.
pub async fn what_is_not_acknowledged_in_time_comes_again_in_order_before_the_later_ones(home: &impl Home) {
    let queue = home.open(SHORT, NEVER_SET_ASIDE).await;
    queue.send("a", 0..4).await;
    let first = queue.receive_some(10).await;
    assert_eq!(bodies(&first), [0, 1, 2, 3]);
    queue.ack(&[first[0].clone(), first[2].clone()]).await;
    queue.send("a", [4]).await;
    let second = queue.receive_some(10).await;
    assert_eq!(bodies(&second), [1, 3, 4]);
    assert_eq!(second.iter().map(|delivery| delivery.receives).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(second[0].message_id, first[1].message_id);
    assert_ne!(second[0].handle, first[1].handle);
    queue.ack(&second).await;
    queue.assert_empty().await;
}

/// Messages may be given back in any order; all are delivered before the later ones. The group stays locked until the
/// last one is given back.
pub async fn what_is_given_back_comes_at_once_in_its_place(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    queue.send("a", 0..4).await;
    let first = queue.receive_some(3).await;
    assert_eq!(bodies(&first), [0, 1, 2]);
    queue.give_back(&first[2..]).await;
    queue.give_back(&first[..1]).await;
    assert!(queue.receive(10).await.is_empty(), "the second is still held");
    queue.give_back(&first[1..2]).await;
    let second = queue.receive_some(10).await;
    assert_eq!(bodies(&second), [0, 1, 2, 3]);
    queue.ack(&second).await;
    queue.assert_empty().await;
}

/// The same `receive` delivers the messages that were set aside, marked and in order. They are acknowledged like any
/// other.
pub async fn what_was_delivered_too_often_is_set_aside_in_order_and_the_queue_flows_on(home: &impl Home) {
    let queue = home.open(LONG, 2).await;
    queue.send("a", 0..2).await;
    for receives in 1..=2 {
        let deliveries = queue.receive_some(10).await;
        let seen: Vec<_> = deliveries.iter().map(|delivery| (delivery.receives, delivery.set_aside)).collect();
        assert_eq!(seen, [(receives, false); 2]);
        queue.give_back(&deliveries).await;
    }
    queue.send("b", [10]).await;
    let (mut set_aside, mut healthy) = (Vec::new(), Vec::new());
    while set_aside.len() + healthy.len() < 3 {
        let deliveries = queue.receive_some(10).await;
        let (aside, others): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(|delivery| delivery.set_aside);
        set_aside.extend(aside);
        healthy.extend(others);
    }
    assert_eq!((bodies(&set_aside), bodies(&healthy)), (vec![0, 1], vec![10]));
    assert!(set_aside.iter().all(|delivery| &*delivery.group == "a"));
    for result in queue.hold(&set_aside, LONG).await {
        result.unwrap();
    }
    queue.ack(&set_aside).await;
    queue.ack(&healthy).await;
    queue.assert_empty().await;
}
