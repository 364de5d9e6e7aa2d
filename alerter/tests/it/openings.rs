//! Openings: those of a location are one mail, a few minutes after the last of them.

use stockline_alerter::{Alerter, Config, RecordFailure};
use stockline_core::domain::Alert;
use stockline_core::ports::{AlertBook as _, Clock as _, Lease};

use crate::world::{GATHERING, HELD, LEASE_MS, MAIL, STORE, World, alert, config, handle, opening};

/// How long the mail waits after the last opening, in milliseconds.
const QUIET_MS: i64 = 180_000;

/// The most openings of one mail.
const TOGETHER_MAX: usize = 1_000;

fn openings(count: usize, location: &str) -> Vec<Alert> {
    (0..count).map(|n| opening(&format!("SKU-{n}"), location)).collect()
}

/// Hands openings over in batches of 100, as the queue does, and returns the results.
async fn deliver(alerter: &Alerter, alerts: &[Alert]) -> Vec<Result<(), RecordFailure>> {
    let mut results = Vec::new();
    for batch in alerts.chunks(100) {
        results.extend(handle(alerter, &batch.iter().collect::<Vec<_>>()).await);
    }
    results
}

fn all(result: Result<(), RecordFailure>, count: usize) -> Vec<Result<(), RecordFailure>> {
    vec![result; count]
}

#[tokio::test]
async fn three_hundred_items_that_open_low_are_one_mail_a_location() {
    let world = World::new();
    world.location("north", "UTC", &["north@example.com"]).await;
    let (main, north) = (openings(300, "main"), openings(40, "north"));
    let both = [&main[..], &north].concat();
    let alerter = world.alerter();
    assert_eq!(deliver(&alerter, &both).await, all(GATHERING, 340));
    assert!(both.iter().all(|alert| world.store.is_claimed(alert)), "they are in the history at once");
    world.clock.advance_ms(QUIET_MS - 1);
    assert_eq!(deliver(&alerter, &both).await, all(GATHERING, 340));
    assert_eq!(world.mails(), 0);
    world.clock.advance_ms(1);
    assert_eq!(deliver(&alerter, &main[..1]).await, [Ok(())], "one of them mails all");
    let mails = world.outbox.accepted();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["all@example.com"]);
    assert!(mails[0].subject.starts_with("300 items open low at Main ["), "{}", mails[0].subject);
    for alert in &main {
        assert!(mails[0].text.contains(&alert.id()) && mails[0].html.contains(&alert.id()), "{}", alert.id());
        assert!(world.store.sent_at(alert).is_some());
    }
    assert_eq!(deliver(&alerter, &both).await, all(Ok(()), 340), "the others are found mailed");
    let mails = world.outbox.accepted();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].to, ["north@example.com"]);
    assert!(mails[1].subject.starts_with("40 items open low at Shop north ["), "{}", mails[1].subject);
}

#[tokio::test]
async fn the_last_opening_begins_the_wait_anew_but_ten_minutes_are_the_most() {
    let world = World::new();
    let all = openings(12, "main");
    for (n, opening) in all.iter().enumerate().take(10) {
        assert_eq!(handle(&world.alerter(), &[opening]).await, [GATHERING], "{n}");
        world.clock.advance_ms(60_000);
    }
    assert_eq!(handle(&world.alerter(), &[&all[10]]).await, [Ok(())], "ten minutes after the first");
    assert_eq!(world.mails(), 1);
    assert_eq!(handle(&world.alerter(), &[&all[11]]).await, [GATHERING], "the next is of another mail");
    world.clock.advance_ms(QUIET_MS);
    assert_eq!(handle(&world.alerter(), &[&all[11]]).await, [Ok(())]);
    let mails = world.outbox.accepted();
    assert_eq!(mails[1].id, all[11].id(), "one opening is a mail like any other");
    assert!(mails[1].subject.starts_with("Low stock: "), "{}", mails[1].subject);
}

#[tokio::test]
async fn an_opening_does_not_hold_other_alerts_up() {
    let world = World::new();
    let (opens, falls) = (opening("SKU-1", "main"), alert("SKU-2", "main"));
    assert_eq!(handle(&world.alerter(), &[&opens, &falls]).await, [GATHERING, Ok(())]);
    world.clock.advance_ms(QUIET_MS);
    assert_eq!(handle(&world.alerter(), &[&opens]).await, [Ok(())]);
    let ids: Vec<_> = world.outbox.accepted().into_iter().map(|mail| mail.id).collect();
    assert_eq!(ids, [falls.id(), opens.id()]);
}

#[tokio::test]
async fn openings_without_a_recipient_wait_for_nothing_and_stay_unsent_in_the_history() {
    let world = World::new();
    let alerter = world.alerter_with(Config { recipients: Vec::new(), ..config() });
    let opens = opening("SKU-1", "main");
    assert_eq!(handle(&alerter, &[&opens]).await, [Ok(())]);
    assert!(world.store.is_claimed(&opens));
    assert_eq!(world.store.sent_at(&opens), None);
}

#[tokio::test]
async fn whoever_claims_the_first_opening_mails_all_and_the_others_wait_for_it() {
    let world = World::new();
    let all = openings(5, "main");
    assert_eq!(deliver(&world.alerter(), &all).await, self::all(GATHERING, 5));
    world.clock.advance_ms(QUIET_MS);
    let now = world.clock.now();
    let lease = Lease { holder: "other".into(), from: now, until: now.plus_millis(LEASE_MS) };
    world.store.claim(&all[..1], &lease).await[0].as_ref().unwrap();
    assert_eq!(deliver(&world.alerter(), &all[3..]).await, [HELD, HELD]);
    assert_eq!(world.mails(), 0, "two mails of one load");
    world.clock.advance_ms(LEASE_MS);
    assert_eq!(deliver(&world.alerter(), &all[3..]).await, [Ok(()), Ok(())], "it has died");
    assert_eq!(world.mails(), 1);
    assert!(all.iter().all(|alert| world.store.sent_at(alert).is_some()));
}

#[tokio::test]
async fn openings_whose_mail_failed_are_mailed_together_by_the_next_attempt() {
    let world = World::new();
    let all = openings(150, "main");
    deliver(&world.alerter(), &all).await;
    world.clock.advance_ms(QUIET_MS);
    world.outbox.set_down(true);
    assert_eq!(deliver(&world.alerter(), &all).await, self::all(MAIL, 150));
    world.outbox.set_down(false);
    assert_eq!(deliver(&world.alerter(), &all).await, self::all(Ok(()), 150));
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn openings_that_are_mailed_and_not_marked_are_not_mailed_again() {
    let world = World::new();
    let all = openings(150, "main");
    let alerter = world.alerter();
    deliver(&alerter, &all).await;
    world.clock.advance_ms(QUIET_MS);
    world.store.faults().failing_marks = 3;
    assert_eq!(handle(&alerter, &[&all[0]]).await, [STORE]);
    assert_eq!(world.mails(), 1);
    let late = opening("late", "main");
    assert_eq!(handle(&alerter, &[&late]).await, [GATHERING]);
    world.clock.advance_ms(QUIET_MS);
    assert_eq!(handle(&alerter, &[&late]).await, [Ok(())]);
    assert_eq!(deliver(&alerter, &all).await, self::all(Ok(()), 150));
    let mails = world.outbox.accepted();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].id, late.id(), "the mail of the one that came later names only it");
    assert!(all.iter().all(|alert| world.store.sent_at(alert).is_some()));
}

#[tokio::test]
async fn more_openings_than_a_mail_holds_are_several_mails_and_each_is_in_one() {
    let world = World::new();
    let all = openings(TOGETHER_MAX + 200, "main");
    let alerter = world.alerter();
    deliver(&alerter, &all).await;
    world.clock.advance_ms(QUIET_MS);
    assert_eq!(deliver(&alerter, &all).await, self::all(Ok(()), TOGETHER_MAX + 200));
    let mails = world.outbox.accepted();
    assert_eq!(mails.len(), 2);
    for alert in &all {
        let line = format!("Alert       {}\n", alert.id());
        assert_eq!(mails.iter().filter(|mail| mail.text.contains(&line)).count(), 1, "{}", alert.id());
    }
}

#[tokio::test]
async fn a_load_that_was_raised_hours_later_has_a_mail_of_its_own() {
    let world = World::new();
    let early = opening("SKU-1", "main");
    let later = Alert { raised_at: early.raised_at.plus_millis(3 * 3_600_000), ..opening("SKU-2", "main") };
    let alerter = world.alerter();
    assert_eq!(handle(&alerter, &[&early, &later]).await, [GATHERING, GATHERING]);
    world.clock.advance_ms(QUIET_MS);
    assert_eq!(handle(&alerter, &[&early, &later]).await, [Ok(()), GATHERING]);
    assert_eq!(handle(&alerter, &[&later]).await, [Ok(())]);
    assert_eq!(world.mails(), 2);
}

#[tokio::test]
async fn while_the_store_is_down_openings_wait_and_none_is_lost() {
    let world = World::new();
    let opens = opening("SKU-1", "main");
    world.store.faults().down = true;
    assert_eq!(handle(&world.alerter(), &[&opens]).await, [STORE]);
    world.store.faults().down = false;
    assert_eq!(handle(&world.alerter(), &[&opens]).await, [GATHERING]);
    world.clock.advance_ms(QUIET_MS);
    world.store.faults().down = true;
    assert_eq!(handle(&world.alerter(), &[&opens]).await, [STORE]);
    world.store.faults().down = false;
    assert_eq!(handle(&world.alerter(), &[&opens]).await, [Ok(())]);
    assert_eq!(world.mails(), 1);
}
