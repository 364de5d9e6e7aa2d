use stockline_alerter::Config;
use stockline_core::domain::LocationId;
use stockline_core::ports::{AlertBook, Clock};

use crate::world::{LEASE_MS, World, config, refused};

async fn berlin(now: &str) -> World {
    let world = World::at(now);
    world.location("shop", "Europe/Berlin", &["shop@example.com"]).await;
    world
}

#[tokio::test]
async fn refused_commands_are_mailed_once_a_day_from_six_local_time() {
    let world = berlin("2026-01-31T04:59:00Z").await;
    let alerter = world.alerter();
    world
        .store
        .refuse([refused(1, Some("shop"), "2026-01-30T15:00:00Z"), refused(2, Some("shop"), "2026-01-30T16:00:00Z")]);
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 0, "05:59 in Berlin");
    world.set("2026-01-31T05:00:00Z");
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 1, "06:00 in Berlin");
    let mail = world.outbox.accepted().remove(0);
    assert_eq!(mail.to, ["shop@example.com"]);
    assert_eq!(mail.subject, "2 commands refused at Shop shop [refused:shop:2026-01-31]");
    assert!(mail.text.contains("2026-01-30 17:00 CET  SKU-1  sell 2 at shop"), "{}", mail.text);

    world.store.refuse([refused(3, Some("shop"), "2026-01-31T08:00:00Z")]);
    world.set("2026-01-31T22:00:00Z");
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 0, "the same day");
    world.set("2026-02-01T05:30:00Z");
    assert_eq!(world.alerter().daily_notices(world.clock.now()).await, 1, "the next day, after a restart");
    let next = world.outbox.accepted().remove(1);
    assert!(next.subject.starts_with("1 command refused"), "only new ones: {}", next.subject);
    world.set("2026-02-02T05:30:00Z");
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 0, "nothing new, no mail");
    assert_eq!(world.mails(), 2);
}

#[tokio::test]
async fn six_local_time_moves_with_summer_time() {
    let world = berlin("2026-03-29T03:59:00Z").await;
    world.store.refuse([refused(1, Some("shop"), "2026-03-28T15:00:00Z")]);
    assert_eq!(world.alerter().daily_notices(world.clock.now()).await, 0, "05:59 CEST");
    world.set("2026-03-29T04:00:00Z");
    assert_eq!(world.alerter().daily_notices(world.clock.now()).await, 1, "06:00 CEST");
}

#[tokio::test]
async fn two_racing_alerters_mail_one_notice() {
    let world = berlin("2026-01-31T09:00:00Z").await;
    world.store.refuse([refused(1, Some("shop"), "2026-01-30T15:00:00Z")]);
    let (one, other) = (world.alerter(), world.alerter());
    // The mail waits for the provider's answer until both have looked, so that their claims really meet.
    world.outbox.answers.forget_permits(usize::MAX);
    let now = world.clock.now();
    let release = async {
        world.outbox.arrived.acquire().await.unwrap().forget();
        let late = world.alerter().daily_notices(now).await;
        assert_eq!(late, 0, "claimed, not yet mailed");
        world.outbox.answers.add_permits(10);
    };
    let (a, b, ()) = tokio::join!(one.daily_notices(now), other.daily_notices(now), release);
    assert_eq!(a + b, 1);
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn a_notice_whose_mail_failed_is_mailed_by_the_next_look_of_anybody() {
    let world = berlin("2026-01-31T09:00:00Z").await;
    world.store.refuse([refused(1, Some("shop"), "2026-01-30T15:00:00Z")]);
    let alerter = world.alerter();
    world.outbox.set_down(true);
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 0);
    world.outbox.set_down(false);
    assert_eq!(world.alerter().daily_notices(world.clock.now()).await, 1, "within the lease");
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 0);
}

#[tokio::test]
async fn a_notice_that_could_not_be_marked_is_marked_later_and_not_mailed_again() {
    let world = berlin("2026-01-31T09:00:00Z").await;
    world.store.refuse([refused(1, Some("shop"), "2026-01-30T15:00:00Z")]);
    world.store.faults().failing_marks = 1;
    let alerter = world.alerter();
    let shop: LocationId = "shop".parse().unwrap();
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 1);
    assert_eq!(world.store.notified_until(&shop, world.clock.now()).await.unwrap(), None);
    world.clock.advance_ms(2 * LEASE_MS);
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 0);
    assert!(world.store.notified_until(&shop, world.clock.now()).await.unwrap().is_some());
    assert_eq!(world.mails(), 1);
}

#[tokio::test]
async fn commands_that_settle_while_a_notice_is_made_are_in_the_next_one() {
    let world = berlin("2026-01-31T09:00:00Z").await;
    let alerter = world.alerter();
    world
        .store
        .refuse([refused(1, Some("shop"), "2026-01-31T08:00:00Z"), refused(2, Some("shop"), "2026-01-31T08:59:59Z")]);
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 1);
    assert!(world.outbox.accepted()[0].subject.starts_with("1 command refused"));
    // Settled before the notice, visible only after it.
    world.store.refuse([refused(3, Some("shop"), "2026-01-31T08:59:30Z")]);
    world.set("2026-02-01T09:00:00Z");
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 1);
    assert!(world.outbox.accepted()[1].subject.starts_with("2 commands refused"));
}

#[tokio::test]
async fn refused_commands_of_no_registered_location_are_in_the_notice_of_main() {
    let world = berlin("2026-01-31T09:00:00Z").await;
    world.store.refuse([
        refused(1, Some("shop"), "2026-01-30T15:00:00Z"),
        refused(2, Some("misspelt"), "2026-01-30T15:00:00Z"),
        refused(3, None, "2026-01-30T15:00:00Z"),
        refused(4, Some("main"), "2026-01-30T15:00:00Z"),
    ]);
    assert_eq!(world.alerter().daily_notices(world.clock.now()).await, 2);
    let mut subjects: Vec<String> = world.outbox.accepted().iter().map(|mail| mail.subject.clone()).collect();
    subjects.sort();
    assert_eq!(
        subjects,
        [
            "1 command refused at Shop shop [refused:shop:2026-01-31]",
            "3 commands refused at Main [refused:main:2026-01-31]"
        ]
    );
}

#[tokio::test]
async fn a_long_list_is_cut_and_counted() {
    let world = berlin("2026-01-31T09:00:00Z").await;
    world.store.refuse((1..=10_500).map(|n| refused(n, Some("shop"), "2026-01-30T15:00:00Z")));
    assert_eq!(world.alerter().daily_notices(world.clock.now()).await, 1);
    let mail = world.outbox.accepted().remove(0);
    assert!(mail.subject.starts_with("at least 10000 commands refused"), "{}", mail.subject);
    assert!(mail.text.contains("the newest 100; at least 9900 older ones are not listed"));
}

#[tokio::test]
async fn a_notice_without_recipient_does_not_count_as_mailed() {
    let world = World::at("2026-01-31T09:00:00Z");
    world.location("shop", "UTC", &[]).await;
    world.store.refuse([refused(1, Some("shop"), "2026-01-30T15:00:00Z")]);
    let nobody = world.alerter_with(Config { recipients: Vec::new(), ..config() });
    assert_eq!(nobody.daily_notices(world.clock.now()).await, 0);
    assert_eq!(world.alerter().daily_notices(world.clock.now()).await, 1, "once a recipient is configured");
}

#[tokio::test]
async fn while_the_store_is_down_notices_wait() {
    let world = berlin("2026-01-31T09:00:00Z").await;
    world.store.refuse([refused(1, Some("shop"), "2026-01-30T15:00:00Z")]);
    let alerter = world.alerter();
    world.store.faults().down = true;
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 0);
    world.store.faults().down = false;
    assert_eq!(alerter.daily_notices(world.clock.now()).await, 1);
}

#[tokio::test]
async fn a_notice_under_a_wrong_date_silences_no_other() {
    let world = berlin("2026-01-31T09:00:00Z").await;
    let alerter = world.alerter();
    world.store.refuse([refused(1, Some("shop"), "2026-01-30T15:00:00Z")]);
    // The clock showed the next year, then the next day.
    for wrong in ["2027-01-31T09:00:00Z", "2026-02-01T12:00:00Z"] {
        world.set(wrong);
        assert_eq!(alerter.daily_notices(world.clock.now()).await, 1, "{wrong}");
        world.store.refuse([refused(2, Some("shop"), "2026-01-31T10:00:00Z")]);
    }
    world.set("2026-01-31T11:00:00Z");
    assert_eq!(world.alerter().daily_notices(world.clock.now()).await, 1, "today's, by another alerter");
    for (n, alerter) in [(3, alerter), (4, world.alerter())] {
        let (day, hour) = (n - 2, "T06:00:00Z");
        world.store.refuse([refused(n, Some("shop"), &format!("2026-02-0{day}T02:00:00Z"))]);
        world.set(&format!("2026-02-0{day}{hour}"));
        assert_eq!(alerter.daily_notices(world.clock.now()).await, 1, "the {n}th");
        let mail = world.outbox.accepted().pop().unwrap();
        assert!(mail.subject.starts_with("1 command refused"), "only what is new: {}", mail.subject);
    }
}
