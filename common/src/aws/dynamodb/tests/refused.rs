use super::*;
use crate::domain::DeadLetter;

fn dead(shop: &mut Shop) -> CommandId {
    shop.next_id += 1;
    id(shop.next_id - 1)
}

fn set_aside(id: CommandId, retry: u32) -> Slot {
    let letter = DeadLetter { reason: "r".into(), body: "{".into(), discarded_at: None };
    let record = Record::dead_letter(None, letter, (item_id("cola"), id), at(5));
    Slot::Dead(Box::new(Record { retry, ..record }))
}

fn sale(id: CommandId, retry: u32, resubmits: Option<Resubmits>) -> Slot {
    let json = format!(r#"{{"command_id":"{id}","type":"sell","item_id":"cola","quantity":1}}"#);
    Slot::Command(Box::new(Queued { retry, resubmits, ..queued(command(&json), at(1)) }))
}

fn cola_command(command_id: CommandId) -> Resubmits {
    Resubmits { item_id: item_id("cola"), command_id }
}

fn state(command_id: CommandId) -> CommandState {
    CommandState { item_id: item_id("cola"), command_id }
}

async fn cola() -> Shop {
    let mut shop = Shop::new().await;
    shop.register("cola", "").await;
    shop.receive("cola", "main", 10, at(1)).await;
    shop
}

#[tokio::test]
async fn a_dead_letter_gives_way_to_a_later_retry_only() {
    let mut shop = cola().await;
    let id = dead(&mut shop);
    let first = shop.settle("cola", vec![set_aside(id, 0)], at(5)).await;
    let redelivered = shop.fold("cola", &[set_aside(id, 0)], at(6)).await.commit;
    assert_eq!(shop.commit(redelivered).await, CommitOutcome::Decided(first));

    let second = shop.settle("cola", vec![set_aside(id, 1)], at(6)).await;
    assert_eq!(shop.record("cola", id).await.as_ref(), second.first());
    let same_retry = shop.fold("cola", &[sale(id, 1, None)], at(7)).await.commit;
    assert_eq!(shop.commit(same_retry).await, CommitOutcome::Decided(second));
    let applied = shop.settle("cola", vec![sale(id, 2, None)], at(7)).await.remove(0);
    assert_eq!(applied.outcome.status, Status::Applied);
    assert_eq!(shop.record("cola", id).await, Some(applied.clone()));
    let later = shop.fold("cola", &[set_aside(id, 9)], at(8)).await.commit;
    assert_eq!(shop.commit(later).await, CommitOutcome::Decided(vec![applied]));
    let row = shop.row(&Key::record(&item_id("cola"), id)).await.unwrap();
    assert!(["dead", "refused", "refused_at"].iter().all(|name| !row.contains_key(*name)), "{row:?}");
}

#[tokio::test]
async fn a_dead_letter_is_discarded_once_and_then_final() {
    let mut shop = cola().await;
    let id = dead(&mut shop);
    shop.settle("cola", vec![set_aside(id, 0)], at(5)).await;
    assert!(shop.store.discard(&state(id), at(9)).await.unwrap());
    assert!(!shop.store.discard(&state(id), at(10)).await.unwrap());
    let nobody = CommandId(Uuid::nil());
    assert!(!shop.store.discard(&state(nobody), at(10)).await.unwrap());
    assert_eq!(shop.row(&Key::record(&item_id("cola"), nobody)).await, None);
    let record = shop.record("cola", id).await.unwrap();
    assert_eq!(record.outcome.dead_letter.as_ref().unwrap().discarded_at, Some(at(9)));
    let retry = shop.fold("cola", &[set_aside(id, 3)], at(11)).await.commit;
    assert_eq!(shop.commit(retry).await, CommitOutcome::Decided(vec![record]));
    let applied = shop.run("sell", "cola", r#","quantity":1"#, at(12)).await;
    assert!(!shop.store.discard(&state(applied.outcome.command_id), at(13)).await.unwrap());
    let rejected = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(12)).await;
    assert!(!shop.store.discard(&state(rejected.outcome.command_id), at(13)).await.unwrap());
}

#[tokio::test]
async fn a_refused_command_is_replaced_by_one_resubmission() {
    let mut shop = cola().await;
    let refused = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(2)).await;
    let old = cola_command(refused.outcome.command_id);
    let (a, b) = (dead(&mut shop), dead(&mut shop));
    let slot = |id| sale(id, 0, Some(old.clone()));
    let a_commit = shop.fold("cola", &[slot(a)], at(3)).await.commit;
    let b_commit = shop.fold("cola", &[slot(b)], at(3)).await.commit;
    let without_level = |commit: &Commit| Commit { levels: Vec::new(), ..commit.clone() };
    let b_commit = without_level(&b_commit);
    assert_eq!(shop.commit(a_commit.clone()).await, CommitOutcome::Committed);
    assert_eq!(shop.commit(b_commit.clone()).await, CommitOutcome::Conflict);
    let marked = shop.record("cola", old.command_id).await.unwrap();
    assert_eq!(marked.resubmitted_as, Some(cola_command(a)));
    let mark_again = Commit { records: vec![b_commit.records[0].clone()], ..without_level(&a_commit) };
    assert_eq!(shop.commit(mark_again).await, CommitOutcome::Committed, "its own mark is no hindrance");

    let unknown = Resubmits { item_id: item_id("nothing"), command_id: old.command_id };
    let c = dead(&mut shop);
    let c = shop.fold("cola", &[sale(c, 0, None)], at(4)).await.commit;
    for old in [unknown.clone(), cola_command(a)] {
        let commit = Commit { resubmitted: vec![(old, id(99))], ..without_level(&c) };
        assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
    }
    assert_eq!(shop.row(&Key::record(&unknown.item_id, unknown.command_id)).await, None);
}

#[tokio::test]
async fn a_dead_letter_is_discarded_or_resubmitted_or_retried_and_never_two_of_them() {
    let mut shop = cola().await;
    let (discarded, resubmitted) = (dead(&mut shop), dead(&mut shop));
    shop.settle("cola", vec![set_aside(discarded, 0), set_aside(resubmitted, 0)], at(5)).await;
    let resubmit = |old: CommandId| sale(old.of_resubmission(&cola_command(old).item_id), 0, Some(cola_command(old)));

    let late = shop.fold("cola", &[resubmit(discarded)], at(6)).await.commit;
    assert_eq!(late.resubmitted.len(), 1);
    assert!(shop.store.discard(&state(discarded), at(7)).await.unwrap());
    assert_eq!(shop.commit(late).await, CommitOutcome::Conflict);

    shop.settle("cola", vec![resubmit(resubmitted)], at(8)).await;
    assert!(!shop.store.discard(&state(resubmitted), at(9)).await.unwrap());
    let marked = shop.record("cola", resubmitted).await.unwrap();
    let retry = shop.fold("cola", &[sale(resubmitted, 1, None)], at(9)).await.commit;
    assert_eq!(shop.commit(retry).await, CommitOutcome::Decided(vec![marked]));
}

#[tokio::test]
async fn only_what_was_refused_is_in_the_index_of_refused_commands() {
    let mut shop = cola().await;
    let letter = dead(&mut shop);
    shop.settle("cola", vec![set_aside(letter, 2)], at(5)).await;
    let rejected = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(6)).await;
    let row = shop.row(&Key::record(&item_id("cola"), rejected.outcome.command_id)).await.unwrap();
    assert!(row["refused"].as_s().unwrap().starts_with("rejected#"));
    assert_eq!(*row["refused_at"].as_s().unwrap(), format!("1769847300006#cola#{}", rejected.outcome.command_id));
    assert!(!row.contains_key("dead"));
    let row = shop.row(&Key::record(&item_id("cola"), letter)).await.unwrap();
    assert!(row["refused"].as_s().unwrap().starts_with("dead_lettered#"));
    assert_eq!(row["dead"], row::number(2));
}
