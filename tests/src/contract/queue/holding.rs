//! Handles, receive attempts and visibility.

use std::time::Duration;

use stockline_core::ports::Handle;

use super::{Home, LONG, NEVER_SET_ASIDE, NO_WAIT, SHORT, bodies, fresh, handles, is_expired};

/// The message was delivered again to another receiver, so the first one is too late.
pub async fn a_handle_of_an_earlier_delivery_neither_acknowledges_nor_extends(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    queue.send("a", [1]).await;
    let first = queue.receive_some(10).await;
    queue.give_back(&first).await;
    let second = queue.receive_some(10).await;
    assert!(queue.receiver.ack(&handles(&first)).await.iter().all(is_expired));
    assert!(queue.hold(&first, NO_WAIT).await.iter().all(is_expired));
    assert!(queue.receive(10).await.is_empty(), "the second delivery is held as before");
    queue.ack(&second).await;
    queue.assert_empty().await;
}

/// The message waits for the next receiver. A stand-in that accepts the expired handle until then has
/// [`refuses_expired`](super::Capabilities::refuses_expired) unset.
pub async fn a_handle_whose_time_has_run_out_neither_acknowledges_nor_extends(home: &impl Home) {
    let queue = home.open(SHORT, NEVER_SET_ASIDE).await;
    queue.send("a", [1]).await;
    let first = queue.receive_some(10).await;
    queue.until_depth(1, 0).await;
    if queue.capabilities.refuses_expired {
        assert!(queue.receiver.ack(&handles(&first)).await.iter().all(is_expired));
        assert!(queue.hold(&first, LONG).await.iter().all(is_expired));
    }
    assert_eq!(bodies(&queue.receive_some(10).await), [1]);
    assert!(queue.receiver.ack(&handles(&first)).await.iter().all(is_expired));
}

/// The good handles of the same call succeed.
pub async fn a_handle_that_nobody_gave_out_is_refused_beside_good_ones(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    queue.send("a", [1]).await;
    let mut all = handles(&queue.receive_some(10).await);
    let foreign = ["", "x", "é", "00", "q:", "q:never-given-out", "d:never-given-out", "ffffffffffffffffffff"];
    all.extend(foreign.map(|text| Handle(text.into())));
    let wanted: Vec<_> = all.iter().map(|handle| (handle.clone(), LONG)).collect();
    for results in [queue.receiver.change_visibility(&wanted).await, queue.receiver.ack(&all).await] {
        assert_eq!(results.len(), all.len());
        assert!(results[0].is_ok(), "{:?}", results[0]);
        assert!(results[1..].iter().all(is_expired), "{results:?}");
    }
    queue.assert_empty().await;
}

/// It stays in flight longer than its first visibility timeout.
pub async fn an_extended_delivery_is_held_longer(home: &impl Home) {
    let queue = home.open(SHORT, NEVER_SET_ASIDE).await;
    queue.send("a", [1]).await;
    let first = queue.receive_some(10).await;
    for result in queue.hold(&first, LONG).await {
        result.unwrap();
    }
    let waited = SHORT + Duration::from_secs(1);
    assert!(queue.receiver.receive(10, waited, fresh()).await.unwrap().is_empty());
    queue.ack(&first).await;
    queue.assert_empty().await;
}

/// After a lost answer, the receiver gets its messages at once and need not wait for their visibility timeout. Another
/// receiver may have received in between.
pub async fn a_receive_asked_again_under_its_attempt_answers_the_same(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    if !queue.capabilities.remembers_attempts {
        return;
    }
    queue.send("a", 0..3).await;
    let attempt = fresh();
    let first = queue.receiver.receive(2, NO_WAIT, attempt).await.unwrap();
    queue.send("b", [7]).await;
    assert_eq!(bodies(&queue.receive_some(10).await), [7]);
    let again = queue.receiver.receive(2, NO_WAIT, attempt).await.unwrap();
    assert_eq!((bodies(&again), handles(&again)), (vec![0, 1], handles(&first)));
    assert!(queue.receive(10).await.is_empty(), "another attempt gets nothing of them");
    queue.ack(&again).await;
    assert_eq!(bodies(&queue.receive_some(10).await), [2]);
}

/// The call has more handles than any provider accepts in one request, and one in the middle fails.
pub async fn many_handles_are_answered_each_by_itself_in_input_order(home: &impl Home) {
    let queue = home.open(LONG, NEVER_SET_ASIDE).await;
    let mut held = Vec::new();
    for group in 0..3 {
        queue.send(&format!("g{group}"), 0..8).await;
        held.extend(queue.receive_some(10).await);
    }
    assert_eq!(held.len(), 24);
    let mut all = handles(&held);
    all.insert(7, Handle("nobody's".into()));
    let results = queue.receiver.ack(&all).await;
    let failed: Vec<usize> = (0..results.len()).filter(|at| results[*at].is_err()).collect();
    assert_eq!((results.len(), failed), (25, vec![7]));
    queue.assert_empty().await;
}
