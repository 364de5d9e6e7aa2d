use super::*;
use stockline_core::testing::alert;

/// Otherwise an alert that was being mailed when the machine lost power would wait for the end of its lease.
#[tokio::test]
async fn a_claim_of_an_ended_process_blocks_nobody() {
    let shop = Shop::new();
    let notice = RefusedNotice { location_id: place("main"), day: "2026-01-31".into() };
    let both = [alert(1, "main", 0), alert(2, "main", 0)];
    assert!(shop.store.claim(&both, at(0), at(100)).await.iter().all(|claimed| matches!(claimed, Ok(Claimed::Ours))));
    shop.store.mark_sent(&both[1..], at(10)).await.unwrap();
    assert_eq!(shop.store.claim_notice(&notice, at(0), at(100)).await.unwrap(), Claimed::Ours);

    let shop = shop.reopened();
    for expected in [Claimed::Ours, Claimed::Held] {
        let claimed: Result<Vec<_>, _> = shop.store.claim(&both, at(20), at(100)).await.into_iter().collect();
        assert_eq!(claimed.unwrap(), [expected, Claimed::Sent]);
        assert_eq!(shop.store.claim_notice(&notice, at(20), at(100)).await.unwrap(), expected);
    }
}
