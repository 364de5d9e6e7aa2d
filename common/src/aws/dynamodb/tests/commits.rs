use super::*;

async fn cola() -> Shop {
    let mut shop = Shop::new().await;
    shop.register("cola", r#","barcodes":["4006381333931"]"#).await;
    shop.receive("cola", "main", 10, at(1)).await;
    shop
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
