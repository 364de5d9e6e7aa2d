use super::*;

#[tokio::test]
async fn only_what_was_refused_or_changed_the_catalogue_is_in_a_list_of_commands() {
    let mut shop = Shop::new().await;
    shop.register("cola", "").await;
    let rejected = shop.run("sell", "cola", r#","quantity":99,"on_shortage":"reject""#, at(6)).await;
    let row = shop.row(&Key::record(&item_id("cola"), rejected.outcome.command_id)).await.unwrap();
    assert!(row["refused"].as_s().unwrap().starts_with("rejected#"));
    assert_eq!(*row["refused_at"].as_s().unwrap(), format!("1769847300006#cola#{}", rejected.outcome.command_id));
    assert!(!row.contains_key("dead"));

    let sale = shop.slot("sell", "cola", r#","quantity":1"#, at(5));
    let Slot::Command(queued) = &sale else { unreachable!() };
    let (letter, id) = (DeadLetter::of("r".into(), "{".into()), (item_id("cola"), sale.command_id()));
    let letter = Record { retry: 2, ..Record::dead_letter(Some(queued), letter, id.clone(), at(5)) };
    shop.settle("cola", vec![Slot::Dead(Box::new(letter))], at(5)).await;
    let row = shop.row(&Key::record(&id.0, id.1)).await.unwrap();
    assert!(row["refused"].as_s().unwrap().starts_with("dead_lettered#"));
    assert_eq!(row["dead"], row::number(2));

    let retry = Queued { retry: 3, ..Queued::clone(queued) };
    shop.settle("cola", vec![Slot::Command(Box::new(retry))], at(7)).await;
    let row = shop.row(&Key::record(&id.0, id.1)).await.unwrap();
    assert!(["dead", "refused", "refused_at", "changed"].iter().all(|name| !row.contains_key(*name)), "{row:?}");

    let changed = shop.run("update_item", "cola", r#","name":"Cola""#, at(8)).await;
    let row = shop.row(&Key::record(&item_id("cola"), changed.outcome.command_id)).await.unwrap();
    assert!(row["refused"].as_s().unwrap().starts_with("applied#"));
    assert_eq!(row["changed"].as_s().unwrap(), "cola");
}
