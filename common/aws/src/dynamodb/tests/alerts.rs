use super::*;
use stockline_core::domain::{Alert, AlertKind, Quantity};
use stockline_core::ports::{AlertBook, Claimed, Lease, MailTally};

fn lease(holder: &str, from: i64, until: i64) -> Lease {
    Lease { holder: holder.into(), from: at(from), until: at(until) }
}

fn alert(no: u64, raised_at: Timestamp) -> Alert {
    Alert {
        item_id: item_id("cola"),
        location_id: place("main"),
        alert_no: no,
        kind: AlertKind::Low,
        on_hand: Quantity::from_raw(1),
        low_stock_threshold: None,
        seq: no,
        opening: false,
        raised_at,
        command_id: id(1),
        item_name: "Cola".into(),
        unit: "piece".into(),
        trace: None,
    }
}

#[tokio::test]
async fn what_is_marked_without_a_claim_is_in_the_history_and_sent() {
    let shop = Shop::new().await;
    let one = [alert(1, at(0))];
    shop.store.mark_sent(&one, at(160), MailTally::default()).await.unwrap();
    assert_eq!(row::alert(&shop.row(&Key::alert(&one[0])).await.unwrap()).unwrap().alert, one[0]);
    let claimed = shop.store.claim(&one, &lease("a", 500, 600)).await.remove(0).unwrap();
    assert_eq!(claimed, Claimed::Sent);
    assert!(shop.row(&Key::month("2026-01")).await.is_some());
}

#[tokio::test]
async fn many_claims_answer_one_by_one_and_their_months_can_be_found() {
    let shop = Shop::new().await;
    const MONTH_MS: i64 = 31 * 24 * 3_600_000;
    let alerts: Vec<_> = (0..60).map(|n| alert(n, at(n as i64 % 3 * MONTH_MS))).collect();
    shop.store.claim(&alerts[7..8], &lease("a", 0, 50)).await.remove(0).unwrap();
    let claimed = shop.store.claim(&alerts, &lease("b", 1, 60)).await;
    for (n, claimed) in claimed.into_iter().enumerate() {
        assert_eq!(claimed.unwrap(), if n == 7 { Claimed::Held } else { Claimed::Ours }, "{n}");
    }
    let months = shop.store.pages(shop.store.query_partition("ALERT", None)).await.unwrap();
    let months: Vec<_> = months.iter().map(|row| row["sk"].as_s().unwrap().as_str()).collect();
    assert_eq!(months, ["2026-01", "2026-03", "2026-04"]);
}

/// A call that the SDK gave up may arrive long after.
#[tokio::test]
async fn a_late_end_of_a_claim_ends_no_newer_one() {
    let shop = Shop::new().await;
    let one = [alert(1, at(0))];
    let claim = async |lease: Lease| shop.store.claim(&one, &lease).await.remove(0).unwrap();
    assert_eq!(claim(lease("a", 0, 100)).await, Claimed::Ours);
    assert_eq!(claim(lease("a", 50, 150)).await, Claimed::Ours);
    shop.store.give_up(&one, &lease("a", 0, 100)).await.unwrap();
    assert_eq!(claim(lease("b", 120, 220)).await, Claimed::Held);
    // Nor does a late claim shorten the lease.
    assert_eq!(claim(lease("a", 0, 100)).await, Claimed::Held);
    assert_eq!(claim(lease("b", 120, 220)).await, Claimed::Held);
    shop.store.give_up(&one, &lease("a", 50, 150)).await.unwrap();
    assert_eq!(claim(lease("b", 120, 220)).await, Claimed::Ours);
}
