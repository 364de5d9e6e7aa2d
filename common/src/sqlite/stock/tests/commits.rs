use super::*;
use crate::domain::{Claim, ClaimChange, RejudgeMark};

async fn cola() -> Shop {
    let mut shop = Shop::new();
    shop.register("cola", r#","barcodes":["4006381333931"]"#).await;
    shop.receive("cola", "main", 10, at(1)).await;
    shop
}

#[tokio::test]
async fn what_a_fold_wrote_is_loaded_as_it_was() {
    let mut shop = Shop::new();
    let slot = shop.slot("register_item", "cola", r#","name":"Cola","barcodes":["1"]"#, at(0));
    let register = shop.fold("cola", &[slot], at(0)).await.commit;
    assert_eq!(shop.commit(register.clone()).await, CommitOutcome::Committed);
    let slot = shop.slot("receive", "cola", r#","quantity":3,"note":"n","unit_cost":"1.5""#, at(1));
    let receive = shop.fold("cola", std::slice::from_ref(&slot), at(1)).await.commit;
    assert_eq!(shop.commit(receive.clone()).await, CommitOutcome::Committed);

    let loaded = shop.load("cola", &[slot]).await;
    assert_eq!(loaded.item, register.item.map(|put| put.item));
    assert_eq!(loaded.levels[&place("main")], crate::domain::LoadedLevel::bare(receive.levels[0].level.clone()));
    assert_eq!(loaded.locations[&place("main")], LocationSettings::main());
    let command_id = receive.records[0].outcome.command_id;
    assert_eq!(shop.record("cola", command_id).await.as_ref(), receive.records.first());
}

#[tokio::test]
async fn a_redelivered_sale_takes_stock_once_and_answers_as_the_first_did() {
    let mut shop = cola().await;
    let slot = shop.slot("sell", "cola", r#","quantity":4"#, at(2));
    let first = shop.settle("cola", vec![slot.clone()], at(2)).await;
    let again = shop.fold("cola", &[slot], at(3)).await.commit;
    assert_eq!(shop.commit(again).await, CommitOutcome::Decided(first));
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 6, 2)]);
}

#[tokio::test]
async fn a_duplicate_is_named_even_where_the_version_is_stale_too_and_nothing_is_written() {
    let mut shop = cola().await;
    let old = shop.slot("sell", "cola", r#","quantity":1"#, at(2));
    let new = shop.slot("sell", "cola", r#","quantity":2"#, at(2));
    let stale = shop.fold("cola", &[old.clone(), new.clone()], at(2)).await.commit;
    let decided = shop.settle("cola", vec![old], at(2)).await;
    assert_eq!(shop.commit(stale).await, CommitOutcome::Decided(decided));
    assert_eq!(shop.record("cola", new.command_id()).await, None);
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 9, 2)]);
}

#[tokio::test]
async fn a_stale_level_or_item_is_a_conflict() {
    let mut shop = cola().await;
    let a = shop.slot("sell", "cola", r#","quantity":1"#, at(2));
    let b = shop.slot("sell", "cola", r#","quantity":1"#, at(2));
    let (a, b) = (shop.fold("cola", &[a], at(2)).await.commit, shop.fold("cola", &[b], at(2)).await.commit);
    assert_eq!(shop.commit(a).await, CommitOutcome::Committed);
    let mut absent = b.clone();
    absent.levels[0].loaded_version = None;
    assert_eq!(shop.commit(b).await, CommitOutcome::Conflict);
    assert_eq!(shop.commit(absent).await, CommitOutcome::Conflict);

    let a = shop.slot("update_item", "cola", r#","unit":"can""#, at(2));
    let b = shop.slot("archive_item", "cola", "", at(2));
    let (a, b) = (shop.fold("cola", &[a], at(2)).await.commit, shop.fold("cola", &[b], at(2)).await.commit);
    assert_eq!(shop.commit(b).await, CommitOutcome::Committed);
    assert_eq!(shop.commit(a).await, CommitOutcome::Conflict);
}

#[tokio::test]
async fn a_claim_is_taken_when_absent_or_mine_and_given_up_when_mine() {
    let mut shop = cola().await;
    let other = shop.slot("register_item", "fanta", r#","name":"Fanta","barcodes":["7"]"#, at(1));
    let mut commit = shop.fold("fanta", &[other], at(1)).await.commit;
    commit.claims.push(ClaimChange { claim: Claim::Barcode("4006381333931".into()), held: true });
    assert_eq!(shop.commit(commit.clone()).await, CommitOutcome::Conflict);
    if let Some(claim) = commit.claims.last_mut() {
        claim.held = false;
    }
    assert_eq!(shop.commit(commit.clone()).await, CommitOutcome::Conflict);
    commit.claims.pop();
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);

    shop.run("update_item", "cola", r#","barcodes":["8"]"#, at(2)).await;
    let record = shop.run("update_item", "fanta", r#","barcodes":["4006381333931","7"]"#, at(3)).await;
    assert_eq!(record.outcome.status, Status::Applied, "{record:?}");
    let taken = shop.run("register_item", "FANTA", r#","name":"x""#, at(4)).await;
    assert_eq!(taken.outcome.rejection.unwrap().held_by, Some(item_id("fanta")));
}

#[tokio::test]
async fn a_level_is_rejudged_once_and_only_by_the_threshold_that_holds() {
    let mut shop = cola().await;
    let threshold = shop.run("set_threshold", "cola", r#","low_stock_threshold":20"#, at(2)).await;
    let command_id = threshold.outcome.command_id;
    let loaded = shop.store.load(&[LoadRequest::for_rejudge(item_id("cola"))]).await.remove(0).unwrap();
    let (item, level) = (loaded.item.unwrap(), &loaded.levels[&place("main")].level);
    let judged = rejudge(&item, level, command_id, at(3));
    let by_an_old_threshold = Commit { threshold_check: Some(item.threshold_version - 1), ..judged.clone() };
    assert_eq!(shop.commit(by_an_old_threshold).await, CommitOutcome::Conflict);
    assert_eq!(shop.commit(judged.clone()).await, CommitOutcome::Committed);
    let mark = judged.mark.clone().unwrap();
    assert!(matches!(mark, RejudgeMark { alert: Some(_), .. }));
    assert_eq!(shop.commit(judged).await, CommitOutcome::Judged(Box::new(mark)));
}

fn dead(shop: &mut Shop, retry: u32) -> (CommandId, Slot) {
    let id = id(shop.next_id);
    shop.next_id += 1;
    (id, dead_again(id, retry))
}

fn dead_again(id: CommandId, retry: u32) -> Slot {
    let letter = DeadLetter { reason: "r".into(), body: "{".into(), discarded_at: None };
    let record = Record::dead_letter(None, letter, (item_id("cola"), id), at(5));
    Slot::Dead(Box::new(Record { retry, ..record }))
}

#[tokio::test]
async fn a_dead_letter_gives_way_to_a_later_retry_only() {
    let mut shop = cola().await;
    let (id, slot) = dead(&mut shop, 0);
    let first = shop.settle("cola", vec![slot.clone()], at(5)).await;
    let redelivered = shop.fold("cola", &[slot], at(6)).await.commit;
    assert_eq!(shop.commit(redelivered).await, CommitOutcome::Decided(first));

    let second = shop.settle("cola", vec![dead_again(id, 1)], at(6)).await;
    assert_eq!(shop.record("cola", id).await.as_ref(), second.first());
    let json = format!(r#"{{"command_id":"{id}","type":"sell","item_id":"cola","quantity":1}}"#);
    let retry = Queued { retry: 2, ..queued(command(&json), at(1)) };
    let applied = shop.settle("cola", vec![Slot::Command(Box::new(retry))], at(7)).await.remove(0);
    assert_eq!(applied.outcome.status, Status::Applied);
    assert_eq!(shop.record("cola", id).await, Some(applied.clone()));
    let later = shop.fold("cola", &[dead_again(id, 9)], at(8)).await.commit;
    assert_eq!(shop.commit(later).await, CommitOutcome::Decided(vec![applied]));
    let filter = CommandFilter {
        status: Status::DeadLettered,
        code: None,
        location_id: None,
        since: None,
        settled_otherwise: true,
    };
    assert!(shop.store.commands(&filter, None, 10).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn a_dead_letter_is_discarded_once_and_then_final() {
    let mut shop = cola().await;
    let (id, slot) = dead(&mut shop, 0);
    shop.settle("cola", vec![slot], at(5)).await;
    let state = |command_id| CommandState { item_id: item_id("cola"), command_id };
    assert!(shop.store.discard(&state(id), at(9)).await.unwrap());
    assert!(!shop.store.discard(&state(id), at(10)).await.unwrap());
    assert!(!shop.store.discard(&state(CommandId(Uuid::nil())), at(10)).await.unwrap());
    let record = shop.record("cola", id).await.unwrap();
    assert_eq!(record.outcome.dead_letter.as_ref().unwrap().discarded_at, Some(at(9)));
    let retry = shop.fold("cola", &[dead_again(id, 3)], at(11)).await.commit;
    assert_eq!(shop.commit(retry).await, CommitOutcome::Decided(vec![record]));
    let sale = shop.slot("sell", "cola", r#","quantity":1"#, at(12));
    shop.settle("cola", vec![sale.clone()], at(12)).await;
    assert!(!shop.store.discard(&state(sale.command_id()), at(13)).await.unwrap());
}

#[tokio::test]
async fn a_refused_command_is_replaced_by_one_resubmission() {
    let mut shop = cola().await;
    let refused = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(2)).await;
    let old = Resubmits { item_id: item_id("cola"), command_id: refused.outcome.command_id };
    let slot = |shop: &mut Shop| {
        let Slot::Command(mut queued) = shop.slot("sell", "cola", r#","quantity":1"#, at(3)) else { unreachable!() };
        queued.resubmits = Some(old.clone());
        Slot::Command(queued)
    };
    let (a, b) = (slot(&mut shop), slot(&mut shop));
    let (a, b) = (shop.fold("cola", &[a], at(3)).await.commit, shop.fold("cola", &[b], at(3)).await.commit);
    let b_without_levels = Commit { levels: Vec::new(), ..b.clone() };
    let a_id = a.records[0].outcome.command_id;
    assert_eq!(shop.commit(a).await, CommitOutcome::Committed);
    assert_eq!(shop.commit(b_without_levels).await, CommitOutcome::Conflict);
    let marked = shop.record("cola", old.command_id).await.unwrap();
    assert_eq!(marked.resubmitted_as, Some(Resubmits { item_id: item_id("cola"), command_id: a_id }));

    let unknown = Resubmits { item_id: item_id("nothing"), command_id: old.command_id };
    let applied = Resubmits { item_id: item_id("cola"), command_id: a_id };
    for old in [unknown, applied] {
        let commit = Commit { resubmitted: vec![(old, b.records[0].outcome.command_id)], levels: vec![], ..b.clone() };
        assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
    }
}

#[tokio::test]
async fn a_discarded_dead_letter_is_not_resubmitted() {
    let mut shop = cola().await;
    let (old, slot) = dead(&mut shop, 0);
    shop.settle("cola", vec![slot], at(5)).await;
    let Slot::Command(mut queued) = shop.slot("sell", "cola", r#","quantity":1"#, at(3)) else { unreachable!() };
    queued.resubmits = Some(Resubmits { item_id: item_id("cola"), command_id: old });
    let commit = shop.fold("cola", &[Slot::Command(queued)], at(6)).await.commit;
    assert_eq!(commit.resubmitted.len(), 1);
    assert!(shop.store.discard(&CommandState { item_id: item_id("cola"), command_id: old }, at(7)).await.unwrap());
    assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 10, 1)]);
}

#[tokio::test]
async fn commits_of_one_call_settle_one_by_one() {
    let mut shop = cola().await;
    let mut commits = Vec::new();
    for n in 0..40 {
        let slot = shop.slot("register_item", &format!("i{n}"), r#","name":"x""#, at(1));
        commits.push(shop.fold(&format!("i{n}"), &[slot], at(1)).await.commit);
    }
    let sale = shop.slot("sell", "cola", r#","quantity":1"#, at(1));
    let mut stale = shop.fold("cola", &[sale], at(1)).await.commit;
    stale.levels[0].loaded_version = Some(77);
    commits.insert(20, stale);
    let settled = shop.store.commit(commits).await;
    for (n, outcome) in settled.into_iter().enumerate() {
        let expected = if n == 20 { CommitOutcome::Conflict } else { CommitOutcome::Committed };
        assert_eq!(outcome.unwrap(), expected, "{n}");
    }
    let audited = shop.store.audit_items(None, 100).await.unwrap();
    assert_eq!(audited.entries.len(), 41);
}

#[tokio::test]
async fn a_write_that_sqlite_refuses_harms_only_itself() {
    let mut shop = cola().await;
    let chunk = shop.slot("sell", "cola", r#","quantity":1"#, at(1));
    let mut broken = shop.fold("cola", &[chunk], at(1)).await.commit;
    let entries = broken.levels[0].level.tail.clone();
    let twice = crate::domain::Chunk { location_id: place("main"), entries };
    broken.chunks = vec![twice.clone(), twice];
    let good = |shop: &mut Shop, item: &str| shop.slot("register_item", item, r#","name":"x""#, at(1));
    let (a, b) = (good(&mut shop, "a"), good(&mut shop, "b"));
    let (a, b) = (shop.fold("a", &[a], at(1)).await.commit, shop.fold("b", &[b], at(1)).await.commit);
    let mut settled = shop.store.commit(vec![a, broken, b]).await;
    assert_eq!(settled.remove(0).unwrap(), CommitOutcome::Committed);
    assert!(matches!(settled.remove(0).unwrap(), CommitOutcome::Refused(_)));
    assert_eq!(settled.remove(0).unwrap(), CommitOutcome::Committed);
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 10, 1)]);
    assert!(shop.store.item(&item_id("b")).await.unwrap().is_some());
}

#[tokio::test]
async fn callers_race_on_one_level_and_each_unit_is_sold_once() {
    let mut shop = cola().await;
    let slots: Vec<_> =
        (0..30).map(|_| shop.slot("sell", "cola", r#","quantity":1,"on_shortage":"reject""#, at(2))).collect();
    let shop = Arc::new(shop);
    let buyers: Vec<_> = slots
        .into_iter()
        .map(|slot| {
            let shop = shop.clone();
            tokio::spawn(async move {
                loop {
                    let commit = shop.fold("cola", std::slice::from_ref(&slot), at(3)).await.commit;
                    let status = commit.records[0].outcome.status;
                    match shop.commit(commit).await {
                        CommitOutcome::Committed => return status,
                        CommitOutcome::Conflict => {}
                        other => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    let mut applied = 0;
    for buyer in buyers {
        applied += usize::from(buyer.await.unwrap() == Status::Applied);
    }
    assert_eq!((applied, shop.on_hand("cola").await), (10, vec![("main".into(), 0, 11)]));
}
