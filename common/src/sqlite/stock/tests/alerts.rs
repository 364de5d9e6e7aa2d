use super::*;
use crate::domain::AlertKind;

fn alert(no: u64, location: &str, raised_at: i64) -> Alert {
    Alert {
        item_id: item_id("cola"),
        location_id: place(location),
        alert_no: no,
        kind: AlertKind::Low,
        on_hand: Quantity::from_raw(1),
        low_stock_threshold: None,
        seq: no,
        raised_at: at(raised_at),
        command_id: id(1),
        item_name: "Cola".into(),
        unit: "piece".into(),
    }
}

#[tokio::test]
async fn a_claim_holds_for_its_lease_and_only_a_sent_alert_is_dropped() {
    let shop = Shop::new();
    let claim =
        async |now, until| shop.store.claim(&[alert(1, "main", 0)], at(now), at(until)).await.remove(0).unwrap();
    assert_eq!(claim(0, 100).await, Claimed::Ours);
    assert_eq!(claim(99, 200).await, Claimed::Held);
    assert_eq!(claim(100, 200).await, Claimed::Ours);
    assert_eq!(claim(150, 300).await, Claimed::Held);
    shop.store.mark_sent(&[alert(1, "main", 0)], at(160)).await.unwrap();
    assert_eq!(claim(1_000, 2_000).await, Claimed::Sent);
    let listed = shop.store.alerts(None, None, 10).await.unwrap().entries;
    assert_eq!(
        listed.iter().map(|a| (a.alert_id.as_str(), a.sent_at)).collect::<Vec<_>>(),
        [("cola:main:1", Some(at(160)))]
    );
}

/// Else an alert that was being mailed when the machine lost power would wait for its lease.
#[tokio::test]
async fn a_claim_of_a_process_that_ended_is_not_waited_for() {
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

#[tokio::test]
async fn the_history_pages_newest_first_by_location_or_all() {
    let shop = Shop::new();
    let alerts: Vec<_> = (0..25).map(|n| alert(n, if n % 2 == 0 { "main" } else { "north" }, n as i64 / 3)).collect();
    assert!(shop.store.claim(&alerts, at(50), at(60)).await.iter().all(|c| matches!(c, Ok(Claimed::Ours))));
    for location in [None, Some(place("north"))] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = shop.store.alerts(location.as_ref(), cursor.as_deref(), 4).await.unwrap();
            seen.extend(page.entries);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), if location.is_none() { 25 } else { 12 });
        assert!(seen.is_sorted_by(|a, b| (a.alert.raised_at, &a.alert_id) > (b.alert.raised_at, &b.alert_id)));
    }
}

#[tokio::test]
async fn a_days_notice_is_claimed_like_an_alert_and_says_how_far_it_told() {
    let shop = Shop::new();
    let notice = |day: &str| RefusedNotice { location_id: place("main"), day: day.into() };
    let store = &shop.store;
    assert_eq!(store.told_until(&place("main")).await.unwrap(), None);
    assert_eq!(store.claim_notice(&notice("2026-01-31"), at(0), at(10)).await.unwrap(), Claimed::Ours);
    assert_eq!(store.claim_notice(&notice("2026-01-31"), at(9), at(20)).await.unwrap(), Claimed::Held);
    assert_eq!(store.claim_notice(&notice("2026-01-31"), at(10), at(20)).await.unwrap(), Claimed::Ours);
    assert_eq!(store.told_until(&place("main")).await.unwrap(), None);
    store.mark_notice_sent(&notice("2026-01-31"), at(15)).await.unwrap();
    assert_eq!(store.claim_notice(&notice("2026-01-31"), at(99), at(120)).await.unwrap(), Claimed::Sent);
    assert_eq!(store.claim_notice(&notice("2026-02-01"), at(99), at(120)).await.unwrap(), Claimed::Ours);
    assert_eq!(store.told_until(&place("main")).await.unwrap(), Some(at(15)));
    assert_eq!(store.told_until(&place("north")).await.unwrap(), None);
}
