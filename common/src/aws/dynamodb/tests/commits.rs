use super::*;
use crate::domain::{Chunk, Claim, ClaimChange, RejudgeMark};

async fn cola() -> Shop {
    let mut shop = Shop::new().await;
    shop.register("cola", r#","barcodes":["4006381333931"]"#).await;
    shop.receive("cola", "main", 10, at(1)).await;
    shop
}

#[tokio::test]
async fn what_a_fold_wrote_is_loaded_as_it_was() {
    let mut shop = Shop::new().await;
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
async fn a_rejection_is_decided_once_too() {
    let mut shop = cola().await;
    let slot = shop.slot("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(2));
    let first = shop.settle("cola", vec![slot.clone()], at(2)).await;
    assert_eq!(first[0].outcome.status, Status::Rejected);
    shop.receive("cola", "main", 100, at(3)).await;
    let zombie = shop.fold("cola", &[slot], at(4)).await.commit;
    let rows = shop.rows().await;
    assert_eq!(shop.commit(zombie).await, CommitOutcome::Decided(first));
    assert_eq!(shop.rows().await, rows);
}

#[tokio::test]
async fn duplicates_are_named_whatever_else_failed_and_nothing_is_written() {
    let mut shop = cola().await;
    let barcode = shop.slot("update_item", "cola", r#","barcodes":["7"]"#, at(2));
    let (a, b) =
        (shop.slot("sell", "cola", r#","quantity":1"#, at(2)), shop.slot("sell", "cola", r#","quantity":2"#, at(2)));
    let new = shop.slot("sell", "cola", r#","quantity":3"#, at(2));
    let mut stale = shop.fold("cola", &[barcode, a.clone(), new.clone(), b.clone()], at(2)).await.commit;
    let entries = stale.levels[0].level.tail.clone();
    stale.chunks.push(Chunk { location_id: place("main"), entries });
    shop.run("update_item", "cola", r#","unit":"can""#, at(2)).await;
    shop.run("register_item", "fanta", r#","name":"Fanta","barcodes":["7"]"#, at(2)).await;
    let decided = shop.settle("cola", vec![a, b], at(2)).await;
    let rows = shop.rows().await;
    assert_eq!(shop.commit(stale).await, CommitOutcome::Decided(decided));
    assert_eq!(shop.rows().await, rows);
    assert_eq!(shop.record("cola", new.command_id()).await, None);
}

#[tokio::test]
async fn a_level_is_put_only_over_the_version_that_was_loaded() {
    let mut shop = cola().await;
    let a = shop.slot("sell", "cola", r#","quantity":1"#, at(2));
    let b = shop.slot("sell", "cola", r#","quantity":1"#, at(2));
    let (a, b) = (shop.fold("cola", &[a], at(2)).await.commit, shop.fold("cola", &[b], at(2)).await.commit);
    assert_eq!(shop.commit(a).await, CommitOutcome::Committed);
    let mut absent = b.clone();
    absent.levels[0].loaded_version = None;
    let rows = shop.rows().await;
    assert_eq!(shop.commit(b).await, CommitOutcome::Conflict);
    assert_eq!(shop.commit(absent).await, CommitOutcome::Conflict);
    assert_eq!(shop.rows().await, rows);
}

#[tokio::test]
async fn a_level_that_was_loaded_and_is_gone_is_a_conflict() {
    let mut shop = cola().await;
    shop.open_location("north").await;
    let slot = shop.slot("receive", "cola", r#","location_id":"north","quantity":1"#, at(2));
    let mut commit = shop.fold("cola", &[slot], at(2)).await.commit;
    commit.levels[0].loaded_version = Some(1);
    assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
}

#[tokio::test]
async fn an_item_is_put_only_over_the_version_that_was_loaded() {
    let mut shop = cola().await;
    let a = shop.slot("update_item", "cola", r#","unit":"can""#, at(2));
    let b = shop.slot("archive_item", "cola", "", at(2));
    let (a, b) = (shop.fold("cola", &[a], at(2)).await.commit, shop.fold("cola", &[b], at(2)).await.commit);
    assert_eq!(shop.commit(b).await, CommitOutcome::Committed);
    let mut absent = a.clone();
    if let Some(put) = &mut absent.item {
        put.loaded_version = None;
    }
    let mut judged_by_another = a.clone();
    if let Some(put) = &mut judged_by_another.item {
        put.loaded_version = Some(2);
    }
    judged_by_another.threshold_check = Some(7);
    for commit in [a, absent, judged_by_another.clone()] {
        assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
    }
    judged_by_another.threshold_check = Some(1);
    assert_eq!(shop.commit(judged_by_another).await, CommitOutcome::Committed);
}

#[tokio::test]
async fn a_chunk_is_never_overwritten() {
    let mut shop = cola().await;
    let chunk = |commit: &Commit| Chunk {
        location_id: place("main"),
        entries: commit.levels[0].level.tail.iter().take(1).cloned().collect(),
    };
    let slot = shop.slot("sell", "cola", r#","quantity":1"#, at(2));
    let mut first = shop.fold("cola", &[slot], at(2)).await.commit;
    first.chunks.push(chunk(&first));
    assert_eq!(shop.commit(first).await, CommitOutcome::Committed);
    let slot = shop.slot("sell", "cola", r#","quantity":1"#, at(3));
    let mut second = shop.fold("cola", &[slot], at(3)).await.commit;
    second.chunks.push(chunk(&second));
    assert_eq!(shop.commit(second).await, CommitOutcome::Conflict);
}

#[tokio::test]
async fn a_tail_over_its_bound_moves_into_a_chunk_with_the_commit_that_shortens_it() {
    let mut shop = cola().await;
    let mut expected = Vec::new();
    for n in 0..60 {
        let slot = shop.slot("sell", "cola", r#","quantity":1,"reference":"R-1""#, at(2 + n));
        let commit = shop.fold("cola", &[slot], at(2 + n)).await.commit;
        expected.extend(commit.records[0].outcome.effects.iter().map(|effect| effect.seq));
        assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    }
    let loaded = shop.store.load(&[LoadRequest::for_rejudge(item_id("cola"))]).await.remove(0).unwrap();
    let chunks = shop.store.pages(shop.store.query_partition("LEDGER#cola#main", None)).await.unwrap();
    let mut entries: Vec<_> = chunks.iter().flat_map(|chunk| row::chunk(chunk).unwrap()).collect();
    assert!(chunks.len() >= 2, "{} chunks", chunks.len());
    entries.extend(loaded.levels[&place("main")].level.tail.clone());
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=61).collect::<Vec<_>>());
    assert_eq!(expected, (2..=61).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_claim_is_taken_when_absent_or_mine_and_given_up_when_mine() {
    let mut shop = cola().await;
    let other = shop.slot("register_item", "fanta", r#","name":"Fanta","barcodes":["7"]"#, at(1));
    let mut commit = shop.fold("fanta", &[other], at(1)).await.commit;
    for (code, held) in [("4006381333931", true), ("4006381333931", false), ("nobody's", false)] {
        commit.claims.push(ClaimChange { claim: Claim::Barcode(code.into()), held });
        assert_eq!(shop.commit(commit.clone()).await, CommitOutcome::Conflict, "{code} {held}");
        commit.claims.pop();
    }
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);

    let again = shop.slot("update_item", "cola", r#","unit":"can""#, at(2));
    let mut again = shop.fold("cola", &[again], at(2)).await.commit;
    again.claims.push(ClaimChange { claim: Claim::Barcode("4006381333931".into()), held: true });
    assert_eq!(shop.commit(again).await, CommitOutcome::Committed, "it is mine already");
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
    let without_level = Commit { levels: Vec::new(), ..judged.clone() };
    for again in [judged, without_level] {
        assert_eq!(shop.commit(again).await, CommitOutcome::Judged(Box::new(mark.clone())));
    }
}

#[tokio::test]
async fn an_unknown_item_has_no_threshold_to_judge_by() {
    let shop = Shop::new().await;
    let mark = RejudgeMark { command_id: id(1), location_id: place("main"), alert: None };
    let commit = Commit { threshold_check: Some(1), mark: Some(mark), ..Commit::new(item_id("cola")) };
    assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
}

#[tokio::test]
async fn one_commit_answers_by_itself_in_input_order_and_one_that_cannot_be_written_is_refused() {
    let mut shop = Shop::new().await;
    let mut commits = Vec::new();
    for item in ["a", "b", "c", "d", "e"] {
        let slot = shop.slot("register_item", item, r#","name":"x""#, at(1));
        commits.push(shop.fold(item, &[slot], at(1)).await.commit);
    }
    let twice = commits[1].records[0].clone();
    commits[1].records.push(twice);
    commits[2].claims.extend((0..100).map(|n| ClaimChange { claim: Claim::Barcode(n.to_string()), held: true }));
    commits[3].item.as_mut().unwrap().item.catalogue.name = "x".repeat(450_000);
    let empty = Commit::new(item_id("nothing"));
    commits.push(empty);
    let settled = shop.store.commit(commits).await;
    let refused = |n: usize| matches!(&settled[n], Ok(CommitOutcome::Refused(_)));
    let committed = |n: usize| matches!(&settled[n], Ok(CommitOutcome::Committed));
    assert!(committed(0) && committed(4) && committed(5), "{settled:?}");
    assert!(refused(1) && refused(2) && refused(3), "{settled:?}");
    assert_eq!(shop.rows().await.keys().filter(|key| key.ends_with("/ ITEM")).count(), 2);
}

#[tokio::test]
async fn callers_race_on_one_level_and_each_unit_is_sold_once() {
    let mut shop = cola().await;
    let slots: Vec<_> =
        (0..20).map(|_| shop.slot("sell", "cola", r#","quantity":1,"on_shortage":"reject""#, at(2))).collect();
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
