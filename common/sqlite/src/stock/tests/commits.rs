use super::*;

#[tokio::test]
async fn a_write_that_sqlite_refuses_harms_only_itself() {
    let mut shop = Shop::new();
    shop.register("cola", "").await;
    shop.receive("cola", "main", 10, at(1)).await;
    let chunk = shop.slot("sell", "cola", r#","quantity":1"#, at(1));
    let mut broken = shop.fold("cola", &[chunk], at(1)).await.commit;
    let entries = broken.levels[0].level.tail.clone();
    let twice = stockline_core::domain::Chunk { location_id: place("main"), entries };
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
