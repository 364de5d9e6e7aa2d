//! Many levels, many commands and large rows.

use stockline_core::domain::{
    CommandId, CommandKey, Commit, DeadLetter, Entry, EntryKind, FoldLimits, Level, LevelPut, LoadRequest, Quantity,
    Record, Slot, StockState, encode_entries,
};
use stockline_core::ports::{CommitOutcome, MovementFilter, PageRequest};

use super::{Shop, all_pages, at, id, item_id, place};

/// [`LARGE_ROWS`] rows of this size are more than the 16 MB that one read of DynamoDB returns.
const LARGE_ROW_BYTES: usize = 190_000;
const LARGE_ROWS: u64 = 95;

/// Creates a location and returns a slot that receives this quantity of `cola` there.
async fn received_at(shop: &Shop, location: &str, quantity: i64) -> Slot {
    shop.open_location(location).await;
    shop.slot("receive", "cola", &format!(r#","location_id":"{location}","quantity":{quantity}"#), at(1))
}

pub async fn a_fold_over_many_levels_is_one_commit(shop: Shop) {
    shop.register("cola", "").await;
    let mut slots = Vec::new();
    for n in 0..33 {
        slots.push(received_at(&shop, &format!("shop-{n}"), n + 1).await);
    }
    let fold = shop.fold("cola", &slots, at(1)).await;
    assert!(fold.taken >= 30 && fold.commit.levels.len() == fold.taken, "{}", fold.taken);
    let levels = fold.commit.levels.len();
    assert_eq!(shop.commit(fold.commit).await, CommitOutcome::Committed);
    let on_hand = shop.on_hand("cola").await;
    assert_eq!(on_hand.len(), levels);
    for (location, units, seq) in on_hand {
        let n: i64 = location.trim_start_matches("shop-").parse().unwrap();
        assert_eq!((units, seq), (n + 1, 1));
    }
    // The last level is stale, so nothing at all is written.
    slots.iter_mut().for_each(|slot| {
        if let Slot::Command(queued) = slot {
            queued.command.command_id = shop.fresh_id();
        }
    });
    let mut stale = shop.fold("cola", &slots[..levels], at(2)).await.commit;
    stale.levels.last_mut().unwrap().loaded_version = Some(9);
    assert_eq!(shop.commit(stale).await, CommitOutcome::Conflict);
    assert!(shop.on_hand("cola").await.iter().all(|(_, _, seq)| *seq == 1));
    shop.audit().await;
}

pub async fn a_thousand_commands_with_long_notes_keep_every_word(shop: Shop) {
    shop.register("cola", "").await;
    let note = |n: usize| format!("{n:04}{}", "x".repeat(496));
    let sell = |n| shop.slot("receive", "cola", &format!(r#","quantity":1,"note":"{}""#, note(n)), at(n as i64));
    let slots: Vec<_> = (0..1_000).map(sell).collect();
    let records = shop.settle("cola", slots, at(2_000)).await;
    assert_eq!(shop.on_hand("cola").await, [("main".into(), 1_000, 1_000)]);
    let filter = MovementFilter::default();
    let read = async |cursor: Option<&str>| {
        shop.ports().queries.movements(&item_id("cola"), &filter, PageRequest::new(cursor, 300)).await.unwrap()
    };
    let movements = all_pages(300, read).await;
    assert_eq!(movements.len(), 1_000);
    for (n, movement) in movements.iter().rev().enumerate() {
        assert_eq!((movement.entry.seq, movement.entry.note.clone()), (n as u64 + 1, Some(note(n))));
    }
    let states: Vec<_> = records
        .iter()
        .map(|record| CommandKey { item_id: item_id("cola"), command_id: record.outcome.command_id })
        .collect();
    let stored = shop.ports().queries.records(&states).await.unwrap();
    assert!(stored.into_iter().flatten().eq(records));
    shop.audit().await;
}

pub async fn a_level_near_its_bound_reads_back(mut shop: Shop) {
    shop.limits = FoldLimits { max_tail_bytes: 180_000, ..FoldLimits::default() };
    shop.register("cola", "").await;
    let long = format!(r#","quantity":1,"note":"{}""#, "x".repeat(500));
    let mut largest = 0;
    for n in 0..5 {
        let slots = (0..80).map(|_| shop.slot("receive", "cola", &long, at(n))).collect();
        shop.settle("cola", slots, at(n)).await;
        largest = largest.max(encode_entries(&shop.levels("cola").await[0].tail).len());
    }
    assert!(largest > 150_000, "{largest} bytes");
    assert_eq!(shop.ledger_seqs("cola", "main", 1_000).await, (1..=400).collect::<Vec<_>>());
    shop.audit().await;
}

/// Returns a level with a large tail, as one commit puts it.
fn large_level(location: &str) -> Level {
    let entry = |seq: u64| Entry {
        seq,
        kind: EntryKind::Receive,
        command_id: CommandId(uuid::Uuid::from_u128(seq.into())),
        quantity: Quantity::from_raw(1_000),
        delta: Quantity::from_raw(1_000),
        after: Quantity::from_raw(seq as i64 * 1_000),
        occurred_at: at(1),
        recorded_at: at(1),
        late: false,
        clock_ahead: false,
        submitted_by: "till-1".into(),
        counterpart: None,
        unit_cost: None,
        amount: None,
        cost: None,
        revaluation: stockline_core::domain::Money::ZERO,
        reverses: None,
        reason: None,
        note: Some("x".repeat(500)),
        reference: None,
        device_id: None,
        operator: None,
    };
    let tail: Vec<_> = (1..=LARGE_ROW_BYTES as u64 / 545).map(entry).collect();
    let on_hand = tail.last().unwrap().after;
    let seq = tail.len() as u64;
    Level { on_hand, seq, version: 1, state: StockState::Normal, tail, ..Level::new(place(location), 0) }
}

pub async fn more_than_sixteen_megabytes_are_loaded_whole(shop: Shop) {
    let bytes = encode_entries(&large_level("main").tail).len() as u64 * LARGE_ROWS;
    assert!(bytes > 17_000_000, "{bytes} bytes are not enough");
    let mut named = LoadRequest { all_levels: false, ..LoadRequest::of(item_id("cola")) };
    for n in 0..LARGE_ROWS {
        let location = format!("shop-{n}");
        let mut commit = Commit::new(item_id("cola"));
        commit.levels = vec![LevelPut { loaded_version: None, level: large_level(&location) }];
        assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
        named.locations.insert(place(&location));
    }
    for request in [named, LoadRequest::of(item_id("cola"))] {
        let loaded = shop.ports().store.load(&[request]).await.remove(0).unwrap();
        assert_eq!(loaded.levels.len() as u64, LARGE_ROWS);
        for (location, loaded) in loaded.levels {
            assert!(loaded.level == large_level(location.as_str()), "the level at {location} is not as it was put");
        }
    }
}

pub async fn more_than_sixteen_megabytes_of_records_are_read_whole(shop: Shop) {
    let mut states = Vec::new();
    for n in 0..LARGE_ROWS {
        let command_id = id(n.into());
        let body = format!("{n:06}{}", "y".repeat(LARGE_ROW_BYTES));
        let letter = DeadLetter { reason: "r".into(), body, discarded_at: None };
        let mut commit = Commit::new(item_id("cola"));
        commit.records = vec![Record::dead_letter(None, letter, (item_id("cola"), command_id), at(1))];
        assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
        states.push(CommandKey { item_id: item_id("cola"), command_id });
    }
    let whole = |n: usize, record: &Record| {
        let body = &record.outcome.dead_letter.as_ref().unwrap().body;
        assert!(body.starts_with(&format!("{n:06}")) && body.len() == LARGE_ROW_BYTES + 6, "{n}");
    };
    let records = shop.ports().queries.records(&states).await.unwrap();
    assert_eq!(records.len() as u64, LARGE_ROWS);
    records.iter().enumerate().for_each(|(n, record)| whole(n, record.as_ref().unwrap()));

    let mut request = LoadRequest { all_levels: false, ..LoadRequest::of(item_id("cola")) };
    let resubmits = |state: &CommandKey| CommandKey { item_id: state.item_id.clone(), command_id: state.command_id };
    request.records = states.iter().map(resubmits).collect();
    let loaded = shop.ports().store.load(&[request]).await.remove(0).unwrap();
    assert_eq!(loaded.records.len() as u64, LARGE_ROWS);
    loaded.records.values().enumerate().for_each(|(n, record)| whole(n, record));
}

pub async fn an_item_at_more_places_than_one_transaction_reads_is_shown_whole(shop: Shop) {
    shop.register("cola", "").await;
    let mut slots = Vec::new();
    for n in 0..230 {
        slots.push(received_at(&shop, &format!("shop-{n:03}"), n + 1).await);
    }
    shop.settle("cola", slots, at(1)).await;
    let on_hand = shop.on_hand("cola").await;
    let expected: Vec<_> = (0..230).map(|n| (format!("shop-{n:03}"), n + 1, 1)).collect();
    assert_eq!(on_hand, expected);
    let loaded = shop.ports().store.load(&[LoadRequest::of(item_id("cola"))]).await.remove(0).unwrap();
    assert_eq!(loaded.levels.len(), 230);
    let at_noon = shop.ports().queries.stock_as_of(&item_id("cola"), at(1)).await.unwrap().unwrap();
    assert_eq!(at_noon.len(), 230);
    shop.audit().await;
}
