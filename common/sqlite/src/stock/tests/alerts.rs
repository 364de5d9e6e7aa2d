use super::*;
use stockline_core::ports::{PageRequest, PartSent};
use stockline_core::testing::alert;

/// Otherwise an alert that was being mailed when the machine lost power would wait for the end of its lease.
#[tokio::test]
async fn a_claim_of_an_ended_process_blocks_nobody() {
    let shop = Shop::new();
    let notice = RefusedNotice { location_id: place("main"), day: "2026-01-31".into() };
    let both = [alert(1, "main", 0), alert(2, "main", 0)];
    let lease = |holder: &str, from| Lease { holder: holder.into(), from: at(from), until: at(100) };
    assert!(shop.store.claim(&both, &lease("a", 0)).await.iter().all(|claimed| matches!(claimed, Ok(Claimed::Ours))));
    shop.store.mark_sent(&both[1..], at(10), MailTally::default()).await.unwrap();
    assert_eq!(shop.store.claim_notice(&notice, &lease("a", 0)).await.unwrap(), Claimed::Ours);

    let shop = shop.reopened();
    for (holder, expected) in [("b", Claimed::Ours), ("c", Claimed::Held)] {
        let claimed: Result<Vec<_>, _> = shop.store.claim(&both, &lease(holder, 20)).await.into_iter().collect();
        assert_eq!(claimed.unwrap(), [expected.clone(), Claimed::Sent]);
        assert_eq!(shop.store.claim_notice(&notice, &lease(holder, 20)).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_claim_that_was_given_up_blocks_nobody() {
    let shop = Shop::new();
    let notice = RefusedNotice { location_id: place("main"), day: "2026-01-31".into() };
    let lease = |holder: &str| Lease { holder: holder.into(), from: at(0), until: at(100) };
    let one = [alert(1, "main", 0)];
    shop.store.claim(&one, &lease("a")).await.remove(0).unwrap();
    shop.store.claim_notice(&notice, &lease("a")).await.unwrap();
    shop.store.give_up(&one, &lease("a")).await.unwrap();
    shop.store.give_up_notice(&notice, &lease("a")).await.unwrap();
    assert_eq!(shop.store.claim(&one, &lease("b")).await.remove(0).unwrap(), Claimed::Ours);
    assert_eq!(shop.store.claim_notice(&notice, &lease("b")).await.unwrap(), Claimed::Ours);
}

/// Who still waits for a mail is stored beside the alert, and the alert reads as before.
#[tokio::test]
async fn who_is_missing_is_known_after_a_restart() {
    let shop = Shop::new();
    let one = [alert(1, "main", 0)];
    let lease = Lease { holder: "a".into(), from: at(0), until: at(100) };
    shop.store.claim(&one, &lease).await.remove(0).unwrap();
    let rest = Rest { missing: vec!["x@example.com".to_owned()], tally: MailTally { delivered: 2, refused: 1 } };
    shop.store.mark_part_sent(&one, PartSent { lease: &lease, sent_at: at(5), rest: &rest }).await.unwrap();
    let shop = shop.reopened();
    let claimed = shop.store.claim(&one, &Lease { holder: "b".into(), ..lease.clone() }).await.remove(0).unwrap();
    assert_eq!(claimed, Claimed::OursFor(rest));
    shop.store.mark_sent(&one, at(9), MailTally::default()).await.unwrap();
    assert_eq!(shop.store.claim(&one, &lease).await.remove(0).unwrap(), Claimed::Sent);
    let listed = shop.store.alerts(None, PageRequest::first(10)).await.unwrap().entries;
    assert_eq!((listed[0].sent_at, &listed[0].alert), (Some(at(5)), &one[0]));
}

/// An earlier program counted nobody.
#[tokio::test]
async fn a_part_that_an_earlier_program_sent_goes_on() {
    let shop = Shop::new();
    let one = alert(1, "main", 0);
    let mut body = serde_json::to_value(&one).unwrap();
    body["missing"] = serde_json::json!(["x@example.com"]);
    let body = seal(body.to_string());
    let id = one.id();
    shop.store
        .write(move |connection, _| {
            let sql = "INSERT INTO alert (alert_id, raised_at, location_id, lease_until, sent_at, body) \
                       VALUES (?1, 0, 'main', 0, 5, ?2)";
            Ok(connection.execute(sql, (&id, &body))?)
        })
        .await
        .unwrap();
    let listed = shop.store.alerts(None, PageRequest::first(10)).await.unwrap().entries;
    assert_eq!(listed[0].mail, MailState { waiting: 1, ..MailState::default() });
    let lease = Lease { holder: "a".into(), from: at(0), until: at(100) };
    let claimed = shop.store.claim(std::slice::from_ref(&one), &lease).await.remove(0).unwrap();
    assert_eq!(
        claimed,
        Claimed::OursFor(Rest { missing: vec!["x@example.com".to_owned()], tally: MailTally::default() })
    );
}
