//! Sending, and waking a waiting receiver.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use stockline_core::domain::{MAX_PACK_BYTES, Slot, decode_message, encode_message};
use stockline_core::testing::{AWKWARD_ITEMS, at, id, item_id, queued};

use super::{Home, LONG, NEVER_SET_ASIDE, bodies, fresh, pack};
use crate::process::PATIENCE;

/// The longest wait of a receive.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// This also holds if the first copy has been received or acknowledged meanwhile.
pub async fn a_pack_sent_again_is_queued_once(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    let pack = pack("a", "7");
    for _ in 0..2 {
        queue.sender.send(vec![pack.clone()]).await.remove(0).unwrap();
    }
    let deliveries = queue.receive_some(10).await;
    assert_eq!(bodies(&deliveries), [7]);
    queue.sender.send(vec![pack.clone()]).await.remove(0).unwrap();
    queue.ack(&deliveries).await;
    queue.assert_empty().await;
}

/// The call is a whole batch in which each pack has its own item.
pub async fn packs_of_one_call_are_all_durable_and_each_answered(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    let count = queue.sender.max_batch().min(25);
    let packs = (0..count).map(|n| pack(&format!("item-{n}"), &n.to_string())).collect();
    let results = queue.sender.send(packs).await;
    assert_eq!(results.len(), count);
    results.into_iter().for_each(|result| result.unwrap());
    let mut seen = BTreeSet::new();
    while seen.len() < count {
        for delivery in queue.receive_some(10).await {
            assert_eq!(*delivery.group, *format!("item-{}", delivery.body));
            assert!(seen.insert(delivery.body.parse::<usize>().unwrap()));
        }
    }
}

/// The call is a full batch of packs of the largest size.
pub async fn the_largest_packs_pass_together(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    let count = queue.sender.max_batch().min(10);
    let body = "x".repeat(MAX_PACK_BYTES);
    let packs = (0..count).map(|n| pack(&format!("item-{n}"), &body)).collect();
    queue.sender.send(packs).await.into_iter().for_each(|result| result.unwrap());
    let mut seen = 0;
    while seen < count {
        let deliveries = queue.receive_some(10).await;
        assert!(deliveries.iter().all(|delivery| *delivery.body == *body));
        seen += deliveries.len();
    }
}

/// A carrier that allows less than an id has a hash in its place. The receiver is told the item all the same, and messages
/// of one item keep their order.
pub async fn a_message_names_its_item_whatever_the_carrier_allows(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    let mut awaited = BTreeSet::new();
    for item in AWKWARD_ITEMS {
        for n in 0..2_u128 {
            let command = queued(id(n), "sell", item, r#","quantity":1"#, at(0));
            let body = encode_message(&item_id(item), [&command]);
            queue.sender.send(vec![pack(item, &body)]).await.remove(0).unwrap();
            awaited.insert((item.to_owned(), n));
        }
    }
    while !awaited.is_empty() {
        for delivery in queue.receive_some(10).await {
            let slots = decode_message(&item_id(&delivery.group), &delivery.message_id, &delivery.body, at(0)).unwrap();
            let Slot::Command(received) = &slots[0] else { panic!("{slots:?}") };
            let n = received.command.command_id.0.as_u128();
            assert!(
                n == 0 || !awaited.contains(&(delivery.group.to_string(), 0)),
                "{} is out of order",
                delivery.group
            );
            assert!(awaited.remove(&(delivery.group.to_string(), n)), "{}", delivery.group);
        }
    }
}

/// If a provider refuses a character, the pack and the other packs of the call arrive all the same.
pub async fn any_text_comes_back_as_the_same_json(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    let text = "<&\"'\\> \u{1}\t\n\u{7f}\u{85} é \u{d7ff}\u{e000}\u{fffd}\u{fffe}\u{ffff}\u{1f4e6}\u{10ffff}";
    let body = serde_json::to_string(text).unwrap();
    queue.sender.send(vec![pack("a", &body)]).await.remove(0).unwrap();
    let deliveries = queue.receive_some(10).await;
    assert_eq!(serde_json::from_str::<String>(&deliveries[0].body).unwrap(), text);
    queue.ack(&deliveries).await;
}

/// The receiver does not wait until its time is over.
pub async fn a_receiver_that_waits_is_woken_by_a_send(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    let receiver = queue.receiver.clone();
    let asked = Instant::now();
    let waiting = tokio::spawn(async move { receiver.receive(1, LONGEST_WAIT, fresh()).await.unwrap() });
    tokio::task::yield_now().await;
    queue.send("a", [1]).await;
    assert_eq!(bodies(&waiting.await.unwrap()), [1]);
    assert!(asked.elapsed() < LONGEST_WAIT);
}

/// More messages are waiting than the receive asks for.
pub async fn a_receive_gives_no_more_than_it_was_asked_for(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    for group in 0..5 {
        queue.send(&format!("g{group}"), [group]).await;
    }
    assert!(queue.receive(0).await.is_empty());
    let mut seen = BTreeSet::new();
    while seen.len() < 5 {
        let deliveries = queue.receive_some(2).await;
        assert!(deliveries.len() <= 2);
        seen.extend(bodies(&deliveries));
    }
}

/// The depth may lag, so the test waits for it.
pub async fn the_depth_counts_what_waits_and_what_is_held(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    queue.until_depth(0, 0).await;
    for group in 0..3 {
        queue.send(&format!("g{group}"), [group]).await;
    }
    queue.until_depth(3, 0).await;
    let deadline = Instant::now() + PATIENCE;
    let mut held = Vec::new();
    while held.len() < 2 {
        assert!(Instant::now() < deadline);
        held.extend(queue.receive_some(1).await);
    }
    queue.until_depth(1, 2).await;
    queue.ack(&held).await;
    queue.until_depth(1, 0).await;
}
