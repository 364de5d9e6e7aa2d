//! The alert history and the alerter's claims.

use stockline_core::ports::{Claimed, RefusedNotice};
use stockline_core::testing::alert;

use super::{Shop, all_pages, at, place};

const DAY_MS: i64 = 24 * 3_600_000;

pub async fn a_claim_holds_for_its_lease_and_only_a_sent_alert_is_dropped(shop: Shop) {
    let book = &shop.ports().alerts;
    let claim = async |now, until| book.claim(&[alert(1, "main", 0)], at(now), at(until)).await.remove(0).unwrap();
    assert_eq!(claim(0, 100).await, Claimed::Ours);
    assert_eq!(claim(99, 200).await, Claimed::Held);
    assert_eq!(claim(100, 200).await, Claimed::Ours);
    assert_eq!(claim(150, 300).await, Claimed::Held);
    let listed = shop.ports().queries.alerts(None, None, 10).await.unwrap().entries;
    assert_eq!(listed.iter().map(|a| a.sent_at).collect::<Vec<_>>(), [None]);
    book.mark_sent(&[alert(1, "main", 0)], at(160)).await.unwrap();
    // The second mark changes nothing.
    book.mark_sent(&[alert(1, "main", 0)], at(170)).await.unwrap();
    assert_eq!(claim(1_000, 2_000).await, Claimed::Sent);
    let listed = shop.ports().queries.alerts(None, None, 10).await.unwrap().entries;
    let shown: Vec<_> = listed.iter().map(|a| (a.alert_id.as_str(), &a.alert, a.sent_at)).collect();
    assert_eq!(shown, [("cola:main:1", &alert(1, "main", 0), Some(at(160)))]);
}

pub async fn a_claim_that_is_mixed_answers_each_alert_in_order(shop: Shop) {
    let book = &shop.ports().alerts;
    let all: Vec<_> = (0..40).map(|n| alert(n, "main", 0)).collect();
    let sent: Vec<_> = all.iter().filter(|a| a.alert_no % 3 == 0).cloned().collect();
    let held: Vec<_> = all.iter().filter(|a| a.alert_no % 3 == 1).cloned().collect();
    for claimed in [book.claim(&sent, at(0), at(100)).await, book.claim(&held, at(0), at(100)).await] {
        assert!(claimed.iter().all(|answer| matches!(answer, Ok(Claimed::Ours))));
    }
    book.mark_sent(&sent, at(10)).await.unwrap();
    let answers = book.claim(&all, at(50), at(150)).await;
    assert_eq!(answers.len(), all.len());
    for (alert, answer) in all.iter().zip(answers) {
        let expected = [Claimed::Sent, Claimed::Held, Claimed::Ours][alert.alert_no as usize % 3];
        assert_eq!(answer.unwrap(), expected, "{}", alert.alert_no);
    }
}

pub async fn the_history_pages_newest_first_by_location_or_all(shop: Shop) {
    // The times cross the end of a month and of a year.
    let place_of = |n: u64| if n.is_multiple_of(2) { "main" } else { "north" };
    let alerts: Vec<_> = (0..25).map(|n| alert(n, place_of(n), n as i64 / 3 * 20 * DAY_MS)).collect();
    for some in alerts.chunks(10) {
        let claimed = shop.ports().alerts.claim(some, at(50), at(60)).await;
        assert!(claimed.iter().all(|c| matches!(c, Ok(Claimed::Ours))), "{claimed:?}");
    }
    let list = async |location: Option<&str>, limit| {
        let location = location.map(place);
        let read =
            async |cursor: Option<&str>| shop.ports().queries.alerts(location.as_ref(), cursor, limit).await.unwrap();
        all_pages(limit, read).await
    };
    for limit in [1, 4, 25, 100] {
        let seen = list(None, limit).await;
        assert_eq!(seen.len(), 25, "{limit}");
        assert!(seen.is_sorted_by(|a, b| (a.alert.raised_at, &a.alert_id) > (b.alert.raised_at, &b.alert_id)));
        let north = list(Some("north"), limit).await;
        let expected: Vec<_> = seen.into_iter().filter(|a| a.alert.location_id == place("north")).collect();
        assert_eq!(north, expected);
    }
    assert!(list(Some("south"), 4).await.is_empty());
}

pub async fn a_days_notice_is_claimed_like_an_alert_and_says_how_far_it_told(shop: Shop) {
    let notice = |day: &str| RefusedNotice { location_id: place("main"), day: day.into() };
    let book = &shop.ports().alerts;
    assert_eq!(book.notified_until(&place("main")).await.unwrap(), None);
    assert_eq!(book.claim_notice(&notice("2026-01-31"), at(0), at(10)).await.unwrap(), Claimed::Ours);
    assert_eq!(book.claim_notice(&notice("2026-01-31"), at(9), at(20)).await.unwrap(), Claimed::Held);
    assert_eq!(book.claim_notice(&notice("2026-01-31"), at(10), at(20)).await.unwrap(), Claimed::Ours);
    assert_eq!(book.notified_until(&place("main")).await.unwrap(), None);
    book.mark_notice_sent(&notice("2026-01-31"), at(15)).await.unwrap();
    assert_eq!(book.claim_notice(&notice("2026-01-31"), at(99), at(120)).await.unwrap(), Claimed::Sent);
    assert_eq!(book.claim_notice(&notice("2026-02-01"), at(99), at(120)).await.unwrap(), Claimed::Ours);
    assert_eq!(book.notified_until(&place("main")).await.unwrap(), Some(at(15)), "an unsent one tells nothing");
    book.mark_notice_sent(&notice("2026-02-01"), at(110)).await.unwrap();
    assert_eq!(book.notified_until(&place("main")).await.unwrap(), Some(at(110)));
    assert_eq!(book.notified_until(&place("north")).await.unwrap(), None);
    for day in 1..=40 {
        let unsent = notice(&format!("2026-03-{day:02}"));
        assert_eq!(book.claim_notice(&unsent, at(200), at(220)).await.unwrap(), Claimed::Ours);
    }
    assert_eq!(book.notified_until(&place("main")).await.unwrap(), Some(at(110)), "behind many unsent ones");
}
