use super::*;
use stockline_core::domain::{Chunk, Claim, ClaimChange, RejudgeMark};

async fn cola() -> Shop {
    let mut shop = Shop::new().await;
    shop.register("cola", r#","barcodes":["4006381333931"]"#).await;
    shop.receive("cola", "main", 10, at(1)).await;
    shop
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
