//! Dead letters, their retries and resubmissions.

use stockline_core::domain::{
    CommandId, CommandKey, Commit, DeadLetter, Dismissal, Queued, Record, Slot, Status, Timestamp,
};
use stockline_core::ports::{CommandFilter, CommitOutcome, PageRequest};

use super::commits::cola;
use super::{Shop, at, id, item_id, queued, slot_of};

fn dead(id: CommandId, retry: u32) -> Slot {
    let letter = DeadLetter { reason: "r".into(), body: "{".into(), discarded_at: None };
    let record = Record::dead_letter(None, letter, (item_id("cola"), id), at(5));
    Slot::Dead(Box::new(Record { retry, ..record }))
}

fn state(command_id: CommandId) -> CommandKey {
    CommandKey { item_id: item_id("cola"), command_id }
}

fn resubmission(shop: &Shop, old: &CommandKey, now: Timestamp) -> Slot {
    let sale = queued(shop.fresh_id(), "sell", "cola", r#","quantity":1"#, now);
    slot_of(Queued { resubmits: Some(old.clone()), ..sale })
}

async fn dead_letters(shop: &Shop, settled_otherwise: bool) -> Vec<CommandId> {
    let status = Status::DeadLettered;
    let filter = CommandFilter { status, code: None, location_id: None, since: None, settled_otherwise };
    let page = shop.ports().queries.commands(&filter, PageRequest::first(100)).await.unwrap();
    page.entries.iter().map(|record| record.outcome.command_id).collect()
}

pub async fn a_dead_letter_gives_way_to_a_later_retry_only(shop: Shop) {
    cola(&shop).await;
    let id = shop.fresh_id();
    let first = shop.settle("cola", vec![dead(id, 0)], at(5)).await;
    let redelivered = shop.fold("cola", &[dead(id, 0)], at(6)).await.commit;
    assert_eq!(shop.commit(redelivered).await, CommitOutcome::Decided(first));
    assert_eq!(dead_letters(&shop, false).await, [id]);

    let second = shop.settle("cola", vec![dead(id, 1)], at(6)).await;
    assert_eq!(shop.record("cola", id).await.as_ref(), second.first());
    assert_eq!(dead_letters(&shop, false).await, [id], "listed once");
    let same_retry = shop.fold("cola", &[dead(id, 1)], at(6)).await.commit;
    assert_eq!(shop.commit(same_retry).await, CommitOutcome::Decided(second.clone()));
    let same_retry = Queued { retry: 1, ..queued(id, "sell", "cola", r#","quantity":1"#, at(1)) };
    let same_retry = shop.fold("cola", &[slot_of(same_retry)], at(7)).await.commit;
    assert_eq!(shop.commit(same_retry).await, CommitOutcome::Decided(second));

    let retry = Queued { retry: 2, ..queued(id, "sell", "cola", r#","quantity":1"#, at(1)) };
    let applied = shop.settle("cola", vec![slot_of(retry)], at(7)).await.remove(0);
    assert_eq!(applied.outcome.status, Status::Applied);
    assert_eq!(shop.record("cola", id).await, Some(applied.clone()));
    let later = shop.fold("cola", &[dead(id, 9)], at(8)).await.commit;
    assert_eq!(shop.commit(later).await, CommitOutcome::Decided(vec![applied]));
    assert!(dead_letters(&shop, true).await.is_empty());
    shop.audit().await;
}

pub async fn a_dead_letter_is_discarded_once_and_then_final(shop: Shop) {
    cola(&shop).await;
    let dead_id = shop.fresh_id();
    shop.settle("cola", vec![dead(dead_id, 0)], at(5)).await;
    let store = &shop.ports().store;
    assert!(store.discard(&state(dead_id), at(9)).await.unwrap());
    assert!(!store.discard(&state(dead_id), at(10)).await.unwrap());
    assert!(!store.discard(&state(id(0)), at(10)).await.unwrap());
    let record = shop.record("cola", dead_id).await.unwrap();
    assert_eq!(record.outcome.status, Status::DeadLettered);
    assert_eq!(record.outcome.dead_letter.as_ref().unwrap().discarded_at, Some(at(9)));
    let retry = shop.fold("cola", &[dead(dead_id, 3)], at(11)).await.commit;
    assert_eq!(shop.commit(retry).await, CommitOutcome::Decided(vec![record]));
    assert!(dead_letters(&shop, false).await.is_empty());
    assert_eq!(dead_letters(&shop, true).await, [dead_id]);
    for (quantity, status) in [(1, Status::Applied), (99, Status::Rejected)] {
        let fields = format!(r#","quantity":{quantity},"on_shortage":"reject""#);
        let sale = shop.run("sell", "cola", &fields, at(12)).await;
        assert_eq!(sale.outcome.status, status);
        assert!(!shop.ports().store.discard(&state(sale.outcome.command_id), at(13)).await.unwrap());
    }
}

pub async fn a_dismissed_rejection_leaves_the_list_and_can_still_be_resubmitted(shop: Shop) {
    cola(&shop).await;
    let refused = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(5)).await;
    let sold = shop.run("sell", "cola", r#","quantity":1"#, at(6)).await;
    let (old, dead_id) = (refused.outcome.command_id, shop.fresh_id());
    shop.settle("cola", vec![dead(dead_id, 0)], at(7)).await;
    let ports = shop.ports();
    let listed = async |settled_otherwise: bool| {
        let status = Status::Rejected;
        let filter = CommandFilter { status, code: None, location_id: None, since: None, settled_otherwise };
        let page = ports.queries.commands(&filter, PageRequest::first(100)).await.unwrap();
        page.entries.iter().map(|record| record.outcome.command_id).collect::<Vec<_>>()
    };
    assert_eq!(listed(false).await, [old]);
    let dismissal = |at_ms, because: &str| Dismissal { at: at(at_ms), because: because.into(), by: Some("mia".into()) };
    let dismiss = async |id, dismissal| ports.queries.dismiss(&state(id), &dismissal).await.unwrap();
    assert!(dismiss(old, dismissal(9, "a typing error")).await);
    for other in [old, sold.outcome.command_id, dead_id, id(0)] {
        assert!(!dismiss(other, dismissal(10, "again")).await);
    }
    let rejection = shop.record("cola", old).await.unwrap().outcome.rejection.unwrap();
    assert_eq!(rejection.dismissed_at, Some(at(9)));
    assert_eq!(rejection.dismissed_because.as_deref(), Some("a typing error"));
    assert_eq!(rejection.dismissed_by.as_deref(), Some("mia"));
    assert_eq!((listed(false).await, listed(true).await), (vec![], vec![old]));
    assert_eq!(dead_letters(&shop, false).await, [dead_id]);

    let applied = shop.settle("cola", vec![resubmission(&shop, &state(old), at(11))], at(11)).await.remove(0);
    assert_eq!(applied.outcome.status, Status::Applied);
    assert!(shop.record("cola", old).await.unwrap().resubmitted_as.is_some());
    assert!(!dismiss(old, dismissal(12, "too late")).await);
    shop.audit().await;
}

pub async fn a_refused_command_is_replaced_by_one_resubmission(shop: Shop) {
    cola(&shop).await;
    let refused = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(2)).await;
    let old = CommandKey { item_id: item_id("cola"), command_id: refused.outcome.command_id };
    let (a, b) = (resubmission(&shop, &old, at(3)), resubmission(&shop, &old, at(3)));
    assert!(shop.load("cola", std::slice::from_ref(&a)).await.records.contains_key(&old));
    let (a, b) = (shop.fold("cola", &[a], at(3)).await.commit, shop.fold("cola", &[b], at(3)).await.commit);
    let b_without_levels = Commit { levels: Vec::new(), ..b.clone() };
    let a_id = a.records[0].outcome.command_id;
    let a_without_levels = Commit { levels: Vec::new(), ..a.clone() };
    assert_eq!(shop.commit(a).await, CommitOutcome::Committed);
    assert_eq!(shop.commit(b_without_levels).await, CommitOutcome::Conflict);
    let marked = shop.record("cola", old.command_id).await.unwrap();
    assert_eq!(marked.resubmitted_as, Some(CommandKey { item_id: item_id("cola"), command_id: a_id }));
    assert_eq!(marked.outcome, refused.outcome);

    let unknown = CommandKey { item_id: item_id("nothing"), command_id: old.command_id };
    let applied = CommandKey { item_id: item_id("cola"), command_id: a_id };
    for old in [unknown, applied] {
        let commit = Commit { resubmitted: vec![(old, b.records[0].outcome.command_id)], levels: vec![], ..b.clone() };
        assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
    }
    assert_eq!(shop.record("cola", b.records[0].outcome.command_id).await, None);
    let third = shop.run("sell", "nothing", r#","quantity":1"#, at(4)).await;
    let mut of_another = third.clone();
    of_another.outcome.command_id = shop.fresh_id();
    let mark_again = Commit { records: vec![of_another], ..a_without_levels };
    assert_eq!(shop.commit(mark_again).await, CommitOutcome::Committed, "its own mark is no hindrance");
}

pub async fn a_discarded_dead_letter_is_not_resubmitted(shop: Shop) {
    cola(&shop).await;
    let old = shop.fresh_id();
    shop.settle("cola", vec![dead(old, 0)], at(5)).await;
    let slot = resubmission(&shop, &CommandKey { item_id: item_id("cola"), command_id: old }, at(3));
    let commit = shop.fold("cola", &[slot], at(6)).await.commit;
    assert_eq!(commit.resubmitted.len(), 1);
    assert!(shop.ports().store.discard(&state(old), at(7)).await.unwrap());
    assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 10, 1)]);
}

pub async fn a_resubmitted_dead_letter_is_final(shop: Shop) {
    cola(&shop).await;
    let old = shop.fresh_id();
    shop.settle("cola", vec![dead(old, 0)], at(5)).await;
    let slot = resubmission(&shop, &CommandKey { item_id: item_id("cola"), command_id: old }, at(6));
    shop.settle("cola", vec![slot], at(6)).await;
    assert!(dead_letters(&shop, false).await.is_empty());
    assert!(!shop.ports().store.discard(&state(old), at(7)).await.unwrap());
    let retry = Queued { retry: 1, ..queued(old, "sell", "cola", r#","quantity":1"#, at(1)) };
    let commit = shop.fold("cola", &[slot_of(retry)], at(8)).await.commit;
    let marked = shop.record("cola", old).await.unwrap();
    assert_eq!(shop.commit(commit).await, CommitOutcome::Decided(vec![marked]));
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 9, 2)]);
}
