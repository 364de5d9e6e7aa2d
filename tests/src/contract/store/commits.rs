//! Commits: their conditions, duplicates, claims and marks.

use stockline_core::domain::{
    Claim, ClaimChange, CommandKey, Commit, FoldLimits, LoadRequest, LoadedLevel, LocationSettings, RejudgeMark,
    Status, rejudge,
};
use stockline_core::ports::CommitOutcome;
use stockline_core::ports::PageRequest;

use super::{Bounds, Shop, at, id, item_id, place};

/// Registers `cola` with a barcode and receives 10 at `main`.
pub async fn cola(shop: &Shop) {
    shop.register("cola", r#","barcodes":["4006381333931"]"#).await;
    shop.receive("cola", "main", 10, at(1)).await;
}

pub async fn what_a_fold_wrote_is_loaded_as_it_was(shop: Shop) {
    let slot = shop.slot("register_item", "cola", r#","name":"Cola","barcodes":["1"]"#, at(0));
    let register = shop.fold("cola", &[slot], at(0)).await.commit;
    assert_eq!(shop.commit(register.clone()).await, CommitOutcome::Committed);
    let slot = shop.slot("receive", "cola", r#","quantity":3,"note":"ünï","unit_cost":"1.5""#, at(1));
    let receive = shop.fold("cola", std::slice::from_ref(&slot), at(1)).await.commit;
    assert_eq!(shop.commit(receive.clone()).await, CommitOutcome::Committed);

    let shop = shop.reopened(Bounds::default()).await;
    let loaded = shop.load("cola", &[slot]).await;
    assert_eq!(loaded.item, register.item.map(|put| put.item));
    assert_eq!(loaded.levels[&place("main")], LoadedLevel::bare(receive.levels[0].level.clone()));
    assert_eq!(loaded.locations[&place("main")], LocationSettings::main());
    let command_id = receive.records[0].outcome.command_id;
    assert_eq!(shop.record("cola", command_id).await.as_ref(), receive.records.first());
    shop.audit().await;
}

pub async fn a_redelivered_sale_takes_stock_once_and_answers_as_the_first_did(shop: Shop) {
    cola(&shop).await;
    let slot = shop.sale("cola", 4, at(2));
    let first = shop.settle("cola", vec![slot.clone()], at(2)).await;
    let again = shop.fold("cola", &[slot], at(3)).await.commit;
    assert_eq!(shop.commit(again).await, CommitOutcome::Decided(first));
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 6, 2)]);
}

pub async fn a_duplicate_is_named_whatever_else_failed_and_nothing_is_written(shop: Shop) {
    cola(&shop).await;
    shop.register("fanta", r#","barcodes":["7"]"#).await;
    let old = [shop.sale("cola", 1, at(2)), shop.sale("cola", 2, at(2))];
    let new = shop.sale("cola", 4, at(2));
    let all = [old[0].clone(), new.clone(), old[1].clone()];
    let mut stale = shop.fold("cola", &all, at(2)).await.commit;
    let decided = shop.settle("cola", old.to_vec(), at(2)).await;
    // Besides its stale level, the commit has a barcode of another item, a stale item and an absent record to mark.
    stale.claims = vec![ClaimChange { claim: Claim::Barcode("7".into()), held: true }];
    stale.threshold_check = Some(99);
    let nowhere = CommandKey { item_id: item_id("nowhere"), command_id: id(1) };
    stale.resubmitted = vec![(nowhere, new.command_id())];
    let CommitOutcome::Decided(mut named) = shop.commit(stale).await else { panic!("not decided") };
    named.sort_by_key(|record| record.outcome.command_id);
    assert_eq!(named, decided);
    assert_eq!(shop.record("cola", new.command_id()).await, None);
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 7, 3)]);
    let take = shop.run("update_item", "fanta", r#","barcodes":["7"]"#, at(3)).await;
    assert_eq!(take.outcome.status, Status::Applied);
    shop.audit().await;
}

pub async fn a_stale_level_or_item_is_a_conflict(shop: Shop) {
    cola(&shop).await;
    let (a, b) = (shop.sale("cola", 1, at(2)), shop.sale("cola", 1, at(2)));
    let (a, b) = (shop.fold("cola", &[a], at(2)).await.commit, shop.fold("cola", &[b], at(2)).await.commit);
    assert_eq!(shop.commit(a).await, CommitOutcome::Committed);
    let mut absent = b.clone();
    absent.levels[0].loaded_version = None;
    let mut future = b.clone();
    future.levels[0].loaded_version = Some(99);
    for commit in [b, absent, future] {
        assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict);
    }
    let elsewhere = shop.slot("receive", "cola", r#","quantity":1"#, at(2));
    let mut present = shop.fold("cola", &[elsewhere], at(2)).await.commit;
    present.levels[0].level.location_id = place("nowhere");
    assert_eq!(shop.commit(present).await, CommitOutcome::Conflict, "it was to be there");

    let (a, b) =
        (shop.slot("update_item", "cola", r#","unit":"can""#, at(2)), shop.slot("archive_item", "cola", "", at(2)));
    let (a, b) = (shop.fold("cola", &[a], at(2)).await.commit, shop.fold("cola", &[b], at(2)).await.commit);
    assert_eq!(shop.commit(b).await, CommitOutcome::Committed);
    assert_eq!(shop.commit(a).await, CommitOutcome::Conflict);
    let again = shop.slot("register_item", "water", r#","name":"Water""#, at(3));
    let mut absent = shop.fold("water", &[again], at(3)).await.commit;
    absent.item_id = item_id("cola");
    absent.item.as_mut().unwrap().item.item_id = item_id("cola");
    absent.claims.clear();
    assert_eq!(shop.commit(absent).await, CommitOutcome::Conflict, "it was to be absent");
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 9, 2)]);
    shop.audit().await;
}

pub async fn a_transfer_is_all_or_nothing(shop: Shop) {
    cola(&shop).await;
    shop.open_location("north").await;
    let legs = r#","from_location_id":"main","to_location_id":"north","quantity":3"#;
    let slot = shop.slot("transfer", "cola", legs, at(2));
    for stale in ["main", "north"] {
        let commit = shop.fold("cola", std::slice::from_ref(&slot), at(2)).await.commit;
        assert_eq!(commit.levels.len(), 2);
        shop.receive("cola", stale, 1, at(3)).await;
        let before = shop.on_hand("cola").await;
        assert_eq!(shop.commit(commit).await, CommitOutcome::Conflict, "{stale}");
        assert_eq!(shop.on_hand("cola").await, before);
        assert_eq!(shop.record("cola", slot.command_id()).await, None);
    }
    shop.settle("cola", vec![slot], at(4)).await;
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 8, 3), ("north".into(), 4, 2)]);
    shop.audit().await;
}

pub async fn a_chunk_is_written_with_its_level_or_not_at_all(mut shop: Shop) {
    shop.limits = FoldLimits { max_tail_bytes: 100, ..FoldLimits::default() };
    cola(&shop).await;
    let slots: Vec<_> = (0..5).map(|_| shop.sale("cola", 1, at(2))).collect();
    let commit = shop.fold("cola", &slots, at(2)).await.commit;
    assert_eq!(commit.chunks.len(), 1);
    let mut stale = commit.clone();
    stale.levels[0].loaded_version = Some(99);
    assert_eq!(shop.commit(stale).await, CommitOutcome::Conflict);
    assert_eq!(shop.ledger_seqs("cola", "main", 100).await, [1]);
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    assert_eq!(shop.ledger_seqs("cola", "main", 2).await, [1, 2, 3, 4, 5, 6]);
    assert!(shop.levels("cola").await[0].tail.len() < 6);
    shop.audit().await;
}

pub async fn a_rejection_needs_no_version(shop: Shop) {
    cola(&shop).await;
    let refused = shop.slot("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(2));
    let commit = shop.fold("cola", std::slice::from_ref(&refused), at(2)).await.commit;
    assert!(commit.levels.is_empty());
    shop.receive("cola", "main", 1, at(2)).await;
    assert_eq!(shop.commit(commit.clone()).await, CommitOutcome::Committed);
    assert_eq!(shop.commit(commit.clone()).await, CommitOutcome::Decided(commit.records));
    let unknown = shop.run("sell", "nothing", r#","quantity":1"#, at(3)).await;
    assert_eq!(unknown.outcome.status, Status::Rejected);
    assert_eq!(shop.record("nothing", unknown.outcome.command_id).await, Some(unknown));
    shop.audit().await;
}

pub async fn commits_of_one_call_are_answered_each_by_itself(shop: Shop) {
    let mut commits = Vec::new();
    for n in 0..30 {
        let item = format!("item-{n}");
        shop.register(&item, "").await;
        shop.receive(&item, "main", 10, at(1)).await;
        let sale = shop.sale(&item, 1, at(2));
        let mut commit = shop.fold(&item, std::slice::from_ref(&sale), at(2)).await.commit;
        match n % 3 {
            1 => commit.levels[0].loaded_version = Some(99),
            2 => drop(shop.settle(&item, vec![sale], at(2)).await),
            _ => {}
        }
        commits.push(commit);
    }
    let answers = shop.ports().store.commit(commits.clone()).await;
    assert_eq!(answers.len(), 30);
    for (n, (answer, commit)) in answers.into_iter().zip(commits).enumerate() {
        let expected = match n % 3 {
            0 => CommitOutcome::Committed,
            1 => CommitOutcome::Conflict,
            _ => CommitOutcome::Decided(commit.records),
        };
        assert_eq!(answer.unwrap(), expected, "{n}");
    }
    assert!(shop.ports().store.commit(Vec::new()).await.is_empty());
    shop.audit().await;
}

pub async fn a_claim_is_taken_when_absent_or_mine_and_given_up_when_mine(shop: Shop) {
    cola(&shop).await;
    let other = shop.slot("register_item", "fanta", r#","name":"Fanta","barcodes":["7"]"#, at(1));
    let mut commit = shop.fold("fanta", &[other], at(1)).await.commit;
    for (code, held) in [("4006381333931", true), ("4006381333931", false), ("nobody's", false)] {
        commit.claims.push(ClaimChange { claim: Claim::Barcode(code.into()), held });
        assert_eq!(shop.commit(commit.clone()).await, CommitOutcome::Conflict, "{code} {held}");
        commit.claims.pop();
    }
    assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);

    let mut mine_again = shop.fold("fanta", &[shop.slot("archive_item", "fanta", "", at(2))], at(2)).await.commit;
    mine_again.claims.push(ClaimChange { claim: Claim::Barcode("7".into()), held: true });
    assert_eq!(shop.commit(mine_again).await, CommitOutcome::Committed);
    shop.run("restore_item", "fanta", "", at(2)).await;

    shop.run("update_item", "cola", r#","barcodes":["8"]"#, at(2)).await;
    let record = shop.run("update_item", "fanta", r#","barcodes":["4006381333931","7"]"#, at(3)).await;
    assert_eq!(record.outcome.status, Status::Applied, "{record:?}");
    let taken = shop.run("register_item", "FANTA", r#","name":"x""#, at(4)).await;
    assert_eq!(taken.outcome.rejection.unwrap().held_by, Some(item_id("fanta")));
    let taken = shop.run("update_item", "cola", r#","barcodes":["8","7"]"#, at(4)).await;
    assert_eq!(taken.outcome.rejection.unwrap().held_by, Some(item_id("fanta")));
}

pub async fn a_planning_with_what_locations_have_instead_is_loaded_as_it_was(shop: Shop) {
    cola(&shop).await;
    shop.open_location("north").await;
    let of_item =
        r#","supplier":"Ltd","lead_time_days":3,"order_multiple":"12","order_minimum":"24","service_level":"97.5""#;
    let own = r#","location_id":"north","supplier":"Next Door","lead_time_days":0,"service_level":99"#;
    for (n, (kind, fields)) in (2..).zip([("update_item", of_item), ("set_planning", own)]) {
        let record = shop.run(kind, "cola", fields, at(n)).await;
        assert_eq!(record.outcome.status, Status::Applied, "{record:?}");
        assert_eq!(shop.record("cola", record.outcome.command_id).await, Some(record));
    }
    let stored = async |shop: &Shop| {
        let loaded = shop.ports().store.load(&[LoadRequest::of(item_id("cola"))]).await.remove(0).unwrap();
        let listed = shop.ports().queries.item(&item_id("cola")).await.unwrap().unwrap();
        assert_eq!(loaded.item, Some(listed.item.clone()));
        assert_eq!(listed.levels.len(), 1, "a planning makes no level");
        listed.item
    };
    let item = stored(&shop).await;
    let planning = serde_json::to_value(&item.catalogue.planning).unwrap();
    let expected = serde_json::json!({"supplier": "Ltd", "lead_time_days": 3, "order_multiple": "12", "order_minimum": "24",
        "service_level": "97.5"});
    assert_eq!(planning, expected);
    let overrides = serde_json::to_value(&item.overrides).unwrap();
    let expected = serde_json::json!({"north": {"supplier": "Next Door", "lead_time_days": 0, "service_level": "99"}});
    assert_eq!(overrides, expected);
    shop.run("set_planning", "cola", r#","location_id":"north","supplier":null,"lead_time_days":null"#, at(5)).await;
    let item = stored(&shop).await;
    assert_eq!(serde_json::to_value(&item.overrides).unwrap(), serde_json::json!({"north": {"service_level": "99"}}));
}

pub async fn a_level_is_rejudged_once_and_only_by_the_threshold_that_holds(shop: Shop) {
    cola(&shop).await;
    let threshold = shop.run("set_threshold", "cola", r#","low_stock_threshold":20"#, at(2)).await;
    let loaded = shop.ports().store.load(&[LoadRequest::of(item_id("cola"))]).await.remove(0).unwrap();
    let (item, level) = (loaded.item.unwrap(), &loaded.levels[&place("main")].level);
    let judged = rejudge(&item, level, threshold.outcome.command_id, at(3));
    let by_an_old_threshold = Commit { threshold_check: Some(item.threshold_version - 1), ..judged.clone() };
    assert_eq!(shop.commit(by_an_old_threshold).await, CommitOutcome::Conflict);
    let mut of_a_moved_level = judged.clone();
    of_a_moved_level.levels[0].loaded_version = Some(99);
    assert_eq!(shop.commit(of_a_moved_level).await, CommitOutcome::Conflict);
    assert_eq!(shop.commit(judged.clone()).await, CommitOutcome::Committed);
    let mark = judged.mark.clone().unwrap();
    assert!(matches!(mark, RejudgeMark { alert: Some(_), .. }));
    // The level and the threshold are stale by now. The mark still says what happened.
    shop.run("set_threshold", "cola", r#","low_stock_threshold":30"#, at(5)).await;
    assert_eq!(shop.commit(judged).await, CommitOutcome::Judged(Box::new(mark)));
}

pub async fn every_level_has_a_mark_of_its_own(shop: Shop) {
    cola(&shop).await;
    shop.open_location("north").await;
    shop.receive("cola", "north", 30, at(1)).await;
    let threshold = shop.run("set_threshold", "cola", r#","low_stock_threshold":20"#, at(2)).await;
    let loaded = shop.ports().store.load(&[LoadRequest::of(item_id("cola"))]).await.remove(0).unwrap();
    assert_eq!(loaded.levels.len(), 2);
    let item = loaded.item.unwrap();
    for (location, level) in &loaded.levels {
        let judged = rejudge(&item, &level.level, threshold.outcome.command_id, at(3));
        assert_eq!(judged.mark.as_ref().unwrap().alert.is_some(), *location == place("main"));
        assert_eq!(shop.commit(judged.clone()).await, CommitOutcome::Committed);
        let mark = Box::new(judged.mark.clone().unwrap());
        assert_eq!(shop.commit(judged).await, CommitOutcome::Judged(mark));
    }
    // A mark is not listed as an outcome.
    let records = shop.ports().audit.audit_records(PageRequest::first(100)).await.unwrap().entries;
    assert_eq!(records.len(), 4);
    assert_eq!(shop.record("cola", threshold.outcome.command_id).await, Some(threshold));
    shop.audit().await;
}

pub async fn a_load_answers_each_request_by_itself(shop: Shop) {
    let requests: Vec<_> = (0..150_u32)
        .map(|n| {
            let mut request = LoadRequest::of(item_id(&format!("item-{n}")));
            request.all_levels = n % 2 == 0;
            request.locations.extend([place("main"), place("nowhere")]);
            request.claims.insert(Claim::ItemKey(format!("item-{n}")));
            request
        })
        .collect();
    for n in (0..150).step_by(10) {
        shop.register(&format!("item-{n}"), "").await;
        shop.receive(&format!("item-{n}"), "main", n + 1, at(1)).await;
    }
    let answers = shop.ports().store.load(&requests).await;
    assert_eq!(answers.len(), requests.len());
    for (n, answer) in answers.into_iter().enumerate() {
        let loaded = answer.unwrap();
        let there = n % 10 == 0;
        assert_eq!(loaded.item.as_ref().map(|item| item.item_id.clone()), there.then(|| requests[n].item_id.clone()));
        let on_hand: Vec<_> = loaded.levels.values().map(|level| level.level.on_hand.raw() / 1_000).collect();
        assert_eq!(on_hand, if there { vec![n as i64 + 1] } else { vec![] }, "{n}");
        assert_eq!(loaded.locations.keys().collect::<Vec<_>>(), [&place("main")]);
        assert_eq!(loaded.holders.len(), usize::from(there));
    }
    assert!(shop.ports().store.load(&[]).await.is_empty());
}
