//! The alert history and the alerter's claims.

use stockline_core::domain::{Alert, CLOCK_SKEW_MAX_MS};
use stockline_core::ports::{
    Claimed, Gathered, Lease, MailState, MailStatus, MailTally, PageRequest, PartSent, RefusedNotice, Rest,
};
use stockline_core::testing::alert;

use super::{Shop, all_pages, at, place};

const DAY_MS: i64 = 24 * 3_600_000;

fn lease(holder: &str, from: i64, until: i64) -> Lease {
    Lease { holder: holder.into(), from: at(from), until: at(until) }
}

const fn tally(delivered: u32, refused: u32) -> MailTally {
    MailTally { delivered, refused }
}

pub async fn a_claim_holds_for_its_lease_and_only_a_sent_alert_is_dropped(shop: Shop) {
    let book = &shop.ports().alerts;
    let claim = async |holder, now, until| {
        book.claim(&[alert(1, "main", 0)], &lease(holder, now, until)).await.remove(0).unwrap()
    };
    assert_eq!(claim("a", 0, 100).await, Claimed::Ours);
    assert_eq!(claim("b", 99, 200).await, Claimed::Held);
    assert_eq!(claim("b", 100, 200).await, Claimed::Ours);
    assert_eq!(claim("a", 150, 300).await, Claimed::Held);
    let listed = shop.ports().queries.alerts(None, PageRequest::first(10)).await.unwrap().entries;
    assert_eq!(listed.iter().map(|a| a.sent_at).collect::<Vec<_>>(), [None]);
    book.mark_sent(&[alert(1, "main", 0)], at(160), tally(2, 1)).await.unwrap();
    // The second mark changes nothing.
    book.mark_sent(&[alert(1, "main", 0)], at(170), tally(9, 9)).await.unwrap();
    assert_eq!(claim("b", 1_000, 2_000).await, Claimed::Sent);
    let listed = shop.ports().queries.alerts(None, PageRequest::first(10)).await.unwrap().entries;
    let shown: Vec<_> = listed.iter().map(|a| (a.alert_id.as_str(), &a.alert, a.sent_at, a.mail)).collect();
    let mail = MailState { tally: Some(tally(2, 1)), ..MailState::default() };
    assert_eq!(shown, [("cola:main:1", &alert(1, "main", 0), Some(at(160)), mail)]);
    assert_eq!(listed[0].mail_status(), MailStatus::PartlyRefused);
}

pub async fn a_claim_is_its_holders_until_it_gives_it_up(shop: Shop) {
    let book = &shop.ports().alerts;
    let one = [alert(1, "main", 0)];
    let claim = async |lease: &Lease| book.claim(&one, lease).await.remove(0).unwrap();
    let first = lease("a", 0, 100);
    assert_eq!(claim(&first).await, Claimed::Ours);
    let again = lease("a", 10, 110);
    assert_eq!(claim(&again).await, Claimed::Ours, "its own claim blocks nobody");
    book.give_up(&one, &first).await.unwrap();
    assert_eq!(claim(&lease("b", 20, 120)).await, Claimed::Held, "a late end of an earlier claim ends nothing");
    book.give_up(&one, &again).await.unwrap();
    let anothers = lease("b", 21, 121);
    assert_eq!(claim(&anothers).await, Claimed::Ours);
    book.give_up(&one, &again).await.unwrap();
    assert_eq!(claim(&lease("a", 22, 122)).await, Claimed::Held, "nobody ends another's claim");
    book.give_up(&[alert(2, "main", 0)], &again).await.unwrap();
    assert_eq!(
        shop.ports().queries.alerts(None, PageRequest::first(10)).await.unwrap().entries.len(),
        1,
        "it claims nothing"
    );
}

pub async fn an_alert_that_some_have_is_claimed_for_the_others(shop: Shop) {
    let book = &shop.ports().alerts;
    let one = [alert(1, "main", 0)];
    let claim = async |lease: &Lease| book.claim(&one, lease).await.remove(0).unwrap();
    let rest = |addresses: &[&str], delivered| Rest {
        missing: addresses.iter().map(|address| (*address).to_owned()).collect(),
        tally: tally(delivered, 1),
    };
    let two = rest(&["x@example.com", "y@example.com"], 3);
    let first = lease("a", 0, 100);
    assert_eq!(claim(&first).await, Claimed::Ours);
    book.mark_part_sent(&one, PartSent { lease: &first, sent_at: at(5), rest: &two }).await.unwrap();
    let shown = async || shop.ports().queries.alerts(None, PageRequest::first(10)).await.unwrap().entries.remove(0);
    assert_eq!((shown().await.sent_at, shown().await.alert), (Some(at(5)), alert(1, "main", 0)));
    let mail = MailState { tally: Some(tally(3, 1)), waiting: 2, ..MailState::default() };
    assert_eq!((shown().await.mail, shown().await.mail_status()), (mail, MailStatus::PartlySent));
    let second = lease("b", 6, 106);
    assert_eq!(claim(&second).await, Claimed::OursFor(two.clone()));
    assert_eq!(claim(&lease("a", 7, 107)).await, Claimed::Held);
    assert_eq!(claim(&lease("b", 7, 107)).await, Claimed::OursFor(two.clone()));
    book.give_up(&one, &lease("b", 7, 107)).await.unwrap();
    let third = lease("a", 8, 108);
    assert_eq!(claim(&third).await, Claimed::OursFor(two.clone()));
    book.mark_part_sent(&one, PartSent { lease: &second, sent_at: at(9), rest: &rest(&["z@example.com"], 9) })
        .await
        .unwrap();
    book.mark_part_sent(&one, PartSent { lease: &third, sent_at: at(10), rest: &rest(&["y@example.com"], 4) })
        .await
        .unwrap();
    let last = lease("b", 11, 111);
    assert_eq!(
        claim(&last).await,
        Claimed::OursFor(rest(&["y@example.com"], 4)),
        "a claim that has ended marks nothing"
    );
    book.mark_sent(&one, at(12), tally(5, 1)).await.unwrap();
    book.mark_part_sent(
        &one,
        PartSent { lease: &lease("c", 8, 100), sent_at: at(13), rest: &rest(&["x@example.com"], 7) },
    )
    .await
    .unwrap();
    assert_eq!(claim(&lease("a", 500, 600)).await, Claimed::Sent, "all have it, for good");
    assert_eq!(shown().await.sent_at, Some(at(5)), "the first mail");
    assert_eq!(shown().await.mail, MailState { tally: Some(tally(5, 1)), ..MailState::default() });
}

pub async fn an_alert_without_a_recipient_says_so_unless_it_was_mailed(shop: Shop) {
    let book = &shop.ports().alerts;
    let [nobodys, sent, unknown] = [1, 2, 3].map(|no| alert(no, "main", 0));
    let both = [nobodys.clone(), sent.clone()];
    book.claim(&both, &lease("a", 0, 100)).await.into_iter().for_each(|claimed| assert!(claimed.is_ok()));
    let status = async || {
        let listed = shop.ports().queries.alerts(None, PageRequest::first(10)).await.unwrap().entries;
        listed.iter().map(|record| (record.alert.alert_no, record.mail_status())).collect::<Vec<_>>()
    };
    assert_eq!(status().await, [(2, MailStatus::Waiting), (1, MailStatus::Waiting)]);
    book.mark_sent(std::slice::from_ref(&sent), at(5), tally(1, 0)).await.unwrap();
    book.mark_unaddressed(&[nobodys.clone(), sent, unknown]).await.unwrap();
    assert_eq!(status().await, [(2, MailStatus::Sent), (1, MailStatus::NoRecipient)], "and none is added");
    book.mark_unaddressed(std::slice::from_ref(&nobodys)).await.unwrap();
    assert_eq!(book.claim(&[nobodys], &lease("a", 50, 150)).await.remove(0).unwrap(), Claimed::Ours);
}

pub async fn openings_are_listed_until_all_recipients_have_their_mail(shop: Shop) {
    let book = &shop.ports().alerts;
    let opening = |no, location, raised_at| Alert { opening: true, ..alert(no, location, raised_at) };
    // The times cross the end of a month: the shop's clock is 2026-01-31T08:15.
    let month_end = 16 * 3_600_000;
    let all = [
        opening(3, "main", month_end),
        opening(1, "main", 5),
        opening(2, "main", 5),
        opening(4, "north", 5),
        opening(5, "main", 2 * DAY_MS),
    ];
    let falls = alert(9, "main", 6);
    book.claim(std::slice::from_ref(&falls), &lease("a", 0, 1)).await.remove(0).unwrap();
    for at_ms in [10, 20] {
        // Who comes again changes nothing.
        let gathered = book.gather(&all, at(at_ms)).await;
        assert!(gathered.iter().all(|answer| matches!(answer, Ok(Gathered::Waiting))), "{gathered:?}");
    }
    let listed = async |raised: (i64, i64), limit| {
        let raised = (at(raised.0), at(raised.1));
        let openings = book.openings(&place("main"), raised, limit).await.unwrap();
        openings.into_iter().map(|opening| (opening.alert, opening.gathered_at)).collect::<Vec<_>>()
    };
    let [third, first, second, _, fifth] = &all;
    let at_first = |alert: &Alert| (alert.clone(), Some(at(10)));
    assert_eq!(listed((5, month_end), 9).await, [first, second, third].map(at_first));
    assert_eq!(listed((5, month_end), 2).await, [first, second].map(at_first));
    assert!(listed((6, month_end - 1), 9).await.is_empty());
    assert_eq!(listed((month_end, 2 * DAY_MS), 9).await, [third, fifth].map(at_first));
    assert!(book.openings(&place("south"), (at(0), at(9)), 9).await.unwrap().is_empty());
    let history = shop.ports().queries.alerts(None, PageRequest::first(10)).await.unwrap().entries;
    assert_eq!(history.iter().filter(|record| record.alert.opening).count(), 5, "they are in the history");

    let claim = lease("a", 30, 130);
    for answer in book.claim(&[first.clone(), second.clone()], &claim).await {
        assert_eq!(answer.unwrap(), Claimed::Ours, "gathering holds nobody up");
    }
    let ids = async || listed((5, 5), 9).await.into_iter().map(|(alert, _)| alert.alert_no).collect::<Vec<_>>();
    assert_eq!(ids().await, [1, 2]);
    book.mark_sent(std::slice::from_ref(first), at(31), tally(1, 0)).await.unwrap();
    let rest = Rest { missing: vec!["x@example.com".to_owned()], tally: tally(1, 0) };
    book.mark_part_sent(std::slice::from_ref(second), PartSent { lease: &claim, sent_at: at(31), rest: &rest })
        .await
        .unwrap();
    assert_eq!(ids().await, [2], "one recipient has not got it");
    let again = book.gather(&all[1..3], at(32)).await;
    assert!(matches!(again[..], [Ok(Gathered::Sent), Ok(Gathered::Waiting)]), "{again:?}");
    book.mark_sent(std::slice::from_ref(second), at(33), tally(2, 0)).await.unwrap();
    assert!(ids().await.is_empty());
}

pub async fn a_claim_that_is_mixed_answers_each_alert_in_order(shop: Shop) {
    let book = &shop.ports().alerts;
    let all: Vec<_> = (0..40).map(|n| alert(n, "main", 0)).collect();
    let sent: Vec<_> = all.iter().filter(|a| a.alert_no % 3 == 0).cloned().collect();
    let held: Vec<_> = all.iter().filter(|a| a.alert_no % 3 == 1).cloned().collect();
    for claimed in [book.claim(&sent, &lease("a", 0, 100)).await, book.claim(&held, &lease("a", 0, 100)).await] {
        assert!(claimed.iter().all(|answer| matches!(answer, Ok(Claimed::Ours))));
    }
    book.mark_sent(&sent, at(10), tally(1, 0)).await.unwrap();
    let answers = book.claim(&all, &lease("b", 50, 150)).await;
    assert_eq!(answers.len(), all.len());
    for (alert, answer) in all.iter().zip(answers) {
        let expected = [Claimed::Sent, Claimed::Held, Claimed::Ours][alert.alert_no as usize % 3].clone();
        assert_eq!(answer.unwrap(), expected, "{}", alert.alert_no);
    }
}

pub async fn the_history_pages_newest_first_by_location_or_all(shop: Shop) {
    // The times cross the end of a month and of a year.
    let place_of = |n: u64| if n.is_multiple_of(2) { "main" } else { "north" };
    let alerts: Vec<_> = (0..25).map(|n| alert(n, place_of(n), n as i64 / 3 * 20 * DAY_MS)).collect();
    for some in alerts.chunks(10) {
        let claimed = shop.ports().alerts.claim(some, &lease("a", 50, 60)).await;
        assert!(claimed.iter().all(|c| matches!(c, Ok(Claimed::Ours))), "{claimed:?}");
    }
    let list = async |location: Option<&str>, limit| {
        let location = location.map(place);
        let read = async |cursor: Option<&str>| {
            shop.ports().queries.alerts(location.as_ref(), PageRequest::new(cursor, limit)).await.unwrap()
        };
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
    assert_eq!(book.notified_until(&place("main"), at(300)).await.unwrap(), None);
    assert_eq!(book.claim_notice(&notice("2026-01-31"), &lease("a", 0, 10)).await.unwrap(), Claimed::Ours);
    assert_eq!(book.claim_notice(&notice("2026-01-31"), &lease("b", 9, 20)).await.unwrap(), Claimed::Held);
    assert_eq!(book.claim_notice(&notice("2026-01-31"), &lease("b", 10, 20)).await.unwrap(), Claimed::Ours);
    book.give_up_notice(&notice("2026-01-31"), &lease("a", 0, 10)).await.unwrap();
    assert_eq!(book.claim_notice(&notice("2026-01-31"), &lease("a", 11, 21)).await.unwrap(), Claimed::Held);
    book.give_up_notice(&notice("2026-01-31"), &lease("b", 10, 20)).await.unwrap();
    assert_eq!(book.claim_notice(&notice("2026-01-31"), &lease("a", 12, 22)).await.unwrap(), Claimed::Ours);
    assert_eq!(book.notified_until(&place("main"), at(300)).await.unwrap(), None);
    book.mark_notice_sent(&notice("2026-01-31"), at(15)).await.unwrap();
    assert_eq!(book.claim_notice(&notice("2026-01-31"), &lease("a", 99, 120)).await.unwrap(), Claimed::Sent);
    assert_eq!(book.claim_notice(&notice("2026-02-01"), &lease("a", 99, 120)).await.unwrap(), Claimed::Ours);
    assert_eq!(
        book.notified_until(&place("main"), at(300)).await.unwrap(),
        Some(at(15)),
        "an unsent one tells nothing"
    );
    book.mark_notice_sent(&notice("2026-02-01"), at(110)).await.unwrap();
    assert_eq!(book.notified_until(&place("main"), at(300)).await.unwrap(), Some(at(110)));
    assert_eq!(book.notified_until(&place("north"), at(300)).await.unwrap(), None);
    for day in 1..=40 {
        let unsent = notice(&format!("2026-03-{day:02}"));
        assert_eq!(book.claim_notice(&unsent, &lease("a", 200, 220)).await.unwrap(), Claimed::Ours);
    }
    assert_eq!(book.notified_until(&place("main"), at(300)).await.unwrap(), Some(at(110)), "behind many unsent ones");
}

/// The rows that a clock a year ahead wrote hold nobody up when it is right again.
pub async fn what_a_clock_ahead_claimed_or_told_is_void(shop: Shop) {
    let notice = |day: &str| RefusedNotice { location_id: place("main"), day: day.into() };
    let book = &shop.ports().alerts;
    let year = 365 * DAY_MS;
    let skew = CLOCK_SKEW_MAX_MS;
    let claim = async |alert: &Alert, now: i64| {
        book.claim(std::slice::from_ref(alert), &lease("a", now, now + 100)).await.remove(0).unwrap()
    };
    let [held, sent, near] = [alert(1, "main", 1), alert(2, "main", 1), alert(3, "main", 1)];
    for (alert, now) in [(&held, year), (&sent, year), (&near, skew)] {
        assert_eq!(claim(alert, now).await, Claimed::Ours);
    }
    book.mark_sent(std::slice::from_ref(&sent), at(year + 1), tally(1, 0)).await.unwrap();
    assert_eq!(claim(&held, 0).await, Claimed::Ours, "a claim that ends in a year is void");
    let other = book.claim(std::slice::from_ref(&held), &lease("b", 50, 150)).await.remove(0).unwrap();
    assert_eq!(other, Claimed::Held, "and the new one holds");
    assert_eq!(claim(&sent, 0).await, Claimed::Sent, "a mailed alert stays mailed");
    let other = book.claim(std::slice::from_ref(&near), &lease("b", 0, 100)).await.remove(0).unwrap();
    assert_eq!(other, Claimed::Held, "clocks may differ a little");

    book.mark_notice_sent(&notice("2026-01-31"), at(15)).await.unwrap();
    book.mark_notice_sent(&notice("2026-02-01"), at(DAY_MS)).await.unwrap();
    assert_eq!(book.notified_until(&place("main"), at(20)).await.unwrap(), Some(at(15)));
    assert_eq!(book.claim_notice(&notice("2026-02-01"), &lease("a", 20, 120)).await.unwrap(), Claimed::Ours);
    assert_eq!(book.claim_notice(&notice("2026-01-31"), &lease("a", 20, 120)).await.unwrap(), Claimed::Sent);
    book.mark_notice_sent(&notice("2026-02-01"), at(18)).await.unwrap();
    assert_eq!(book.notified_until(&place("main"), at(20)).await.unwrap(), Some(at(18)));
}
