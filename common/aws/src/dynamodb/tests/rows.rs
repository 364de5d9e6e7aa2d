use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use stockline_core::domain::seal;
use stockline_core::testing::record_json;

/// One write unit is a row of up to 1 KB.
const WRITE_UNIT_BYTES: usize = 1_024;

/// As DynamoDB counts a row: names and values; a number at two digits a byte and one more, one more if negative.
fn bytes(row: &Row) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 2,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        other => panic!("{other:?} is not used"),
    };
    row.iter().map(|(name, of)| name.len() + value(of)).sum()
}

#[tokio::test]
async fn the_rows_of_a_tills_sale_are_one_write_unit_each() {
    let mut shop = Shop::new().await;
    let item = "4006381333931";
    shop.open_location("berlin-mitte-01").await;
    shop.register(item, r#","low_stock_threshold":5,"barcodes":["4006381333931"]"#).await;
    shop.receive(item, "berlin-mitte-01", 900, at(1)).await;
    let (mut most_of_level, mut chunks) = (0, 0);
    for n in 0..60 {
        let fields = format!(
            r#","location_id":"berlin-mitte-01","quantity":2,"on_shortage":"allow","occurred_at":"2026-01-31T08:15:00Z",
            "reference":"R-2026-01-31-{n:06}","device_id":"till-03","operator":"417""#
        );
        let Slot::Command(mut queued) = shop.slot("sell", item, &fields, at(2)) else { unreachable!() };
        queued.submitted_by = "9c5b94b1-35ad-49bb-b118-8e8fc24abf80".into();
        queued.command.command_id = CommandId(Uuid::from_u128(0x0193_6b2e_7c4a_7f10_8a5b_3c9d_2e1f_4a6b + n));
        let commit = shop.fold(item, &[Slot::Command(queued)], at(2)).await.commit;
        chunks += commit.chunks.len();
        let record = row::of_record(&commit.records[0]).unwrap();
        assert!(bytes(&record) <= WRITE_UNIT_BYTES, "the record has {} bytes: {record:?}", bytes(&record));
        let level = row::of_level(&commit.item_id, &commit.levels[0].level).unwrap();
        most_of_level = most_of_level.max(bytes(&level));
        assert_eq!(shop.commit(commit).await, CommitOutcome::Committed);
    }
    assert!(most_of_level <= WRITE_UNIT_BYTES, "the level has {most_of_level} bytes");
    assert!(chunks <= 60 / 7, "{chunks} chunks: a tail holds at least 7 entries");
}

/// The fold leaves room for these (`ACTION_MAX_BYTES` in `fold/size.rs`; `weigh` in the domain's tests).
#[test]
fn names_keys_and_keys_of_indexes_have_1_000_bytes_a_row_at_most() {
    let (item_id, place) = (item_id(&"𠮷".repeat(ItemId::MAX_LEN)), place(&"𠮷".repeat(LocationId::MAX_LEN)));
    let letter = DeadLetter::of("why".into(), "{".into());
    let record = Record::dead_letter(None, letter, (item_id.clone(), id(u128::MAX)), at(1));
    let level = stockline_core::domain::Level::new(place.clone(), 1);
    let chunk = stockline_core::domain::Chunk { location_id: place, entries: Vec::new() };
    let claim = Key::claim(&stockline_core::domain::Claim::ItemKey(String::new()));
    let beside = [
        ("a record", bytes(&row::of_record(&record).unwrap()) - record.to_bytes().unwrap().len()),
        ("a level", bytes(&row::of_level(&item_id, &level).unwrap()) - serde_json::to_string(&level).unwrap().len()),
        ("a chunk", bytes(&row::of_chunk(&item_id, &chunk))),
        ("a claim", bytes(&row::of_holder(&claim, &item_id))),
    ];
    for (what, bytes) in beside {
        assert!((60..=1_000).contains(&bytes), "{what}: {bytes}");
    }
}

#[tokio::test]
async fn a_movement_pays_for_no_index_while_its_level_is_normal() {
    let mut shop = Shop::new().await;
    shop.register("cola", r#","low_stock_threshold":5"#).await;
    let level = Key::level(&item_id("cola"), &place("main"));
    let mut seen = Vec::new();
    for quantity in [10, -3, -3, -4, 20] {
        let kind = if quantity > 0 { "receive" } else { "sell" };
        shop.run(kind, "cola", &format!(r#","quantity":{}"#, i64::abs(quantity)), at(2)).await;
        let row = shop.row(&level).await.unwrap();
        assert_eq!(row["location"], row::text("main"));
        seen.push(row.get("unwell").cloned());
    }
    let main = || Some(row::text("main"));
    assert_eq!(seen, [None, None, main(), main(), None]);
}

#[test]
fn the_key_of_a_name_is_bounded_and_ends_on_a_character() {
    let catalogue = r#","unit":"piece","decimals":0,"shortage_policy":"allow","version":1,"threshold_version":1,
        "alert_epoch":0,"created_at":"2026-01-31T08:15:00Z","updated_at":"2026-01-31T08:15:00Z""#;
    let item = |name: &str| -> stockline_core::domain::Item {
        serde_json::from_str(&format!(r#"{{"item_id":"Cola-1","name":"{name}"{catalogue}}}"#)).unwrap()
    };
    let key = |name: &str| row::of_item(&item(name)).unwrap()["name_key"].as_s().unwrap().clone();
    assert_eq!(key("COLA Ä"), "cola ä\u{0}Cola-1");
    let long = key(&"Ä".repeat(999));
    assert!(long.len() <= 1_000 && long.chars().all(|c| c == 'ä'), "{}", long.len());
}

fn named(row: &Row, name: &str, value: AttributeValue) -> Row {
    let mut row = row.clone();
    row.insert(name.into(), value);
    row
}

#[tokio::test]
async fn what_can_not_be_read_names_its_row_and_what_is_newer_says_so() {
    let mut shop = Shop::new().await;
    shop.register("cola", "").await;
    let record = shop.receive("cola", "main", 1, at(1)).await;
    let level = shop.row(&Key::level(&item_id("cola"), &place("main"))).await.unwrap();
    let cmd = shop.row(&Key::record(&item_id("cola"), record.outcome.command_id)).await.unwrap();
    let blob = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
    let newer =
        |error: StoreError| assert!(matches!(&error, StoreError::Newer(text) if text.contains(" / ")), "{error}");
    let damaged = |error: StoreError| {
        assert!(matches!(&error, StoreError::Unreadable(text) if text.contains(" / ")), "{error}");
    };
    let sealed = |version: u8| [&[version, 1][..], &crc32fast::hash(&[version, 1]).to_le_bytes()].concat();
    newer(row::level(&named(&level, "tail", blob(&sealed(4)))).unwrap_err());
    damaged(row::level(&named(&level, "tail", blob(&[3, 1, 0, 0, 0, 0]))).unwrap_err());
    damaged(row::level(&named(&level, "tail", blob(&[0, 1]))).unwrap_err());
    damaged(row::level(&named(&level, "tail", row::text("x"))).unwrap_err());
    damaged(row::level(&named(&level, "level", row::text("{"))).unwrap_err());
    newer(row::record(&named(&cmd, "record", row::text(seal(r#"{"v":2,"other":1}"#.into())))).unwrap_err());
    damaged(row::record(&named(&cmd, "record", row::text(r#"{"v":2,"other":1}"#))).unwrap_err());
    damaged(row::record(&named(&cmd, "record", row::text(r#"{"v":1,"other":1}"#))).unwrap_err());
    damaged(row::record(&named(&cmd, "record", blob(&[2, 0, 0, 0, 0, 0]))).unwrap_err());
    damaged(row::record(&named(&cmd, "pk", row::text("CMD"))).unwrap_err());
    let json = row::text(seal(record_json(&record).to_string()));
    assert_eq!(row::record(&named(&cmd, "record", json)).unwrap(), record, "a row of an earlier program");
    damaged(row::record(&named(&cmd, "resubmitted_as", row::text("x"))).unwrap_err());
    damaged(row::chunk(&cmd).unwrap_err());
    damaged(row::holder(&named(&cmd, "item_id", row::text("no  id"))).unwrap_err());
    let error = row::settings(&HashMap::new()).unwrap_err();
    assert!(error.to_string().ends_with("settings of a row without a key: is missing"), "{error}");
}

#[tokio::test]
async fn a_damaged_row_fails_its_own_item_only() {
    let mut shop = Shop::new().await;
    for item in ["a", "b"] {
        shop.register(item, "").await;
        shop.receive(item, "main", 1, at(1)).await;
    }
    let level = shop.row(&Key::level(&item_id("a"), &place("main"))).await.unwrap();
    let broken = named(&level, "level", row::text("{"));
    shop.engine.client.put_item().table_name(TABLE).set_item(Some(broken)).send().await.unwrap();
    let slots = |shop: &mut Shop, item: &str| vec![shop.slot("sell", item, r#","quantity":1"#, at(2))];
    let (a, b) = (slots(&mut shop, "a"), slots(&mut shop, "b"));
    let request = |item: &str, slots: &[Slot]| LoadRequest::for_slots(item_id(item), slots, &Rules::default());
    let mut loaded = shop.store.load(&[request("a", &a), request("b", &b), LoadRequest::of(item_id("a"))]).await;
    assert!(matches!(loaded.remove(0), Err(StoreError::Unreadable(_))));
    assert_eq!(loaded.remove(0).unwrap().levels.len(), 1);
    assert!(matches!(loaded.remove(0), Err(StoreError::Unreadable(_))));
}
